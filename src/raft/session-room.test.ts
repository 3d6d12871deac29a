/** What is on its way to one node is bounded, however many groups are behind; and all of them come to their turn. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { chooseSeed, seeded } from "../../test/support/seeded.ts";
import { present } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import type { Hello, Input } from "./inputs.ts";
import { RaftNode } from "./node.ts";
import type { Effect } from "./turn.ts";
import { type FollowerMessage, type LeaderMessage, lanSettings, replicaId } from "./types.ts";

const self = replicaId("1", "a", 0);
const other = replicaId("2", "a", 0);
const hello: Hello = { from: "2", disk: "a", incarnation: 1, number: 1 };
const digest = new Uint8Array(32);
const batchBytes = 30;
const settings = { ...lanSettings, creditBytes: 100, messageMaxBytes: 50, sessionCreditBytes: 300 };
/** What was begun while there was room may pass it. */
const mostBytes = settings.sessionCreditBytes + settings.creditBytes + settings.messageMaxBytes;

type Read = Extract<Effect, { kind: "read" }>;
type Sent = Extract<LeaderMessage, { kind: "batches" }>;

/** A node that serves committed batches of many groups to one other. */
class Server {
  readonly #node = new RaftNode({ settings, random: () => 0.5 });
  readonly reads: Read[] = [];
  /** On their way, not acknowledged. */
  readonly sent: Sent[] = [];
  /** In this order they left. */
  readonly groups: number[] = [];

  constructor(ends: readonly number[]) {
    for (const [group, end] of ends.entries()) {
      const promises = { term: 0, votedFor: null };
      const log = {
        base: { index: 0, before: { term: 0, digest } },
        ...{ terms: [{ term: 0, index: 0 }], end, digests: [digest], commit: end },
        voterSets: [{ index: 0, voters: [self, replicaId("3", "a", 0)] }],
      };
      this.#step({ kind: "open", opened: { group, self, promises, floor: { term: 0, index: 0 }, log } });
    }
    this.begin();
  }

  get bytes(): number {
    const sent = this.sent.flatMap(({ batches }) => batches).length * batchBytes;
    return sent + this.reads.length * settings.creditBytes;
  }

  /** The other node opens a session, after whatever it had before. */
  begin(number = 1): void {
    this.sent.length = 0;
    this.#step({ kind: "accepted", hello: { ...hello, number } });
  }

  fetch(group: number, next = 1, number = 1): void {
    const place = { next, before: { term: 0, digest }, durable: next, credit: settings.creditBytes };
    this.#hear({ kind: "fetch", group, term: 0, id: 1, replica: other, ...place, committedOnly: true }, number);
  }

  read(at: number): void {
    const [{ group, to, id, generation, from, below, maxBytes }] = removed(this.reads, at);
    const count = Math.max(1, Math.min(Math.floor(maxBytes / batchBytes), below - from));
    const batches = Array.from({ length: count }, (_, i) => {
      return { index: from + i, term: 0, digest, kind: BatchKind.records, bytes: new Uint8Array(batchBytes) };
    });
    this.#step({ kind: "group", group, input: { kind: "read", to, id, generation, batches } });
  }

  acknowledge(at: number): void {
    const [{ group, batches }] = removed(this.sent, at);
    const durable = present(batches.at(-1), "it has batches").index + 1;
    this.#hear({ kind: "ack", group, term: 0, durable, credit: settings.creditBytes });
  }

  unfetch(group: number): void {
    this.#hear({ kind: "unfetch", group, term: 0 });
    for (const [at, { group: of }] of [...this.sent.entries()].reverse()) if (of === group) this.sent.splice(at, 1);
  }

  #hear(message: FollowerMessage, number = 1): void {
    this.#step({ kind: "fromFollower", hello: { ...hello, number }, messages: [message] });
  }

  #step(input: Input): void {
    for (const effect of this.#node.step(input, 0)) {
      if (effect.kind === "read") this.reads.push(effect);
      if (effect.kind !== "toFollower") continue;
      for (const message of effect.messages) {
        if (message.kind !== "batches") continue;
        this.sent.push(message);
        this.groups.push(message.group);
      }
    }
  }
}

function removed<T>(from: T[], at: number): [T] {
  return [present(from.splice(at, 1)[0], "there is one at that place")];
}

describe("the room of a session", () => {
  test("bounds what is on its way, and all of all groups gets there, in whichever order disks and the other side answer", () => {
    const random = seeded(chooseSeed("the room of a session"), 16);
    const ends = Array.from({ length: 20 }, () => random.between(2, 12));
    const server = new Server(ends);
    for (const group of ends.keys()) server.fetch(group);
    const arrived = ends.map(() => 1);
    while (server.reads.length + server.sent.length > 0) {
      assert.ok(server.bytes <= mostBytes, `${server.bytes} bytes are on their way`);
      if (server.reads.length > 0 && (server.sent.length === 0 || random.between(0, 1) === 0)) {
        server.read(random.between(0, server.reads.length - 1));
      } else {
        // Of one group they come in order.
        const { group } = present(server.sent[random.between(0, server.sent.length - 1)], "some are sent");
        const at = server.sent.findIndex((message) => message.group === group);
        for (const { index } of present(server.sent[at], "it is there").batches) {
          assert.equal(index, arrived[group]);
          arrived[group] = index + 1;
        }
        server.acknowledge(at);
      }
    }
    assert.deepEqual(arrived, ends);
  });

  test("lets a group that lacks little pass those that lack much", () => {
    const server = new Server([...Array.from({ length: 10 }, () => 100), 2]);
    for (let group = 0; group < 10; group++) server.fetch(group);
    const run = () => (server.reads.length > 0 ? server.read(0) : server.acknowledge(0));
    while (server.groups.length < 50) run();
    server.fetch(10);
    while (server.groups.at(-1) !== 10) run();
    assert.ok(server.groups.length < 60, `it was sent as number ${server.groups.length}`);
  });

  test("is free again when those that had it leave, and when the session is another", () => {
    const server = new Server(Array.from({ length: 8 }, () => 100));
    for (let group = 0; group < 3; group++) server.fetch(group);
    const fill = () => {
      while (server.reads.length > 0) server.read(0);
    };
    fill();
    server.fetch(3);
    assert.deepEqual([server.reads.length, server.sent.some(({ group }) => group === 3)], [0, false]);
    server.unfetch(0);
    fill();
    assert.ok(server.sent.some(({ group }) => group === 3));
    server.begin(2);
    for (let group = 4; group < 7; group++) server.fetch(group, 1, 2);
    fill();
    assert.deepEqual(new Set(server.sent.map(({ group }) => group)), new Set([4, 5, 6]));
  });
});
