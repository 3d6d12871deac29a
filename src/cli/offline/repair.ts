/**
 * `tailrace repair DIR`: says what of a damaged folder can be kept, and makes it startable again when told to.
 * Nothing is deleted; and killed at any moment it can be run again:
 * - What is not kept is moved or copied to `aside/` first. What is still there then is as damaged as before.
 * - Where the journal is whole, each damaged log is ended by a cut in the journal, as the log does it itself.
 * - Where it is not, or the folder is to become another disk, tails are moved to segments, a new journal and id are
 *   written beside the old ones, and then exchanged with them. The old journal's going aside is the commit point.
 * - Last the logs of another disk are told that this one is their voter; of a folder that leaves its cluster, all logs.
 * @module
 */
import * as path from "node:path";
import { newClusterId } from "../../base/cluster-id.ts";
import { DataFolderError } from "../../base/disk-errors.ts";
import { systemClock } from "../../host/clock.ts";
import type { Disk } from "../../host/disk.ts";
import { lockFolder } from "../../host/folder-lock.ts";
import { systemHash } from "../../host/hash.ts";
import { nodeDisk } from "../../host/node-disk.ts";
import { systemRandom } from "../../host/random.ts";
import { openToRepair } from "../../log/data-folder.ts";
import { type FolderId, makeId } from "../../log/folder-id.ts";
import { CommandError, exitCodes } from "../exit.ts";
import { standardOutput } from "../output.ts";
import { Aside } from "./aside.ts";
import { type CheckedFolder, checkFolder } from "./folder-check.ts";
import { catalogueCheckpoint } from "./new-catalogue.ts";
import { draftName, exchange, isExchangeOpen, writeDraft } from "./new-journal.ts";
import { readingFolder } from "./open-folder.ts";
import { placeLogs } from "./place-logs.ts";
import { cutExcess, cutLogs } from "./repair-cut.ts";
import { isChanged, isNeeded, planLines, planRepair, type RepairPlan, type RepairWish } from "./repair-plan.ts";
import { findingLines, isDamaged, jsonOfCheck } from "./report.ts";
import { metaGroup } from "./streams-seen.ts";
import { explained } from "./verify.ts";
import { takeOver, VotersSeen } from "./voters.ts";

export interface RepairOptions extends RepairWish {
  readonly acceptLoss?: boolean;
}

/** Runs the command; resolves with the exit code: 0 where nothing is, or is left, to be repaired. */
export async function repairFolder(folder: string, options: RepairOptions): Promise<number> {
  return await explained(async () => {
    if (!options.acceptLoss && !options.newDiskId && !options.alone) return await showPlan(folder);
    const absolute = path.resolve(folder);
    await repair(absolute, options);
    return exitCodes.ok;
  });
}

/** Says what a repair would do, and changes nothing. */
async function showPlan(folder: string): Promise<number> {
  return await readingFolder(folder, async (read) => {
    if (await isExchangeOpen(nodeDisk(), read.path)) {
      await print(["a repair of this folder was cut short; run it again with --accept-loss"]);
      return exitCodes.failed;
    }
    return await checkFolder(read, { hash: systemHash }, async (checked) => {
      refuseHopeless(checked);
      const plan = planRepair(checked, {});
      if (!isNeeded(plan)) {
        await print(["nothing is damaged: there is nothing to repair"]);
        return exitCodes.ok;
      }
      const found = checked.findings.filter(({ kind }) => kind === "damage");
      await print([
        ...found.flatMap((finding) => findingLines(checked, finding)),
        ...["", "A repair would do this:", ...planLines(plan).map((line) => `  ${line}`), ""],
        "Nothing was changed. Keep a copy of the folder, then run it again with --accept-loss",
      ]);
      return exitCodes.failed;
    });
  });
}

async function repair(folder: string, options: RepairOptions): Promise<void> {
  const disk = nodeDisk();
  const names = await disk.list(folder);
  if (!names?.includes("id")) {
    const todo = "Name the folder that a node was started on with --data";
    throw new DataFolderError(`${folder} is no data folder of tailrace: it has no id file`, todo);
  }
  const lock = await lockFolder(folder);
  if (!lock) {
    throw new DataFolderError(
      `The data folder ${folder} is in use by a node`,
      "Stop that node, then run the repair again",
    );
  }
  try {
    // The folder is locked already, for all that follows.
    await repairOn({ ...disk, lock: async () => ({ release: async () => {} }) }, folder, options, print);
  } finally {
    await lock.release();
  }
}

/**
 * Repairs a folder that is locked by who calls.
 * @param disk Whose lock is to be had for the asking.
 * @param say Told what is done, and last how it ended, line by line.
 */
