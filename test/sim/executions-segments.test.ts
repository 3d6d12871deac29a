/** The executions of segments: what is torn in them, what is damage, and where they begin and end. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { BatchKind } from "../../src/base/batch.ts";
import { TailraceError } from "../../src/base/errors.ts";
import { sectorBytes } from "../../src/sim/file-node.ts";
import {
  allSurvives,
  append,
  appendAll,
  dataFolder,
  execution,
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
import { holdFlush, sizeOf } from "./support/segment-file.ts";

/** Bytes of an append that is a flush of its own. */
const almostLargest = 8 * mebibyte - 1000;

/** Of what was not synced all survives but a sector of a file. */
function allBut(path: string, lost: number): Survival {
  return { ...allSurvives, sector: (of, sector) => of !== path || sector !== lost };
}

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

  execution(
    "a segment that comes to its age between two looks at the clock is not sealed under a flush",
    async (machine, looks) => {
      const life = await machine.open();
      const { log, clock } = life;
      stillClock(life);
      await append(log, "a", large);
      let looked = 0;
      clock.nowMicros = () => ++looked;
      log.rollBy({ maxBytes: 1 << 30, maxAgeMicros: looks }, () => new Uint8Array(100));
      const appended = [watch(append(log, "b", large))];
      const hold = await holdFlush(machine, life);
      appended.push(watch(append(log, "c", large)));
      await machine.pass(10);
      hold.release();
      await machine.until("both are there", () => appended.every(({ outcome }) => outcome === "done"));
      assert.deepEqual(await labels(log), ["a", "b", "c"]);
      machine.kill();
      assert.deepEqual(await labels((await machine.open()).log), ["a", "b", "c"]);
    },
    { variants: Array.from({ length: 20 }, (_, at) => at + 1) },
  );

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
