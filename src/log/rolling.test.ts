/** When segments end, on a real log: by limits that may change while it grows. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openFolder, temporaryFolder } from "../../test/support/data-folder.ts";
import { BatchKind } from "../base/batch.ts";
import { type Clock, systemClock } from "../host/clock.ts";
import { nodeDisk } from "../host/node-disk.ts";
import type { GroupLog, SegmentLimits } from "./types.ts";

const { checkpoint, records, trim } = BatchKind;
const state = () => new Uint8Array(20);
const wide: SegmentLimits = { maxBytes: 1 << 20, maxAgeMicros: 1e16 };

async function kindsOf(log: GroupLog, from = 0): Promise<number[]> {
  const kinds: number[] = [];
  for await (const { kind } of log.headers(from)) kinds.push(kind);
  return kinds;
}

async function newLog(
  clock: Clock = systemClock,
): Promise<{ log: GroupLog; append(): Promise<unknown>; close(): Promise<void> }> {
  const folder = await openFolder(temporaryFolder(), nodeDisk(), clock);
  const { log } = folder.create({
    ...{ group: 1, checkpointState: state(), startOffset: 0, appendTimeMicros: 1, note: new Uint8Array(0) },
  });
  log.rollBy(wide, state);
  const append = () => log.append({ kind: records, payload: new Uint8Array(100), recordCount: 1 });
  return { log, append, close: () => folder.close() };
}

describe("limits of segments", () => {
  test("hold from the next append on when they are changed", async () => {
    const { log, append, close } = await newLog();
    for (let at = 0; at < 3; at++) await append();
    assert.deepEqual(await kindsOf(log), [checkpoint, records, records, records]);
    log.rollBy({ ...wide, maxBytes: 500 }, state);
    for (let at = 0; at < 3; at++) await append();
    assert.deepEqual((await kindsOf(log)).slice(4), [checkpoint, records, records, checkpoint, records]);
    log.rollBy(wide, state);
    for (let at = 0; at < 3; at++) await append();
    assert.deepEqual((await kindsOf(log)).slice(-3), [records, records, records]);
    await close();
  });

  test("of age hold for the segment that grows, though files before it were dropped", async () => {
    let nowMicros = 10;
    const { log, append, close } = await newLog({ ...systemClock, nowMicros: () => nowMicros });
    log.rollBy({ ...wide, maxAgeMicros: 1000 }, state);
    await append();
    nowMicros += 1000;
    await append();
    assert.deepEqual(await kindsOf(log), [checkpoint, records, checkpoint, records]);
    log.setCommit(log.durableEnd.index);
    await log.dropBefore(2);
    nowMicros += 1000;
    await append();
    assert.deepEqual(await kindsOf(log), [checkpoint, records, checkpoint, records]);
    // What is cut off takes its age with it.
    await log.cut(4);
    nowMicros += 500;
    await append();
    assert.deepEqual(await kindsOf(log), [checkpoint, records, records]);
    await close();
  });
});

describe("a checkpoint that is due", () => {
  test("is not written for a batch that is not admitted", async () => {
    const { log, append, close } = await newLog();
    for (let at = 0; at < 3; at++) await append();
    log.rollBy({ ...wide, maxBytes: 500 }, state);
    const places: number[] = [];
    const admit = (refuses: boolean) => (place: { index: number }) => {
      places.push(place.index);
      if (refuses) throw new Error("not the leader");
    };
    const batch = { kind: records, payload: new Uint8Array(100), recordCount: 1 };
    const large = { ...batch, payload: new Uint8Array(400_000) };
    for (const refused of [batch, large]) {
      await assert.rejects(log.append({ ...refused, admit: admit(true) }), /not the leader/);
      assert.equal(log.end.index, 4);
    }
    const both = [log.append({ ...large, admit: admit(true) }), log.append({ ...large, admit: admit(false) })];
    await Promise.allSettled(both);
    assert.deepEqual(await kindsOf(log), [checkpoint, records, records, records, checkpoint, records]);
    // It is asked for the checkpoint's place, and for its own.
    assert.deepEqual(places, [4, 4, 4, 4, 5]);
    assert.deepEqual(log.end, log.durableEnd);
    await close();
  });
});

describe("a batch that rolls", () => {
  const rolling = { kind: trim, payload: new Uint8Array(10), recordCount: 0, rolls: true };

  test("has a checkpoint right before it, of its own or the one that is there", async () => {
    const { log, append, close } = await newLog();
    await log.append(rolling);
    await log.append(rolling);
    await append();
    await log.append(rolling);
    await append();
    const kinds = [checkpoint, trim, checkpoint, trim, records, checkpoint, trim, records];
    assert.deepEqual(await kindsOf(log), kinds);
    await close();
  });

  test("begins a segment, up to which files can go though it is in the journal yet", async () => {
    const { log, append, close } = await newLog();
    for (let at = 0; at < 3; at++) await append();
    assert.deepEqual(log.segmentSizes(), [{ firstIndex: 0, sizeBytes: log.storedBytes }]);
    const { index } = await log.append(rolling);
    log.setCommit(log.durableEnd.index);
    await log.dropBefore(index - 1);
    assert.equal(log.base.index, index - 1);
    assert.deepEqual(log.segmentSizes(), [{ firstIndex: index - 1, sizeBytes: log.storedBytes }]);
    await close();
  });

  test("segments are told in order, wherever they are, and together are the log", async () => {
    const { log, append, close } = await newLog();
    log.rollBy({ ...wide, maxBytes: 500 }, state);
    for (let at = 0; at < 12; at++) await append();
    const { index } = await log.append(rolling);
    log.setCommit(log.durableEnd.index);
    const before = (await kindsOf(log)).flatMap((kind, at) => (kind === checkpoint ? [at] : []));
    const check = (starts: readonly number[]) => {
      const sizes = log.segmentSizes();
      assert.deepEqual(
        sizes.map(({ firstIndex }) => firstIndex),
        starts,
      );
      const together = sizes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      assert.equal(together, log.storedBytes);
    };
    assert.equal(before.at(-1), index - 1);
    check(before);
    await log.dropBefore(before[2] ?? 0);
    check(before.slice(2));
    for (let at = 0; at < 12; at++) await append();
    const after = (await kindsOf(log, before[2])).flatMap((kind, at) => (kind === checkpoint ? [at] : []));
    check(after.map((at) => at + (before[2] ?? 0)));
    await close();
  });
});
