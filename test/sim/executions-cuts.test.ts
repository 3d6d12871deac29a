/**
 * The executions of cuts: each broke an earlier draft of the journal, and shows the rule that came of it. Follows what a
 * replica does: batches, cuts that a leader asks for, and batches again.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { BatchKind } from "../../src/base/batch.ts";
import { checkpointPrefixBytes, digestBytes } from "../../src/log/format.ts";
import type { GroupLog } from "../../src/log/types.ts";
import {
  allSurvives,
  append,
  appendAll,
  execution,
  journal,
  labels,
  large,
  type Machine,
  nothingSurvives,
  readAll,
  store,
  watch,
} from "./support/machine.ts";
import { calls, type ScriptedDisk } from "./support/scripted-disk.ts";

/** Two small batches and a large one that are all in the segment: indexes 1 to 3. */
async function threeInSegment(log: GroupLog): Promise<void> {
  await appendAll(log, ["a", "b"]);
  await append(log, "c", large);
}

/** Waits for the journal's write that begins now, and holds its sync. */
async function holdNextFrame(machine: Machine, disk: ScriptedDisk) {
  const hold = disk.hold(calls("sync", journal(0)));
  await machine.until("a frame is written", () => hold.held.length > 0);
  return hold;
}

describe("a cut into segments", () => {
  execution("journal-why 1: a redone truncation destroys nothing that came after it", async (machine) => {
    const { log } = await machine.open();
    await threeInSegment(log);
    await log.cut(2);
    await append(log, "B", large);
    await append(log, "C", large);
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.deepEqual(await labels(again.log), ["a", "B", "C"]);
  });

  execution("journal-why 1: nothing is written to segments before cut done is synced", async (machine) => {
    const { disk, log } = await machine.open();
    await threeInSegment(log);
    // The files are cut; there is no room for the frame that says so.
    let allow = () => {};
    disk.behind(calls("sync", store()), () => {
      allow = disk.refuse(calls("write", journal(0)));
    });
    await log.cut(2);
    const refused = watch(append(log, "B", large));
    await machine.until("it is refused, or taken", () => refused.outcome !== "waits");
    allow();
    const taken = refused.outcome === "done" ? ["B"] : [];
    await append(log, "D", large);
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.deepEqual(await labels(again.log), ["a", ...taken, "D"]);
  });

  execution("journal-why 1: when a cut is done its files are cut on the disk", async (machine) => {
    const { log } = await machine.open();
    await threeInSegment(log);
    await log.cut(2);
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["a"]);
  });

  execution("journal-why 3: a cut that recovery acts on is on the disk before its files are cut", async (machine) => {
    const { disk, folder, log } = await machine.open();
    await threeInSegment(log);
    machine.disk.script = { syncFails: (path) => path === journal(0), survives: nothingSurvives };
    watch(log.cut(2));
    await folder.failed;
    assert.ok(disk.calls.some(calls("sync", journal(0))));
    machine.kill();
    machine.disk.script = {};
    const recovery = machine.begin();
    watch(recovery.life);
    let isOver = false;
    recovery.disk.behind(calls("sync", store()), () => {
      machine.powerCut(nothingSurvives);
      isOver = true;
    });
    await machine.until("the files are cut, and the power goes", () => isOver);
    const again = await machine.open();
    assert.equal(again.log.damage, undefined);
    assert.deepEqual(await labels(again.log), ["a"]);
  });

  execution("journal-why 3: a cut is redone by shortening, which the page cache can't hide", async (machine) => {
    const { folder, log } = await machine.open();
    await threeInSegment(log);
    machine.disk.script = { syncFails: (path) => path === store(), survives: nothingSurvives };
    watch(log.cut(2));
    await folder.failed;
    machine.kill();
    machine.disk.script = {};
    await machine.open();
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["a"]);
  });

  execution("journal-why 6: a cut that was synced is redone, and what it cut off is not back", async (machine) => {
    const { disk, log } = await machine.open();
    await threeInSegment(log);
    const hold = disk.hold(calls("truncate", store()));
    watch(log.cut(2));
    await machine.until("the files are to be cut", () => hold.held.length > 0);
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.deepEqual(await labels(again.log), ["a"]);
    machine.powerCut(allSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["a"]);
  });

  execution("journal-why 6: what is appended after a redone cut outlives the next recovery", async (machine) => {
    const { disk, log } = await machine.open();
    await threeInSegment(log);
    const hold = disk.hold(calls("truncate", store()));
    watch(log.cut(2));
    await machine.until("the files are to be cut", () => hold.held.length > 0);
    machine.powerCut(nothingSurvives);
    await append((await machine.open()).log, "B", large);
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["a", "B"]);
  });

  execution(
    "journal-why 6: a flush that is on its way when a cut comes counts for nothing beyond it",
    async (machine) => {
      const { disk, log } = await machine.open();
      await threeInSegment(log);
      const hold = disk.hold(calls("sync", store()));
      const flushed = watch(append(log, "d", large));
      await machine.until("it is written", () => hold.held.length > 0);
      const cut = watch(log.cut(2));
      await machine.pass(50);
      hold.release();
      await machine.until("both are over", () => cut.outcome === "done" && flushed.outcome !== "waits");
      assert.equal(log.durableEnd.index, 2);
      await append(log, "B");
      assert.deepEqual(await labels(log), ["a", "B"]);
      machine.powerCut(nothingSurvives);
      assert.deepEqual(await labels((await machine.open()).log), ["a", "B"]);
    },
  );
});

