import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import type { LogDoor, LogReadRequest } from "../replica/log-door.ts";
import { readSlices } from "./slices.ts";
import type { ReadRequest, ReadResult } from "./types.ts";

const startOffset = 10;

/** A log with batches of so many records each; 0 is a control batch. All are 100 bytes, of which reads give some. */
function logOf(counts: readonly number[]): LogDoor {
  const batches: StoredBatch[] = [];
  let offset = startOffset;
  counts.forEach((recordCount, index) => {
    batches.push({
      kind: recordCount === 0 ? BatchKind.leaderChange : BatchKind.records,
      codec: 0,
      payloadBytes: 100,
      group: 1,
      index,
      baseOffset: offset,
      recordCount,
      term: 1,
      appendTimeMicros: index,
      digest: new Uint8Array(32),
      header: new Uint8Array(128),
      payload: new Uint8Array(100),
    });
    offset += recordCount;
  });
  const commit = { index: batches.length, offset, appendTimeMicros: 0, term: 1, digest: new Uint8Array(32) };
  const never = () => assert.fail("not called by a read");
  return {
    group: 1,
    leadership: { kind: "here" },
    want: never,
    lagMs: 0,
    commit,
    storedBytes: 0,
    isDamaged: false,
    isIncomplete: false,
    append: never,
    committed: never,
    confirm: never,
    settled: never,
    endSegmentsBy: () => {},
    segmentSizes: () => [],
    findTime: never,
    lastCheckpoint: never,
    onCommit: never,
    ready: never,
    baseIndex: 0,
    baseIndexFor: never,
    dropBefore: never,
    async read({ from, belowIndex, maxBytes }: LogReadRequest) {
      const isWanted = (batch: StoredBatch): boolean =>
        "index" in from
          ? batch.index >= from.index
          : batch.baseOffset >= from.offset || batch.baseOffset + batch.recordCount > from.offset;
      return batches
        .filter(isWanted)
        .slice(0, Math.max(1, Math.floor(maxBytes / 100)))
        .filter(({ index }) => index < belowIndex);
    },
  };
}

/** What a reader takes out of an answer: offsets of records, indexes of control batches. */
function taken(result: ReadResult): string[] {
  return result.batches.flatMap(({ batch, skip, take }) =>
    batch.recordCount === 0
      ? [`control ${batch.index}`]
      : Array.from({ length: take }, (_, at) => `${batch.index}: ${batch.baseOffset + skip + at}`),
  );
}

/** All that is to be read, by counting. */
function naive(counts: readonly number[], request: ReadRequest): string[] {
  const { startOffset: start, endOffset, maxRecords, controlBatches, startIndex = 0 } = request;
  const end = endOffset ?? Number.POSITIVE_INFINITY;
  const items: string[] = [];
  let offset = startOffset;
  let left = maxRecords ?? Number.POSITIVE_INFINITY;
  counts.forEach((count, index) => {
    if (count === 0 && controlBatches && offset >= start && offset < end && left > 0 && index >= startIndex) {
      items.push(`control ${index}`);
    }
    for (let at = 0; at < count; at++, offset++) {
      if (offset < start || offset >= end || left === 0) continue;
      left--;
      items.push(`${index}: ${offset}`);
    }
  });
  return items;
}

const counts = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 4 })), { maxLength: 12 });

describe("readSlices()", () => {
  test("read to the end, bit by bit, gives exactly what was asked for", async () => {
    await fc.assert(
      fc.asyncProperty(
        counts,
        fc.nat(),
        fc.option(fc.nat(50), { nil: undefined }),
        fc.option(fc.nat(20), { nil: undefined }),
        fc.integer({ min: 1, max: 500 }),
        fc.boolean(),
        async (counts, start, endOffset, maxRecords, maxBytes, controlBatches) => {
          const door = logOf(counts);
          const first = startOffset + (start % (door.commit.offset - startOffset + 1));
          const limits = endOffset === undefined ? {} : { endOffset };
          const whole: ReadRequest = { startOffset: first, ...limits, maxBytes: 1e9, controlBatches };
          const wanted = naive(counts, maxRecords === undefined ? whole : { ...whole, maxRecords });
          const got: string[] = [];
          let left = maxRecords ?? 1e9;
          let request: ReadRequest = { ...whole, maxBytes };
          for (;;) {
            const result = await readSlices(door, { ...request, maxRecords: left });
            got.push(...taken(result));
            const last = result.batches.at(-1);
            if (last === undefined) break;
            for (const { take } of result.batches) left -= take;
            const isWhole = last.skip + last.take === last.batch.recordCount;
            const startIndex = isWhole ? last.batch.index + 1 : last.batch.index;
            request = { ...request, startOffset: result.nextOffset, startIndex };
            if (left === 0) break;
          }
          assert.deepEqual(got, wanted);
        },
      ),
    );
  });

  const cases: { name: string; counts: number[]; request: Partial<ReadRequest>; taken: string[]; next: number }[] = [
    { name: "an empty log", counts: [0], request: {}, taken: [], next: 10 },
    {
      name: "the middle of a batch",
      counts: [0, 3],
      request: { startOffset: 11 },
      taken: ["1: 11", "1: 12"],
      next: 13,
    },
    {
      name: "control batches between, and nothing but them within the limit",
      counts: [0, 0, 0, 2, 0, 0, 1],
      request: { maxBytes: 100 },
      taken: ["3: 10", "3: 11"],
      next: 12,
    },
    { name: "the end", counts: [0, 2, 0], request: { startOffset: 12 }, taken: [], next: 12 },
    {
      name: "control batches at the end",
      counts: [0, 2, 0],
      request: { startOffset: 12, controlBatches: true },
      taken: ["control 2"],
      next: 12,
    },
    {
      name: "control batches at the end, once",
      counts: [0, 2, 0],
      request: { startOffset: 12, startIndex: 3, controlBatches: true },
      taken: [],
      next: 12,
    },
    {
      name: "an end before the start",
      counts: [0, 3],
      request: { startOffset: 12, endOffset: 11 },
      taken: [],
      next: 12,
    },
    { name: "no records", counts: [0, 3], request: { maxRecords: 0 }, taken: [], next: 10 },
  ];
  for (const { name, counts, request, ...expected } of cases) {
    test(name, async () => {
      const whole = { startOffset, maxBytes: 1e9, controlBatches: false, ...request };
      const result = await readSlices(logOf(counts), whole);
      assert.deepEqual({ taken: taken(result), next: result.nextOffset }, expected);
    });
  }
});
