import type { Disk } from "../host/disk.ts";
import { indexName, parseSegmentName, segmentName } from "./format.ts";
import type { Mark } from "./group-state.ts";

/**
 * Does to the files what a cut says: those beyond its place go, the one that it ends in is shortened and synced. Doing it
 * again changes nothing. Index files go too: they may tell of what is cut off. False: the file that it ends in is missing.
 */
export async function cutFiles(
  disk: Disk,
  folder: string,
  place: Pick<Mark, "segment" | "position">,
): Promise<boolean> {
  const names = await disk.list(folder);
  if (!names) return false;
  for (const name of names) {
    const firstIndex = parseSegmentName(name);
    if (firstIndex === undefined || firstIndex < place.segment) continue;
    await disk.remove(`${folder}/${indexName(firstIndex)}`);
    if (firstIndex > place.segment) await disk.remove(`${folder}/${name}`);
  }
  // What is gone must not come back: its first batch would follow what is kept.
  await disk.syncFolder(folder);
  const file = await disk.open(`${folder}/${segmentName(place.segment)}`, { create: false });
  if (!file) return false;
  if ((await file.size()) > place.position) await file.truncate(place.position);
  await file.sync();
  await file.close();
  return true;
}