export async function repairOn(
  disk: Disk,
  folder: string,
  options: RepairOptions,
  say: (lines: readonly string[]) => Promise<void>,
): Promise<void> {
  if (await isExchangeOpen(disk, folder)) {
    const aside = await Aside.make(disk, folder);
    await exchange(disk, folder, () => aside.move("journal"));
  } else {
    // Of one that was cut short before anything of it counted.
    await disk.remove(`${folder}/${draftName}`);
  }
  const voters = new VotersSeen();
  const visit = voters.visit.bind(voters);
  const read = { path: folder, disk };
  const done = await checkFolder(read, { hash: systemHash, visit }, async (checked) => {
    refuseHopeless(checked);
    const plan = planRepair(checked, options);
    if (!isNeeded(plan)) return undefined;
    if (!options.acceptLoss && isDamaged(checked)) {
      throw new CommandError(`${folder} is damaged. Run "tailrace repair ${folder}" to see what is lost by a repair.`);
    }
    await say(planLines(plan));
    return { plan, aside: await prepare(disk, folder, plan, voters, options) };
  });
  if (!done) {
    await say(["nothing is damaged: there is nothing to repair"]);
    return;
  }
  const { plan, aside } = done;
  if (plan.isNewDisk) await exchange(disk, folder, () => aside.move("journal"));
  else if (plan.mendsId) await putId(disk, folder, plan.checked.id.bytes);
  const named = await throughTheLog(disk, folder, plan);
  if (named > 0) await say([`${named} logs are told that this disk is their voter`]);
  await confirm(disk, folder);
  await say([`repaired: the folder is whole, and what was not kept is in ${folder}/${aside.name}`]);
}

/** All that comes before the commit point: what is not kept goes aside, and a new journal is written beside the old. */
async function prepare(
  disk: Disk,
  folder: string,
  plan: RepairPlan,
  voters: VotersSeen,
  options: RepairOptions,
): Promise<Aside> {
  const { checked, logs } = plan;
  const aside = await Aside.make(disk, folder);
  await aside.write("report.json", [
    new TextEncoder().encode(`${JSON.stringify(jsonOfCheck(checked, 0), undefined, 2)}\n`),
  ]);
  await aside.copyFrom("id", 0);
  for (const log of logs.filter(isChanged)) {
    await aside.takeRest(log);
    await cutExcess(disk, folder, log.log.excess);
  }
  if (plan.catalogue?.old) await aside.copyLog(plan.catalogue.old);
  if (plan.isNewDisk) {
    const id = newId(checked, options);
    const catalogue = checkpointOf(plan, id.diskId);
    const logs = await placeLogs(disk, plan, { voters, hash: systemHash, catalogue });
    await writeDraft(disk, folder, systemHash, { id, logs });
  }
  return aside;
}

/** What a catalogue begins with that is made anew. */
function checkpointOf({ catalogue }: RepairPlan, diskId: Uint8Array): Uint8Array | undefined {
  const nowMicros = systemClock.nowMicros();
  const clusterId = Buffer.from(newClusterId(nowMicros, systemRandom.bytes(16)), "hex");
  const around = { hash: systemHash, nowMicros, clusterId };
  return catalogue && catalogueCheckpoint(catalogue, { diskId, life: 0 }, around);
}

/** Another disk, and another key; a copy of a folder is another node, too. */
function newId({ id }: CheckedFolder, { newDiskId }: RepairOptions): FolderId {
  const made = makeId(systemRandom);
  return newDiskId || !id.id ? made : { ...made, nodeId: id.id.nodeId };
}

/** Puts a whole id file in the place of the damaged one. */
async function putId(disk: Disk, folder: string, bytes: Uint8Array): Promise<void> {
  const file = await disk.open(`${folder}/id.new`, { create: true });
  await file?.write([bytes], 0);
  await file?.sync();
  await file?.close();
  await disk.rename(`${folder}/id.new`, `${folder}/id`);
  await disk.syncFolder(folder);
}

/** What the log does itself: a start, cuts, voters, a clean stop. Gives how many logs have another voter now. */
async function throughTheLog(disk: Disk, folder: string, plan: RepairPlan): Promise<number> {
  const opened = await openToRepair({
    ...{ path: folder, disk, clock: systemClock, hash: systemHash, random: systemRandom },
  });
  try {
    if (!plan.isNewDisk) {
      await cutLogs(opened, plan.logs);
      const checkpoint = checkpointOf(plan, opened.diskId);
      if (checkpoint) await opened.log(metaGroup)?.install(checkpoint);
    }
    return await takeOver(opened, plan.isAlone);
  } finally {
    await opened.close();
  }
}

/** A repair that left something damaged is none. */
async function confirm(disk: Disk, folder: string): Promise<void> {
  await checkFolder({ path: folder, disk }, { hash: systemHash }, async (checked) => {
    if (!isDamaged(checked)) return;
    const lines = checked.findings.filter(({ kind }) => kind === "damage").flatMap((one) => findingLines(checked, one));
    throw new Error(`the repaired folder is damaged: ${lines.join("; ")}`);
  });
}

/** @throws {DataFolderError} What is left can't be made a folder that starts. */
function refuseHopeless({ id, path: folder }: CheckedFolder): void {
  if (id.id) return;
  const what = `${folder}/id is damaged beyond repair: without its key the journal can't be read`;
  throw new DataFolderError(what, "Restore this file from a copy of the same folder");
}

async function print(lines: readonly string[]): Promise<void> {
  await standardOutput().write(`${lines.join("\n")}\n`);
}
