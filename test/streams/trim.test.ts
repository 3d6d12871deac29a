/**
 * Streams are trimmed on a real node, which is killed and started again: log start is where it was, records stay what they
 * were, and files go by whole segments. C001, C003, C021 and C026 are cases that other logs got wrong.
 */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import type { TailResponse } from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import { runCli } from "../support/cli.ts";
import { openFolder, temporaryFolder } from "../support/data-folder.ts";
import { assertRefused } from "../support/refusal.ts";
import { assertBelow, largeBytes, RestartedNode, recordOf, refusal, valuesOf } from "../support/restarted-node.ts";
import { payloadOf, streamsOf } from "../support/streams.ts";

const timeout = 60_000;

describe("trimming a real node", () => {
  const node = new RestartedNode();
  after(() => node.stop("SIGTERM"));

  test("C001: an emptied stream keeps its offsets over a kill", { timeout }, async () => {
    await node.start();
    await node.createLarge("c001", 10);
    assert.equal(await node.trim("c001", 10n), 10n);
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      await node.restart(signal);
      assert.deepEqual(await node.ends("c001"), [10n, 10n]);
    }
    assert.equal(await node.append("c001", recordOf(10)), 10n);
    assert.deepEqual(valuesOf(await node.read("c001", 10n)), [recordOf(10)]);
    await assertBelow(node.read("c001", 0n), 10n, 11n);
  });

  test("C003: a stream that begins exactly with its active segment keeps its one record", { timeout }, async () => {
    const id = await node.createLarge("c003", 9);
    const before = node.segments(id);
    assert.equal(await node.trim("c003", 8n), 8n);
    const kept = node.segments(id);
    assert.equal(before.length - kept.length, 2, `${before} then ${kept}`);
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      await node.restart(signal);
      assert.deepEqual(await node.ends("c003"), [8n, 9n]);
      assert.deepEqual(valuesOf(await node.read("c003", 8n)), [recordOf(8)]);
      assert.deepEqual(node.segments(id), kept);
    }
  });

  test("C021: log start within a segment and within a batch", { timeout }, async () => {
    const stream = "c021";
    const id = await node.createLarge(stream, 6);
    await node.append(stream, ...[6, 7, 8, 9].map((record) => new Uint8Array([record])));
    const segments = node.segments(id);
    const check = async (logStart: number) => {
      assert.deepEqual(await node.ends(stream), [BigInt(logStart), 10n]);
      await assertBelow(node.read(stream, BigInt(logStart - 1)), BigInt(logStart), 10n);
      const first = await node.read(stream, BigInt(logStart));
      assert.equal(first.batches[0]?.startOffset, BigInt(logStart));
      assert.equal(valuesOf(first)[0]?.[0], logStart);
      const last = await node.client.log.read({ stream, start: { at: { case: "beforeEnd", value: 1000n } } });
      assert.equal(last.batches[0]?.startOffset, BigInt(logStart));
    };
    for (const { logStart, dropped } of [
      { logStart: 2, dropped: 0 },
      { logStart: 5, dropped: 1 },
      { logStart: 7, dropped: 1 },
    ]) {
      assert.equal(await node.trim(stream, BigInt(logStart)), BigInt(logStart));
      assert.equal(segments.length - node.segments(id).length, dropped);
      await check(logStart);
      await node.restart(logStart === 5 ? "SIGKILL" : "SIGTERM");
      await check(logStart);
    }
    const { code, detail } = await refusal(node.trim(stream, 11n));
    assert.deepEqual([code, detail?.reason, detail?.nextOffset], [Code.OutOfRange, Reason.PAST_END, 10n]);
  });

  test("C026: offset 0 is a value, not absence", { timeout }, async () => {
    const value = new Uint8Array([42]);
    assert.equal(await node.append("c026", value), 0n);
    await node.restart("SIGKILL");
    assert.equal(await node.trim("c026", 0n), 0n);
    assert.deepEqual(await node.ends("c026"), [0n, 1n]);
    assert.deepEqual(valuesOf(await node.read("c026", 0n)), [value]);
    const frames: TailResponse["frame"][] = [];
    const start = { at: { case: "earliest" as const, value: true } };
    for await (const { frame } of node.client.log.tail({ streams: [{ stream: "c026", start, endOffset: 1n }] })) {
      if (frame.case !== "heartbeat") frames.push(frame);
    }
    assert.deepEqual(
      frames.map((frame) => frame.case),
      ["batch", "end"],
    );
    await node.trim("c026", 1n);
    await node.restart("SIGKILL");
    assert.deepEqual(await node.ends("c026"), [1n, 1n]);
    assert.equal(await node.append("c026", value), 1n);
  });

  test("a tail that is overtaken is told of the gap, or ends", { timeout }, async () => {
    const stream = "overtaken";
    await node.createLarge(stream, 100);
    const follow = async (at: { case: "earliest"; value: boolean } | { case: "offset"; value: bigint }) => {
      const told: TailResponse["frame"][] = [];
      let isFirst = true;
      for await (const { frame } of node.client.log.tail({
        streams: [{ stream, start: { at }, endOffset: 100n }],
        maxBytes: 1,
      })) {
        if (frame.case !== "heartbeat") told.push(frame);
        if (frame.case === "batch" && isFirst) {
          isFirst = false;
          // It takes nothing more meanwhile, so the node can send no more than what fits on the way.
          await reached();
          await trimmed;
        }
      }
      return told;
    };
    let waiting = 2;
    let all: () => void = () => {};
    const bothWait = new Promise<void>((resolve) => {
      all = resolve;
    });
    const reached = async () => {
      waiting -= 1;
      if (waiting === 0) all();
    };
    const trimmed = bothWait.then(() => node.trim(stream, 97n));
    const [fromEarliest, fromOffset] = await Promise.allSettled([
      follow({ case: "earliest", value: true }),
      follow({ case: "offset", value: 0n }),
    ]);
    assert.ok(fromEarliest.status === "fulfilled");
    const told = fromEarliest.value.map((frame) => frame.case);
    assert.deepEqual(told.slice(told.indexOf("gap")), ["gap", "batch", "batch", "batch", "end"]);
    const gap = fromEarliest.value.find((frame) => frame.case === "gap");
    assert.equal(gap?.value?.nextOffset, 97n);
    assert.ok(fromOffset.status === "rejected");
    await assertBelow(Promise.reject(fromOffset.reason), 97n, 100n);
  });

  test("tailrace streams trim", { timeout }, async () => {
    await node.append("by/hand", new Uint8Array(1), new Uint8Array(1));
    const trimmed = await runCli(node.url, ["streams", "trim", "by/hand", "1"]);
    assert.match(trimmed.stdout.toString(), /^trimmed by\/hand \(id \d+\): begins at 1\n$/);
    const asJson = await runCli(node.url, ["streams", "trim", "by/hand", "0", "--json"]);
    assert.equal(JSON.parse(asJson.stdout.toString()).logStart, 1);
    const beyond = await runCli(node.url, ["streams", "trim", "by/hand", "3"]);
    assert.deepEqual([beyond.code, beyond.stdout.length], [1, 0]);
    assert.match(beyond.stderr, /"by\/hand".*2/);
    assert.equal((await runCli(node.url, ["streams", "trim", "by/hand", "-1x"])).code, 2);
    assert.equal((await runCli(node.url, ["streams", "trim", "not/there", "1"])).code, 4);
  });
});

