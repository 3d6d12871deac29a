import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { TailraceError } from "../base/errors.ts";
import { systemHash } from "../host/hash.ts";
import { SimDisk } from "../sim/disk.ts";
import { SimRandom } from "../sim/random.ts";
import { passTime, SimClock, Timeline } from "../sim/timeline.ts";
import { openDataFolder } from "./data-folder.ts";
import type { LogOptions } from "./settings.ts";
import type { DataFolder, GroupLog } from "./types.ts";

const group = 5;
const kibibyte = 1 << 10;

/** Appends: their sizes, their records, and how much time passes before each. */
const appends = fc.array(
  fc.record({
    bytes: fc.oneof({ weight: 5, arbitrary: fc.nat({ max: 900 }) }, fc.integer({ min: 3000, max: 9000 })),
    records: fc.integer({ min: 1, max: 3 }),
    pauseMs: fc.oneof(fc.constant(0), fc.nat({ max: 40 })),
  }),
  { minLength: 1, maxLength: 60 },
);

/** A ring of small files: a tail and segments, each of some batches. */
const settings: LogOptions = {
  ...{ journalUnitBytes: 64 * kibibyte, journalFileBytes: 64 * kibibyte, journalFiles: 2 },
  ...{ tailMaxBytes: 5 * kibibyte, segmentHandles: 1, indexMemoryBytes: 100 },
};

class World {
  readonly timeline = new Timeline();
  readonly #disk: SimDisk;

  constructor(seed: number) {
    const random = new SimRandom(seed);
    this.#disk = new SimDisk({ timeline: this.timeline, random, totalBytes: 1 << 30, tally: new Map() });
  }

  /** A disk and a clock that a test may change below the log. */
  async open(): Promise<{ folder: DataFolder; disk: ReturnType<SimDisk["attach"]> }> {
    const disk = this.#disk.attach();
    const clock = new SimClock(this.timeline, () => true);
    const random = new SimRandom(1);
    return { disk, folder: await openDataFolder({ path: "/data", disk, clock, hash: systemHash, random, settings }) };
  }

  pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.timeline.after(ms, resolve));
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return passTime(this.timeline, work());
  }
}

function make(folder: DataFolder): GroupLog {
  const { log } = folder.create({
    ...{ group, checkpointState: new Uint8Array(3), startOffset: 100, appendTimeMicros: 1, note: new Uint8Array(0) },
  });
  log.rollBy({ maxBytes: 6 * kibibyte, maxAgeMicros: 1e12 }, () => new Uint8Array(200));
  log.onDurable(() => log.setCommit(log.durableEnd.index));
  return log;
}

async function all(log: GroupLog): Promise<StoredBatch[]> {
  return await log.read({ from: { index: 0 }, belowIndex: log.durableEnd.index, maxBytes: 1 << 30 });
}

const bytesOf = (batch: StoredBatch) => batch.header.length + batch.payload.length;

/** What a reader must be given, by looking at each batch. */
function naively(
  batches: readonly StoredBatch[],
  isWanted: (batch: StoredBatch) => boolean,
  { belowIndex, maxBytes }: { belowIndex: number; maxBytes: number },
): number[] {
  const indexes: number[] = [];
  let bytes = 0;
  for (const batch of batches) {
    if (batch.index >= belowIndex || !isWanted(batch)) continue;
    if (indexes.length > 0 && bytes + bytesOf(batch) > maxBytes) break;
    indexes.push(batch.index);
    bytes += bytesOf(batch);
  }
  return indexes;
}

async function checkReads(log: GroupLog, batches: readonly StoredBatch[], picks: readonly number[]): Promise<void> {
  const pick = (of: number) => (picks[of % picks.length] ?? 0) % (batches.length + 2);
  for (let i = 0; i < 12; i++) {
    const belowIndex = Math.min(pick(i) + pick(i + 1), batches.length);
    const maxBytes = [1, 500, 4000, 1 << 20][pick(i + 2) % 4] ?? 1;
    const index = pick(i + 3);
    const near = batches[Math.min(index, batches.length - 1)];
    const offset = Math.max((near?.baseOffset ?? 0) + (pick(i + 4) % 4) - 1, 0);
    const micros = (near?.appendTimeMicros ?? 0) + (pick(i + 5) % 3) - 1;
    const limit = { belowIndex, maxBytes };
    const indexes = async (from: { index: number } | { offset: number }) =>
      (await log.read({ from, ...limit })).map((batch) => batch.index);

    const isAfterIndex = (batch: StoredBatch) => batch.index >= index;
    assert.deepEqual(await indexes({ index }), naively(batches, isAfterIndex, limit), `from index ${index}`);
    const isAtOffset = (batch: StoredBatch) =>
      batch.baseOffset >= offset || batch.baseOffset + batch.recordCount > offset;
    assert.deepEqual(await indexes({ offset }), naively(batches, isAtOffset, limit), `from offset ${offset}`);
    const first = batches.find((batch) => batch.index < belowIndex && batch.appendTimeMicros >= micros);
    const expected = first ? { index: first.index, offset: first.baseOffset } : { ...log.commit };
    assert.deepEqual(await log.findTime(micros, belowIndex), expected, `from time ${micros}`);
  }
}

