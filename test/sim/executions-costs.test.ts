/**
 * The executions in which an earlier draft lost nothing, and missed its numbers or stood still: what they cost now, counted.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { BatchKind } from "../../src/base/batch.ts";
import { NoRoomError } from "../../src/base/disk-errors.ts";
import { Tail } from "../../src/log/tail.ts";
import type { GroupLog } from "../../src/log/types.ts";
import {
  append,
  appendAll,
  dataFolder,
  execution,
  journal,
  kibibyte,
  type Life,
  labels,
  large,
  mebibyte,
  roomy,
  store,
  watch,
} from "./support/machine.ts";
import { calls, type DiskCall } from "./support/scripted-disk.ts";

const ofSegments = `${dataFolder}/groups/`;
const ofJournal = `${dataFolder}/journal/`;

function groupOf({ path }: DiskCall): number {
  return Number(path.slice(ofSegments.length).split("/")[0]);
}

/** Fills the ring with frames that belong to no tail, as long as that is wanted. */
async function fillRing(log: GroupLog, isWanted: () => boolean): Promise<void> {
  for (let term = log.vote.term + 1; isWanted(); term++) await log.save({ vote: { term } });
}

describe("freeing", () => {
  const settings = { journalFileBytes: 256 * kibibyte };

  /** Some tails in the first file: of the groups 1 to 6 as many batches as their number says, of the others one each. */
  async function tails(machine: { logOf(folder: Life["folder"], group: number): GroupLog }, { folder }: Life) {
    for (const group of [3, 6, 1, 5, 2, 4]) {
      const log = machine.logOf(folder, group);
      for (let i = 0; i < group; i++) await append(log, `${i}`, 5000);
    }
    for (const group of [7, 8, 9]) await append(machine.logOf(folder, group), "only", 500);
  }

  execution(
    "journal-why 11: the largest tails are flushed first, and small ones are carried",
    async (machine) => {
      const life = await machine.open();
      await tails(machine, life);
      const { folder, disk } = life;
      const usedAgain = (call: DiskCall) =>
        calls("write", journal(0))(call) && call.at === 0 && call.bytes < 64 * kibibyte;
      await fillRing(machine.logOf(folder, 10), () => !disk.calls.some(usedAgain));
      const flushed = disk.calls.filter((call) => calls("write", ofSegments)(call) && call.path.endsWith(".log"));
      assert.deepEqual(flushed.map(groupOf), [6, 5, 4, 3, 2, 1]);
      assert.equal(disk.calls.filter(calls("sync", ofSegments)).length, 6);
      for (const group of [7, 8, 9]) assert.deepEqual(await labels(machine.logOf(folder, group)), ["only"]);
    },
    { settings },
  );

  execution(
    "journal-why 11: at most two flushes are synced at once, however much waits for it",
    async (machine) => {
      const life = await machine.open();
      await tails(machine, life);
      const { folder, disk } = life;
      const hold = disk.hold(calls("sync", ofSegments));
      watch(fillRing(machine.logOf(folder, 10), () => true));
      await machine.until("the ring is full", () => folder.metrics.ringWaits > 0);
      await machine.pass(100);
      assert.equal(hold.held.length, 2);
    },
    { settings },
  );
});

describe("room", () => {
  execution(
    "journal-why 12: a start finds room on a full disk, again and again",
    async (machine) => {
      const { log } = await machine.open();
      const acknowledged: string[] = [];
      machine.fill();
      // Until not even one more border of the journal can be had.
      for (const bytes of [100_000, 3000]) {
        for (let isFull = false; !isFull; ) {
          const label = `${acknowledged.length}`;
          await append(log, label, bytes).then(
            () => acknowledged.push(label),
            (error: unknown) => {
              assert.ok(error instanceof NoRoomError);
              isFull = true;
            },
          );
        }
      }
      for (let start = 0; start < 5; start++) {
        machine.kill();
        assert.equal(machine.disk.space.freeBytes, 0);
        assert.deepEqual(await labels((await machine.open()).log), acknowledged);
      }
      machine.disk.totalBytes = roomy;
      machine.kill();
      await append((await machine.open()).log, "again");
    },
    { settings: { journalUnitBytes: mebibyte, journalFileBytes: 8 * mebibyte } },
  );
});

