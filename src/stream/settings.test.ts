import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MemoryFolder } from "../../test/support/memory-folder.ts";
import { assertRefused } from "../../test/support/refusal.ts";
import { payloadOf, streamsOf } from "../../test/support/streams.ts";
import { BatchKind } from "../base/batch.ts";
import type { VersionedSettings } from "../base/stream-settings.ts";
import { checkpointPrefixBytes, decodeCheckpoint } from "../wire/checkpoint.ts";
import { decodeSettings } from "../wire/settings.ts";
import { builtInSettings } from "./settings.ts";
import type { Stream } from "./types.ts";

const first: VersionedSettings = { version: 1, ...builtInSettings };

async function streamOf(folder: MemoryFolder): Promise<Stream> {
  return (await (await streamsOf(folder)).create("a", {})).stream;
}

async function reopened(folder: MemoryFolder): Promise<Stream> {
  const stream = (await streamsOf(folder.reopen())).get("a");
  await stream.ready();
  return stream;
}

/** What each checkpoint says of the settings, and what the batches before it do. */
function checkpoints(folder: MemoryFolder, group: number): { said: VersionedSettings; asked: VersionedSettings }[] {
  let asked = first;
  return (folder.log(group)?.batches ?? []).flatMap(({ kind, payload }) => {
    if (kind === BatchKind.settings) asked = decodeSettings(payload);
    if (kind !== BatchKind.checkpoint) return [];
    return [{ said: decodeCheckpoint(payload.subarray(checkpointPrefixBytes)).settings, asked }];
  });
}

describe("update()", () => {
  test("changes what is given, counts versions, and is there after a start", async () => {
    const folder = new MemoryFolder();
    const stream = await streamOf(folder);
    assert.deepEqual(stream.settings, first);
    await stream.update({ retentionBytes: 1 << 20 });
    await stream.update({ retentionAgeS: 60, segmentMaxAgeS: 3600 }, 2);
    const changed = { ...first, version: 3, retentionBytes: 1 << 20, retentionAgeS: 60, segmentMaxAgeS: 3600 };
    assert.deepEqual(stream.settings, changed);
    assert.deepEqual((await stream.describe()).settings, changed);
    assert.deepEqual((await reopened(folder)).settings, changed);
  });

  test("that changes nothing writes nothing", async () => {
    const folder = new MemoryFolder();
    const stream = await streamOf(folder);
    await stream.update({ retentionAgeS: 60 });
    const frames = folder.frames.length;
    await stream.update({ retentionAgeS: 60, retentionBytes: 0 });
    assert.deepEqual([folder.frames.length, stream.settings.version], [frames, 2]);
  });

  test("refuses another version than the expected one, with what is true now", async () => {
    const stream = await streamOf(new MemoryFolder());
    await stream.update({ retentionAgeS: 60 }, 1);
    const settings = { ...first, version: 2, retentionAgeS: 60 };
    await assertRefused(stream.update({ retentionAgeS: 61 }, 1), {
      reason: "settings_changed",
      message: /version is 2, not 1/,
      facts: { stream: "a", settings },
    });
    assert.deepEqual(stream.settings, settings);
  });

  test("of two at once that expect one version one is refused", async () => {
    const stream = await streamOf(new MemoryFolder());
    const both = await Promise.allSettled([
      stream.update({ retentionAgeS: 60 }, 1),
      stream.update({ retentionAgeS: 70 }, 1),
    ]);
    assert.deepEqual(
      both.map(({ status }) => status),
      ["fulfilled", "rejected"],
    );
    assert.equal(stream.settings.retentionAgeS, 60);
  });

  test("refuses what is out of bounds, and looks at nothing else", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder, { limits: { recordMaxBytes: 1000, batchMaxBytes: 2000 } });
    const { stream } = await streams.create("a", { recordMaxBytes: 1000, batchMaxBytes: 2000 });
    for (const [field, settings] of [
      ["settings.segment_max_bytes", { segmentMaxBytes: 0 }],
      ["settings.segment_max_age_s", { segmentMaxAgeS: 59 }],
      ["settings.retention_bytes", { retentionBytes: (1 << 20) - 1 }],
      ["settings.retention_bytes", { retentionBytes: 2 ** 50 + 1 }],
      ["settings.retention_age_s", { retentionAgeS: 0.5 }],
      ["settings.record_max_bytes", { recordMaxBytes: 1001 }],
      ["settings.batch_max_bytes", { batchMaxBytes: 2001 }],
    ] as const) {
      await assertRefused(stream.update(settings), { reason: "invalid_field", facts: { field } });
    }
    assert.equal(stream.settings.version, 1);
    // A node that takes less than it did has not made the stream's settings wrong.
    const narrow = await streamsOf(folder.reopen(), { limits: { recordMaxBytes: 10, batchMaxBytes: 20 } });
    await narrow.get("a").update({ retentionAgeS: 1 });
    await assertRefused(narrow.get("a").append(payloadOf("x".repeat(20))), { reason: "limit" });
  });

  test("without room changes nothing, nor does a checkpoint tell of it", async () => {
    const folder = new MemoryFolder();
    folder.rollAfterBatches = 2;
    const stream = await streamOf(folder);
    await stream.append(payloadOf("x"));
    folder.refuse = 1;
    await assertRefused(stream.update({ recordMaxBytes: 5 }), {
      reason: "disk_full",
      facts: { stream: "a", fate: "nothing_written" },
    });
    for (let record = 0; record < 4; record++) await stream.append(payloadOf("larger than 5"));
    assert.deepEqual(stream.settings, first);
    assert.ok(checkpoints(folder, stream.id).every(({ said }) => said.version === 1));
  });

  test("_meta has settings that stay, and a stream that was deleted has none", async () => {
    const streams = await streamsOf(new MemoryFolder());
    const { stream } = await streams.create("a", {});
    await assertRefused(streams.get("_meta").update({ retentionAgeS: 60 }), { reason: "invalid_field" });
    await streams.delete("a");
    await assertRefused(stream.update({ retentionAgeS: 60 }), { reason: "stream_not_found" });
  });

  test("creates the log of a stream that has none yet", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    const stream = await streams.getForAppend("a");
    await stream.update({ retentionAgeS: 60 });
    assert.equal((await reopened(folder)).settings.retentionAgeS, 60);
  });

  test("create() compares with the settings of now, also after a start", async () => {
    const folder = new MemoryFolder();
    const stream = await streamOf(folder);
    await stream.update({ retentionAgeS: 60 });
    const streams = await streamsOf(folder.reopen());
    assert.equal((await streams.create("a", { retentionAgeS: 60 })).created, false);
    await assertRefused(streams.create("a", {}), {
      reason: "stream_exists",
      message: /retention_age_s is 60, not 0$/,
    });
  });

  test("settings are what the batches said, at every checkpoint and after every start", async () => {
    const age = fc.integer({ min: 60, max: 70 });
    const step = fc.oneof(
      fc.record({ kind: fc.constant("append" as const), count: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant("update" as const), age }),
      fc.record({ kind: fc.constant("both" as const), age }),
      fc.record({ kind: fc.constant("refused" as const), age }),
      fc.record({ kind: fc.constant("start" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        let folder = new MemoryFolder();
        folder.rollAfterBatches = 3;
        let stream = await streamOf(folder);
        let expected = first;
        const set = (segmentMaxAgeS: number) => {
          if (segmentMaxAgeS === expected.segmentMaxAgeS) return;
          expected = { ...expected, segmentMaxAgeS, version: expected.version + 1 };
        };
        for (const step of steps) {
          switch (step.kind) {
            case "append":
              for (let at = 0; at < step.count; at++) await stream.append(payloadOf("x"));
              break;
            case "update":
              await stream.update({ segmentMaxAgeS: step.age });
              set(step.age);
              break;
            case "both": {
              const change = stream.update({ segmentMaxAgeS: step.age });
              await Promise.all([stream.append(payloadOf("x")), change, stream.append(payloadOf("y"))]);
              set(step.age);
              break;
            }
            case "refused":
              if (step.age === expected.segmentMaxAgeS) break;
              folder.refuse = 1;
              await assertRefused(stream.update({ segmentMaxAgeS: step.age }), { reason: "disk_full" });
              break;
            case "start":
              folder = folder.reopen();
              stream = (await streamsOf(folder)).get("a");
              await stream.ready();
              break;
          }
          assert.deepEqual(stream.settings, expected);
        }
        for (const { said, asked } of checkpoints(folder, stream.id)) assert.deepEqual(said, asked);
      }),
      { numRuns: 100 },
    );
  });
});

