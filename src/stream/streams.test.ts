import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { MemoryFolder } from "../../test/support/memory-folder.ts";
import { assertRefused, assertRefuses } from "../../test/support/refusal.ts";
import { payloadOf, streamsOf } from "../../test/support/streams.ts";
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { DataFolderError, NoRoomError } from "../base/disk-errors.ts";
import { limitPassed } from "../base/errors.ts";
import { decodeMetaChange } from "../wire/catalogue.ts";
import { checkpointPrefixBytes, decodeCheckpoint } from "../wire/checkpoint.ts";
import { builtInSettings } from "./settings.ts";
import type { LocalStreams } from "./streams.ts";

function names(streams: LocalStreams, prefix = ""): string[] {
  return streams.list({ prefix, limit: 1000 }).streams.map(({ name }) => name);
}

describe("a first start", () => {
  test("makes _meta with the cluster's id in batch 0", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    assert.deepEqual(folder.frames, [["made 0"]]);
    assert.deepEqual(streams.clusterId, new Uint8Array(16).fill(9));
    const [first] = folder.log(0)?.batches ?? [];
    assert.ok(first);
    const checkpoint = decodeCheckpoint(first.payload.subarray(checkpointPrefixBytes));
    assert.equal(checkpoint.name, "_meta");
    assert.deepEqual(checkpoint.catalogue, {
      ...{ clusterId: streams.clusterId, streams: [] },
      chosen: { added: [], removed: [] },
    });
  });

  test("serves the others where a limit keeps one stream's log from being made", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    await streams.create("a", {});
    const { create } = folder;
    folder.create = (group) => {
      if (group.group === 0) return create.call(folder, group);
      throw limitPassed("Cannot take one more stream", { name: "journal_snapshot_max_bytes", value: 1 }, "Delete some");
    };
    await assertRefused(streams.create("b", {}), { reason: "limit" });
    const after = folder.reopen();
    after.create = folder.create;
    const started = await streamsOf(after);
    assert.deepEqual(names(started), ["a", "b"]);
    assert.equal((await started.get("a").append(payloadOf("x"))).startOffset, 0);
  });

  test("follows the catalogue although there were too many open files to read it once", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    const log = folder.log(0);
    assert.ok(log);
    const read = log.read.bind(log);
    let refusals = 1;
    log.read = async (request) => {
      if (refusals-- > 0) throw new NoRoomError("too many open files", "EMFILE");
      return await read(request);
    };
    await streams.create("a", {});
    assert.deepEqual(names(streams), ["a"]);
  });

  test("without _meta, but with other groups, is refused and removes nothing", async () => {
    const folder = new MemoryFolder();
    await (await streamsOf(folder)).create("a", {});
    await folder.remove(0);
    await assert.rejects(streamsOf(folder.reopen()), DataFolderError);
    assert.deepEqual([...folder.groups()], [2]);
  });
});

