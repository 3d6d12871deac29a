/**
 * The executions of a group whose log was lost here: it begins again as another replica, or is what it was, and nothing of
 * the old log comes into the new one.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { TailraceError } from "../../src/base/errors.ts";
import type { GroupLog, NewGroup } from "../../src/log/types.ts";
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
  nothingSurvives,
  store,
  watch,
} from "./support/machine.ts";
import { flip } from "./support/planted.ts";
import { calls } from "./support/scripted-disk.ts";

const batch0: NewGroup = {
  ...{ group: 1, checkpointState: new Uint8Array(9), startOffset: 0, appendTimeMicros: 1, note: new Uint8Array([7]) },
};
const vote = { term: 5, votedFor: { diskId: new Uint8Array(16).fill(3), life: 2 } };
const floor = { term: 4, index: 77 };
/** Letting go a log takes fewer calls of the disk. */
const deathsMax = 24;

/** A log with a segment and a tail, whose segment a bit of is spoiled, and that was said to be damaged. */
async function damaged(machine: Machine): Promise<Life> {
  const first = await machine.open();
  await first.log.save({ vote, floor });
  await append(first.log, "a", large);
  await appendAll(first.log, ["b", "c"]);
  await first.folder.close();
  await flip(machine, store(0), 600);
  const life = await machine.open();
  await assert.rejects(readFirst(life.log), (error) => error instanceof TailraceError && error.reason === "damaged");
  return life;
}

/** Reads the first batch of records. */
async function readFirst(log: GroupLog): Promise<void> {
  await log.read({ from: { index: 1 }, belowIndex: 2, maxBytes: 1 });
}

async function names(machine: Machine, path: string): Promise<string[]> {
  return (await machine.disk.attach().list(`${dataFolder}/${path}`)) ?? [];
}

describe("a log that was lost here", () => {
  execution("begins a new life, with what its replica promised", async (machine) => {
    const { folder, log } = await damaged(machine);
    const renewed = await folder.renew(batch0);
    assert.equal(folder.log(1), renewed);
    const check = (now: typeof renewed) => {
      assert.deepEqual([now.life, now.damage, now.note], [1, undefined, batch0.note]);
      assert.deepEqual([now.vote, now.floor, now.base], [vote, floor, { index: 0, offset: 0 }]);
    };
    check(renewed);
    assert.equal(renewed.durableEnd.index, 1);
    assert.deepEqual(await names(machine, "groups/1"), []);
    assert.deepEqual(await names(machine, "leftover"), []);
    // Who still holds the old one is refused.
    await assert.rejects(readFirst(log), /begins anew/);
    await assert.rejects(append(log, "x"), /begins anew/);
    await appendAll(renewed, ["d", "e"]);
    await append(renewed, "f", large);
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    check(again.log);
    assert.deepEqual(await labels(again.log), ["d", "e", "f"]);
    assert.deepEqual(await names(machine, "groups/1"), ["2"]);
    const third = await again.folder.renew(batch0);
    assert.deepEqual([third.life, third.durableEnd.index], [2, 1]);
    await again.folder.close();
    const last = await machine.open();
    assert.deepEqual([last.log.life, await labels(last.log)], [2, []]);
  });

  execution("is what it was as long as its record is not synced", async (machine) => {
    const { folder, disk } = await damaged(machine);
    const sync = disk.hold(calls("sync", journal(0)));
    watch(folder.renew(batch0));
    await machine.until("its record is about to be synced", () => sync.held.length > 0);
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.equal(again.log.life, 0);
    assert.equal(again.log.durableEnd.index, 4);
    await assert.rejects(readFirst(again.log), /is damaged at byte/);
  });

  execution("and whose old files were about to go is the new one", async (machine) => {
    const { folder, disk } = await damaged(machine);
    const rename = disk.hold(calls("rename", `${dataFolder}/groups/1/1`));
    watch(folder.renew(batch0));
    await machine.until("the old files are about to go", () => rename.held.length > 0);
    const renewed = folder.log(1);
    assert.ok(renewed);
    await append(renewed, "d");
    machine.powerCut(allSurvives);
    const again = await machine.open();
    assert.deepEqual([again.log.life, await labels(again.log)], [1, ["d"]]);
    assert.deepEqual(await names(machine, "groups"), []);
  });

  execution("with all its files begins a new life too", async (machine) => {
    const first = await machine.open();
    await append(first.log, "a", large);
    await append(first.log, "b");
    await first.folder.close();
    await machine.disk.attach().remove(`${dataFolder}/groups/1`);
    const { folder, log } = await machine.open();
    await assert.rejects(readFirst(log), TailraceError);
    const renewed = await folder.renew(batch0);
    await append(renewed, "c");
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.deepEqual([again.log.life, await labels(again.log)], [1, ["c"]]);
  });

  execution("leaves no mark of it to the new one", async (machine) => {
    const { folder, log } = await machine.open();
    await append(log, "a", large);
    // Where its segment ends, and that it has one, the journal is told with the very frame of the new life.
    await folder.renew(batch0);
    const renewed = folder.log(1);
    assert.ok(renewed);
    await append(renewed, "b");
    await folder.close();
    // That it had files it would be told by the snapshot, and make none.
    const again = await machine.open();
    assert.deepEqual([again.log.life, again.log.damage, await labels(again.log)], [1, undefined, ["b"]]);
    await append(again.log, "c", large);
    machine.powerCut(nothingSurvives);
    const last = await machine.open();
    assert.deepEqual([last.log.damage, await labels(last.log)], [undefined, ["b", "c"]]);
  });

  execution("and finds no room for the new one is what it was, and begins it later", async (machine) => {
    const { folder, disk, log } = await damaged(machine);
    const roomAgain = disk.refuse(calls("write", journal(0)));
    await assert.rejects(folder.renew(batch0), /no room/);
    assert.equal(folder.log(1), log);
    assert.equal(log.life, 0);
    roomAgain();
    const renewed = await folder.renew(batch0);
    await append(renewed, "d");
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.deepEqual([again.log.life, await labels(again.log)], [1, ["d"]]);
  });

  for (const [what, survives] of [
    ["nothing", nothingSurvives],
    ["all", allSurvives],
  ] as const) {
    execution(
      `whole, and let go: its node dies at any call, ${what} of what is not synced stays, and a start finds all of it or none`,
      async (machine, call) => {
        const { folder, log, disk } = await machine.open();
        await append(log, "a", large);
        await append(log, "b");
        let calls = 0;
        let isDead = false;
        disk.behind(
          () => calls++ === call,
          () => {
            isDead = true;
            machine.powerCut(survives);
          },
        );
        const renewing = watch(folder.renew(batch0, "it is wanted no more"));
        await machine.until("it is over", () => isDead || renewing.outcome !== "waits");
        if (!isDead) machine.powerCut(survives);
        const again = await machine.open();
        const found = [again.log.life, await labels(again.log), await names(machine, "groups/1")];
        assert.deepEqual(found, again.log.life === 0 ? [0, ["a", "b"], ["1"]] : [1, [], []]);
        assert.ok(isDead || again.log.life === 1, "what was done is done");
        assert.ok(call < deathsMax - 1 || !isDead, "there are more calls");
        assert.deepEqual(await names(machine, "leftover"), []);
      },
      { variants: Array.from({ length: deathsMax }, (_, call) => call) },
    );
  }
});
