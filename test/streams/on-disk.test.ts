/**
 * Streams on a real folder: what was acknowledged is there after each start, at once, byte for byte.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { BatchKind } from "../../src/base/batch.ts";
import { RecordsWriter } from "../../src/base/records-writer.ts";
import type { DataFolder } from "../../src/log/types.ts";
import type { LocalStreams } from "../../src/stream/streams.ts";
import type { Receipt, Stream } from "../../src/stream/types.ts";
import { checkpointPrefixBytes, decodeCheckpoint } from "../../src/wire/checkpoint.ts";
import { RecordsSchema } from "../../src/wire/gen/tailrace/v1/record_pb.ts";
import { openFolder, temporaryFolder } from "../support/data-folder.ts";
import { assertRefused } from "../support/refusal.ts";
import { chooseSeed, seeded } from "../support/seeded.ts";
import { payloadOf, streamsOf } from "../support/streams.ts";

async function open(data: string): Promise<{ folder: DataFolder; streams: LocalStreams }> {
  const folder = await openFolder(data);
  return { folder, streams: await streamsOf(folder) };
}

async function readAll(stream: Stream): Promise<Uint8Array[]> {
  const values: Uint8Array[] = [];
  let next = stream.logStart;
  while (next < stream.highWatermark) {
    const { batches, nextOffset } = await stream.read({ startOffset: next, maxBytes: 1 << 20, controlBatches: false });
    assert.ok(nextOffset > next);
    for (const { batch, skip, take } of batches) {
      const { records } = fromBinary(RecordsSchema, batch.payload);
      values.push(...records.slice(skip, skip + take).map(({ value }) => value));
    }
    next = nextOffset;
  }
  return values;
}

describe("streams on a folder", () => {
  test("small and large appends to many streams come back after every start", { timeout: 120_000 }, async () => {
    const data = temporaryFolder();
    const random = seeded(chooseSeed("streams on a folder"), 600_000);
    const written = new Map<string, Uint8Array[]>();
    const receipts = new Map<string, Receipt>();
    for (let start = 0; start < 4; start++) {
      const { folder, streams } = await open(data);
      for (const [name, values] of written) {
        const stream = streams.get(name);
        assert.equal(stream.highWatermark, values.length);
        assert.deepEqual((await stream.describe()).digest, receipts.get(name)?.digest);
        const read = await readAll(stream);
        assert.ok(read.every((value, at) => Buffer.compare(value, values[at] ?? new Uint8Array()) === 0));
      }
      const appends = Array.from({ length: 300 }, async (_, at) => {
        const name = `many/${at % 50}`;
        const value = random.bytes(random.between(0, 40) === 0 ? 500_000 : random.between(0, 2000));
        const stream = await streams.getForAppend(name);
        // Taken in the order of the calls, so noted in it.
        const values = written.get(name) ?? [];
        written.set(name, [...values, value]);
        const receipt = await stream.append(payloadOfBytes(value));
        assert.equal(receipt.startOffset, values.length);
        const last = receipts.get(name);
        if (last === undefined || last.index < receipt.index) receipts.set(name, receipt);
      });
      await Promise.all(appends);
      await folder.close();
    }
    const { folder } = await open(data);
    assert.equal(folder.report.kind, "clean");
    await folder.close();
  });

  test("a start takes a new term with the first append, and checkpoints name them all", async () => {
    const data = temporaryFolder();
    for (let start = 1; start <= 3; start++) {
      const { folder, streams } = await open(data);
      const { stream } = await streams.create("terms", { segmentMaxBytes: 1 << 20 });
      const before = (await stream.describe()).nextIndex;
      for (let at = 0; at < 12; at++) await stream.append(payloadOfBytes(new Uint8Array(200_000)));
      const batches = await readStored(stream);
      // The segment may have its size: then its successor's checkpoint comes first.
      const kinds = batches.slice(before, before + 2).map(({ kind }) => kind);
      assert.ok(kinds.includes(BatchKind.leaderChange));
      assert.equal(batches.at(-1)?.term, start);
      await folder.close();
    }
    const { folder, streams } = await open(data);
    const batches = await readStored(streams.get("terms"));
    const checkpoints = batches.filter(({ kind }) => kind === BatchKind.checkpoint);
    assert.ok(checkpoints.length > 5);
    for (const { index, payload } of checkpoints) {
      const leaderChanges = batches.filter((batch) => batch.kind === BatchKind.leaderChange && batch.index < index);
      const state = decodeCheckpoint(payload.subarray(checkpointPrefixBytes));
      assert.deepEqual(
        state.termStarts,
        leaderChanges.map(({ term, index }) => ({ term, index })),
      );
      assert.equal(state.name, "terms");
    }
    await folder.close();
  });

  test("deleted streams are gone with their files, and a new one of the name is another", async () => {
    const data = temporaryFolder();
    let { folder, streams } = await open(data);
    const first = await (await streams.getForAppend("a")).append(payloadOfBytes(new Uint8Array(400_000)));
    assert.equal(fs.existsSync(path.join(data, "groups", String(first.streamId))), true);
    await streams.delete("a");
    const second = await (await streams.getForAppend("a")).append(payloadOf("new"));
    assert.notEqual(second.streamId, first.streamId);
    await folder.close();
    assert.equal(fs.existsSync(path.join(data, "groups", String(first.streamId))), false);

    ({ folder, streams } = await open(data));
    assert.deepEqual(
      streams.list({ prefix: "", limit: 10 }).streams.map(({ name, id }) => [name, id]),
      [["a", second.streamId]],
    );
    assert.deepEqual(
      (await readAll(streams.get("a"))).map((value) => new TextDecoder().decode(value)),
      ["new"],
    );
    await assertRefused(streams.getForAppend("a", first.streamId), { reason: "stream_replaced" });
    assert.deepEqual([...folder.groups()].sort(), [0, second.streamId]);
    await folder.close();
  });

  test("appends to 500 streams share frames as appends to one do", { timeout: 60_000 }, async () => {
    const data = temporaryFolder();
    const { folder, streams } = await open(data);
    const names = Array.from({ length: 500 }, (_, at) => `shared/${at}`);
    await Promise.all(names.map((name) => streams.create(name, {})));
    await Promise.all(names.map((name) => streams.get(name).append(payloadOf("first"))));
    const before = folder.metrics.syncs.journal;
    await Promise.all(names.map((name) => streams.get(name).append(payloadOf("second"))));
    assert.ok(folder.metrics.syncs.journal - before <= 5, `${folder.metrics.syncs.journal - before} syncs`);
    await folder.close();
  });
});

async function readStored(stream: Stream) {
  const { nextIndex } = await stream.describe();
  const batches = [];
  let position = { startOffset: 0, startIndex: 0 };
  while (batches.length < nextIndex) {
    const read = await stream.read({ ...position, maxBytes: 1 << 20, controlBatches: true });
    batches.push(...read.batches.map(({ batch }) => batch));
    position = { startOffset: read.nextOffset, startIndex: batches.length };
  }
  assert.deepEqual(
    batches.map(({ index }) => index),
    batches.map((_, at) => at),
  );
  return batches;
}

function payloadOfBytes(...values: Uint8Array[]): Uint8Array {
  const writer = new RecordsWriter();
  for (const value of values) writer.add(value);
  return writer.take();
}
