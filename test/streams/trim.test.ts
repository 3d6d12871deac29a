/**
 * Streams are trimmed on a real node, which is killed and started again: log start is where it was, records stay what they
 * were, and files go by whole segments. C001, C003, C021 and C026 are cases that other logs got wrong.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { after, describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Connection, connectTo } from "../../src/cli/connection.ts";
import { type ErrorDetail, ErrorDetailSchema, Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import type { ReadResponse, TailResponse } from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import { runCli } from "../support/cli.ts";
import { openFolder, temporaryFolder } from "../support/data-folder.ts";
import { type NodeProcess, startNode } from "../support/node-process.ts";
import { assertRefused } from "../support/refusal.ts";
import { payloadOf, streamsOf } from "../support/streams.ts";

const timeout = 60_000;
/** Four fill a segment of the smallest size, and each goes to it directly. */
const largeBytes = 300_000;
const smallSegments = { segmentMaxBytes: 1n << 20n };

/** A node that can be started again on its folder. */
class Restarted {
  readonly data = temporaryFolder();
  #node: NodeProcess | undefined;
  #connection: Connection | undefined;

  async start(): Promise<void> {
    this.#node = await startNode({ data: this.data });
    this.#connection = connectTo(this.#node.url);
  }

  async restart(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  async stop(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#connection?.close();
    await this.#node?.end(signal);
  }

  get client() {
    assert.ok(this.#connection !== undefined);
    return this.#connection.client;
  }

  get url(): string {
    return this.#node?.url ?? "";
  }

  /** Creates a stream with records of 300,000 bytes each of their own number. */
  async createLarge(name: string, records: number): Promise<bigint> {
    const { stream } = await this.client.streams.createStream({ name, settings: smallSegments });
    for (let record = 0; record < records; record++) await this.append(name, recordOf(record));
    return stream?.id ?? 0n;
  }

  async append(stream: string, ...values: Uint8Array[]): Promise<bigint | undefined> {
    const appended = await this.client.log.append({ stream, records: values.map((value) => ({ value })) });
    return appended.startOffset;
  }

  async trim(name: string, logStart: bigint): Promise<bigint> {
    return (await this.client.streams.trimStream({ name, logStart })).logStart;
  }

  async ends(name: string): Promise<[bigint | undefined, bigint | undefined]> {
    const { stream } = await this.client.streams.getStream({ name });
    return [stream?.logStart, stream?.highWatermark];
  }

  read(stream: string, offset: bigint): Promise<ReadResponse> {
    return this.client.log.read({ stream, start: { at: { case: "offset", value: offset } } });
  }

  /** Names of the segments of a stream. */
  segments(id: bigint): string[] {
    const files = fs.readdirSync(path.join(this.data, "groups", String(id)), { recursive: true });
    return files.map(String).filter((file) => file.endsWith(".log"));
  }
}

function recordOf(record: number): Uint8Array {
  return new Uint8Array(largeBytes).fill(record);
}

function valuesOf({ batches }: ReadResponse): Uint8Array[] {
  return batches.flatMap(({ records }) => records.map(({ value }) => value));
}

async function refusal(work: Promise<unknown>): Promise<{ code: Code; detail: ErrorDetail | undefined }> {
  const error = await work.then(
    () => assert.fail("it is refused"),
    (cause: unknown) => ConnectError.from(cause),
  );
  return { code: error.code, detail: error.findDetails(ErrorDetailSchema)[0] };
}

async function assertBelow(work: Promise<unknown>, logStart: bigint, nextOffset: bigint): Promise<void> {
  const { code, detail } = await refusal(work);
  assert.deepEqual(
    [code, detail?.reason, detail?.logStart, detail?.nextOffset],
    [Code.OutOfRange, Reason.BELOW_LOG_START, logStart, nextOffset],
  );
}

describe("trimming a real node", () => {
  const node = new Restarted();
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
