/**
 * A real disk whose process dies after so many calls that change something: from then on no call takes effect, or returns.
 * @module
 */
import type { Disk, DiskFile, DiskSpace, FolderLock, OpenOptions } from "../../../src/host/disk.ts";
import { nodeDisk } from "../../../src/host/node-disk.ts";

/** See the module's description. */
export class DyingDisk implements Disk {
  /** Resolves when it has died. */
  readonly died: Promise<void>;
  readonly #disk = nodeDisk();
  #callsLeft: number;
  #die: () => void = () => {};

  constructor(calls: number) {
    this.#callsLeft = calls;
    this.died = new Promise((resolve) => {
      this.#die = resolve;
    });
  }

  async open(path: string, options: OpenOptions): Promise<DiskFile | undefined> {
    if (options.create) await this.#step();
    const file = await this.#disk.open(path, options);
    if (!file) return undefined;
    return {
      size: () => file.size(),
      read: (into, at) => file.read(into, at),
      readRecent: (into, at) => file.readRecent(into, at),
      write: (parts, at) => this.#step().then(() => file.write(parts, at)),
      sync: () => this.#step().then(() => file.sync()),
      truncate: (size) => this.#step().then(() => file.truncate(size)),
      close: () => file.close(),
    };
  }

  list(path: string): Promise<string[] | undefined> {
    return this.#disk.list(path);
  }

  async makeFolder(path: string): Promise<void> {
    await this.#step();
    await this.#disk.makeFolder(path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step();
    await this.#disk.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    await this.#step();
    await this.#disk.remove(path);
  }

  async syncFolder(path: string): Promise<void> {
    await this.#step();
    await this.#disk.syncFolder(path);
  }

  space(path: string): Promise<DiskSpace> {
    return this.#disk.space(path);
  }

  lock(path: string): Promise<FolderLock | undefined> {
    return this.#disk.lock(path);
  }

  async #step(): Promise<void> {
    this.#callsLeft -= 1;
    if (this.#callsLeft >= 0) return;
    this.#die();
    await new Promise(() => {});
  }
}
