/**
 * What a clean stop leaves on the disk: the files of the logs that are there, and nothing of what was cut off, dropped,
 * replaced or deleted.
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import { indexName, parseSegmentName, segmentName } from "../log/format.ts";
import { FolderNode } from "./folder-node.ts";
import type { GroupModel } from "./log-model.ts";
import type { LogWorld } from "./log-world.ts";
import { must } from "./must.ts";

/** Compares the folders of all groups with what the run knows of them. */
export function checkFiles(world: LogWorld): void {
  for (const group of namesIn(world, "/data/groups")) {
    const model = world.groups.get(Number(group));
    must(model?.stage === "made", `a folder of group ${group} is left, which is ${model?.stage}`);
    const logs = namesIn(world, `/data/groups/${group}`);
    must(logs.length <= 1, `group ${group} has the logs ${logs.join(" and ")}`);
    for (const log of logs) checkLog(model, namesIn(world, `/data/groups/${group}/${log}`));
  }
  const leftover = namesIn(world, "/data/leftover");
  must(leftover.length === 0, `what was deleted is left: ${leftover.join(" ")}`);
}

function checkLog(model: GroupModel, names: readonly string[]): void {
  const { group, base } = model;
  const begun = names.map(parseSegmentName).filter((index) => index !== undefined);
  must(begun.length === 0 || begun.includes(base), `group ${group}: no file begins at its base, ${base}`);
  for (const index of begun) {
    const isOne = model.batchAt(index)?.kind === BatchKind.checkpoint;
    must(isOne, `group ${group}: a segment is left that begins at ${index}, where no checkpoint is`);
  }
  const known = new Set(begun.flatMap((index) => [segmentName(index), indexName(index)]));
  const other = names.filter((name) => !known.has(name));
  must(other.length === 0, `group ${group}: ${other.join(" ")} are left`);
}

function namesIn(world: LogWorld, path: string): string[] {
  const folder = world.disk.find(path);
  return folder instanceof FolderNode ? [...folder.names.keys()].sort() : [];
}