describe("settings in force", () => {
  const small = payloadOf("123");
  const large = payloadOf("123456789");

  test("a stream's own limits refuse by their names, and 0 leaves the node's", async () => {
    const stream = await streamOf(new MemoryFolder());
    await stream.update({ recordMaxBytes: 8 });
    await stream.append(small);
    await assertRefused(stream.append(large), {
      reason: "limit",
      facts: { limit: { name: "record_max_bytes", value: 8, actual: 11 } },
    });
    await stream.update({ recordMaxBytes: 0, batchMaxBytes: 9 });
    await assertRefused(stream.append(large), {
      reason: "limit",
      facts: { limit: { name: "batch_max_bytes", value: 9, actual: large.length } },
    });
    await stream.update({ batchMaxBytes: 0 });
    await stream.append(large);
  });

  test("what is appended behind a change that is on its way keeps to it", async () => {
    const folder = new MemoryFolder();
    const stream = await streamOf(folder);
    await stream.append(small);
    folder.hold = true;
    const change = stream.update({ recordMaxBytes: 8 });
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    const behind = assertRefused(stream.append(large), { reason: "limit" });
    const fits = stream.append(small);
    folder.release();
    await Promise.all([change, behind, fits]);
  });

  test("the first appends after a start keep to them, and to the order of the calls", async () => {
    const folder = new MemoryFolder();
    const before = await streamOf(folder);
    await before.update({ recordMaxBytes: 8 });
    const stream = (await streamsOf(folder.reopen())).get("a");
    const [one, refused, two] = await Promise.allSettled([
      stream.append(small),
      stream.append(large),
      stream.append(small),
    ]);
    assert.ok(one.status === "fulfilled" && two.status === "fulfilled");
    assert.deepEqual([one.value.startOffset, two.value.startOffset], [0, 1]);
    assert.ok(refused.status === "rejected");
    await assertRefused(Promise.reject(refused.reason), { reason: "limit" });
  });

  test("segments end by them from the next append on", async () => {
    const folder = new MemoryFolder();
    const { stream } = await (await streamsOf(folder)).create("a", { segmentMaxBytes: 4 << 20 });
    const segments = () => checkpoints(folder, stream.id).length;
    const half = payloadOf("x".repeat(700_000));
    for (let at = 0; at < 3; at++) await stream.append(half);
    assert.equal(segments(), 1);
    await stream.update({ segmentMaxBytes: 1 << 20 });
    await stream.append(half);
    assert.equal(segments(), 2);
    await stream.append(half);
    await stream.append(half);
    assert.equal(segments(), 3);
    folder.refuse = 1;
    await assertRefused(stream.update({ segmentMaxBytes: 1 << 30 }), { reason: "disk_full" });
    for (let at = 0; at < 2; at++) await stream.append(half);
    assert.equal(segments(), 4, "a change that was refused is not in force");
  });
});
