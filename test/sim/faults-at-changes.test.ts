/** Faults of cuts, trims and new beginnings that random runs met, each as the few steps that show it. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { BatchKind, type StoredBatch } from "../../src/base/batch.ts";
import { DiskError, NoRoomError } from "../../src/base/disk-errors.ts";
import { TailraceError } from "../../src/base/errors.ts";
import { segmentName } from "../../src/log/format.ts";
import { FolderNode } from "../../src/sim/folder-node.ts";
import {
  append,
  appendAll,
  dataFolder,
  execution,
  journal,
  kibibyte,
  labels,
  large,
  type Machine,
  nothingSurvives,
  readAll,
  roomy,
  store,
  watch,
} from "./support/machine.ts";
import { storedBytes } from "./support/planted.ts";
import { calls } from "./support/scripted-disk.ts";

describe("after a sync that failed", () => {
  execution("of a folder, nothing is promised by the journal, and nothing is changed", async (machine) => {
    const { log, folder } = await machine.open();
    await appendAll(log, ["a", "b"]);
    // The bytes of the flush are in its segment, and the name of that is perhaps on the disk.
    machine.disk.script = { syncFails: (path) => path === `${dataFolder}/groups/1/1` };
    await assert.rejects(append(log, "c", large), DiskError);
    await folder.failed;
    const promises = [log.cut(1), log.save({ floor: { term: 1, index: 2 } }), folder.remove(1)];
    for (const { status } of await Promise.allSettled(promises)) assert.equal(status, "rejected");
    machine.kill();
    machine.disk.script = {};
    const found = await labels((await machine.open()).log);
    // What was refused so may be there or not; what was acknowledged is.
    assert.deepEqual(found.slice(0, 2), ["a", "b"]);
  });
});

describe("a stop", () => {
  execution(
    "ends after the disk failed under a deletion that waits, though the ring is being freed of that log",
    async (machine) => {
      const { log, folder, disk } = await machine.open();
      await append(log, "a");
      const hold = disk.hold(calls("sync", store()));
      const flushed = watch(append(log, "b", large));
      await machine.until("b is on its way", () => hold.held.length > 0);
      const removed = watch(folder.remove(1));
      const other = machine.logOf(folder, 2);
      for (let term = 1; folder.metrics.ringBytesUsed < 110 * kibibyte; term++) await other.save({ vote: { term } });
      machine.disk.script = { syncFails: (path) => path === store() };
      hold.release();
      await folder.failed;
      await folder.close();
      assert.ok(flushed.outcome instanceof DiskError);
      assert.ok(removed.outcome instanceof DiskError);
    },
    { settings: { carryMaxBytes: 1 } },
  );

  execution("waits for a cut that came after it, and for what that holds up", async (machine) => {
    const { log, folder, disk } = await machine.open();
    await appendAll(log, ["a", "b"], large);
    const hold = disk.hold(calls("write", journal(0)));
    const c = append(log, "c");
    await machine.until("c is on its way", () => hold.held.length > 0);
    const d = append(log, "d");
    const closed = folder.close();
    await machine.pass(1);
    const cut = log.cut(2);
    hold.release();
    await Promise.all([c, d, cut, closed]);
    assert.deepEqual(await labels((await machine.open()).log), ["a", "d"]);
  });
});

describe("in a frame that had no room", () => {
  execution("what is appended is refused, and what a replica promised goes with a smaller one", async (machine) => {
    const { log } = await machine.open();
    await append(log, "a");
    // Overwriting takes room too: for one frame of the smallest size there is some.
    machine.disk.faults = { syncFails: 0, writeBackFails: 0, copyOnWrite: true };
    machine.fill(4096);
    const appended = Array.from({ length: 12 }, () => append(log, "b", 190));
    const saved = log.save({ floor: { term: 3, index: 2 }, note: new Uint8Array(500) });
    for (const { status } of await Promise.allSettled(appended)) assert.equal(status, "rejected");
    await saved;
    machine.powerCut();
    machine.disk.totalBytes = roomy;
    const again = (await machine.open()).log;
    assert.deepEqual(again.floor, { term: 3, index: 2 });
    assert.deepEqual(await labels(again), ["a"]);
  });

  execution("a new beginning leaves nothing open, and nothing changed", async (machine) => {
    const { log, folder } = await machine.open();
    await append(log, "a");
    const [checkpoint] = await readAll(log);
    assert.ok(checkpoint);
    // For two folders and a name, and not for what is in the file.
    machine.fill(8193);
    await assert.rejects(log.install(storedBytes(checkpoint)), NoRoomError);
    assert.deepEqual(await labels(log), ["a"]);
    machine.disk.totalBytes = roomy;
    await folder.close();
    assert.deepEqual(machine.openFiles, []);
  });
});

describe("what was removed and is back after a power cut", () => {
  execution("goes at the next start, though the stop before was clean", async (machine) => {
    const batches = await segmentsOfSome(machine);
    const { log, folder } = await machine.open();
    const [, second, third] = batches.filter(isCheckpoint);
    assert.ok(second && third);
    log.setCommit(log.durableEnd.index);
    await log.dropBefore(second.index);
    await folder.close();
    machine.powerCut(nothingSurvives);
    assert.ok(namesIn(machine, "groups/1/1").includes(segmentName(0)), "the file is back");
    const again = await machine.open();
    assert.equal(again.folder.report.kind, "clean");
    assert.ok(!namesIn(machine, "groups/1/1").includes(segmentName(0)));

    await again.log.install(storedBytes(third));
    await again.folder.close();
    machine.powerCut(nothingSurvives);
    assert.deepEqual(namesIn(machine, "groups/1"), ["1", "2"], "the log is back");
    assert.equal((await machine.open()).folder.report.kind, "clean");
    assert.deepEqual(namesIn(machine, "groups/1"), ["2"]);
  });
});

describe("a journal file that is lost", () => {
  execution("is missed, though it was just made and holds the newest frames", async (machine) => {
    const { log, folder } = await machine.open();
    for (let i = 0; !namesIn(machine, "journal").includes("1"); i++) await append(log, `${i}`);
    await append(log, "in the second file");
    await folder.close();
    await lose(machine, journal(1));
    await assert.rejects(machine.open(), /it has 1 files, and had 2/);
  });
});

describe("of a log with damage", () => {
  execution("a read of one batch in a file that is gone says so, and not that there is none", async (machine) => {
    const batches = await segmentsOfSome(machine);
    const [, second = 0, third = 0] = batches.filter(isCheckpoint).map(({ index }) => index);
    assert.ok(second > 0 && third > second, "there are three segments");
    await lose(machine, store(second));
    const { log } = await machine.open();
    await assert.rejects(log.read({ from: { index: third - 1 }, belowIndex: third, maxBytes: 1 }), isDamaged);
  });

  execution(
    "a start that redoes a cut into a file that is gone calls the log damaged, and no other",
    async (machine) => {
      machine.settings = { ...machine.settings, tailMaxBytes: 1 };
      const { log, folder, disk } = await machine.open();
      await appendAll(log, ["a", "b", "c"]);
      await append(machine.logOf(folder, 2), "other");
      await machine.pass(50);
      // The record of the cut is durable, the files are not cut yet.
      const hold = disk.hold(calls("truncate", store()));
      const cut = watch(log.cut(2));
      await machine.until("the file is about to be cut", () => hold.held.length > 0);
      machine.kill();
      assert.equal(cut.outcome, "waits");
      await lose(machine, store());
      const again = await machine.open();
      assert.match(again.log.damage ?? "", /missing/);
      assert.deepEqual(await labels(machine.logOf(again.folder, 2)), ["other"]);
    },
  );

  execution("what only the journal has is not trimmed to: that would be a flush", async (machine) => {
    machine.segmentMaxBytes = 400;
    const { log, folder } = await machine.open();
    // One in a segment, and some segments' worth in the tail.
    await append(log, "a", large);
    await appendAll(log, ["b", "c", "d", "e"]);
    const checkpoint = (await readAll(log)).findLast(isCheckpoint);
    assert.ok(checkpoint && checkpoint.index > 0);
    await folder.close();
    await lose(machine, store());
    const again = await machine.open();
    again.log.setCommit(again.log.durableEnd.index);
    await assert.rejects(again.log.dropBefore(checkpoint.index), isDamaged);
    await append(machine.logOf(again.folder, 2), "other");
  });

  execution("a new beginning takes its place: that is whole, and takes appends", async (machine) => {
    const checkpoint = (await segmentsOfSome(machine)).findLast(isCheckpoint);
    assert.ok(checkpoint);
    await lose(machine, store());
    const { log } = await machine.open();
    await assert.rejects(append(log, "x"), isDamaged);
    await log.install(storedBytes(checkpoint));
    await append(log, "y");
    assert.deepEqual(await labels(log), ["y"]);
  });
});

function isCheckpoint({ kind }: { kind: BatchKind }): boolean {
  return kind === BatchKind.checkpoint;
}

function isDamaged(error: unknown): boolean {
  return error instanceof TailraceError && error.reason === "damaged";
}

/** A log with three segments or more of some batches, stopped well; gives what is in it. */
async function segmentsOfSome(machine: Machine): Promise<StoredBatch[]> {
  machine.segmentMaxBytes = 900;
  machine.settings = { ...machine.settings, tailMaxBytes: 1 };
  const { log, folder } = await machine.open();
  await appendAll(log, ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]);
  const batches = await readAll(log);
  await folder.close();
  return batches;
}

/** Names in a folder of the data folder. */
function namesIn(machine: Machine, path: string): string[] {
  const folder = machine.disk.find(`${dataFolder}/${path}`);
  assert.ok(folder instanceof FolderNode);
  return [...folder.names.keys()].sort();
}

/** A file is gone. */
async function lose(machine: Machine, path: string): Promise<void> {
  const process = machine.disk.attach();
  await process.remove(path);
  process.kill();
}