describe("create()", () => {
  test("gives a stream whose id is the index of its creation in _meta", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    const { stream, created } = await streams.create("orders/eu", { segmentMaxBytes: 1 << 20 });
    assert.equal(created, true);
    assert.equal(stream.id, 2);
    assert.deepEqual({ ...stream.settings }, { version: 1, ...builtInSettings, segmentMaxBytes: 1 << 20 });
    const record = folder.log(0)?.batches[2];
    assert.equal((await stream.describe()).createdMicros, record?.appendTimeMicros);
    assert.equal(folder.log(2)?.batches[0]?.appendTimeMicros, record?.appendTimeMicros);
    assert.deepEqual(folder.frames.slice(1), [
      ["vote 0 term 1", "batch 0.1 leaderChange", "batch 0.2 records"],
      ["made 2"],
    ]);
  });

  test("again with the same settings is the same stream, with others it is refused", async () => {
    const streams = await streamsOf(new MemoryFolder());
    const first = await streams.create("a", { segmentMaxAgeS: 60 });
    const again = await streams.create("a", { segmentMaxAgeS: 60 });
    assert.deepEqual(again, { stream: first.stream, created: false });
    await assertRefused(streams.create("a", {}), { reason: "stream_exists", facts: { stream: "a" } });
  });

  test("at the same time shares one record", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    const [first, second, other] = await Promise.allSettled([
      streams.create("a", {}),
      streams.create("a", {}),
      streams.create("a", { segmentMaxAgeS: 60 }),
    ]);
    assert.deepEqual(
      [first, second].map((result) => result.status === "fulfilled" && result.value.created),
      [true, false],
    );
    assert.equal(other.status, "rejected");
    assert.equal(folder.log(0)?.batches.filter(({ kind }) => kind === BatchKind.records).length, 1);
  });

  test("with other settings than one that is under way is refused when that one is there, not before", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    const first = streams.create("a", {});
    await assertRefused(streams.create("a", { retentionAgeS: 5 }), { reason: "stream_exists" });
    assert.equal(streams.get("a").settings.retentionAgeS, 0);
    assert.equal((await first).created, true);
  });

  test("of many names at once takes one frame for the records and one for the groups", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    await streams.create("first", {});
    const before = folder.frames.length;
    await Promise.all(Array.from({ length: 100 }, (_, at) => streams.create(`s${at}`, {})));
    assert.equal(folder.frames.length - before, 2);
  });

  test("refuses what a stream can't be", async () => {
    const streams = await streamsOf(new MemoryFolder(), { limits: { streamsMax: 2 } });
    await assertRefused(streams.create("a//b", {}), { reason: "invalid_field", facts: { field: "name" } });
    await assertRefused(streams.create("_meta", {}), { reason: "invalid_field", facts: { field: "name" } });
    await assertRefused(streams.create("_mine", {}), { reason: "invalid_field", facts: { field: "name" } });
    for (const segmentMaxBytes of [(1 << 20) - 1, (1 << 30) + 1, 0, -1, 1.5e6 + 0.5]) {
      const facts = { field: "settings.segment_max_bytes" };
      await assertRefused(streams.create("a", { segmentMaxBytes }), { reason: "invalid_field", facts });
    }
    for (const segmentMaxAgeS of [59, 31_622_401]) {
      const facts = { field: "settings.segment_max_age_s" };
      await assertRefused(streams.create("a", { segmentMaxAgeS }), { reason: "invalid_field", facts });
    }
    await streams.create("a", { segmentMaxBytes: 1 << 20, segmentMaxAgeS: 31_622_400 });
    const creations = await Promise.allSettled([streams.create("b", {}), streams.create("c", {})]);
    assert.deepEqual(
      creations.map(({ status }) => status),
      ["fulfilled", "rejected"],
    );
    await assertRefused(streams.create("c", {}), {
      reason: "limit",
      message: /streams_max is 2/,
      facts: { limit: { name: "streams_max", value: 2 } },
    });
    await streams.delete("a");
    await streams.create("c", {});
  });

  test("is limited for each client, whether it asks or appends; what is there costs nothing", async () => {
    const limits = { streamCreationsMaxPerS: 3 };
    const streams = await streamsOf(new MemoryFolder(), { limits, clock: new ManualClock() });
    const client = { address: "192.0.2.1" };
    await streams.create("a", {}, client);
    await Promise.all([streams.getForAppend("b", undefined, client), streams.getForAppend("b", undefined, client)]);
    await streams.create("c", {}, client);
    const refusal = {
      reason: "limit",
      facts: { stream: "d", limit: { name: "stream_creations_max_per_s", value: 3 }, retryAfterMs: 334 },
    } as const;
    await assertRefused(streams.create("d", {}, client), refusal);
    await assertRefused(streams.getForAppend("d", undefined, client), refusal);
    assert.deepEqual(names(streams), ["a", "b", "c"]);
    assert.equal((await streams.create("c", {}, client)).created, false);
    await streams.getForAppend("c", undefined, client);
    assert.equal((await streams.create("d", {}, { address: "192.0.2.2" })).created, true);
  });

  test("without room for the record leaves nothing", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    folder.refuse = 1;
    await assertRefused(streams.create("a", {}), {
      reason: "disk_full",
      facts: { stream: "a", fate: "nothing_written" },
    });
    assert.deepEqual(names(streams), []);
    const { stream } = await streams.create("a", {});
    assert.equal(stream.id, 2);
  });

  test("without room for the group is finished by the next creation or append", async () => {
    for (const finish of ["create", "append", "start"]) {
      const folder = new MemoryFolder();
      const streams = await streamsOf(folder);
      await streams.create("first", {});
      const creation = streams.create("a", {});
      while (folder.log(3) === undefined) await new Promise((resolve) => setImmediate(resolve));
      folder.refuse = 1;
      await assertRefused(creation, { reason: "disk_full" });
      const stream = streams.get("a");
      assert.deepEqual(await stream.read({ startOffset: 0, maxBytes: 1, controlBatches: true }), {
        batches: [],
        nextOffset: 0,
      });
      assert.equal((await stream.describe()).nextIndex, 0);
      if (finish === "create") assert.equal((await streams.create("a", {})).created, false);
      if (finish === "append") assert.equal((await stream.append(payloadOf("x"))).index, 2);
      const folderAfter = folder.reopen();
      await streamsOf(folderAfter);
      assert.notEqual(folderAfter.log(3), undefined);
    }
  });
});

