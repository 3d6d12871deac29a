/**
 * Open files, least recently used go first. A file in use stays open: what is written through a handle is synced
 * through the same one, or the system may forget to tell of a failed write (docs/disk.md).
 * @module
 */
import type { Disk, DiskFile } from "../host/disk.ts";

interface Entry {
  readonly path: string;
  readonly file: Promise<DiskFile | undefined>;
  uses: number;
  /** Told when nobody uses it any more. */
  onUnused: () => void;
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
    let entry = this.#take(path, create);
    try {
      let file = await this.#opened(entry);
      if (!file && create) {
        // Somebody else had just found that it is not there.
        this.#giveBack(entry);
        entry = this.#take(path, create);
        file = await this.#opened(entry);
      }
      return await work(file);
    } finally {
      this.#giveBack(entry);
      await this.#closeOldest();
    }
  }

  /** Closes a file, when those who use it are done. */
  async close(path: string): Promise<void> {
    const entry = this.#entries.get(path);
    if (entry) await this.#close(entry);
  }

  /** Closes all files below a folder, when those who use them are done. */
  async closeBelow(folder: string): Promise<void> {
    for (const [path, entry] of [...this.#entries]) {
      if (path.startsWith(`${folder}/`)) await this.#close(entry);
    }
  }

  #take(path: string, create: boolean): Entry {
    const entry = this.#entries.get(path) ?? {
      path,
      file: this.#disk.open(path, { create }),
      uses: 0,
      onUnused: () => {},
    };
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    entry.uses += 1;
    return entry;
  }

  #giveBack(entry: Entry): void {
    entry.uses -= 1;
    if (entry.uses === 0) entry.onUnused();
  }

  /** A file that is not there, or could not be opened, is no handle to keep. */
  async #opened(entry: Entry): Promise<DiskFile | undefined> {
    let file: DiskFile | undefined;
    try {
      file = await entry.file;
      return file;
    } finally {
      if (!file) this.#forget(entry);
    }
  }

  #forget(entry: Entry): void {
    if (this.#entries.get(entry.path) === entry) this.#entries.delete(entry.path);
  }

  async #closeOldest(): Promise<void> {
    for (const entry of this.#entries.values()) {
      if (this.#entries.size <= this.#max) return;
      if (entry.uses === 0) await this.#close(entry);
    }
  }

  async #close(entry: Entry): Promise<void> {
    if (this.#entries.get(entry.path) !== entry) return;
    this.#forget(entry);
    if (entry.uses > 0) {
      await new Promise<void>((resolve) => {
        entry.onUnused = resolve;
      });
    }
    const file = await entry.file.catch(() => undefined);
    await file?.close();
  }
}
