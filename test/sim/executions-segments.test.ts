/**
 * The executions of segments: flushes that fail, are torn or are not synced, and what recovery makes of them.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { BatchKind } from "../../src/base/batch.ts";
import { TailraceError } from "../../src/base/errors.ts";
import type { DataFolder, GroupLog } from "../../src/log/types.ts";
import { FileNode, sectorBytes } from "../../src/sim/file-node.ts";
import {
  allSurvives,
  append,
  appendAll,
  dataFolder,
  execution,
  journal,
  type Life,
  labels,
  large,
  type Machine,
  mebibyte,
  nothingSurvives,
  readAll,
  type Survival,
  store,
  watch,
} from "./support/machine.ts";
import { flip, stillClock, storedBytes } from "./support/planted.ts";
import { calls } from "./support/scripted-disk.ts";

function sizeOf(machine: Machine, path: string): number {
  const file = machine.disk.find(path);
  assert.ok(file instanceof FileNode, `${path} is not there`);
  return file.size;
}

/** Bytes of an append that is a flush of its own. */
const almostLargest = 8 * mebibyte - 1000;

/** Of what was not synced all survives but a sector of a file. */
function allBut(path: string, lost: number): Survival {
  return { ...allSurvives, sector: (of, sector) => of !== path || sector !== lost };
}

/** Holds the syncs of the first store, and waits until one is called. */
async function holdFlush(machine: Machine, { disk }: Life) {
  const hold = disk.hold(calls("sync", store()));
  await machine.until("a flush is written", () => hold.held.length > 0);
  return hold;
}

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

describe("torn writes and damage", () => {
  /** Three batches in one write: the first begins at `position`. */
  async function tornRound(machine: Machine): Promise<{ position: number }> {
    const life = await machine.open();
    stillClock(life);
    await append(life.log, "z", large);
    const position = sizeOf(machine, store());
    for (const label of ["x", "y", "w"]) watch(append(life.log, label, 3000));
    await holdFlush(machine, life);
    return { position };
  }

  execution("journal-why 9: a round that is torn in the middle is no damage", async (machine) => {
    const { position } = await tornRound(machine);
    machine.powerCut(allBut(store(), Math.ceil(position / sectorBytes)));
    const again = await machine.open();
    assert.equal(again.log.damage, undefined);
    assert.deepEqual(await labels(again.log), ["z"]);
  });

  execution("journal-why 9: what recovery cut off is not back when the same is written again", async (machine) => {
    const { position } = await tornRound(machine);
    machine.powerCut(allBut(store(), Math.ceil(position / sectorBytes)));
    machine.settings = { ...machine.settings, tailMaxBytes: 1 };
    const again = await machine.open();
    stillClock(again);
    // Byte by byte what it was, as a follower fetches it: so the batches that were behind it would fit.
    await append(again.log, "x", 3000);
    await machine.until("it is in the segment", () => again.folder.metrics.tailBytes === 0);
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["z", "x"]);
  });

  execution("journal-why 9: a whole batch more than two flushes beyond a bad one is damage", async (machine) => {
    const { log } = await machine.open();
    const positions: number[] = [];
    for (const label of ["a", "b", "c", "d", "e"]) {
      await append(log, label, 7 * mebibyte);
      positions.push(sizeOf(machine, store()));
    }
    machine.kill();
    await flip(machine, store(), (positions[0] ?? 0) + 20);
    const again = await machine.open();
    assert.match(again.log.damage ?? "", /is bad at byte \d+, and a whole batch stands at byte \d+$/);
    await assert.rejects(
      append(again.log, "f"),
      (error) => error instanceof TailraceError && error.reason === "damaged",
    );
  });

  execution("journal-why 9: a log that ends below its mark is damage", async (machine) => {
    const { log, folder } = await machine.open();
    await append(log, "a", large);
    await append(machine.logOf(folder, 2), "its mark goes along");
    machine.kill();
    const process = machine.disk.attach();
    const file = await process.open(store(), { create: false });
    await file?.truncate(3000);
    await file?.sync();
    process.kill();
    assert.match((await machine.open()).log.damage ?? "", /has 3000 bytes, and \d+ were synced$/);
  });

  execution("journal-why 20: acknowledged bytes in a sector that is written again stay", async (machine) => {
    const life = await machine.open();
    await append(life.log, "z", large);
    const shared = Math.floor(sizeOf(machine, store()) / sectorBytes);
    watch(append(life.log, "a", large));
    await holdFlush(machine, life);
    machine.powerCut({ ...nothingSurvives, sector: (path, sector) => path === store() && sector === shared });
    assert.deepEqual(await labels((await machine.open()).log), ["z"]);
  });

  execution(
    "journal-why 23: bytes of a data folder that a stream holds are never taken for its batches",
    async (machine) => {
      // What a replica of the same group has, further on than this one.
      const theirs = await machine.open();
      await appendAll(theirs.log, ["p", "q", "r", "s", "t", "u"]);
      const whole = await readAll(theirs.log);
      await theirs.folder.close();
      await machine.disk.attach().remove(dataFolder);

      const life = await machine.open();
      await append(life.log, "z", large);
      const position = sizeOf(machine, store());
      watch(append(life.log, "a", almostLargest));
      await holdFlush(machine, life);
      const payload = new Uint8Array(almostLargest);
      for (const [i, batch] of whole.entries()) payload.set(storedBytes(batch), 7 * mebibyte + 600 * i);
      watch(life.log.append({ kind: 0, payload, recordCount: 1 }));
      await machine.until("both are written", () => sizeOf(machine, store()) > 15 * mebibyte);
      machine.powerCut(allBut(store(), Math.ceil(position / sectorBytes)));
      const again = await machine.open();
      assert.equal(again.log.damage, undefined);
      assert.deepEqual(await labels(again.log), ["z"]);
    },
  );
});

