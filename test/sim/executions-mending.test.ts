/**
 * The executions of a log with damaged bytes: it says where they are, and is mended in place with what another replica has,
 * if its own chain says that this is what was there.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { BatchKind, type StoredBatch } from "../../src/base/batch.ts";
import { TailraceError } from "../../src/base/errors.ts";
import { BatchRefusedError } from "../../src/log/stored-batch.ts";
import type { GroupLog } from "../../src/log/types.ts";
import {
  append,
  appendAll,
  execution,
  labels,
  large,
  type Machine,
  nothingSurvives,
  readAll,
  store,
  watch,
} from "./support/machine.ts";
import { flip, storedBytes } from "./support/planted.ts";
import { calls } from "./support/scripted-disk.ts";

/** A stopped log of some segments, what it has, and where each batch of a segment begins. */
interface Stopped {
  readonly batches: readonly StoredBatch[];
  readonly places: ReadonlyMap<number, { path: string; at: number }>;
}

async function stopped(machine: Machine): Promise<Stopped> {
  machine.segmentMaxBytes = 8000;
  const { folder, log } = await machine.open();
  await appendAll(log, ["a", "b", "c", "d", "e"], large);
  await appendAll(log, ["f", "g"]);
  await append(log, "h", large);
  await appendAll(log, ["i", "j"]);
  const batches = await readAll(log);
  await folder.close();
  const again = await machine.open();
  const { tailBatches } = again.folder.report;
  await again.folder.close();
  const places = new Map<number, { path: string; at: number }>();
  let [path, at] = ["", 0];
  for (const batch of batches.slice(0, -tailBatches)) {
    if (batch.kind === BatchKind.checkpoint) [path, at] = [store(batch.index), 0];
    places.set(batch.index, { path, at });
    at += storedBytes(batch).length;
  }
  return { batches, places };
}

function bytesOf(batches: readonly StoredBatch[]): Uint8Array {
  return Buffer.concat(batches.map(storedBytes));
}

async function spoil(machine: Machine, { places }: Stopped, index: number, at: number): Promise<void> {
  const place = places.get(index);
  assert.ok(place);
  await flip(machine, place.path, place.at + at);
}

async function readOne(log: GroupLog, index: number): Promise<StoredBatch[]> {
  return await log.read({ from: { index }, belowIndex: index + 1, maxBytes: 1 });
}

const isDamaged = (error: unknown) => error instanceof TailraceError && error.reason === "damaged";