describe("getForAppend()", () => {
  test("of a new name: making, leader change and first batch share one frame", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    const [a, again] = await Promise.all([streams.getForAppend("a"), streams.getForAppend("a")]);
    assert.equal(a, again);
    const { digest, appendTimeMicros, ...receipt } = await a.append(payloadOf("1", "2"));
    assert.deepEqual(receipt, { streamId: 2, startOffset: 0, nextOffset: 2, index: 2 });
    assert.deepEqual(folder.frames.slice(2), [
      ["made 2", "vote 2 term 1", "batch 2.1 leaderChange", "batch 2.2 records"],
    ]);
    const described = await a.describe();
    assert.deepEqual([described.digest, described.lastAppendTimeMicros], [digest, appendTimeMicros]);
    assert.deepEqual({ ...a.settings }, { version: 1, ...builtInSettings });
  });

  test("creates nothing where it may not", async () => {
    const streams = await streamsOf(new MemoryFolder(), { createOnAppend: false });
    await assertRefused(streams.getForAppend("a"), { reason: "stream_not_found", facts: { stream: "a" } });
    const creating = await streamsOf(new MemoryFolder());
    await assertRefused(creating.getForAppend("a", 5), { reason: "stream_not_found" });
    await assertRefused(creating.getForAppend("a/../b"), { reason: "invalid_field", facts: { field: "stream" } });
    await assertRefused(creating.getForAppend("_meta"), { reason: "invalid_field", facts: { field: "stream" } });
    await assertRefused(creating.getForAppend("_other"), { reason: "invalid_field", facts: { field: "stream" } });
    assert.deepEqual(names(creating), []);
  });

  test("refused for want of room, the next append of the name makes it", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    const stream = await streams.getForAppend("a");
    folder.refuse = 1;
    await assertRefused(stream.append(payloadOf("1")), { reason: "disk_full", facts: { fate: "nothing_written" } });
    const receipt = await (await streams.getForAppend("a")).append(payloadOf("1"));
    assert.deepEqual([receipt.streamId, receipt.startOffset, receipt.index], [2, 0, 2]);
  });
});

