/**
 * What had no room, and what a start or a change was to remove, is not back: whatever of it a power cut leaves.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { NoRoomError } from "../../src/base/disk-errors.ts";
import {
  allSurvives,
  append,
  appendAll,
  dataFolder,
  execution,
  journal,
  labels,
  large,
  nothingSurvives,
  type Survival,
  store,
  watch,
} from "./support/machine.ts";
import { calls } from "./support/scripted-disk.ts";

/** What was written first is there, and what was done about it since is not. */
const firstSurvives: Survival = { sector: () => "first", size: () => "largest", name: (_, isGiven) => isGiven };

describe("what was refused", () => {
  for (const survives of [allSurvives, firstSurvives]) {
    const how = survives === allSurvives ? "" : ", though its undoing is lost";

    execution(`a frame that had no room is not back${how}`, async (machine) => {
      const { disk, log } = await machine.open();
      await append(log, "a");
      const allow = disk.refuse((call) => calls("write", journal(0))(call) && call.bytes > 64, "behind");
      await assert.rejects(append(log, "b"), NoRoomError);
      allow();
      machine.powerCut(survives);
      assert.deepEqual(await labels((await machine.open()).log), ["a"]);
    });

    execution(`a flush that had no room is not back${how}`, async (machine) => {
      const { disk, log } = await machine.open();
      await append(log, "a", large);
      const allow = disk.refuse(calls("write", store()), "behind");
      await assert.rejects(append(log, "b", large), NoRoomError);
      allow();
      machine.powerCut(survives);
      assert.deepEqual(await labels((await machine.open()).log), ["a"]);
    });

    execution(`a segment that had no room is not back${how}`, async (machine) => {
      machine.segmentMaxBytes = 3000;
      const { disk, log } = await machine.open();
      await append(log, "a", large);
      // A checkpoint, and a batch behind it.
      const allow = disk.refuse(calls("write", store(2)), "behind");
      await assert.rejects(append(log, "b", large), NoRoomError);
      allow();
      machine.powerCut(survives);
      assert.deepEqual(await labels((await machine.open()).log), ["a"]);
    });
  }
});

describe("too many open files", () => {
  for (const segmentMaxBytes of [3000, 1 << 30]) {
    const where = segmentMaxBytes === 3000 ? "a segment that begins" : "the segment that grows";
    execution(
      `where ${where} can't be opened refuse what goes there, and nothing else, until there are fewer`,
      async (machine) => {
        machine.segmentMaxBytes = segmentMaxBytes;
        const first = await machine.open();
        await append(first.log, "a", large);
        await first.folder.close();
        const { folder, disk, log } = await machine.open();
        const allow = disk.refuse(calls("open", `${dataFolder}/groups/`));
        await assert.rejects(append(log, "b", large), NoRoomError);
        const small = watch(append(machine.logOf(folder, 2), "s"));
        await machine.until("another log goes on", () => small.outcome === "done");
        allow();
        await append(log, "c", large);
        assert.deepEqual(await labels(log), ["a", "c"]);
        await folder.close();
      },
    );
  }

  execution("let what had no room wait until it is cut off again", async (machine) => {
    machine.segmentMaxBytes = 3000;
    const { folder, disk, log } = await machine.open();
    await append(log, "a", large);
    const makeRoom = disk.refuse(calls("write", store(2)), "behind");
    const allow = disk.refuse(calls("sync folder", `${dataFolder}/groups/`));
    const refused = watch(append(log, "b", large));
    await machine.pass(300);
    assert.equal(refused.outcome, "waits");
    makeRoom();
    allow();
    await machine.until("it is cut off", () => refused.outcome instanceof NoRoomError);
    await append(log, "c", large);
    machine.powerCut(allSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["a", "c"]);
    assert.equal(folder.metrics.gatheredBytes, 0);
  });
});

describe("a cut to the end of a segment", () => {
  execution("removes the next one for good", async (machine) => {
    machine.segmentMaxBytes = 3000;
    const { log } = await machine.open();
    await appendAll(log, ["a", "b", "c"], large);
    await log.cut(2);
    machine.powerCut({ ...nothingSurvives, size: () => true, name: (_, isGiven) => isGiven });
    const again = await machine.open();
    assert.deepEqual(await labels(again.log), ["a"]);
    assert.equal(again.log.durableEnd.index, 2);
  });

  execution("lets nothing be appended before it is durable", async (machine) => {
    const { log } = await machine.open();
    await appendAll(log, ["a", "b", "c"]);
    const [, appended] = await Promise.all([log.cut(2), append(log, "B")]);
    assert.equal(appended.index, 2);
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["a", "B"]);
  });

  execution("is open until its files are cut, whichever file of the ring its record is in", async (machine) => {
    const { folder, disk, log } = await machine.open();
    await appendAll(log, ["a", "b", "c"], large);
    const hold = disk.hold(calls("truncate", store()));
    watch(log.cut(2));
    await machine.until("its files are to be cut", () => hold.held.length > 0);
    const other = machine.logOf(folder, 2);
    const isUsedAgain = () => disk.calls.filter((call) => calls("write", journal(0))(call) && call.at === 0).length > 1;
    for (let term = 1; !isUsedAgain() || term < 90; term++) await other.save({ vote: { term } });
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["a"]);
  });
});

describe("a first start", () => {
  /** It dies in the moment in which the folder becomes one. */
  async function firstStart(machine: Parameters<Parameters<typeof execution>[1]>[0], die: () => void): Promise<void> {
    const { disk, life } = machine.begin();
    watch(life);
    let isOver = false;
    disk.behind(calls("rename", `${dataFolder}/id.new`), () => {
      die();
      isOver = true;
    });
    await machine.until("the folder is one", () => isOver);
  }

  execution("that the power ends leaves a whole folder, or none", async (machine) => {
    await firstStart(machine, () =>
      machine.powerCut({ ...nothingSurvives, name: (path) => path === `${dataFolder}/id` }),
    );
    const { log } = await machine.open();
    await append(log, "a");
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["a"]);
  });

  execution("that is killed leaves a folder that the next one can rely on", async (machine) => {
    await firstStart(machine, () => machine.kill());
    const { log } = await machine.open();
    await append(log, "a");
    machine.powerCut(nothingSurvives);
    assert.deepEqual(await labels((await machine.open()).log), ["a"]);
  });
});
