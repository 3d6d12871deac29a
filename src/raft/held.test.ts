import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Held, HeldMessages } from "./held.ts";
import type { Call, FollowerMessage, LeaderMessage } from "./types.ts";

const group = 1;
const [self, other] = ["1/a/0", "2/a/0"];
const before = { term: 1, digest: new Uint8Array(0) };
const place = { group, replica: self, next: 1, before, durable: 1, credit: 1, committedOnly: false };

const fetch = (term: number, id: number): FollowerMessage => ({ kind: "fetch", term, id, ...place });
const ack = (durable: number): FollowerMessage => ({ kind: "ack", group, term: 1, durable, credit: 1 });
const unfetch = (term: number): FollowerMessage => ({ kind: "unfetch", group, term });
const following = (id: number): LeaderMessage => ({ kind: "following", group, term: 1, id, commit: 1 });
const batches = (id: number): LeaderMessage => ({ kind: "batches", group, term: 1, id, commit: 1, batches: [] });
const commit = (end: number): LeaderMessage => ({ kind: "commit", group, term: 1, commit: end });
const notLeader = (): LeaderMessage => ({ kind: "notLeader", group, term: 1, leader: null });
const vote = (term: number, pre: boolean): Call => {
  return { kind: "vote", group, term, from: self, to: other, pre, last: { term: 1, end: 1 } };
};
const lead = (to: string): Call => ({ kind: "lead", group, term: 1, from: self, to });

const up = (node: string, ...messages: FollowerMessage[]): Held[] =>
  messages.map((message) => ({ lane: "leader", node, message }));
const down = (node: string, ...messages: LeaderMessage[]): Held[] =>
  messages.map((message) => ({ lane: "follower", node, message }));
const call = (node: string, ...messages: Call[]): Held[] =>
  messages.map((message) => ({ lane: "call", node, message }));

const cases: readonly { name: string; said: readonly Held[]; kept: readonly Held[] }[] = [
  {
    name: "a newer fetch makes an older one void, and what was acknowledged of it",
    said: up("2", fetch(1, 1), ack(4), fetch(1, 2), ack(5), ack(6)),
    kept: up("2", fetch(1, 2), ack(6)),
  },
  {
    name: "a fetch that stands is ended, whatever is fetched then",
    said: up("2", unfetch(1), fetch(2, 1), fetch(2, 2)),
    kept: up("2", unfetch(1), fetch(2, 2)),
  },
  {
    name: "the last unfetch ends all",
    said: up("2", unfetch(1), fetch(2, 1), unfetch(2)),
    kept: up("2", unfetch(2)),
  },
  {
    name: "what is said to one node says nothing of what is said to another",
    said: [...up("2", fetch(1, 1)), ...up("3", unfetch(1), fetch(1, 2))],
    kept: [...up("2", fetch(1, 1)), ...up("3", unfetch(1), fetch(1, 2))],
  },
  {
    name: "the answer to a newer fetch makes those to an older one void, batches too",
    said: down("2", following(1), batches(1), batches(1), commit(2), commit(3), following(2), batches(2)),
    kept: down("2", following(2), batches(2)),
  },
  {
    name: "batches of one fetch stay, all of them",
    said: down("2", following(1), batches(1), commit(2), batches(1), commit(3)),
    kept: down("2", following(1), batches(1), batches(1), commit(3)),
  },
  {
    name: "who leads no more says that, and nothing else",
    said: down("2", following(1), batches(1), notLeader()),
    kept: down("2", notLeader()),
  },
  {
    name: "the newest call of a kind stays, votes and pre-votes apart",
    said: call("2", vote(1, true), vote(2, false), lead(other), vote(2, true), vote(3, false), lead("2/b/0")),
    kept: call("2", lead(other), vote(2, true), vote(3, false), lead("2/b/0")),
  },
];

describe("HeldMessages", () => {
  for (const { name, said, kept } of cases) {
    test(name, () => {
      const held = new HeldMessages();
      for (const message of said) held.push(message);
      assert.deepEqual(held.takeAll(), kept);
      assert.equal(held.count, 0);
    });
  }
});
