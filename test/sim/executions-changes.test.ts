/**
 * The executions of logs that begin anew, are cut at their front or are deleted, and of batches that fit nothing.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { BatchKind, type StoredBatch } from "../../src/base/batch.ts";
import type { GroupLog } from "../../src/log/types.ts";
import {
  allSurvives,
  append,
  appendAll,
  dataFolder,
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
import { storedBytes } from "./support/planted.ts";
import { calls } from "./support/scripted-disk.ts";

/** Only what was synced, and all that was done to names. */
const namesSurvive = { ...nothingSurvives, name: () => true };

/** Checkpoints of a log, after the first. */
async function checkpoints(log: GroupLog): Promise<StoredBatch[]> {
  return (await readAll(log)).filter(({ kind, index }) => kind === BatchKind.checkpoint && index > 0);
}

/** A checkpoint of group 1 that another replica has, further on than this one. */
async function theirCheckpoint(machine: Machine): Promise<StoredBatch> {
  machine.segmentMaxBytes = 8000;
  const { folder, log } = await machine.open();
  await appendAll(log, ["p", "q", "r", "s", "t", "u"], large);
  const [, theirs] = await checkpoints(log);
  await folder.close();
  await machine.disk.attach().remove(dataFolder);
  machine.segmentMaxBytes = 1 << 30;
  assert.ok(theirs);
  return theirs;
}

async function names(machine: Machine, path: string): Promise<string[]> {
  return (await machine.disk.attach().list(path)) ?? [];
}

describe("files that were dropped", () => {
  execution("are not held open by who was about to read them: their room would stay taken", async (machine) => {
    machine.segmentMaxBytes = 3000;
    const { folder, log } = await machine.open();
    await appendAll(log, ["a", "b", "c", "d", "e"], large);
    log.setCommit(log.durableEnd.index);
    const [first, second, third] = [0, ...(await checkpoints(log)).map(({ index }) => index)];
    assert.ok(third !== undefined);
    await folder.close();
    const again = await machine.open();
    again.log.setCommit(again.log.durableEnd.index);
    // It looks for an offset in the first segment: where the ones in the middle begin it sees first.
    const reading = again.disk.hold(calls("read", store(third)));
    const removing = again.disk.hold(calls("remove", store(first)));
    const read = again.log.read({ from: { offset: 0 }, belowIndex: again.log.durableEnd.index, maxBytes: 1 });
    await machine.until("it is about to read", () => reading.held.length > 0);
    const dropped = again.log.dropBefore(second ?? 0);
    await machine.until("the file is about to go", () => removing.held.length > 0);
    reading.release();
    await machine.until("it reads", () => machine.openFiles.includes(store(first)));
    await machine.pass(5);
    removing.release();
    await dropped;
    assert.equal((await read)[0]?.index, second);
    assert.ok(!machine.openFiles.includes(store(first)));
  });
});

describe("a log that begins anew", () => {
  execution("journal-why 7: it is there when its record is", async (machine) => {
    const checkpoint = await theirCheckpoint(machine);
    const { log } = await machine.open();
    await append(log, "a");
    await append(log, "b", large);
    await log.install(storedBytes(checkpoint));
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.equal(again.log.damage, undefined);
    assert.equal(again.log.base.index, checkpoint.index);
    assert.deepEqual(await labels(again.log), []);
  });

  execution("journal-why 7: without its record the old one goes on, and its files are leftovers", async (machine) => {
    const checkpoint = await theirCheckpoint(machine);
    const { disk, log } = await machine.open();
    await append(log, "a");
    await append(log, "b", large);
    const hold = disk.hold(calls("write", journal(0)));
    watch(log.install(storedBytes(checkpoint)));
    await machine.until("its files are there", () => hold.held.length > 0);
    machine.powerCut(allSurvives);
    const again = await machine.open();
    assert.deepEqual(await labels(again.log), ["a", "b"]);
    assert.deepEqual(await names(machine, `${dataFolder}/groups/1`), ["1"]);
  });

  execution("journal-why 7: what the ring has of the old one counts no more", async (machine) => {
    const checkpoint = await theirCheckpoint(machine);
    const { disk, log } = await machine.open();
    await append(log, "a", large);
    await appendAll(log, ["b", "c"]);
    const hold = disk.hold(calls("remove", `${dataFolder}/groups/1/1`));
    watch(log.install(storedBytes(checkpoint)));
    await machine.until("the old files are to go", () => hold.held.length > 0);
    machine.powerCut(allSurvives);
    const again = await machine.open();
    assert.equal(again.log.durableEnd.index, checkpoint.index + 1);
    assert.deepEqual(await names(machine, `${dataFolder}/groups/1`), ["2"]);
    await append(again.log, "n");
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["n"]);
  });
});

