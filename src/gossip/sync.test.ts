import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { messageBytes } from "./message-size.ts";
import { gossipSettings } from "./settings.ts";
import { createGossip, type Gossip } from "./state.ts";
import { step } from "./step.ts";
import { startSync } from "./sync.ts";
import type { Effect, MemberInfo, Message } from "./types.ts";

const settings = gossipSettings("lan");

function member(id: string): Gossip {
  const tags = { apiAddress: `${id}-api`, region: "r", role: "voter", version: "1" };
  return createGossip({ settings, cluster: "c", id, peerAddress: id, tags, random: () => 0.5, nowMs: 0 });
}

function infoOf(id: string): MemberInfo {
  const address = `${id}.cluster.example:8401`;
  return { id, instance: "1", peerAddress: address, apiAddress: address, region: "r", role: "voter", version: "1.2.3" };
}

function ids(count: number, from: number): string[] {
  return Array.from({ length: count }, (_, i) => `member-${String(from + i).padStart(5, "0")}`);
}

/** Lets a member know these, as if it had heard of each. */
function know(g: Gossip, known: readonly string[]): void {
  for (const id of known) g.view.add(infoOf(id), 3);
}

/** Two members speak until neither has anything more to say. Every message that was sent. */
function speak(one: Gossip, other: Gossip, first: readonly Effect[]): Message[] {
  const sent: Message[] = [];
  const waiting = [...first];
  for (let effect = waiting.shift(); effect !== undefined; effect = waiting.shift()) {
    if (effect.kind !== "send") continue;
    const { to, message } = effect;
    sent.push(message);
    const receiver = [one, other].find(({ self }) => self.peerAddress === to);
    if (receiver) waiting.push(...step(receiver, { kind: "message", nowMs: receiver.nowMs, message }));
  }
  return sent;
}

const cases = [
  { name: "a newcomer and 1,000 members", one: [], other: ids(1_000, 0) },
  { name: "1,000 members and one that forgot all", one: ids(1_000, 0), other: [] },
  { name: "two halves of 1,000 that never met", one: ids(500, 0), other: ids(500, 500) },
  { name: "two views of 1,000 that overlap", one: ids(700, 0), other: ids(700, 300) },
  { name: "equal views", one: ids(1_000, 0), other: ids(1_000, 0) },
];

describe("a sync", () => {
  for (const { name, one, other } of cases) {
    test(`makes two views equal, and no message larger than it may be: ${name}`, () => {
      const [a, b] = [member("a"), member("b")];
      know(a, one);
      know(b, other);
      a.view.add(b.self, 0);
      const sent = speak(a, b, syncWith(a, "b"));
      const whole = new Set(["a", "b", ...one, ...other]);
      for (const g of [a, b]) {
        assert.deepEqual(new Set([g.self.id, ...g.view.members.keys()]), whole);
      }
      assert.deepEqual(a.view.digestWith(a.self, 0), b.view.digestWith(b.self, 0));
      for (const message of sent) assert.ok(messageBytes(message) <= settings.pageMaxBytes, message.kind);
      // Once they are equal, a sync is one question and one short answer.
      const again = speak(a, b, syncWith(a, "b"));
      assert.deepEqual(
        again.map(({ kind }) => kind),
        ["syncAsk", "syncSame"],
      );
    });
  }

  test("ends, although one that is gone is said to be larger than a page", () => {
    const [a, b] = [member("a"), member("b")];
    a.view.add(b.self, 0);
    const info = { ...infoOf("c"), apiAddress: "x".repeat(settings.pageMaxBytes) };
    const entries = (["dead", "left"] as const).map((is, at) => {
      return { info: { ...info, id: `c${at}` }, incarnation: 1, is, ageMs: 0 };
    });
    const sender = { cluster: "c", id: "d", instance: "1", incarnation: 1, address: "d" };
    const effects = step(b, { kind: "message", nowMs: 0, message: { kind: "syncRest", sender, entries } });
    const refusal = { limit: "tagsMaxBytes", value: settings.tagsMaxBytes, what: "c0" } as const;
    assert.deepEqual(effects, [{ kind: "refused", refusal }]);
    assert.equal(b.view.tombstones.size, 0);
    assert.ok(speak(a, b, syncWith(a, "b")).length < 5);
  });
});

/** Begins one. */
function syncWith(g: Gossip, address: string): Effect[] {
  const out: Effect[] = [];
  startSync(g, out, address);
  return out;
}
