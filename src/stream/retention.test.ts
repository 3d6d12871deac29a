import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { MemoryFolder } from "../../test/support/memory-folder.ts";
import { assertRefused } from "../../test/support/refusal.ts";
import { payloadOf, streamsOf } from "../../test/support/streams.ts";
import type { StreamSettings } from "../base/stream-settings.ts";
import { LogStream } from "./log-stream.ts";
import { firstKept } from "./retention.ts";

const second = 1e6;

/** A stream of a folder in memory: three batches a segment, each 1 ms after the one before. */
async function openStream(folder: MemoryFolder, settings?: Partial<StreamSettings>): Promise<LogStream> {
  folder.rollAfterBatches = 3;
  const streams = await streamsOf(folder);
  const stream = settings === undefined ? streams.get("a") : (await streams.create("a", settings)).stream;
  assert.ok(stream instanceof LogStream);
  await stream.ready();
  return stream;
}

async function append(stream: LogStream, count: number): Promise<void> {
  for (let record = 0; record < count; record++) await stream.append(payloadOf("x"));
}

/** One look, as a round takes it; whether it was due. */
async function look(stream: LogStream, nowMicros: number): Promise<boolean> {
  if (!stream.isRetentionDue(nowMicros)) return false;
  await stream.retain(nowMicros);
  return true;
}

/** Indexes that the segments of the stream's log begin with. */
function segments(folder: MemoryFolder, stream: LogStream): number[] {
  return (folder.log(stream.id)?.segmentSizes() ?? []).map(({ firstIndex }) => firstIndex);
}

describe("firstKept()", () => {
  const sizes = [100, 50, 200, 10].map((sizeBytes, at) => ({ firstIndex: at * 10, sizeBytes }));
  for (const [keepBytes, at] of [
    [1, 3],
    [10, 3],
    [11, 2],
    [210, 2],
    [211, 1],
    [260, 1],
    [261, 0],
    [360, 0],
    [1000, 0],
  ] as const) {
    test(`of 100, 50, 200 and 10 bytes keeps ${keepBytes} from segment ${at} on`, () => {
      assert.equal(firstKept(sizes, keepBytes), at);
    });
  }
});

describe("retention by bytes", () => {
  test("drops the oldest segments while enough stays, and no part of one", async () => {
    const folder = new MemoryFolder();
    const stream = await openStream(folder, { retentionBytes: 1 << 20 });
    const half = payloadOf("x".repeat(600_000));
    for (let record = 0; record < 6; record++) await stream.append(half);
    const before = segments(folder, stream);
    assert.equal(await look(stream, folder.nowMicros), true);
    assert.deepEqual(segments(folder, stream), before.slice(-2));
    const { storedBytes, logStart } = await stream.describe();
    assert.ok(storedBytes >= 1 << 20, `${storedBytes} bytes`);
    assert.equal(logStart, 2);
    const below = stream.read({ startOffset: 1, maxBytes: 1, controlBatches: false });
    await assertRefused(below, { reason: "below_log_start", facts: { logStart: 2, nextOffset: 6 } });
    await look(stream, folder.nowMicros);
    assert.equal(await look(stream, folder.nowMicros), false, "there is nothing to look for");
  });

  test("looks again when a segment begins, and when the setting changes", async () => {
    const folder = new MemoryFolder();
    const stream = await openStream(folder, {});
    await append(stream, 9);
    assert.equal(await look(stream, folder.nowMicros), false);
    await stream.update({ retentionBytes: 1 << 20 });
    assert.equal(await look(stream, folder.nowMicros), true);
    assert.equal(await look(stream, folder.nowMicros), false);
    await append(stream, 3);
    assert.equal(await look(stream, folder.nowMicros), true);
    assert.equal(stream.logStart, 0);
  });
});