test("who reads while segments go gets all in order, or is refused", { timeout }, async () => {
  const folder = await openFolder(temporaryFolder());
  const streams = await streamsOf(folder);
  const { stream } = await streams.create("s", { segmentMaxBytes: 1 << 20 });
  const payload = payloadOf("x".repeat(largeBytes));
  let isOver = false;
  const counts = { read: 0, refused: 0 };
  const reader = async (): Promise<void> => {
    let next = 0;
    while (!isOver) {
      await new Promise((resolve) => setImmediate(resolve));
      try {
        const { batches } = await stream.read({ startOffset: next, maxBytes: 600_000, controlBatches: false });
        for (const { batch, skip, take } of batches) {
          assert.equal(batch.baseOffset + skip, next);
          next += take;
          counts.read += 1;
        }
        await stream.resolve({ at: "time", micros: 0 });
        await stream.describe();
        if (batches.length === 0) next = stream.logStart;
      } catch (error) {
        await assertRefused(Promise.reject(error), { reason: "below_log_start" });
        counts.refused += 1;
        next = stream.logStart;
      }
    }
  };
  const readers = Array.from({ length: 4 }, reader);
  for (let round = 0; round < 60; round++) {
    await Promise.all([1, 2, 3].map(() => stream.append(payload)));
    if (round % 2 === 1) await stream.trim(Math.max(stream.highWatermark - 8, 0));
  }
  isOver = true;
  await Promise.all(readers);
  assert.ok(counts.read > 20 && stream.logStart > 100, JSON.stringify(counts));
  await folder.close();
});