describe("what a start, an append and a stream cost", () => {
  execution(
    "indexes of logs that are gone take none of the memory that those of others have",
    async (machine) => {
      machine.segmentMaxBytes = 3000;
      const { folder, disk, log } = await machine.open();
      await appendAll(log, ["a", "b", "c"], large);
      for (let group = 2; group < 12; group++) {
        const gone = machine.logOf(folder, group);
        await append(gone, "x", large);
        await labels(gone);
        await folder.remove(group);
      }
      const ofIndexes = (call: DiskCall) => call.name === "read" && call.path.endsWith(".index");
      await labels(log);
      const before = disk.calls.filter(ofIndexes).length;
      for (let time = 0; time < 3; time++) await labels(log);
      assert.equal(disk.calls.filter(ofIndexes).length, before);
    },
    { settings: { indexMemoryBytes: 1000 } },
  );

  execution("journal-why 13: a start reads of each log what is beyond its mark, and the ring", async (machine) => {
    const { folder } = await machine.open();
    const groups = Array.from({ length: 20 }, (_, i) => i + 1);
    for (const group of groups) {
      // Segments of 100 KiB and, in the journal, their marks with a small batch.
      await appendAll(
        machine.logOf(folder, group),
        Array.from({ length: 20 }, (_, i) => `${i}`),
        large,
      );
      await append(machine.logOf(folder, group), "small", 10);
    }
    machine.kill();
    const { disk } = await machine.open();
    const read = (path: string) => disk.calls.filter(calls("read", path)).reduce((sum, { bytes }) => sum + bytes, 0);
    const opened = disk.calls.filter(calls("open", ofSegments));
    console.log(`read of 20 logs of 100 KiB: ${read(ofSegments)} bytes; of the ring: ${read(ofJournal)}`);
    assert.ok(read(ofSegments) <= groups.length * 4 * kibibyte);
    // The file of the mark, and the next one, which may have begun.
    assert.ok(opened.length <= 2 * groups.length);
    // Once to find its end, once to look behind that, once for what it says.
    assert.ok(read(ofJournal) <= 4 * 3 * 64 * kibibyte);
  });

  execution("journal-why 13: after a clean stop no log is read", async (machine) => {
    const first = await machine.open();
    await append(first.log, "a", large);
    await append(first.log, "b");
    await first.folder.close();
    const { disk } = await machine.open();
    const opened = disk.calls.filter((call) => calls("open", ofSegments)(call) || calls("read", ofSegments)(call));
    // Whether the file of the mark is there, and as long as it was, is all that is asked.
    assert.deepEqual(
      opened.map(({ name, path }) => `${name} ${path}`),
      [`open ${store()}`],
    );
  });

  execution("journal-why 14: appends to 25 streams are one write and one sync", async (machine) => {
    const { folder, disk } = await machine.open();
    const logs = Array.from({ length: 25 }, (_, i) => machine.logOf(folder, i + 1));
    await Promise.all(logs.map((log) => append(log, "first")));
    const before = disk.calls.length;
    await Promise.all(logs.map((log) => append(log, "second")));
    assert.deepEqual(
      disk.calls.slice(before).map(({ name, path }) => `${name} ${path}`),
      [`write ${journal(0)}`, `sync ${journal(0)}`],
    );
  });

  execution("journal-why 15: a batch of a tail takes 16 bytes of memory", async () => {
    // What it allocates is what its entries take: counted where it asks for memory.
    const allocated: number[] = [];
    const real = globalThis.Uint32Array;
    globalThis.Uint32Array = new Proxy(real, {
      construct(target, args: [number]) {
        const array = new target(...args);
        allocated.push(array.byteLength);
        return array;
      },
    });
    const count = 1 << 16;
    try {
      const tail = new Tail(0);
      for (let i = 0; i < count; i++) {
        tail.push({ ringPosition: i, bytes: 260, baseOffset: i, appendTimeMicros: i, kind: BatchKind.records });
      }
    } finally {
      globalThis.Uint32Array = real;
    }
    // Room doubles, so up to twice as much is there; of the power of two exactly what it takes.
    assert.equal(Math.max(...allocated), 16 * count);
  });

  execution("journal-why 16: making a stream costs one sync, of the journal", async (machine) => {
    const { folder, disk } = await machine.open();
    await machine.pass(20);
    const before = disk.calls.length;
    await append(machine.logOf(folder, 2), "with its first batch");
    assert.deepEqual(
      disk.calls.slice(before).map(({ name, path }) => `${name} ${path}`),
      [`write ${journal(0)}`, `sync ${journal(0)}`],
    );
  });
});