describe("retention by age", () => {
  test("drops a segment when its newest record is older, not before", async () => {
    const folder = new MemoryFolder();
    const stream = await openStream(folder, { retentionAgeS: 10 });
    await append(stream, 2);
    const newest = folder.nowMicros;
    folder.nowMicros += 5 * second;
    await append(stream, 3);
    const [, later] = segments(folder, stream);
    await look(stream, newest + 10 * second);
    assert.equal(stream.logStart, 0);
    assert.equal(await look(stream, newest + 10 * second - 1), false, "not due before that");
    await look(stream, newest + 10 * second + 1);
    assert.equal(stream.logStart, 2);
    assert.equal(segments(folder, stream)[0], later);
    assert.equal(await look(stream, newest + 12 * second), true);
    assert.equal(await look(stream, newest + 12 * second), false, "the rest is younger");
  });

  test("lets a segment be that is not there any more when it is looked at, and looks again", async () => {
    for (const settings of [{ retentionAgeS: 10 }, { retentionBytes: 1 << 20 }]) {
      const folder = new MemoryFolder();
      const stream = await openStream(folder, settings);
      for (let record = 0; record < 6; record++) await stream.append(payloadOf("x".repeat(600_000)));
      const log = folder.log(stream.id);
      assert.ok(log);
      // Another node came to lead, and had it cut off here.
      const read = log.read.bind(log);
      const before = segments(folder, stream);
      log.read = async (request) => {
        const isGone = "index" in request.from && before.indexOf(request.from.index) > 0;
        return isGone ? [] : await read(request);
      };
      const nowMicros = folder.nowMicros + 11 * second;
      assert.equal(await look(stream, nowMicros), true);
      assert.deepEqual([stream.logStart, segments(folder, stream)], [0, before]);
      log.read = read;
      assert.equal(await look(stream, nowMicros), true);
      assert.ok(stream.logStart > 0);
    }
  });

  test("empties a stream that nobody appends to: its segment goes too, and its offsets stay", async () => {
    let folder = new MemoryFolder();
    let stream = await openStream(folder, { retentionAgeS: 10 });
    await append(stream, 5);
    await look(stream, folder.nowMicros + 11 * second);
    const check = async () => {
      const { logStart, highWatermark, firstAppendTimeMicros, storedBytes } = await stream.describe();
      assert.deepEqual([logStart, highWatermark, firstAppendTimeMicros], [5, 5, undefined]);
      assert.ok(storedBytes < 1000, `${storedBytes} bytes`);
      assert.equal(segments(folder, stream).length, 1);
    };
    await check();
    const { frames } = folder;
    const written = frames.length;
    assert.equal(await look(stream, folder.nowMicros + 1e12), false);
    assert.equal(frames.length, written, "an empty stream is left alone");
    folder = folder.reopen();
    stream = await openStream(folder);
    await check();
    await look(stream, folder.nowMicros + 1e12);
    assert.deepEqual(folder.frames, []);
    assert.equal((await stream.append(payloadOf("y"))).startOffset, 5);
    const below = stream.read({ startOffset: 4, maxBytes: 1, controlBatches: false });
    await assertRefused(below, { reason: "below_log_start", facts: { logStart: 5, nextOffset: 6 } });
  });

  test("a record that comes while a stream is emptied stays", async () => {
    const folder = new MemoryFolder();
    const stream = await openStream(folder, { retentionAgeS: 10 });
    await append(stream, 5);
    folder.nowMicros += 11 * second;
    const emptied = look(stream, folder.nowMicros);
    const appended = await stream.append(payloadOf("young"));
    await emptied;
    assert.equal(stream.logStart, 5);
    const { batches } = await stream.read({ startOffset: 5, maxBytes: 1, controlBatches: false });
    assert.deepEqual(batches[0]?.batch.digest, appended.digest);
    for (let more = 0; more < 3; more++) await look(stream, folder.nowMicros);
    assert.equal(stream.logStart, 5);
  });

  test("so does one that is committed after the look and before the trim", async () => {
    const folder = new MemoryFolder();
    const stream = await openStream(folder, { retentionAgeS: 10 });
    await append(stream, 5);
    folder.nowMicros += 11 * second;
    const log = folder.log(stream.id);
    assert.ok(log);
    const lastCheckpoint = log.lastCheckpoint.bind(log);
    log.lastCheckpoint = async () => {
      log.lastCheckpoint = lastCheckpoint;
      await append(stream, 1);
      return lastCheckpoint();
    };
    await look(stream, folder.nowMicros);
    assert.deepEqual([stream.logStart, stream.highWatermark], [5, 6]);
  });

  test("what a kill or want of room left of emptying a stream is done in another round", async () => {
    for (const step of [1, 2]) {
      let folder = new MemoryFolder();
      let stream = await openStream(folder, { retentionAgeS: 10 });
      await append(stream, 5);
      const later = folder.nowMicros + 11 * second;
      if (step === 1) folder.refuse = 1;
      const first = stream.retain(later);
      if (step === 2) {
        while (stream.logStart === 0) await new Promise((resolve) => setImmediate(resolve));
        folder.refuse = 1;
      }
      await assertRefused(first, { reason: "disk_full" });
      assert.equal(stream.logStart, step === 1 ? 0 : 5);
      folder = folder.reopen();
      stream = await openStream(folder);
      assert.equal(await look(stream, later), true);
      assert.equal(stream.logStart, 5);
      assert.equal(segments(folder, stream).length, 1);
      assert.equal(await look(stream, later), false);
    }
  });

  test("needs no append: an interval's timer does it", async () => {
    const folder = new MemoryFolder();
    const clock = new ManualClock();
    const streams = await streamsOf(folder, { clock, retentionIntervalMs: 1000 });
    const { stream } = await streams.create("a", { retentionAgeS: 10 });
    await stream.append(payloadOf("x"));
    await clock.pass(9_000);
    assert.equal(stream.logStart, 0);
    await clock.pass(4_000);
    assert.equal(stream.logStart, 1);
    streams.stop();
  });

  test("is told to who watches", async () => {
    const folder = new MemoryFolder();
    const stream = await openStream(folder, { retentionAgeS: 10 });
    await append(stream, 5);
    let seen = 0;
    stream.watch(() => {
      seen = stream.logStart;
    });
    await look(stream, folder.nowMicros + 11 * second);
    assert.equal(seen, 5);
  });
});

