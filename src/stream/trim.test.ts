import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MemoryFolder } from "../../test/support/memory-folder.ts";
import { assertRefused } from "../../test/support/refusal.ts";
import { payloadOf, streamsOf } from "../../test/support/streams.ts";
import { BatchKind } from "../base/batch.ts";
import { checkpointPrefixBytes, decodeCheckpoint, decodeTrim } from "../wire/checkpoint.ts";
import { LogStream } from "./log-stream.ts";
import type { Stream } from "./types.ts";

async function streamOf(folder: MemoryFolder): Promise<Stream> {
  return (await (await streamsOf(folder)).create("a", {})).stream;
}

async function appendMany(stream: Stream, count: number): Promise<void> {
  for (let record = 0; record < count; record++) await stream.append(payloadOf(String(record)));
}

/** The log start that each checkpoint tells, and the one that the trims before it ask for. */
function checkpoints(folder: MemoryFolder, group: number): { said: number; asked: number }[] {
  let asked = 0;
  return (folder.log(group)?.batches ?? []).flatMap(({ kind, payload }) => {
    if (kind === BatchKind.trim) asked = decodeTrim(payload).logStart;
    if (kind !== BatchKind.checkpoint) return [];
    return [{ said: decodeCheckpoint(payload.subarray(checkpointPrefixBytes)).logStart, asked }];
  });
}

describe("trim()", () => {
  test("moves log start, never back and not beyond the high watermark", async () => {
    const stream = await streamOf(new MemoryFolder());
    await appendMany(stream, 5);
    assert.equal(await stream.trim(0), 0);
    assert.equal(await stream.trim(3), 3);
    assert.equal(await stream.trim(2), 3);
    await assertRefused(stream.trim(6), { reason: "past_end", facts: { logStart: 3, nextOffset: 5, stream: "a" } });
    assert.equal(await stream.trim(5), 5);
    assert.deepEqual([stream.logStart, stream.highWatermark], [5, 5]);
    const { firstAppendTimeMicros, lastAppendTimeMicros } = await stream.describe();
    assert.deepEqual([firstAppendTimeMicros, lastAppendTimeMicros], [undefined, undefined]);
  });

  test("what is below is refused, and starts that say no offset begin at log start", async () => {
    const stream = await streamOf(new MemoryFolder());
    await appendMany(stream, 5);
    await stream.trim(3);
    const read = { maxBytes: 1000, controlBatches: false };
    await assertRefused(stream.read({ startOffset: 2, ...read }), {
      reason: "below_log_start",
      facts: { logStart: 3 },
    });
    assert.equal((await stream.read({ startOffset: 3, ...read })).nextOffset, 5);
    await assertRefused(stream.resolve({ at: "offset", offset: 2 }), { reason: "below_log_start" });
    assert.equal(await stream.resolve({ at: "earliest" }), 3);
    assert.equal(await stream.resolve({ at: "time", micros: 0 }), 3);
    assert.equal(await stream.resolve({ at: "before_end", count: 100 }), 3);
  });

  test("names no base that was cut off since it was looked up: every replica would look for it", async () => {
    const folder = new MemoryFolder();
    folder.rollAfterBatches = 3;
    const stream = await streamOf(folder);
    assert.ok(stream instanceof LogStream);
    await appendMany(stream, 9);
    const { door } = stream.log;
    assert.ok(door);
    const { baseIndexFor } = door;
    // No segment begins there.
    door.baseIndexFor = async () => 2;
    const written = folder.log(stream.id)?.batches.length;
    await assert.rejects(stream.trim(5), { name: "RefusedError", message: "no segment begins at index 2 any more" });
    assert.equal(folder.log(stream.id)?.batches.length, written);
    door.baseIndexFor = baseIndexFor;
    assert.equal(await stream.trim(5), 5);
  });

  test("a trim that changes nothing writes nothing", async () => {
    const folder = new MemoryFolder();
    const stream = await streamOf(folder);
    await appendMany(stream, 2);
    await stream.trim(1);
    const frames = folder.frames.length;
    await stream.trim(1);
    await stream.trim(0);
    assert.equal(folder.frames.length, frames);
  });

  test("the first trim after a start finds what was trimmed before", async () => {
    const folder = new MemoryFolder();
    const stream = await streamOf(folder);
    await appendMany(stream, 5);
    await stream.trim(4);
    const again = (await streamsOf(folder.reopen())).get("a");
    assert.equal(await again.trim(1), 4);
  });

  test("a trim that is refused for want of room changes nothing, nor does a checkpoint tell of it", async () => {
    const folder = new MemoryFolder();
    folder.rollAfterBatches = 2;
    const stream = await streamOf(folder);
    await appendMany(stream, 5);
    folder.refuse = 1;
    await assertRefused(stream.trim(4), { reason: "disk_full", facts: { stream: "a", fate: "nothing_written" } });
    assert.equal(stream.logStart, 0);
    await appendMany(stream, 5);
    assert.ok(checkpoints(folder, stream.id).every(({ said }) => said === 0));
  });

  test("it is taken while only what frees room is", async () => {
    const folder = new MemoryFolder();
    const stream = await streamOf(folder);
    await appendMany(stream, 3);
    folder.isFull = true;
    await assertRefused(stream.append(payloadOf("x")), { reason: "disk_full" });
    assert.equal(await stream.trim(2), 2);
  });

  test("_meta is not trimmed, nor is a stream that was deleted", async () => {
    const streams = await streamsOf(new MemoryFolder());
    const { stream } = await streams.create("a", {});
    await assertRefused(streams.get("_meta").trim(1), { reason: "invalid_field", facts: { field: "name" } });
    await streams.delete("a");
    await assertRefused(stream.trim(0), { reason: "stream_not_found" });
  });

  test("log start is what the trims said, at every checkpoint and after every start", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("append" as const), count: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant("trim" as const), offset: fc.integer({ min: 0, max: 20 }) }),
      fc.record({ kind: fc.constant("both" as const), offset: fc.integer({ min: 0, max: 20 }) }),
      fc.record({ kind: fc.constant("start" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        let folder = new MemoryFolder();
        folder.rollAfterBatches = 3;
        let stream = await streamOf(folder);
        let [logStart, next] = [0, 0];
        for (const step of steps) {
          const offset = "offset" in step ? Math.min(step.offset, next) : 0;
          switch (step.kind) {
            case "append":
              await appendMany(stream, step.count);
              next += step.count;
              break;
            case "trim":
              await stream.trim(offset);
              break;
            case "both":
              await Promise.all([stream.append(payloadOf("x")), stream.trim(offset), stream.append(payloadOf("y"))]);
              next += 2;
              break;
            case "start":
              folder = folder.reopen();
              stream = (await streamsOf(folder)).get("a");
              await stream.describe();
              break;
          }
          logStart = Math.max(logStart, offset);
          assert.deepEqual([stream.logStart, stream.highWatermark], [logStart, next]);
        }
        assert.ok(checkpoints(folder, stream.id).every(({ said, asked }) => said === asked));
      }),
      { numRuns: 100 },
    );
  });
});
