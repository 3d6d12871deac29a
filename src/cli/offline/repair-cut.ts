/**
 * Repair of a folder whose journal is whole: through the log itself, by its own records.
 * @module
 */
import type { Disk } from "../../host/disk.ts";
import type { RepairableFolder } from "../../log/data-folder.ts";
import type { Excess } from "./log-findings.ts";
import { isChanged, type LogPlan } from "./repair-plan.ts";

/** Cuts off what stands behind the last batch of a sealed segment; it was copied aside. */
export async function cutExcess(disk: Disk, path: string, excess: readonly Excess[]): Promise<void> {
  for (const { file: name, position } of excess) await cutFile(disk, `${path}/${name}`, position);
}

/** Cuts a file to a size, if it is longer. */
export async function cutFile(disk: Disk, path: string, sizeBytes: number): Promise<void> {
  const file = await disk.open(path, { create: false });
  if (!file) return;
  if ((await file.size()) > sizeBytes) {
    await file.truncate(sizeBytes);
    await file.sync();
  }
  await file.close();
}

/** Ends each changed log where its plan says; what is not kept is aside. */
export async function cutLogs(folder: RepairableFolder, plans: readonly LogPlan[]): Promise<void> {
  for (const plan of plans) {
    const { log, end, inSegments, lost } = plan;
    const { group } = log.known;
    if (!isChanged(plan) || folder.log(group) === undefined) continue;
    if (end === undefined || inSegments === undefined) await folder.remove(group);
    else if (lost !== undefined || log.excess.length === 0) await folder.cutDamaged(group, inSegments);
  }
}
