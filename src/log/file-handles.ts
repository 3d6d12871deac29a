/**
 * Open files, least recently used go first. A file in use stays open: what is written through a handle is synced
 * through the same one, or the system may forget to tell of a failed write (docs/disk.md).
 * @module
 */
import { assert } from "../base/assert.ts";
import type { Disk, DiskFile } from "../host/disk.ts";

interface Entry {
  readonly file: Promise<DiskFile | undefined>;
  uses: number;
}

/** Keeps at most so many files open, beside those in use. */
export class FileHandles {
  readonly #disk: Disk;
  readonly #max: number;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();

  constructor(disk: Disk, max: number) {
    this.#disk = disk;
    this.#max = max;
  }

  /** Runs `work` with the file open; `undefined` is given when it is not there and not to be made. */
  async use<T>(path: string, create: boolean, work: (file: DiskFile | undefined) => Promise<T>): Promise<T> {
    const entry = this.#entries.get(path) ?? { file: this.#disk.open(path, { create }), uses: 0 };
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    entry.uses += 1;
    try {
      const file = await entry.file;
      if (!file) this.#entries.delete(path);
      return await work(file);
    } catch (error) {
      // A failed opening is no handle to keep.
      await entry.file.catch(() => this.#entries.delete(path));
      throw error;
    } finally {
      entry.uses -= 1;
      await this.#closeOldest();
    }
  }

  /** Closes all files below a folder; none is in use. */
  async closeBelow(folder: string): Promise<void> {
    for (const [path, entry] of [...this.#entries]) {
      if (!path.startsWith(`${folder}/`)) continue;
      assert(entry.uses === 0, `${path} is closed while in use`);
      this.#entries.delete(path);
      await (await entry.file)?.close();
    }
  }

  async #closeOldest(): Promise<void> {
    for (const [path, entry] of this.#entries) {
      if (this.#entries.size <= this.#max) return;
      if (entry.uses > 0) continue;
      this.#entries.delete(path);
      await (await entry.file)?.close();
    }
  }
}
