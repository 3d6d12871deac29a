import * as path from "node:path";
import { DataFolderError } from "../../base/disk-errors.ts";
import type { DiskReads } from "../../host/disk.ts";
import { lockFolderToRead } from "../../host/folder-lock.ts";
import { readOnlyDisk } from "../../host/read-only-disk.ts";

/** A data folder that no node has open, to be read and not changed. */
export interface ReadFolder {
  /** Absolute. */
  readonly path: string;
  readonly disk: DiskReads;
}

/**
 * Lets `work` read a folder, and keeps nodes out of it meanwhile. Nothing in it is changed.
 * @throws {DataFolderError} There is no such folder, or a node has it open.
 */
export async function readingFolder<T>(folder: string, work: (folder: ReadFolder) => Promise<T>): Promise<T> {
  const absolute = path.resolve(folder);
  const disk = readOnlyDisk();
  if ((await disk.list(absolute)) === undefined) {
    throw new DataFolderError(
      `There is no folder ${absolute}`,
      "Name the folder that a node was started on with --data",
    );
  }
  const lock = await lockFolderToRead(absolute);
  if (!lock) {
    throw new DataFolderError(
      `The data folder ${absolute} is in use by a node, which changes it while it is read`,
      "Stop that node first, or look at a copy; what was acknowledged can be proven with --receipt while it runs",
    );
  }
  try {
    return await work({ path: absolute, disk });
  } finally {
    await lock.release();
  }
}
