/** The executions of the journal's ring: what reuse of its files did to an earlier draft, and what starts did. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import {
  append,
  dataFolder,
  execution,
  journal,
  kibibyte,
  labels,
  large,
  nothingSurvives,
  store,
  watch,
} from "./support/machine.ts";
import { busy, fill, groupLog, oneBorder, watchJournal } from "./support/ring-load.ts";
import { calls, type Hold } from "./support/scripted-disk.ts";

describe("a journal file is used again", () => {
  execution("journal-why 2: a vote, a floor and a note outlive the file that they were written to", async (machine) => {
    const { folder, log } = await machine.open();
    const vote = { term: 7, votedFor: { diskId: folder.diskId, life: 0 } };
    const promised = { vote, floor: { term: 6, index: 90 }, note: new Uint8Array([1, 2, 3]) };
    await log.save(promised);
    await append(log, "a", large);
    await busy(machine.logOf(folder, 2), 120).done;
    machine.powerCut(nothingSurvives);
    const { log: again } = await machine.open();
    assert.deepEqual({ vote: again.vote, floor: again.floor, note: again.note }, promised);
  });

  execution("journal-why 2: a group that was made and never flushed outlives it too", async (machine) => {
    const { folder, log } = await machine.open();
    await append(log, "a");
    const { acknowledged, done } = busy(machine.logOf(folder, 2), 120);
    await done;
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.deepEqual(await labels(groupLog(again.folder, 1)), ["a"]);
    assert.deepEqual(await labels(groupLog(again.folder, 2)), acknowledged);
  });

  execution(
    "journal-why 2: a file that is torn while it is written anew is no damage",
    async (machine, isFull) => {
      const { folder, disk } = await machine.open();
      for (const group of [3, 4, 5]) machine.logOf(folder, group);
      // Either it was free for a while, or it is freed because the ring is full.
      const hold = disk.hold(isFull ? calls("write", `${dataFolder}/groups/`) : () => false);
      const { acknowledged, done } = busy(machine.logOf(folder, 2), 120);
      watch(done);
      let torn = false;
      disk.behind(
        (call) => calls("write", journal(0))(call) && call.at === 0 && acknowledged.length > 0,
        () => {
          // Of the new snapshot the first sector arrives, and spoils the frame that stood there.
          machine.powerCut({ ...nothingSurvives, sector: (path, sector) => path === journal(0) && sector === 0 });
          torn = true;
        },
      );
      if (isFull) await machine.until("the ring is full", () => folder.metrics.ringWaits > 0);
      hold.release();
      await machine.until("the first file is used again", () => torn);
      const again = await machine.open();
      assert.deepEqual(await labels(groupLog(again.folder, 2)), acknowledged);
      await append(groupLog(again.folder, 2), "next");
    },
    { variants: [false, true] },
  );

  execution(
    "journal-why A1: a tail is carried whole, or what is left of it would follow nothing",
    async (machine, frames) => {
      const { folder, log } = await machine.open();
      const other = machine.logOf(folder, 2);
      await append(log, "a");
      // The second file has begun: the tail is in both.
      await busy(other, 16).done;
      await append(log, "b");
      await busy(other, frames).done;
      await append(log, "c");
      machine.powerCut(nothingSurvives);
      assert.deepEqual(await labels((await machine.open()).log), ["a", "b", "c"]);
    },
    { variants: Array.from({ length: 12 }, (_, i) => 15 + 3 * i) },
  );

  execution("journal-why A1: a tail that is flushed when it is to be carried keeps its file", async (machine) => {
    const { folder, disk, log } = await machine.open();
    await append(log, "s");
    const hold = disk.hold(calls("sync", store()));
    watch(append(log, "never synced", large));
    await machine.until("it is written", () => hold.held.length > 0);
    const other = machine.logOf(folder, 2);
    const filled = watch(fill(other, 100));
    await machine.until(
      "the ring is full, or went on",
      () => folder.metrics.ringWaits > 0 || filled.outcome === "done",
    );
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["s"]);
  });

  execution(
    "journal-why A1: a carried tail comes behind the mark that it follows",
    async (machine) => {
      machine.segmentMaxBytes = 3000;
      const { folder, disk, log } = await machine.open();
      const flush = disk.hold(calls("sync", store()));
      await append(log, "x", oneBorder);
      await append(log, "s");
      await machine.until("all but the newest is flushed", () => flush.held.length > 0);
      const other = machine.logOf(folder, 2);
      // Up to the frame with which freeing begins. Before it is synced the flush is over, and its mark waits.
      await fill(other, 18);
      const frame = disk.hold(calls("sync", journal(1)));
      const filled = fill(other, 12);
      await machine.until("half of the ring is full", () => frame.held.length > 0);
      flush.release();
      await machine.pass(20);
      frame.release();
      await filled;
      machine.powerCut(nothingSurvives);
      const again = await machine.open();
      assert.equal(again.log.damage, undefined);
      assert.deepEqual(await labels(again.log), ["x", "s"]);
    },
    { settings: { tailMaxBytes: 3000 } },
  );

  execution(
    "journal-why 19: no frame spans files, and none is written before the one before it is synced",
    async (machine) => {
      const { folder, disk } = await machine.open();
      watchJournal(disk, 64 * kibibyte);
      await Promise.all([busy(machine.logOf(folder, 2), 60).done, busy(machine.logOf(folder, 3), 60).done]);
    },
  );

  execution("what is still read of a file is waited for", async (machine) => {
    machine.settings = { ...machine.settings, arenaBytes: 0 };
    const { folder, disk, log } = await machine.open();
    await append(log, "a");
    const other = machine.logOf(folder, 2);
    await busy(other, 12).done;
    // Others may read it: of the tail as it is moved.
    const hold: Hold = disk.hold((call) => calls("read", journal(0))(call) && hold.held.length === 0);
    const read = labels(log);
    await machine.until("the tail is read", () => hold.held.length > 0);
    const { done } = busy(other, 80);
    await machine.pass(400);
    hold.release();
    assert.deepEqual(await read, ["a"]);
    await done;
  });
});

describe("starts and stops", () => {
  execution("journal-why 17: what is written after a clean stop is not lost by a crash", async (machine) => {
    const first = await machine.open();
    await append(first.log, "a", large);
    await first.folder.close();
    const { folder, log } = await machine.open();
    assert.equal(folder.report.kind, "clean");
    await append(log, "b", large);
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.deepEqual(await labels(again.log), ["a", "b"]);
    assert.equal(again.folder.report.kind, "recovered");
  });

  execution(
    "journal-why 17: a start writes one frame at a time, also while it makes room",
    async (machine) => {
      const { folder, disk } = await machine.open();
      const other = machine.logOf(folder, 2);
      await append(other, "first");
      // Nothing leaves the ring: it fills up.
      disk.hold(calls("write", `${dataFolder}/groups/`));
      const written = [watch(busy(other, 100).done), watch(busy(machine.logOf(folder, 3), 100).done)];
      await machine.until("appends wait", () => folder.metrics.ringWaits > 0);
      assert.ok(written.every(({ outcome }) => outcome === "waits"));
      machine.kill();
      const recovery = machine.begin();
      watchJournal(recovery.disk, 64 * kibibyte);
      const again = await recovery.life;
      const found = await labels(groupLog(again.folder, 2));
      assert.ok(found.length > 10);
      await append(groupLog(again.folder, 2), "next");
      machine.powerCut(nothingSurvives);
      assert.deepEqual(await labels(groupLog((await machine.open()).folder, 2)), [...found, "next"]);
    },
    { settings: { markDelayMs: 1 } },
  );
});
