import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { systemHash } from "../host/hash.ts";
import { type IndexedBatch, type IndexKey, SegmentIndex } from "./segment-index.ts";

const of = { group: 4, segment: 100, storeBytes: 1 << 30 };

/** Batches as a segment holds them: each one's numbers are at or above those of the one before. */
const batches = fc
  .array(
    fc.record({
      records: fc.nat({ max: 3 }),
      laterMicros: fc.nat({ max: 2 }),
      bytes: fc.integer({ min: 128, max: 6000 }),
      isControl: fc.boolean(),
    }),
    { minLength: 1, maxLength: 100 },
  )
  .map((drawn) => {
    let [baseOffset, appendTimeMicros, position] = [2 ** 40, 1000, 0];
    return drawn.map(({ records, laterMicros, bytes, isControl }, i): IndexedBatch => {
      appendTimeMicros += laterMicros;
      const entry = { baseOffset, index: 100 + i, appendTimeMicros, position, isControl };
      baseOffset += records;
      position += bytes;
      return entry;
    });
  });

function indexOf(entries: readonly IndexedBatch[]): SegmentIndex {
  const index = new SegmentIndex();
  for (const entry of entries) index.add(entry);
  return index;
}

function withoutKind({ isControl: _, ...entry }: IndexedBatch): Omit<IndexedBatch, "isControl"> {
  return entry;
}

describe("a segment's index", () => {
  test("tells of all control batches, wherever they stand", () => {
    fc.assert(
      fc.property(batches, (all) => {
        const index = indexOf(all);
        assert.deepEqual(
          index.controls,
          all.flatMap((batch) => (batch.isControl ? [batch.index] : [])),
        );
      }),
    );
  });

  test("keeps a batch for each 4 KiB, and the first one", () => {
    fc.assert(
      fc.property(batches, (all) => {
        let next = 0;
        const kept = all.filter(({ position }) => {
          if (position < next) return false;
          next = position + 4096;
          return true;
        });
        const index = indexOf(all);
        assert.equal(index.count, kept.length);
        const last = kept.at(-1);
        assert.deepEqual(index.last(), last && withoutKind(last));
      }),
    );
  });

  test("gives a place at or before the first batch wanted, and less than 4 KiB and a batch before it", () => {
    fc.assert(
      fc.property(batches, fc.nat(), (all, pick) => {
        const index = indexOf(all);
        const wanted = all[pick % all.length];
        assert.ok(wanted);
        for (const key of ["baseOffset", "index", "appendTimeMicros", "position"] satisfies IndexKey[]) {
          const first = all.find((entry) => entry[key] >= wanted[key]);
          const from = index.positionBelow(key, wanted[key]);
          assert.ok(first && from <= first.position, key);
          const before = all.findLast((entry) => entry.position < first.position);
          if (before) assert.ok(before.position - from < 4096 || from > before.position, key);
        }
      }),
    );
  });

  test("comes back from its file", () => {
    fc.assert(
      fc.property(batches, (all) => {
        const index = indexOf(all);
        const file = index.toFile(of.group, of.segment, systemHash);
        const read = SegmentIndex.fromFile(file, of, systemHash);
        assert.ok(read);
        const lastIndex = read.last()?.index ?? 0;
        assert.deepEqual(
          read.controls,
          index.controls.filter((control) => control < lastIndex),
        );
        assert.ok(read.isPartOf(index));
        // What stands from the last entry on is read again.
        for (const batch of all.filter((noted) => noted.index >= lastIndex)) read.add(batch);
        assert.deepEqual(read.toFile(of.group, of.segment, systemHash), file);
        const more = { baseOffset: 2 ** 50, index: 9999, appendTimeMicros: 2 ** 50, position: 2 ** 29 };
        read.add({ ...more, isControl: true });
        assert.deepEqual([read.last(), read.controls.at(-1)], [more, more.index]);
      }),
    );
  });

  test("is empty where nothing was noted", () => {
    const index = new SegmentIndex();
    assert.equal(index.last(), undefined);
    assert.equal(index.positionBelow("index", 5), 0);
    assert.equal(SegmentIndex.fromFile(index.toFile(4, 100, systemHash), of, systemHash)?.count, 0);
  });
});

describe("an index file that is not whole is not believed", () => {
  const file = indexOf([
    { baseOffset: 0, index: 100, appendTimeMicros: 5, position: 0, isControl: true },
    { baseOffset: 9, index: 103, appendTimeMicros: 6, position: 4200, isControl: false },
  ]).toFile(of.group, of.segment, systemHash);

  test("cut at any byte", () => {
    for (let length = 0; length < file.length; length++) {
      assert.equal(SegmentIndex.fromFile(file.subarray(0, length), of, systemHash), undefined, `${length} bytes`);
    }
  });

  test("with any bit flipped", () => {
    for (let at = 0; at < file.length; at++) {
      const flipped = file.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 4;
      assert.equal(SegmentIndex.fromFile(flipped, of, systemHash), undefined, `byte ${at}`);
    }
  });

  test("with zeros behind it (C019)", () => {
    for (const zeros of [12, 32, 4096]) {
      const longer = new Uint8Array(file.length + zeros);
      longer.set(file);
      assert.equal(SegmentIndex.fromFile(longer, of, systemHash), undefined, `${zeros} zeros`);
    }
  });

  test("of another group or segment, or of more store than there is", () => {
    for (const other of [{ group: 5 }, { segment: 101 }, { storeBytes: 4200 }]) {
      assert.equal(SegmentIndex.fromFile(file, { ...of, ...other }, systemHash), undefined, JSON.stringify(other));
    }
  });
});
