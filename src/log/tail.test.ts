import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BatchKind } from "../base/batch.ts";
import { Tail } from "./tail.ts";

/** The tail as a plain list. */
class NaiveTail {
  startIndex: number;
  entries: { ringPosition: number; bytes: number; baseOffset: number; micros: number; kind: BatchKind }[] = [];

  constructor(startIndex: number) {
    this.startIndex = startIndex;
  }

  get endIndex(): number {
    return this.startIndex + this.entries.length;
  }
}

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: pushes() },
    fc.record({ kind: fc.constant("dropBefore" as const), at: fc.nat({ max: 40 }) }),
    fc.record({ kind: fc.constant("dropFrom" as const), at: fc.nat({ max: 40 }) }),
    fc.record({ kind: fc.constant("move" as const), at: fc.nat({ max: 40 }) }),
  ),
  { maxLength: 200 },
);

function pushes() {
  return fc.record({
    kind: fc.constant("push" as const),
    ringPosition: fc.nat({ max: 0xffff_ffff }),
    bytes: fc.integer({ min: 128, max: 8 << 20 }),
    records: fc.oneof(fc.nat({ max: 10_000 }), fc.constant(3_000_000_000)),
    laterMicros: fc.oneof(fc.nat({ max: 5000 }), fc.constant(2 ** 42)),
    batchKind: fc.constantFrom(BatchKind.records, BatchKind.records, BatchKind.trim, BatchKind.checkpoint),
  });
}

test("a tail agrees with a plain list", () => {
  fc.assert(
    fc.property(steps, fc.nat({ max: 1000 }), fc.nat({ max: 2 ** 45 }), (changes, startIndex, firstOffset) => {
      const tail = new Tail(startIndex);
      const naive = new NaiveTail(startIndex);
      let [offset, micros] = [firstOffset, 1_700_000_000_000_000];
      for (const change of changes) {
        const at = naive.startIndex + (change.kind === "push" ? 0 : change.at);
        switch (change.kind) {
          case "push": {
            // More offsets than 32 bits count do not fit in a ring.
            if (offset - (naive.entries[0]?.baseOffset ?? offset) > 0xffff_ffff) break;
            micros += change.laterMicros;
            const { ringPosition, bytes, batchKind: kind } = change;
            tail.push({ ringPosition, bytes, baseOffset: offset, appendTimeMicros: micros, kind });
            naive.entries.push({ ringPosition, bytes, baseOffset: offset, micros, kind });
            offset += change.records;
            break;
          }
          case "dropBefore":
            tail.dropBefore(at);
            naive.entries = naive.entries.slice(change.at);
            naive.startIndex = at;
            break;
          case "dropFrom":
            if (at > naive.endIndex) break;
            tail.dropFrom(at);
            naive.entries = naive.entries.slice(0, change.at);
            break;
          case "move": {
            const moved = naive.entries[change.at];
            if (!moved) break;
            tail.move(at, 77);
            moved.ringPosition = 77;
          }
        }
        agrees(tail, naive);
      }
    }),
    { numRuns: 200 },
  );
});

function agrees(tail: Tail, naive: NaiveTail): void {
  const { startIndex, endIndex, entries } = naive;
  const indexOf = (at: number) => (at < 0 ? endIndex : startIndex + at);
  assert.equal(tail.startIndex, startIndex);
  assert.equal(tail.endIndex, endIndex);
  assert.equal(tail.count, entries.length);
  assert.equal(
    tail.bytes,
    entries.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  const controls = entries.flatMap(({ kind }, i) => (kind === BatchKind.records ? [] : [startIndex + i]));
  assert.deepEqual(tail.controls, controls);
  entries.forEach(({ ringPosition, bytes, baseOffset, kind }, i) => {
    const checkpoint = kind === BatchKind.checkpoint;
    assert.deepEqual(tail.entry(startIndex + i), { ringPosition, bytes, baseOffset });
    assert.equal(tail.isCheckpoint(startIndex + i), checkpoint);
  });
  const last = entries.findLastIndex(({ kind }) => kind === BatchKind.checkpoint);
  assert.equal(tail.lastCheckpoint, last < 0 ? undefined : startIndex + last);
  for (const i of [0, 1, entries.length >> 1]) {
    const next = entries.findIndex((entry, at) => entry.kind === BatchKind.checkpoint && at >= i);
    assert.equal(tail.checkpointFrom(startIndex + i), next < 0 ? undefined : startIndex + next);
  }
  const middle = entries[entries.length >> 1];
  if (!middle) return;
  for (const offset of [0, middle.baseOffset - 1, middle.baseOffset, middle.baseOffset + 1]) {
    const first = entries.findIndex(({ baseOffset }) => baseOffset >= offset);
    assert.equal(tail.firstAtOffset(offset), indexOf(first), `offset ${offset}`);
  }
  for (const micros of [0, middle.micros - 1, middle.micros, middle.micros + 1]) {
    const first = indexOf(entries.findIndex((entry) => entry.micros >= micros));
    const found = tail.firstAtTime(micros);
    // Times are kept in milliseconds, and saturate: it may give one too early, never one too late.
    assert.ok(found <= first, `time ${micros}`);
    const saturates = middle.micros - (entries[0]?.micros ?? 0) >= 0xffff_ffff * 1000;
    const before = entries[found - 1 - startIndex];
    assert.ok(saturates || !before || before.micros < micros, `time ${micros}`);
  }
}
