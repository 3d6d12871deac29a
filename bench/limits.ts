/**
 * What this machine's disk can do at this moment: the measure for everything else in a run.
 * @module
 */
import fs from "node:fs";
import { promisify } from "node:util";

const fdatasync = promisify(fs.fdatasync);

/** The disk's own speed. */
export interface DiskLimits {
  /** 4 KiB appends, each synced, one after the other. */
  readonly syncsPerSecond: number;
  /** 1 MiB appends, each synced, one after the other. */
  readonly megabytesPerSecond: number;
}

/** Measures for about `seconds` in a file of its own in `folder`. */
export async function measureDisk(folder: string, seconds = 2): Promise<DiskLimits> {
  return {
    syncsPerSecond: await syncedWrites(`${folder}/limit-small`, 4096, seconds / 2),
    megabytesPerSecond: (await syncedWrites(`${folder}/limit-large`, 1 << 20, seconds / 2)) * 1.048576,
  };
}

async function syncedWrites(path: string, bytes: number, seconds: number): Promise<number> {
  const fd = fs.openSync(path, "w");
  const block = Buffer.alloc(bytes, 7);
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < seconds * 1000) {
    fs.writeSync(fd, block);
    await fdatasync(fd);
    count += 1;
  }
  const perSecond = (count * 1000) / (performance.now() - start);
  fs.closeSync(fd);
  fs.rmSync(path);
  return perSecond;
}
