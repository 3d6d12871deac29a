import type { Disk } from "../host/disk.ts";
import type { SyncCounts } from "./types.ts";

/** Syncs of folders: who asks while one of the same folder runs shares the next. */
export class FolderSyncs {
  readonly #disk: Disk;
  readonly #counts: SyncCounts;
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Promise<void>>();

  constructor(disk: Disk, counts: SyncCounts) {
    this.#disk = disk;
    this.#counts = counts;
  }

  /** Makes durable what a folder has now. */
  sync(path: string): Promise<void> {
    const running = this.#running.get(path);
    if (!running) return this.#start(path);
    // The one that runs may have begun before what the caller did: only the next one counts for it.
    const next =
      this.#next.get(path) ??
      running
        .catch(() => {})
        .then(() => {
          this.#next.delete(path);
          return this.#start(path);
        });
    this.#next.set(path, next);
    return next;
  }

  #start(path: string): Promise<void> {
    this.#counts.folder += 1;
    const sync = this.#disk.syncFolder(path).finally(() => {
      if (this.#running.get(path) === sync) this.#running.delete(path);
    });
    this.#running.set(path, sync);
    return sync;
  }
}