describe("delete()", () => {
  test("of a stream without a log leaves none, whoever asks for it in the moment of its end", async () => {
    for (let moment = 0; moment < 20; moment++) {
      const folder = new MemoryFolder();
      const streams = await streamsOf(folder);
      await streams.getForAppend("a");
      const ask = async () => {
        for (let turn = 0; turn < moment; turn++) await undefined;
        await streams.create("a", {}).catch(() => {});
      };
      let asked: Promise<void> | undefined;
      streams.get("_meta").watch(() => {
        asked ??= ask();
      });
      await streams.delete("a");
      assert.ok(asked !== undefined);
      await asked;
      const known = streams.list({ prefix: "", limit: 10 }).streams.map(({ id }) => id);
      assert.deepEqual([...folder.groups()], [0, ...known], `after ${moment} turns`);
    }
  });

  test("ends the stream, tells who watches, and removes its group", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    const { stream } = await streams.create("a", {});
    await stream.append(payloadOf("x"));
    let woken = 0;
    stream.watch(() => woken++);
    assert.equal(await streams.delete("a"), 2);
    assert.equal(woken, 1);
    assert.equal(stream.deleted, true);
    assert.deepEqual([...folder.groups()], [0]);
    assert.deepEqual(names(streams), []);
    const gone = { reason: "stream_not_found", facts: { stream: "a" } } as const;
    await assertRefused(stream.append(payloadOf("x")), gone);
    await assertRefused(stream.read({ startOffset: 0, maxBytes: 1, controlBatches: false }), gone);
    await assertRefused(stream.resolve({ at: "latest" }), gone);
    await assertRefused(stream.describe(), gone);
    assertRefuses(() => streams.get("a"), gone);
    await assertRefused(streams.delete("a"), gone);
  });

  test("a new stream of the name is another one, and who asks for the old one is told", async () => {
    const streams = await streamsOf(new MemoryFolder());
    const { stream: old } = await streams.create("a", {});
    await old.append(payloadOf("old"));
    await streams.delete("a", old.id);
    const { stream } = await streams.create("a", { segmentMaxAgeS: 60 });
    assert.equal(stream.id, 4);
    assert.equal(stream.highWatermark, 0);
    const replaced = { reason: "stream_replaced", facts: { stream: "a", streamId: 4 } } as const;
    assertRefuses(() => streams.get("a", old.id), replaced);
    await assertRefused(streams.getForAppend("a", old.id), replaced);
    await assertRefused(streams.delete("a", old.id), replaced);
    await assertRefused(old.append(payloadOf("x")), replaced);
    assert.equal(streams.get("a", 4), stream);
    assert.equal(await streams.getForAppend("a", 4), stream);
  });

  test("twice at the same time is one deletion", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    await streams.create("a", {});
    assert.deepEqual(await Promise.all([streams.delete("a"), streams.delete("a")]), [2, 2]);
    assert.equal(folder.log(0)?.batches.filter(({ kind }) => kind === BatchKind.records).length, 2);
  });

  test("of a stream whose group was never made", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    await streams.getForAppend("a");
    await streams.delete("a");
    assert.deepEqual([...folder.groups()], [0]);
  });

  test("goes on when there is no room for appends, as the first change after a start too", async () => {
    let folder = new MemoryFolder();
    await (await streamsOf(folder)).create("a", {});
    folder = folder.reopen();
    const streams = await streamsOf(folder);
    folder.isFull = true;
    await assertRefused(streams.create("b", {}), { reason: "disk_full", message: /free_space_reserve/ });
    await assertRefused(streams.get("a").append(payloadOf("x")), { reason: "disk_full" });
    assert.equal(await streams.delete("a"), 2);
    assert.deepEqual([...folder.groups()], [0]);
  });

  test("refuses the system's", async () => {
    const streams = await streamsOf(new MemoryFolder());
    await assertRefused(streams.delete("_meta"), { reason: "invalid_field", facts: { field: "name" } });
  });
});

describe("_meta", () => {
  test("can be found, read and described, not appended to", async () => {
    const streams = await streamsOf(new MemoryFolder());
    await streams.create("a", {});
    const meta = streams.get("_meta");
    const { batches, nextOffset } = await meta.read({ startOffset: 0, maxBytes: 1e6, controlBatches: true });
    assert.deepEqual(
      batches.map(({ batch }) => batch.kind),
      [BatchKind.checkpoint, BatchKind.leaderChange, BatchKind.records],
    );
    assert.equal(nextOffset, 1);
    const described = await meta.describe();
    assert.deepEqual([described.id, described.createdMicros, described.nextIndex], [0, 5_000_000, 3]);
    await assertRefused(meta.append(payloadOf("x")), { reason: "invalid_field" });
    assert.deepEqual(names(streams), ["a"]);
    assert.deepEqual(names(streams, "_"), ["_meta"]);
    assert.deepEqual(names(streams, "_metal"), []);
  });
});