describe("sealing", () => {
  execution(
    "journal-why 10: nothing is written to the next segment before the one before is sealed",
    async (machine) => {
      machine.segmentMaxBytes = 8000;
      const life = await machine.open();
      const { disk, log } = life;
      await append(log, "a", large);
      const appended = [watch(append(log, "b", large))];
      const hold = await holdFlush(machine, life);
      appended.push(watch(append(log, "c", large)));
      await machine.pass(50);
      assert.deepEqual(await machine.stores(), [store().split("/").at(-1)]);
      hold.release();
      await machine.until("all are there", () => appended.every(({ outcome }) => outcome === "done"));
      const ofFirst = disk.calls.filter(({ path }) => path === store()).map(({ name }) => name);
      const sealed = ofFirst.slice(ofFirst.indexOf("truncate"));
      assert.deepEqual(sealed.slice(0, 2), ["truncate", "sync"]);
      const [truncated, begun] = [calls("truncate", store()), calls("write", store(3))].map((match) =>
        disk.calls.findIndex(match),
      );
      const synced = disk.calls.findIndex((call, i) => i > (truncated ?? 0) && calls("sync", store())(call));
      assert.ok(synced > 0 && synced < (begun ?? 0), "it is synced when it is cut to size, before the next is written");
      machine.powerCut(nothingSurvives);
      assert.deepEqual(await labels((await machine.open()).log), ["a", "b", "c"]);
    },
  );

  execution("journal-why 22: a flush ends where a checkpoint stands", async (machine) => {
    machine.segmentMaxBytes = 600;
    const { log } = await machine.open();
    await appendAll(log, ["a", "b", "c", "d", "e", "f"]);
    await append(log, "g", large);
    const begins = (await readAll(log)).filter(({ kind }) => kind === BatchKind.checkpoint).map(({ index }) => index);
    assert.ok(begins.length > 2);
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.deepEqual(await labels(again.log), ["a", "b", "c", "d", "e", "f", "g"]);
    assert.deepEqual(
      (await machine.stores()).map((name) => Number.parseInt(name, 10)),
      begins,
    );
  });

  execution("journal-why 22: a sealed segment has its batches and not a byte more", async (machine) => {
    machine.segmentMaxBytes = 8000;
    const { log } = await machine.open();
    await appendAll(log, ["a", "b", "c", "d", "e"], large);
    const batches = await readAll(log);
    const stores = await machine.stores();
    assert.ok(stores.length >= 3);
    for (const [i, name] of stores.entries()) {
      const [first, next] = [name, stores[i + 1] ?? "9"].map((text) => Number.parseInt(text, 10));
      const own = batches.filter(({ index }) => index >= (first ?? 0) && (next === 9 || index < (next ?? 0)));
      const bytes = own.reduce((sum, batch) => sum + storedBytes(batch).length, 0);
      assert.equal(sizeOf(machine, store(first)), bytes);
    }
  });
});