describe("reading a log", () => {
  test("gives what looking at each batch gives: by index, offset and time, with any limits, before and after a start", {
    timeout: 60_000,
  }, async () => {
    const picks = fc.array(fc.nat({ max: 1000 }), { minLength: 8, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(appends, picks, fc.nat(), async (drawn, numbers, seed) => {
        const world = new World(seed);
        await world.run(async () => {
          const { folder } = await world.open();
          const log = make(folder);
          const appended: Promise<unknown>[] = [];
          for (const { bytes, records, pauseMs } of drawn) {
            if (pauseMs > 0) await world.pass(pauseMs);
            appended.push(
              log.append({ kind: BatchKind.records, payload: new Uint8Array(bytes), recordCount: records }),
            );
          }
          await Promise.all(appended);
          const batches = await all(log);
          assert.equal(batches.filter(({ kind }) => kind === BatchKind.records).length, drawn.length);
          await checkReads(log, batches, numbers);
          const newest = batches.findLast(({ kind }) => kind === BatchKind.checkpoint);
          assert.equal((await log.lastCheckpoint()).index, newest?.index);
          await folder.close();

          const again = (await world.open()).folder;
          const found = again.log(group);
          assert.ok(found);
          found.setCommit(found.durableEnd.index);
          assert.deepEqual(await all(found), batches);
          await checkReads(found, batches, numbers);
          assert.equal((await found.lastCheckpoint()).index, newest?.index);
          const headers: number[] = [];
          for await (const { index } of found.headers(numbers[0] ?? 0)) headers.push(index);
          const from = (batch: StoredBatch) => batch.index >= (numbers[0] ?? 0);
          assert.deepEqual(
            headers,
            batches.filter(from).map(({ index }) => index),
          );
          await again.close();
        });
      }),
      { numRuns: 40 },
    );
  });

  test("goes on over batches that are moved to a segment meanwhile", { timeout: 60_000 }, async () => {
    for (let seed = 0; seed < 60; seed++) {
      const world = new World(seed);
      await world.run(async () => {
        const { folder } = await world.open();
        const log = make(folder);
        let appended = 0;
        const appending = (async () => {
          for (; appended < 60; appended++) {
            await log.append({ kind: BatchKind.records, payload: new Uint8Array(600), recordCount: 1 });
          }
        })();
        // Another reader has the old segments open, one after the other: handles are few, and closing takes its time.
        const elsewhere = (async () => {
          while (appended < 60) {
            await log.read({ from: { index: 0 }, belowIndex: log.durableEnd.index, maxBytes: 1 << 20 });
            await world.pass(0.05);
          }
        })();
        const pick = new SimRandom(seed);
        while (appended < 60) {
          await world.pass(0.05);
          const { index, offset: end } = log.durableEnd;
          if (end === 100) continue;
          const offset = pick.between(Math.max(100, end - 10), end - 1);
          const [first] = await log.read({ from: { offset }, belowIndex: index, maxBytes: 2000 });
          assert.equal(first?.baseOffset, offset, `seed ${seed}`);
        }
        await Promise.all([appending, elsewhere]);
        await folder.close();
      });
    }
  });

  test("refuses what is damaged, and gives what is before it; a file that is missing is not read over", async () => {
    const world = new World(7);
    await world.run(async () => {
      const { folder, disk } = await world.open();
      const log = make(folder);
      for (let i = 0; i < 60; i++) {
        await log.append({ kind: BatchKind.records, payload: new Uint8Array(600), recordCount: 1 });
      }
      const checkpoints = (await all(log))
        .filter(({ kind }) => kind === BatchKind.checkpoint)
        .map(({ index }) => index);
      const [, second = 0, third = 0] = checkpoints;
      assert.ok(checkpoints.length > 4);
      await folder.close();
      const path = (index: number) => `/data/groups/${group}/1/${String(index).padStart(20, "0")}.log`;
      const file = await disk.open(path(second), { create: false });
      await file?.write([new Uint8Array(1)], 1200);
      await file?.sync();
      await file?.close();
      await disk.remove(path(third));

      const again = (await world.open()).folder;
      const found = again.log(group);
      assert.ok(found);
      const read = (index: number) => found.read({ from: { index }, belowIndex: 1000, maxBytes: 1 << 20 });
      const isDamage = (error: unknown) => error instanceof TailraceError && error.reason === "damaged";
      const before = await found.read({ from: { index: 0 }, belowIndex: second + 1, maxBytes: 1 << 20 });
      assert.equal(before.length, second + 1);
      await assert.rejects(read(second + 2), isDamage);
      await assert.rejects(read(third), isDamage);
      await assert.rejects(read(third + 1), isDamage);
      await again.close();
    });
  });
});
