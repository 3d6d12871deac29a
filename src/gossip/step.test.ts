import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { messageBytes } from "./message-size.ts";
import { gossipSettings } from "./settings.ts";
import { createGossip } from "./state.ts";
import { step, wakeAtMs } from "./step.ts";
import type { Effect, Entry, MemberInfo, Message, Rumor } from "./types.ts";

const settings = gossipSettings("lan", {
  membersMax: 3,
  tombstonesMax: 2,
  broadcastsMax: 3,
  relaysMax: 2,
  seedsMax: 2,
});

/** Mostly what members send, and now and then what none does: a message with one bad part is dropped as a whole. */
function mostly<T>(good: readonly T[], bad: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 40, arbitrary: fc.constantFrom(...good) },
    { weight: 1, arbitrary: fc.constantFrom(...bad) },
  );
}

const id = mostly(["a", "b", "c", "d", "e", "f"], ["x".repeat(200), ""]);
const instance = mostly(["1", "2"], [""]);
const incarnation = mostly([0, 1, 2, 7, 2 ** 52], [2 ** 53, -1, 0.5, Number.NaN]);
const address = mostly(["a", "b", "c2"], ["", "y".repeat(250)]);
const number = mostly([0, 1, 2, 3, 4, 500], [-7, Number.NaN, Number.POSITIVE_INFINITY]);
const info: fc.Arbitrary<MemberInfo> = fc
  .record({ id, instance, peerAddress: address, region: fc.constantFrom("r", "é".repeat(100)) })
  .map((parts) => ({ ...parts, apiAddress: "api", role: "voter", version: "1" }));
const claim = { id, instance, incarnation };
const rumor: fc.Arbitrary<Rumor> = fc.oneof(
  fc.record({ kind: fc.constant("alive" as const), info, incarnation }),
  fc.record({ kind: fc.constant("suspect" as const), ...claim, by: id }),
  fc.record({ kind: fc.constant("dead" as const), ...claim, by: id }),
  fc.record({ kind: fc.constant("left" as const), ...claim }),
);
const entry: fc.Arbitrary<Entry> = fc.record({
  ...{ info, incarnation, ageMs: number },
  is: fc.constantFrom("alive", "suspect", "dead", "left"),
});
const rumors = fc.array(rumor, { maxLength: 6 });
const entries = fc.array(entry, { maxLength: 6 });
const sender = fc.record({ cluster: fc.constantFrom("c", "c", "c", "another"), ...claim, address });
const numbered = { sender, sequence: number };
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: fc.constant("ping" as const), ...numbered, target: id, rumors }),
  fc.record({ kind: fc.constant("pingRequest" as const), ...numbered, target: id, address, rumors }),
  fc.record({ kind: fc.constant("ack" as const), ...numbered, upMs: number, rumors }),
  fc.record({ kind: fc.constantFrom("nack" as const, "syncSame" as const), ...numbered }),
  fc.record({ kind: fc.constant("gossip" as const), sender, rumors }),
  fc.record({ kind: fc.constant("who" as const), sender }),
  fc.record({
    kind: fc.constant("syncAsk" as const),
    ...numbered,
    digest: fc.record({ high: number, low: number }),
    entries,
  }),
  fc.record({
    ...{ kind: fc.constant("syncPage" as const), ...numbered, after: id, entries },
    upTo: fc.option(id, { nil: undefined }),
  }),
  fc.record({ kind: fc.constant("syncNext" as const), ...numbered, after: id, entries }),
  fc.record({ kind: fc.constant("syncRest" as const), sender, entries }),
);
const inputs = fc.array(fc.record({ message, passMs: fc.constantFrom(0, 1, 300, 1_000, 30_000) }), { maxLength: 60 });

describe("a member", () => {
  test("stands whatever it is sent: nothing is thrown, limits and the order of events hold", {
    timeout: 60_000,
  }, () => {
    fc.assert(
      fc.property(inputs, fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), (all, luck) => {
        const g = createGossip({
          ...{ settings, cluster: "c", id: "a", peerAddress: "a", nowMs: 0 },
          tags: { apiAddress: "api", region: "r", role: "voter", version: "1" },
          random: () => luck.next().value,
        });
        const there = new Set<string>();
        let nowMs = 0;
        const take = (effects: readonly Effect[]) => {
          for (const effect of effects) check(effect, there);
          assert.ok(g.view.size <= settings.membersMax);
          assert.ok(g.view.tombstones.size <= settings.tombstonesMax);
          assert.ok(g.broadcasts.size <= settings.broadcastsMax);
          assert.ok(g.relays.size <= settings.relaysMax);
          assert.deepEqual(there, new Set(g.view.members.keys()));
        };
        take(step(g, { kind: "seeds", nowMs, addresses: ["a", "b", "c"] }));
        for (const { message, passMs } of all) {
          const untilMs = nowMs + passMs;
          while (wakeAtMs(g) <= untilMs) {
            nowMs = Math.max(nowMs, wakeAtMs(g));
            take(step(g, { kind: "tick", nowMs }));
            assert.ok(wakeAtMs(g) > nowMs, "a tick does all that is due");
          }
          nowMs = untilMs;
          take(step(g, { kind: "message", nowMs, message }));
        }
      }),
      { numRuns: 400 },
    );
  });
});

function check(effect: Effect, there: Set<string>): void {
  switch (effect.kind) {
    case "send": {
      const { message } = effect;
      const maxBytes = message.kind.startsWith("sync") ? settings.pageMaxBytes : settings.packetMaxBytes;
      assert.ok(messageBytes(message) <= maxBytes);
      return;
    }
    case "event": {
      const { kind, member } = effect.event;
      assert.equal(there.has(member.id), kind !== "join");
      assert.notEqual(member.id, "a");
      if (kind === "join") there.add(member.id);
      else if (kind !== "update") there.delete(member.id);
      return;
    }
    case "conflict":
    case "refused":
    case "gone":
      return;
  }
}