describe("list()", () => {
  test("goes through pages to the last", async () => {
    const streams = await streamsOf(new MemoryFolder());
    await Promise.all(["b", "a/2", "a/1", "c"].map((name) => streams.create(name, {})));
    const first = streams.list({ prefix: "", limit: 3 });
    assert.deepEqual(
      first.streams.map(({ name }) => name),
      ["a/1", "a/2", "b"],
    );
    assert.equal(first.next, "b");
    const last = streams.list({ prefix: "", after: "b", limit: 3 });
    assert.deepEqual(
      last.streams.map(({ name }) => name),
      ["c"],
    );
    assert.equal(last.next, undefined);
    assert.deepEqual(names(streams, "a/"), ["a/1", "a/2"]);
  });
});

describe("a start", () => {
  test("makes groups that the catalogue has, and removes those that it has not", async () => {
    const folder = new MemoryFolder();
    const streams = await streamsOf(folder);
    await streams.create("kept", {});
    await streams.getForAppend("never/made");
    const stray = folder.create({
      group: 77,
      checkpointState: new Uint8Array(),
      startOffset: 0,
      appendTimeMicros: 1,
      note: new Uint8Array(),
    });
    await stray.made;
    const after = folder.reopen();
    const again = await streamsOf(after);
    assert.deepEqual([...after.groups()].sort(), [0, 2, 3]);
    assert.deepEqual(names(again), ["kept", "never/made"]);
    assert.equal((await again.get("never/made").append(payloadOf("x"))).startOffset, 0);
  });

  type Step = { kind: "create" | "delete"; name: string } | { kind: "restart" } | { kind: "refuse" };
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constantFrom("create" as const, "delete" as const),
        name: fc.constantFrom("a", "b", "c", "d"),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "refuse" as const }) },
  );

  test("finds what was there, and every checkpoint of _meta says what all before it says", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 8 }), async (rounds) => {
        let folder = new MemoryFolder();
        folder.rollAfterBatches = 2;
        let streams = await streamsOf(folder);
        for (const round of rounds) {
          // The steps of a round are on their way together.
          const working = round.map((step) => {
            if (step.kind === "create") return streams.create(step.name, {});
            if (step.kind === "delete") return streams.delete(step.name);
            if (step.kind === "refuse") folder.refuse = 1;
            return undefined;
          });
          await Promise.allSettled(working);
          folder.refuse = 0;
          if (!round.some(({ kind }) => kind === "restart")) continue;
          const before = await describeAll(streams);
          folder = folder.reopen();
          streams = await streamsOf(folder);
          assert.deepEqual(await describeAll(streams), before);
        }
        const batches = folder.log(0)?.batches ?? [];
        for (const batch of batches.filter(({ kind }) => kind === BatchKind.checkpoint)) {
          const checkpoint = decodeCheckpoint(batch.payload.subarray(checkpointPrefixBytes));
          const replayed = replay(batches.slice(0, batch.index));
          assert.deepEqual(
            checkpoint.catalogue?.streams.map(({ id, creation }) => [id, creation.name]),
            replayed,
          );
        }
        assert.deepEqual((await describeAll(streams)).map(({ id, name }) => [id, name]).sort(), replay(batches).sort());
      }),
      { numRuns: 100 },
    );
  });
});

function describeAll(streams: LocalStreams) {
  return Promise.all(
    streams.list({ prefix: "", limit: 1000 }).streams.map(async (stream) => {
      const { id, name, settings, createdMicros } = await stream.describe();
      return { id, name, settings, createdMicros };
    }),
  );
}

/** The catalogue by going through all changes: [id, name]. */
function replay(batches: readonly StoredBatch[]): [number, string][] {
  const streams = new Map<number, string>();
  for (const { kind, index, payload } of batches) {
    if (kind !== BatchKind.records) continue;
    const change = decodeMetaChange(payload);
    if (change?.kind === "created") streams.set(index, change.creation.name);
    if (change?.kind === "deleted") streams.delete(change.id);
  }
  return [...streams];
}
