/** Faults of cuts, trims and new beginnings that random runs met, each as the few steps that show it. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { BatchKind, type StoredBatch } from "../../src/base/batch.ts";
import { DiskError } from "../../src/base/disk-errors.ts";
import { TailraceError } from "../../src/base/errors.ts";
import {
  append,
  appendAll,
  dataFolder,
  execution,
  labels,
  large,
  type Machine,
  readAll,
  store,
} from "./support/machine.ts";
import { storedBytes } from "./support/planted.ts";

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

describe("of a log with damage", () => {
  execution("a read of one batch in a file that is gone says so, and not that there is none", async (machine) => {
    const batches = await segmentsOfSome(machine);
    const [, second = 0, third = 0] = batches.filter(isCheckpoint).map(({ index }) => index);
    assert.ok(second > 0 && third > second, "there are three segments");
    await lose(machine, store(second));
    const { log } = await machine.open();
    await assert.rejects(log.read({ from: { index: third - 1 }, belowIndex: third, maxBytes: 1 }), isDamaged);
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

/** A file is gone. */
async function lose(machine: Machine, path: string): Promise<void> {
  const process = machine.disk.attach();
  await process.remove(path);
  process.kill();
}
