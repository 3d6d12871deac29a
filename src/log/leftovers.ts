/**
 * Files that no record calls for.
 * @module
 */
import { NoRoomError } from "../base/disk-errors.ts";
import type { Disk } from "../host/disk.ts";

/** Drops a group's folder, aside in `leftover/` if there is room for that: so it is gone from here at once. */
export async function moveAside(disk: Disk, path: string, group: number): Promise<void> {
  await move(disk, path, `${path}/groups/${group}`, `${group}`);
}

/** The same with the folder of one of its logs. */
export async function moveLogAside(disk: Disk, path: string, group: number, logNumber: number): Promise<void> {
  await move(disk, path, `${path}/groups/${group}/${logNumber}`, `${group}-${logNumber}`);
}

async function move(disk: Disk, path: string, folder: string, name: string): Promise<void> {
  const aside = `${path}/leftover/${name}`;
  try {
    if (!(await disk.list(folder))) return;
    await disk.makeFolder(`${path}/leftover`);
    await disk.rename(folder, aside);
    await disk.remove(aside);
  } catch (error) {
    if (!(error instanceof NoRoomError)) throw error;
    await disk.remove(folder);
  }
}

/** Drops what is not called for. What is not named as a group is somebody else's, and stays. */
export async function removeLeftovers(
  disk: Disk,
  path: string,
  isCalledFor: (group: number) => boolean,
): Promise<void> {
  await disk.remove(`${path}/leftover`);
  for (const name of (await disk.list(`${path}/groups`)) ?? []) {
    if (/^\d+$/.test(name) && !isCalledFor(Number(name))) await disk.remove(`${path}/groups/${name}`);
  }
}