test("retention keeps what it must and drops what it can, whatever happens in between", async () => {
  const ageS = 20;
  const step = fc.oneof(
    fc.record({ kind: fc.constant("append" as const), count: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ kind: fc.constant("pass" as const), seconds: fc.integer({ min: 1, max: 25 }) }),
    fc.record({ kind: fc.constant("look" as const) }),
    fc.record({ kind: fc.constant("both" as const) }),
    fc.record({ kind: fc.constant("trim" as const), offset: fc.integer({ min: 0, max: 30 }) }),
    fc.record({ kind: fc.constant("refuse" as const) }),
    fc.record({ kind: fc.constant("start" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      let folder = new MemoryFolder();
      let stream = await openStream(folder, { retentionAgeS: ageS });
      const times: number[] = [];
      const add = async () => void times.push((await stream.append(payloadOf("x"))).appendTimeMicros);
      let trimmed = 0;
      for (const step of steps) {
        switch (step.kind) {
          case "append":
            for (let at = 0; at < step.count; at++) await add();
            break;
          case "pass":
            folder.nowMicros += step.seconds * second;
            break;
          case "look":
            await look(stream, folder.nowMicros);
            break;
          case "both":
            await Promise.all([add(), look(stream, folder.nowMicros), add()]);
            break;
          case "trim":
            trimmed = Math.max(trimmed, Math.min(step.offset, times.length));
            await stream.trim(Math.min(step.offset, times.length));
            break;
          case "refuse":
            folder.refuse = 1;
            await look(stream, folder.nowMicros).catch(() => {});
            folder.refuse = 0;
            break;
          case "start": {
            const { nowMicros } = folder;
            folder = folder.reopen();
            folder.nowMicros = nowMicros;
            stream = await openStream(folder);
            break;
          }
        }
        const cutoff = folder.nowMicros - ageS * second;
        const young = times.findIndex((micros) => micros >= cutoff);
        const most = Math.max(trimmed, young < 0 ? times.length : young);
        assert.ok(stream.logStart <= most, `${stream.logStart} is beyond ${most}`);
      }
      for (let more = 0; more < 3; more++) await look(stream, folder.nowMicros);
      const cutoff = folder.nowMicros - ageS * second;
      const starts = segments(folder, stream).map((index) => folder.log(stream.id)?.batches[index]?.baseOffset ?? 0);
      const end = starts[1] ?? times.length;
      const newest = times[end - 1] ?? 0;
      const isYoung = end > stream.logStart && newest >= cutoff;
      assert.ok(isYoung || (starts.length === 1 && stream.logStart === times.length), "the oldest segment has to go");
      const { nextOffset } = await stream.read({
        startOffset: stream.logStart,
        maxBytes: 1 << 30,
        controlBatches: false,
      });
      assert.equal(nextOffset, times.length);
    }),
    { numRuns: 200 },
  );
});
