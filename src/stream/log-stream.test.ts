import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { MemoryFolder } from "../../test/support/memory-folder.ts";
import { assertRefused } from "../../test/support/refusal.ts";
import { payloadOf, streamsOf } from "../../test/support/streams.ts";
import { RecordsSchema } from "../wire/gen/tailrace/v1/record_pb.ts";
import { LogStream } from "./log-stream.ts";
import type { Start, Stream } from "./types.ts";

async function newStream(folder = new MemoryFolder()): Promise<Stream> {
  return (await (await streamsOf(folder)).create("a", {})).stream;
}

async function readValues(stream: Stream, startOffset = 0): Promise<string[]> {
  const values: string[] = [];
  let next = startOffset;
  for (;;) {
    const { batches, nextOffset } = await stream.read({ startOffset: next, maxBytes: 300, controlBatches: false });
    if (batches.length === 0) return values;
    for (const { batch, skip, take } of batches) {
      const { records } = fromBinary(RecordsSchema, batch.payload);
      values.push(...records.slice(skip, skip + take).map(({ value }) => new TextDecoder().decode(value)));
    }
    next = nextOffset;
  }
}

describe("LogStream", () => {
  test("gives back what was appended, over checkpoints and starts, from any offset", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.array(fc.string(), { minLength: 1, maxLength: 5 }), { maxLength: 6 }), { maxLength: 4 }),
        async (starts) => {
          let folder = new MemoryFolder();
          folder.rollAfterBatches = 3;
          let stream = await newStream(folder);
          const appended: string[] = [];
          for (const batches of starts) {
            const receipts = await Promise.all(batches.map((values) => stream.append(payloadOf(...values))));
            for (const [at, { startOffset, nextOffset }] of receipts.entries()) {
              assert.equal(startOffset, appended.length);
              appended.push(...(batches[at] ?? []));
              assert.equal(nextOffset, appended.length);
            }
            folder = folder.reopen();
            stream = (await streamsOf(folder)).get("a");
            assert.equal(stream.highWatermark, appended.length);
          }
          for (let offset = 0; offset <= appended.length; offset++) {
            assert.deepEqual(await readValues(stream, offset), appended.slice(offset));
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  describe("where another node leads, and files go while they are read", () => {
    /** A stream whose files go with the next read of its log; what the trim said is known to who asks for it after that. */
    async function trimmedWithin(): Promise<{ stream: LogStream; logStart: number }> {
      const folder = new MemoryFolder();
      folder.rollAfterBatches = 3;
      const stream = await newStream(folder);
      assert.ok(stream instanceof LogStream);
      for (let record = 0; record < 9; record++) await stream.append(payloadOf("x"));
      const { log } = stream;
      const { door } = log;
      assert.ok(door);
      const index = door.segmentSizes()[1]?.firstIndex ?? 0;
      const [base] = await door.read({ from: { index }, belowIndex: index + 1, maxBytes: 1 });
      const logStart = base?.baseOffset ?? 0;
      assert.ok(logStart > 0);
      const read = door.read.bind(door);
      door.read = async (request) => {
        door.read = read;
        await door.dropBefore(index);
        door.ready = async () => log.restored({ ...log.state.part, logStart });
        return await read(request);
      };
      return { stream, logStart };
    }

    test("reads nothing over what is gone", async () => {
      const { stream, logStart } = await trimmedWithin();
      const read = stream.read({ startOffset: 0, maxBytes: 1000, controlBatches: false });
      await assertRefused(read, { reason: "below_log_start", facts: { logStart, nextOffset: 9 } });
    });

    test("describes it as it is after that", async () => {
      const { stream, logStart } = await trimmedWithin();
      const described = await stream.describe();
      assert.equal(described.logStart, logStart);
      const [first] = (await stream.read({ startOffset: logStart, maxBytes: 1, controlBatches: false })).batches;
      assert.equal(described.firstAppendTimeMicros, first?.batch.appendTimeMicros);
    });
  });

  test("refuses a payload that is no Records, naming the field it came in", async () => {
    const stream = await newStream();
    const invalid = new Uint8Array([0xff]);
    await assertRefused(stream.append(invalid), { reason: "invalid_field", facts: { field: "batch" } });
    await assertRefused(stream.append(new Uint8Array(0), { field: "records" }), {
      reason: "invalid_field",
      facts: { field: "records" },
    });
    assert.equal(stream.highWatermark, 0);
  });

  test("without room refuses the append and goes on when there is some", async () => {
    const folder = new MemoryFolder();
    const stream = await newStream(folder);
    await stream.append(payloadOf("1"));
    folder.refuse = 1;
    await assertRefused(stream.append(payloadOf("2")), {
      reason: "disk_full",
      message: /Cannot append to stream "a"/,
      facts: { stream: "a", fate: "nothing_written" },
    });
    assert.deepEqual(await readValues(stream), ["1"]);
    assert.equal((await stream.append(payloadOf("3"))).startOffset, 1);
  });

  test("reads below log start or past the end are refused with both", async () => {
    const stream = await newStream();
    await stream.append(payloadOf("1", "2"));
    const past = { reason: "past_end", facts: { stream: "a", logStart: 0, nextOffset: 2 } } as const;
    await assertRefused(stream.read({ startOffset: 3, maxBytes: 1, controlBatches: false }), past);
    await assertRefused(stream.resolve({ at: "offset", offset: 3 }), past);
    const below = { reason: "below_log_start", facts: { stream: "a", logStart: 0, nextOffset: 2 } } as const;
    await assertRefused(stream.resolve({ at: "offset", offset: -1 }), below);
  });

  test("resolves starts", async () => {
    const folder = new MemoryFolder();
    const stream = await newStream(folder);
    assert.equal(await stream.resolve({ at: "before_end", count: 5 }), 0);
    assert.equal(await stream.resolve({ at: "time", micros: 0 }), 0);
    const first = await stream.append(payloadOf("0", "1"));
    const second = await stream.append(payloadOf("2", "3", "4"));
    const cases: [Start, number][] = [
      [{ at: "earliest" }, 0],
      [{ at: "latest" }, 5],
      [{ at: "offset", offset: 5 }, 5],
      [{ at: "offset", offset: 3 }, 3],
      [{ at: "before_end", count: 0 }, 5],
      [{ at: "before_end", count: 2 }, 3],
      [{ at: "before_end", count: 1000 }, 0],
      [{ at: "time", micros: 0 }, 0],
      [{ at: "time", micros: first.appendTimeMicros }, 0],
      [{ at: "time", micros: first.appendTimeMicros + 1 }, 2],
      [{ at: "time", micros: second.appendTimeMicros }, 2],
      [{ at: "time", micros: second.appendTimeMicros + 1 }, 5],
    ];
    for (const [start, offset] of cases) assert.equal(await stream.resolve(start), offset, JSON.stringify(start));
  });

  test("wakes watchers with the record in sight, until they stop", async () => {
    const stream = await newStream();
    const seen: string[] = [];
    const stopFirst = stream.watch(() => seen.push(`first ${stream.highWatermark}`));
    const stopSecond = stream.watch(() => seen.push(`second ${stream.highWatermark}`));
    await stream.append(payloadOf("1"));
    stopFirst();
    stopFirst();
    await stream.append(payloadOf("2"));
    stopSecond();
    await stream.append(payloadOf("3"));
    const stopThird = stream.watch(() => seen.push(`third ${stream.highWatermark}`));
    await stream.append(payloadOf("4"));
    stopThird();
    assert.deepEqual(seen, ["first 1", "second 1", "second 2", "third 4"]);
  });

  test("wakes who watched before the log was made", async () => {
    const streams = await streamsOf(new MemoryFolder());
    const stream = await streams.getForAppend("a");
    let woken = 0;
    stream.watch(() => woken++);
    await stream.append(payloadOf("1"));
    assert.ok(woken > 0);
  });

  test("describes itself: times are those of records, and absent without any", async () => {
    let folder = new MemoryFolder();
    let stream = await newStream(folder);
    const empty = await stream.describe();
    assert.equal("firstAppendTimeMicros" in empty, false);
    assert.equal("lastAppendTimeMicros" in empty, false);
    assert.deepEqual([empty.logStart, empty.highWatermark, empty.nextIndex, empty.state], [0, 0, 1, "normal"]);
    const first = await stream.append(payloadOf("0", "1"));
    const last = await stream.append(payloadOf("2"));
    const described = await stream.describe();
    assert.deepEqual(described, {
      name: "a",
      id: 2,
      createdMicros: empty.createdMicros,
      settings: stream.settings,
      logStart: 0,
      highWatermark: 3,
      firstAppendTimeMicros: first.appendTimeMicros,
      lastAppendTimeMicros: last.appendTimeMicros,
      storedBytes: folder.log(2)?.storedBytes,
      digest: last.digest,
      nextIndex: 4,
      state: "normal",
      fence: new Uint8Array(0),
    });
    folder = folder.reopen();
    stream = (await streamsOf(folder)).get("a");
    assert.deepEqual(await stream.describe(), described);
  });

  test("takes and gives nothing more once the node stops", async () => {
    const streams = await streamsOf(new MemoryFolder());
    const { stream } = await streams.create("a", {});
    streams.stop();
    await assertRefused(stream.append(payloadOf("1")), { reason: "not_ready", facts: { fate: "nothing_written" } });
    await assertRefused(streams.create("b", {}), { reason: "not_ready" });
  });
});
