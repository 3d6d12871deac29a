/**
 * A disk whose answers reach a process only while it runs.
 * @module
 */
import type { Disk, DiskFile } from "../../host/disk.ts";
import type { ProcessClock } from "./process-clock.ts";

/** The same disk, for a process that may be paused. */
export function pausedDisk(disk: Disk, clock: ProcessClock): Disk {
  const gate = <T>(work: Promise<T>) => gated(work, clock);
  return {
    open: async (path, options) => {
      const file = await gate(disk.open(path, options));
      return file && pausedFile(file, clock);
    },
    list: (path) => gate(disk.list(path)),
    makeFolder: (path) => gate(disk.makeFolder(path)),
    rename: (from, to) => gate(disk.rename(from, to)),
    remove: (path) => gate(disk.remove(path)),
    syncFolder: (path) => gate(disk.syncFolder(path)),
    space: (path) => gate(disk.space(path)),
    lock: (path) => gate(disk.lock(path)),
  };
}

function pausedFile(file: DiskFile, clock: ProcessClock): DiskFile {
  const gate = <T>(work: Promise<T>) => gated(work, clock);
  return {
    size: () => gate(file.size()),
    read: (into, at) => gate(file.read(into, at)),
    readRecent: (into, at) => gate(file.readRecent(into, at)),
    write: (parts, at) => gate(file.write(parts, at)),
    sync: () => gate(file.sync()),
    truncate: (size) => gate(file.truncate(size)),
    close: () => gate(file.close()),
  };
}

async function gated<T>(work: Promise<T>, clock: ProcessClock): Promise<T> {
  try {
    return await work;
  } finally {
    for (let running = clock.running(); running; running = clock.running()) await running;
  }
}
