import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { MemoryFolder } from "../../test/support/memory-folder.ts";
import { assertRefused } from "../../test/support/refusal.ts";
import { payloadOf, type StreamsTestOptions, streamsOf } from "../../test/support/streams.ts";
import type { LocalStreams } from "./streams.ts";

/** What the logs of the folder hold. */
function stored(folder: MemoryFolder): number {
  return [...folder.groups()].reduce((sum, group) => sum + (folder.log(group)?.storedBytes ?? 0), 0);
}

/** Streams that roll every three batches, a second after which they are counted. */
async function open(folder: MemoryFolder, options: StreamsTestOptions = {}) {
  folder.rollAfterBatches = 3;
  const clock = new ManualClock();
  const streams = await streamsOf(folder, { clock, retentionIntervalMs: 1000, ...options });
  return { streams, settled: () => clock.pass(2000) };
}

const payload = payloadOf("x".repeat(1000));
const full = {
  reason: "limit",
  message: /stored_max_bytes is \d+$/,
  facts: { fate: "nothing_written", stream: "a" },
} as const;

describe("bytes in all", () => {
  test("are what the logs hold, after appends, trims, deletions, refusals and starts", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("append" as const), name: fc.constantFrom("a", "b", "c") }),
      fc.record({ kind: fc.constant("many" as const), name: fc.constantFrom("a", "b", "c") }),
      fc.record({ kind: fc.constant("trim" as const), name: fc.constantFrom("a", "b", "c") }),
      fc.record({ kind: fc.constant("delete" as const), name: fc.constantFrom("a", "b", "c") }),
      fc.record({ kind: fc.constant("refuse" as const), name: fc.constantFrom("a", "b", "c") }),
      fc.record({ kind: fc.constant("start" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        let folder = new MemoryFolder();
        let { streams, settled } = await open(folder);
        const append = async (name: string) => (await streams.getForAppend(name)).append(payload);
        for (const step of steps) {
          switch (step.kind) {
            case "append":
              await append(step.name);
              break;
            case "many":
              await Promise.all([append(step.name), append(step.name), append(step.name)]);
              break;
            case "trim": {
              const stream = await streams.getForAppend(step.name);
              await stream.trim(stream.highWatermark);
              break;
            }
            case "delete":
              await streams.delete(step.name).catch(() => {});
              break;
            case "refuse":
              folder.refuse = 1;
              await append(step.name).catch(() => {});
              folder.refuse = 0;
              break;
            case "start":
              streams.stop();
              folder = folder.reopen();
              ({ streams, settled } = await open(folder));
              break;
          }
        }
        await settled();
        assert.equal(streams.storedBytes, stored(folder));
        streams.stop();
      }),
      { numRuns: 100 },
    );
  });

  test("that are on their way count", async () => {
    const folder = new MemoryFolder();
    const { streams } = await open(folder, { limits: { storedMaxBytes: 5000 } });
    const { stream } = await streams.create("a", {});
    const sent = await Promise.allSettled(Array.from({ length: 20 }, () => stream.append(payload)));
    const taken = sent.filter(({ status }) => status === "fulfilled").length;
    // Control batches come on top, such as the checkpoint of a segment: they are few and small.
    assert.ok(taken >= 2 && taken <= 4, `${taken} of 20`);
    assert.ok(stored(folder) < 6000, `${stored(folder)} bytes`);
    streams.stop();
  });
});

describe("the limit on them", () => {
  async function filled(options: StreamsTestOptions = {}): Promise<{ folder: MemoryFolder; streams: LocalStreams }> {
    const folder = new MemoryFolder();
    const { streams } = await open(folder, { limits: { storedMaxBytes: 10_000 }, ...options });
    const { stream } = await streams.create("a", {});
    while (streams.storedBytes + payload.length + 128 <= 10_000) await stream.append(payload);
    return { folder, streams };
  }

  test("refuses appends and creations by name, and nothing that gives room", async () => {
    const { streams } = await filled();
    const stream = streams.get("a");
    const before = stream.highWatermark;
    await assertRefused(stream.append(payload), full);
    assert.equal(stream.highWatermark, before);
    assert.equal((await stream.read({ startOffset: 0, maxBytes: 1, controlBatches: false })).nextOffset, 1);
    await stream.append(payloadOf("small"));
    await stream.update({ retentionAgeS: 60 });
    await stream.trim(before);
    await stream.append(payload);
    streams.stop();
  });

  test("refuses to create what would not fit, also on append", async () => {
    const { streams } = await filled();
    const stream = streams.get("a");
    while (streams.storedBytes + 140 <= 10_000) await stream.append(payloadOf("x"));
    await assertRefused(streams.create("b", {}), { ...full, facts: { stream: "b" } });
    await assertRefused(streams.getForAppend("b"), { ...full, facts: { stream: "b" } });
    await streams.delete("a");
    await streams.create("b", {});
    streams.stop();
  });

  test("holds after a start", async () => {
    const { folder, streams } = await filled();
    streams.stop();
    const again = await streamsOf(folder.reopen(), { limits: { storedMaxBytes: 10_000 } });
    await assertRefused(again.get("a").append(payload), full);
    again.stop();
  });

  test("is warned of at four fifths, once, and again after it was less", async () => {
    const warned: [number, number][] = [];
    const nearLimit = (used: number, max: number) => void warned.push([used, max]);
    const { streams } = await filled({ nearLimit });
    assert.equal(warned.length, 1);
    const [used, max] = warned[0] ?? [0, 0];
    assert.ok(used >= 8000 && used < 9500 && max === 10_000, `${used} of ${max}`);
    const stream = streams.get("a");
    await stream.trim(stream.highWatermark);
    assert.ok(streams.storedBytes < 7500);
    while (streams.storedBytes < 8000) await stream.append(payload);
    assert.equal(warned.length, 2);
    streams.stop();
  });
});
