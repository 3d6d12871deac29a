import { DiskError } from "../base/disk-errors.ts";
import type { Disk } from "../host/disk.ts";
import { indexName, parseSegmentName, segmentName } from "./format.ts";
import type { Mark } from "./group-state.ts";

/**
 * Does to the files what a cut says: those beyond its place go, the one that it ends in is shortened and synced. Doing it
 * again changes nothing. Index files go too: they may tell of what is cut off.
 */
export async function cutFiles(disk: Disk, folder: string, place: Pick<Mark, "segment" | "position">): Promise<void> {
  for (const name of (await disk.list(folder)) ?? []) {
    const firstIndex = parseSegmentName(name);
    if (firstIndex === undefined || firstIndex < place.segment) continue;
    await disk.remove(`${folder}/${indexName(firstIndex)}`);
    if (firstIndex > place.segment) await disk.remove(`${folder}/${name}`);
  }
  // What is gone must not come back: its first batch would follow what is kept.
  await disk.syncFolder(folder);
  const path = `${folder}/${segmentName(place.segment)}`;
  const file = await disk.open(path, { create: false });
  if (!file) throw new DiskError(`${path} is missing, and a cut ends in it`);
  if ((await file.size()) > place.position) await file.truncate(place.position);
  await file.sync();
  await file.close();
}