describe("a log with damaged bytes", () => {
  execution("says where they begin, and is mended whichever batch and part of it they are in", async (machine) => {
    const known = await stopped(machine);
    assert.ok([...known.places.values()].filter(({ at }) => at === 0).length >= 3);
    for (const [index] of known.places) {
      // Its magic, its index, its digest and its payload.
      for (const at of [5, 24, 100, 140]) {
        await spoil(machine, known, index, at);
        const { folder, log } = await machine.open();
        assert.deepEqual(await log.selfCheck(), { index }, `batch ${index}, byte ${at}`);
        await assert.rejects(readOne(log, index), isDamaged);
        assert.match(log.damage ?? "", /damaged/);
        assert.deepEqual(await log.repair(index, bytesOf(known.batches.slice(index))), { belowIndex: index + 1 });
        assert.deepEqual([log.damage, await log.selfCheck()], [undefined, undefined]);
        assert.deepEqual((await readAll(log)).map(storedBytes), known.batches.map(storedBytes));
        await folder.close();
      }
    }
    const { log } = await machine.open();
    await append(log, "k");
    await append(log, "l", large);
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.equal(await again.log.selfCheck(), undefined);
    assert.deepEqual((await labels(again.log)).join(""), "abcdefghijkl");
  });

  execution("in a row, across segments, is mended at once, and on its own where it is apart", async (machine) => {
    const known = await stopped(machine);
    const checkpoint = [...known.places].find(([index, { at }]) => index > 0 && at === 0)?.[0] ?? 0;
    for (const index of [checkpoint - 1, checkpoint, checkpoint + 1, checkpoint + 3]) {
      await spoil(machine, known, index, 30);
    }
    const { log } = await machine.open();
    assert.deepEqual(await log.selfCheck(), { index: checkpoint - 1 });
    const bytes = bytesOf(known.batches.slice(checkpoint - 1));
    assert.deepEqual(await log.repair(checkpoint - 1, bytes), { belowIndex: checkpoint + 2 });
    assert.deepEqual(await log.selfCheck(checkpoint), { index: checkpoint + 3 });
    const [fourth] = known.batches.slice(checkpoint + 3);
    assert.ok(fourth);
    await log.repair(checkpoint + 3, storedBytes(fourth));
    assert.equal(await log.selfCheck(), undefined);
  });

  execution("goes on with what nobody needs any more, and is whole once that is trimmed", async (machine) => {
    const known = await stopped(machine);
    const base = [...known.places].find(([index, { at }]) => index > 0 && at === 0)?.[0] ?? 0;
    await spoil(machine, known, 1, 200);
    const { folder, log } = await machine.open();
    const { index, offset } = log.durableEnd;
    log.setCommit(index);
    await assert.rejects(readOne(log, 1), isDamaged);
    await assert.rejects(append(log, "k"), isDamaged);
    log.leaveDamage();
    await append(log, "k");
    assert.equal(log.durableEnd.offset, offset + 1);
    // A read meets it still, and nothing is appended behind that until it has gone.
    await assert.rejects(readOne(log, 1), isDamaged);
    await assert.rejects(append(log, "l"), isDamaged);
    await log.dropBefore(base);
    assert.equal(await log.selfCheck(), undefined);
    assert.equal(log.damage, undefined);
    await append(log, "l");
    await folder.close();
    assert.equal(await (await machine.open()).log.selfCheck(), undefined);
  });

  execution("is not mended with anything else", async (machine) => {
    const known = await stopped(machine);
    const index = 2;
    await spoil(machine, known, index, 200);
    const { log, disk } = await machine.open();
    const [before, batch, next] = known.batches.slice(index - 1);
    assert.ok(before && batch && next);
    const other = storedBytes(batch);
    other[200] = (other[200] ?? 0) ^ 8;
    const cases: { what: string; from?: number; bytes: Uint8Array; why: RegExp }[] = [
      { what: "nothing", bytes: new Uint8Array(0), why: /what comes behind it does not follow/ },
      { what: "another payload", bytes: other, why: /its payload is not what its checksum says/ },
      { what: "the batch behind it", bytes: storedBytes(next), why: /its index is 3/ },
      { what: "half of it", bytes: storedBytes(batch).subarray(0, 300), why: /its bytes end in its payload/ },
      { what: "too few", from: index - 1, bytes: storedBytes(before), why: /what comes behind it does not follow/ },
      {
        what: "what is in the tail",
        from: known.batches.length - 1,
        bytes: bytesOf(known.batches.slice(-1)),
        why: /in no segment/,
      },
    ];
    for (const { what, from = index, bytes, why } of cases) {
      await assert.rejects(
        log.repair(from, bytes),
        (error) => error instanceof BatchRefusedError && error.index === from && why.test(error.why),
        what,
      );
    }
    assert.deepEqual(
      disk.calls.filter(({ name, path }) => name === "write" && path.endsWith(".log")),
      [],
    );
    assert.deepEqual(await log.selfCheck(), { index });
  });

  execution("is as it was, or mended, after a power cut at any sector", async (machine) => {
    const known = await stopped(machine);
    const index = 2;
    for (const at of [40, 700, 1500, 4000]) await spoil(machine, known, index, at);
    const bytes = bytesOf(known.batches.slice(index, index + 1));
    for (let time = 0; time < 20; time++) {
      const { log, disk } = await machine.open();
      if ((await log.selfCheck()) === undefined) {
        machine.kill();
        break;
      }
      const sync = disk.hold(calls("sync", known.places.get(index)?.path ?? ""));
      watch(log.repair(index, bytes));
      await machine.until("it is about to be synced", () => sync.held.length > 0);
      // What of it is on the disk is drawn.
      machine.powerCut();
    }
    const { log } = await machine.open();
    if (await log.selfCheck()) await log.repair(index, bytes);
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.equal(await again.log.selfCheck(), undefined);
    assert.deepEqual((await readAll(again.log)).map(storedBytes), known.batches.map(storedBytes));
  });

  execution("is mended where a file before its last one lost its end", async (machine) => {
    const known = await stopped(machine);
    const second = [...known.places].findLast(([, { at }]) => at === 0)?.[0] ?? 0;
    const cut = known.places.get(second - 1);
    assert.ok(cut && cut.at > 0);
    const process = machine.disk.attach();
    const file = await process.open(cut.path, { create: false });
    await file?.truncate(cut.at + 77);
    await file?.sync();
    process.kill();
    const { log } = await machine.open();
    assert.deepEqual(await log.selfCheck(), { index: second - 1 });
    await log.repair(second - 1, bytesOf(known.batches.slice(second - 1)));
    assert.deepEqual((await readAll(log)).map(storedBytes), known.batches.map(storedBytes));
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.equal(await again.log.selfCheck(), undefined);
    assert.deepEqual((await readAll(again.log)).map(storedBytes), known.batches.map(storedBytes));
  });

  execution("is not mended where a file is gone", async (machine) => {
    const known = await stopped(machine);
    const begins = [...known.places].filter(([, { at }]) => at === 0);
    const [index, { path }] = begins[1] ?? [0, { path: "" }];
    await machine.disk.attach().remove(path);
    const { log, disk } = await machine.open();
    assert.deepEqual(await log.selfCheck(), { index });
    await assert.rejects(log.repair(index, bytesOf(known.batches.slice(index))), /has no file with batch/);
    const { calls } = disk;
    assert.deepEqual(
      calls.filter(({ name, path }) => name === "write" && path.endsWith(".log")),
      [],
    );
  });

  execution("that its start found short is not mended so", async (machine) => {
    const known = await stopped(machine);
    const last = [...known.places.values()].at(-1);
    assert.ok(last);
    machine.kill();
    const process = machine.disk.attach();
    const file = await process.open(last.path, { create: false });
    await file?.truncate(last.at + 100);
    await file?.sync();
    process.kill();
    const { log } = await machine.open();
    assert.match(log.damage ?? "", /were synced/);
    const index = known.places.size - 1;
    await assert.rejects(log.repair(index, bytesOf(known.batches.slice(index))), isDamaged);
  });
});