describe("a log whose front is dropped", () => {
  /** Three segments and more, all committed; gives the checkpoint that is to be the base. */
  async function trimmed(machine: Machine) {
    machine.segmentMaxBytes = 4000;
    const life = await machine.open();
    await appendAll(life.log, ["a", "b", "c", "d", "e", "f"], large);
    const [, , base] = await checkpoints(life.log);
    assert.ok(base);
    life.log.setCommit(life.log.durableEnd.index);
    return { ...life, base };
  }

  execution("journal-why 21: its record is synced before files go", async (machine) => {
    const { disk, log, base } = await trimmed(machine);
    const all = await labels(log);
    const hold = disk.hold((call) => calls("write", `${dataFolder}/journal/`)(call) || call.name === "remove");
    watch(log.dropBefore(base.index));
    await machine.until("something is done about it", () => hold.held.length > 0);
    await machine.pass(50);
    assert.ok(
      hold.held.every(({ name }) => name === "write"),
      "files go before the record is there",
    );
    machine.powerCut(namesSurvive);
    const again = await machine.open();
    assert.equal(again.log.damage, undefined);
    assert.deepEqual(await labels(again.log), all);
  });

  execution(
    "journal-why 21: its files may go in any order",
    async (machine, stays) => {
      const { log, base } = await trimmed(machine);
      const dropped = (await machine.stores()).filter((name) => Number.parseInt(name, 10) < base.index);
      await log.dropBefore(base.index);
      machine.powerCut({ ...nothingSurvives, name: (path) => !path.endsWith(dropped[stays] ?? "none") });
      const again = await machine.open();
      assert.equal(again.log.damage, undefined);
      assert.equal(again.log.base.index, base.index);
      assert.deepEqual(await labels(again.log), ["d", "e", "f"]);
      assert.ok((await machine.stores()).every((name) => Number.parseInt(name, 10) >= base.index));
    },
    { variants: [0, 1, 2] },
  );
});

describe("a group that is deleted", () => {
  execution("journal-why 7: its record is synced before its files are touched", async (machine) => {
    const { folder, disk, log } = await machine.open();
    await append(log, "a", large);
    await append(log, "b");
    const hold = disk.hold(calls("write", journal(0)));
    watch(folder.remove(1));
    await machine.until("its end is written", () => hold.held.length > 0);
    machine.powerCut(namesSurvive);
    const again = await machine.open();
    assert.equal(again.log.damage, undefined);
    assert.deepEqual(await labels(again.log), ["a", "b"]);
  });

  execution("journal-why 7: with its record it is gone, whatever is left of it", async (machine) => {
    const { folder, disk, log } = await machine.open();
    await append(log, "a", large);
    await append(log, "b");
    const hold = disk.hold(calls("rename", `${dataFolder}/groups/1`));
    watch(folder.remove(1));
    await machine.until("its files are to go", () => hold.held.length > 0);
    machine.powerCut(allSurvives);
    const { log: another } = await machine.open();
    assert.deepEqual(await names(machine, `${dataFolder}/groups`), []);
    assert.deepEqual(await labels(another), []);
  });

  execution("journal-why 7: a snapshot that comes behind its record does not name it again", async (machine) => {
    const { folder, disk, log } = await machine.open();
    await append(log, "a", large);
    const hold = disk.hold(calls("rename", `${dataFolder}/groups/1`));
    watch(folder.remove(1));
    await machine.until("its files are to go", () => hold.held.length > 0);
    const other = machine.logOf(folder, 2);
    for (let i = 0; i < 60; i++) await append(other, `${i}`, 3000);
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), []);
  });
});
