/** What nodes say to each other comes out as it went in, each kind of it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BatchKind } from "../../base/batch.ts";
import type { Message } from "../../gossip/types.ts";
import type { Batch, Call, FollowerMessage, LeaderMessage } from "../../raft/types.ts";
import {
  CallSchema,
  FollowerMessageSchema,
  GossipRequestSchema,
  HelloSchema,
  LeaderMessageSchema,
} from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
import { gossipRequest, readGossip } from "./gossip-messages.ts";
import {
  callMessage,
  followerMessage,
  helloMessage,
  leaderMessage,
  readCall,
  readFollowerMessage,
  readHello,
  readLeaderMessage,
} from "./messages.ts";

const disk = "0f".repeat(16);
const digest = new Uint8Array(32).fill(7);
const about = { group: 3, term: 2 ** 40 };
const before = { term: 4, digest };
const batch: Batch = { index: 9, term: 5, digest, kind: BatchKind.records, bytes: new Uint8Array([1, 2, 3]) };

const followerMessages: readonly FollowerMessage[] = [
  {
    ...{ kind: "fetch", ...about, id: 1, replica: `n/${disk}/0`, next: 2 ** 52, before, durable: 0, credit: 9 },
    committedOnly: true,
  },
  { kind: "ack", ...about, durable: 7, credit: 1 << 20 },
  { kind: "unfetch", ...about },
  { kind: "badBatch", ...about, index: 8 },
  { kind: "echo", n: 77 },
];

const leaderMessages: readonly LeaderMessage[] = [
  { kind: "following", ...about, id: 1, commit: 5 },
  { kind: "batches", ...about, id: 1, commit: 5, batches: [batch, { ...batch, index: 10 }] },
  { kind: "commit", ...about, commit: 6 },
  { kind: "diverged", ...about, id: 2, atTerm: 0, end: 3 },
  { kind: "restart", ...about, id: 2, base: 30, before },
  { kind: "notLeader", ...about, leader: null },
  { kind: "notLeader", ...about, leader: "m/d/1" },
  { kind: "notYet", group: 3 },
  { kind: "gone", group: 3 },
  { kind: "disagree", ...about, index: 4 },
  { kind: "beat", n: 5, echoed: 4 },
];

const ends = { from: `a/${disk}/0`, to: `b/${disk}/1` };
const calls: readonly Call[] = [
  { kind: "vote", ...about, ...ends, pre: true, last: { term: 1, end: 2 } },
  { kind: "voted", ...about, ...ends, pre: false, asked: 3, granted: true, leader: null },
  { kind: "voted", ...about, ...ends, pre: true, asked: 3, granted: false, leader: "c/f/0" },
  { kind: "lead", ...about, ...ends },
  { kind: "stepUp", ...about, ...ends },
];

const claim = { id: "n1", instance: "x-y", incarnation: 3 };
const sender = { ...claim, cluster: "c", address: "127.0.0.1:1" };
const info = {
  id: "n2",
  instance: "z",
  peerAddress: "h:2",
  apiAddress: "h:3",
  region: "r",
  role: "voter",
  version: "1",
};
const rumors: Extract<Message, { kind: "gossip" }>["rumors"] = [
  { kind: "alive", info, incarnation: 4 },
  { kind: "suspect", ...claim, by: "n3" },
  { kind: "dead", ...claim, by: "n3" },
  { kind: "left", ...claim },
];
const entries = (["alive", "suspect", "dead", "left"] as const).map((is) => ({ info, incarnation: 1, is, ageMs: 12 }));
const gossip: readonly Message[] = [
  { sender, kind: "ping", sequence: 1, target: "n2", rumors },
  { sender, kind: "pingRequest", sequence: 2, target: "n2", address: "h:2", rumors: [] },
  { sender, kind: "ack", sequence: 3, upMs: 4000, rumors },
  { sender, kind: "nack", sequence: 4 },
  { sender, kind: "gossip", rumors },
  { sender, kind: "who" },
  { sender, kind: "syncAsk", sequence: 5, digest: { high: 0xffff_ffff, low: 0 }, entries },
  { sender, kind: "syncSame", sequence: 6 },
  { sender, kind: "syncPage", sequence: 7, after: "", upTo: "n2", entries },
  { sender, kind: "syncPage", sequence: 8, after: "n2", upTo: undefined, entries: [] },
  { sender, kind: "syncNext", sequence: 9, after: "n2", entries },
  { sender, kind: "syncRest", entries },
];

describe("messages between nodes come out as they went in", () => {
  for (const message of followerMessages) {
    test(`of a follower: ${message.kind}`, () => {
      const bytes = toBinary(FollowerMessageSchema, create(FollowerMessageSchema, followerMessage(message)));
      assert.deepEqual(readFollowerMessage(fromBinary(FollowerMessageSchema, bytes)), message);
    });
  }

  for (const message of leaderMessages) {
    test(`of a leader: ${message.kind}`, () => {
      const bytes = toBinary(LeaderMessageSchema, create(LeaderMessageSchema, leaderMessage(message)));
      let index = batch.index - 1;
      const batchOf = (stored: Uint8Array) => {
        assert.deepEqual(stored, batch.bytes);
        index += 1;
        return { ...batch, index };
      };
      assert.deepEqual(readLeaderMessage(fromBinary(LeaderMessageSchema, bytes), batchOf), message);
    });
  }

  for (const call of calls) {
    test(`outside sessions: ${call.kind}`, () => {
      const bytes = toBinary(CallSchema, create(CallSchema, callMessage(call)));
      assert.deepEqual(readCall(fromBinary(CallSchema, bytes)), call);
    });
  }

  for (const message of gossip) {
    test(`of gossip: ${message.kind}`, () => {
      const bytes = toBinary(GossipRequestSchema, gossipRequest(message));
      assert.deepEqual(readGossip(fromBinary(GossipRequestSchema, bytes)), message);
    });
  }

  test("a greeting", () => {
    const hello = { from: "n", disk: "ab", incarnation: 2, number: 2 ** 45 };
    const bytes = toBinary(HelloSchema, helloMessage("c", hello));
    assert.deepEqual(readHello(fromBinary(HelloSchema, bytes)), hello);
  });
});

describe("what a peer says that can't be is refused", () => {
  test("a kind that is not known", () => {
    assert.throws(() => readFollowerMessage(create(FollowerMessageSchema, {})), /none that this version knows/);
    assert.throws(() => readCall(create(CallSchema, ends)), /none that this version knows/);
    assert.throws(() => readGossip(create(GossipRequestSchema, { sender: claimOf() })), /none that this version knows/);
  });

  for (const name of [
    "n",
    `/${disk}/0`,
    `n/${disk}${disk}/0`,
    "n/0f/0",
    `n/${disk}/x`,
    `n/${disk}/4294967296`,
    `n/${disk}/00`,
  ]) {
    test(`a replica of the name "${name}", which no vote can be kept for`, () => {
      const vote = { ...ends, from: name, kind: { case: "vote", value: {} } } as const;
      assert.throws(() => readCall(create(CallSchema, vote)), { reason: "invalid_field" });
      const value = { replica: name, before: { term: 1n, digest } };
      const fetch = create(FollowerMessageSchema, { kind: { case: "fetch", value } });
      assert.throws(() => readFollowerMessage(fetch), { reason: "invalid_field" });
    });
  }

  test("a position of 2^53", () => {
    const message = create(FollowerMessageSchema, { group: 2n ** 53n, kind: { case: "unfetch", value: {} } });
    assert.throws(() => readFollowerMessage(message), /not below 2\^53/);
  });

  test("a fetch without the digest of the batch before", () => {
    const value = { replica: `n/${disk}/0`, before: { term: 1n, digest: new Uint8Array(31) } };
    const message = create(FollowerMessageSchema, { kind: { case: "fetch", value } });
    assert.throws(() => readFollowerMessage(message), /no digest of 32 bytes/);
  });

  test("a batch that is none: what is before it is kept, and it is named bad", () => {
    const value = { batches: [batch.bytes, new Uint8Array(5)] };
    const message = create(LeaderMessageSchema, { kind: { case: "batches", value } });
    const read = readLeaderMessage(message, (bytes) => (bytes.length === 3 ? batch : undefined));
    assert.deepEqual(read.kind === "batches" && [read.batches, read.bad], [[batch], batch.index + 1]);
  });
});

function claimOf(): { id: string; instance: string; incarnation: bigint } {
  return { id: "n", instance: "i", incarnation: 1n };
}
