/** The executions of flushes: those that fail or are not synced, and marks that say too much. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import type { DataFolder, GroupLog } from "../../src/log/types.ts";
import {
  append,
  appendAll,
  dataFolder,
  execution,
  journal,
  labels,
  large,
  type Machine,
  nothingSurvives,
  store,
  watch,
} from "./support/machine.ts";
import { calls } from "./support/scripted-disk.ts";
import { holdFlush } from "./support/segment-file.ts";

/** Lets the next sync of the first store that ends fail, and only that one; then lets marks be written. */
async function failFirstSync(machine: Machine, folder: DataFolder, act: () => unknown): Promise<void> {
  let syncs = 0;
  const syncFails = (path: string) => path === store() && ++syncs === 1;
  machine.disk.script = { syncFails, survives: nothingSurvives };
  act();
  await folder.failed;
  await machine.pass(50);
  machine.disk.script = {};
}

/** Nobody was told of more than a power cut leaves. */
async function lostNothing(machine: Machine, log: GroupLog, acknowledged: readonly string[]): Promise<void> {
  const { index } = log.durableEnd;
  machine.powerCut(nothingSurvives);
  const again = await machine.open();
  assert.equal(again.log.damage, undefined);
  assert.deepEqual(await labels(again.log), acknowledged);
  assert.equal(again.log.durableEnd.index, index);
}

describe("what a sync is for", () => {
  execution("journal-why 3: what recovery keeps above a mark it writes again", async (machine) => {
    const { folder, log } = await machine.open();
    await append(log, "z", large);
    await appendAll(log, ["a", "b"]);
    machine.disk.script = { syncFails: (path) => path === store(), survives: nothingSurvives };
    watch(append(log, "c", large));
    await folder.failed;
    // The pages are clean now, and not on the disk.
    machine.kill();
    machine.disk.script = {};
    const kept = await labels((await machine.open()).log);
    assert.deepEqual(kept.slice(0, 3), ["z", "a", "b"]);
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), kept);
  });

  execution("journal-why 3: a segment's name that recovery relies on is synced", async (machine) => {
    const { disk, log } = await machine.open();
    await append(log, "a");
    const hold = disk.hold(calls("sync folder", `${dataFolder}/groups/`));
    watch(append(log, "b", large));
    await machine.until("the file is synced, its name is not", () => hold.held.length > 0);
    machine.kill();
    const kept = await labels((await machine.open()).log);
    assert.deepEqual(kept, ["a", "b"]);
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), kept);
  });

  execution("journal-why 4: a write whose writing back failed is told of by the sync", async (machine) => {
    const { folder, disk, log } = await machine.open();
    await append(log, "z", large);
    disk.behind(calls("write", store()), () => machine.disk.failWriteBack(store()));
    const [failed, appended] = [watch(folder.failed), watch(append(log, "a", large))];
    await machine.until("it is over", () => failed.outcome !== "waits" || appended.outcome !== "waits");
    machine.powerCut(nothingSurvives);
    const acknowledged = appended.outcome === "done" ? ["z", "a"] : ["z"];
    assert.deepEqual(await labels((await machine.open()).log), acknowledged);
  });

  execution("journal-why 6: nothing is acknowledged before what it follows is on the disk", async (machine) => {
    const life = await machine.open();
    const { disk, log } = life;
    await append(log, "z", large);
    const before = watch(append(log, "a", large));
    await holdFlush(machine, life);
    const frames = disk.calls.filter(calls("write", journal(0))).length;
    const after = watch(append(log, "b"));
    await machine.pass(50);
    assert.deepEqual([before.outcome, after.outcome], ["waits", "waits"]);
    assert.equal(disk.calls.filter(calls("write", journal(0))).length, frames);
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["z"]);
  });

  execution(
    "a flush behind one that failed counts for nothing",
    async (machine) => {
      const life = await machine.open();
      const { folder, log } = life;
      await append(log, "z", large);
      const first = watch(append(log, "a", large));
      const hold = await holdFlush(machine, life);
      const second = watch(append(log, "b", large));
      await machine.pass(50);
      await failFirstSync(machine, folder, () => hold.release());
      assert.notEqual(first.outcome, "done");
      assert.notEqual(second.outcome, "done");
      await lostNothing(machine, log, ["z"]);
    },
    { settings: { markDelayMs: 1 } },
  );

  execution(
    "of two syncs of one file the second begins when the first has returned",
    async (machine) => {
      const { folder, log } = await machine.open();
      await append(log, "z", large);
      const first = watch(append(log, "a", large));
      await machine.pass(0.1);
      // Were both called, the one that ends first would be told that writing failed, and the other not.
      await failFirstSync(machine, folder, () => watch(append(log, "b", large)));
      const acknowledged = first.outcome === "done" ? ["z", "a"] : ["z"];
      await lostNothing(machine, log, acknowledged);
    },
    { settings: { markDelayMs: 1 } },
  );

  execution("a segment is there after a power cut as soon as something in it is acknowledged", async (machine) => {
    machine.segmentMaxBytes = 3000;
    const { log } = await machine.open();
    for (const [i, label] of ["a", "b", "c"].entries()) {
      await append(log, label, large);
      assert.equal((await machine.stores()).length, i + 1);
    }
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["a", "b", "c"]);
  });
});

describe("marks", () => {
  execution(
    "journal-why 18: a mark tells of what is synced in segments, and of no more",
    async (machine) => {
      const life = await machine.open();
      await append(life.log, "z", large);
      await append(life.log, "s");
      await machine.pass(50);
      watch(append(life.log, "a", large));
      await holdFlush(machine, life);
      await append(machine.logOf(life.folder, 2), "other");
      await machine.pass(50);
      machine.powerCut(nothingSurvives);
      const again = await machine.open();
      assert.equal(again.log.damage, undefined);
      assert.deepEqual(await labels(again.log), ["z", "s"]);
    },
    { settings: { markDelayMs: 1 } },
  );

  execution("journal-why 18: what is journaled after a start follows what recovery kept", async (machine) => {
    const first = await machine.open();
    await append(first.log, "z", large);
    machine.kill();
    await append((await machine.open()).log, "s");
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["z", "s"]);
  });

  execution("journal-why 18: what is journaled comes behind the mark that it follows", async (machine) => {
    const { log } = await machine.open();
    await append(log, "z", large);
    await append(log, "s");
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["z", "s"]);
  });

  execution(
    "journal-why 25: a flush's mark tells of its own log only",
    async (machine) => {
      const life = await machine.open();
      const other = machine.logOf(life.folder, 2);
      await append(life.log, "s");
      watch(append(life.log, "a", large));
      await holdFlush(machine, life);
      await append(other, "x", large);
      // Its mark is in a frame now, and nothing of the first log is in a segment.
      await machine.pass(50);
      await append(other, "y");
      machine.powerCut(nothingSurvives);
      const again = await machine.open();
      assert.deepEqual(await labels(again.log), ["s"]);
      assert.deepEqual(await labels(machine.logOf(again.folder, 2)), ["x", "y"]);
    },
    { settings: { markDelayMs: 1 } },
  );
});