describe("a cut within the tail", () => {
  execution("journal-why 6: what it cut off is not back, whatever follows", async (machine) => {
    const { log } = await machine.open();
    await appendAll(log, ["a", "b", "c"]);
    await log.cut(2);
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.deepEqual(await labels(again.log), ["a"]);
    await append(again.log, "B");
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["a", "B"]);
  });

  execution("journal-why 18: a mark that waits when a cut comes does not lead", async (machine) => {
    const { disk, log } = await machine.open();
    await threeInSegment(log);
    // The mark of all three waits; the cut goes below it.
    await log.cut(2);
    await append(log, "B");
    const hold = await Promise.all([holdNextFrame(machine, disk), watch(append(log, "C"))]);
    hold[0].release();
    machine.powerCut(allSurvives);
    const again = await machine.open();
    assert.equal(again.log.damage, undefined);
    assert.deepEqual(await labels(again.log), ["a", "B", "C"]);
  });

  execution(
    "a checkpoint that waits when a cut comes is not for the place that the log ends at then",
    async (machine) => {
      machine.segmentMaxBytes = 1000;
      const { folder, disk, log } = await machine.open();
      await appendAll(log, ["a", "b", "c"]);
      machine.segmentMaxBytes = 1 << 30;
      const others = [2, 3, 4, 5].map((group) => machine.logOf(folder, group));
      await Promise.all(others.map((other) => append(other, "first")));
      // Of a frame some 200 bytes are left when this log's turn comes: its checkpoint, which is due, waits for the next one.
      const hold = disk.hold(calls("sync", journal(0)));
      for (const other of others) for (const label of ["p", "q", "r"]) watch(append(other, label, 1200));
      const appended = append(log, "d");
      await machine.until("a frame is written", () => hold.held.length > 0);
      const cut = log.cut(2);
      hold.release();
      await Promise.all([cut, appended]);
      await appendAll(log, ["e", "f", "g"]);
      assert.deepEqual(await labels(log), ["a", "d", "e", "f", "g"]);
      const batches = await readAll(log);
      const later = batches.filter(({ kind, index }) => kind === BatchKind.checkpoint && index > 0);
      assert.ok(later.length > 0);
      for (const { index, payload } of later) {
        const before = payload.subarray(checkpointPrefixBytes - digestBytes, checkpointPrefixBytes);
        assert.deepEqual(before, batches[index - 1]?.digest, `checkpoint ${index} tells of another batch before it`);
      }
    },
  );
});
