/**
 * The simulated disk as one process has it. Each call takes effect at one moment and returns at a later one; between the
 * two, and before, the process may be killed.
 * @module
 */
import { assert } from "../base/assert.ts";
import { DiskError } from "../base/disk-errors.ts";
import type { Disk, DiskFile, DiskSpace, FolderLock, OpenOptions } from "../host/disk.ts";
import type { SimDisk } from "./disk.ts";
import { FileNode, type SyncUnderWay } from "./file-node.ts";
import { FolderNode } from "./folder-node.ts";

/** A call that was made and has not taken effect. */
interface Call {
  /** What it does if the process is killed before: all, nothing or a part. */
  readonly killed: () => void;
}

/** How long calls take, milliseconds: from, to. */
const quick: readonly [number, number] = [0.005, 0.2];
const syncing: readonly [number, number] = [0.1, 8];

/** One process. */
export class ProcessDisk implements Disk {
  readonly #disk: SimDisk;
  readonly #calls = new Set<Call>();
  readonly #open = new Set<SimFile>();
  isAlive = true;
  /** Told of each call before it is made: its name, and the path that it is about. */
  onCall: (what: string, path: string) => void = () => {};

  constructor(disk: SimDisk) {
    this.#disk = disk;
  }

  /** Paths of the files that it has open. */
  get openFiles(): string[] {
    return [...this.#open].map(({ path }) => path);
  }

  /** Ends it. */
  kill(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const call of this.#calls) call.killed();
    this.#calls.clear();
    for (const file of this.#open) file.forget();
    this.#open.clear();
  }

  open(path: string, options: OpenOptions): Promise<DiskFile | undefined> {
    return this.call("open", path, quick, () => {
      const found = this.#disk.find(path) ?? (options.create ? this.#disk.makeFile(path) : undefined);
      if (!found) return undefined;
      if (!(found instanceof FileNode)) throw new DiskError(`${path} is a folder`, "EISDIR");
      const file = new SimFile(path, found, this.#disk, this);
      this.#open.add(file);
      return file;
    });
  }

  list(path: string): Promise<string[] | undefined> {
    return this.call("list", path, quick, () => {
      const folder = this.#disk.find(path);
      return folder instanceof FolderNode ? [...folder.names.keys()] : undefined;
    });
  }

  makeFolder(path: string): Promise<void> {
    return this.call("make folder", path, quick, () => this.#disk.makeFolder(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.call(
      "rename",
      from,
      quick,
      () => this.#disk.rename(from, to),
      undefined,
      () => `to ${to}`,
    );
  }

  remove(path: string): Promise<void> {
    return this.call("remove", path, quick, () => this.#disk.remove(path));
  }

  syncFolder(path: string): Promise<void> {
    const folder = this.#disk.find(path);
    const upTo = folder instanceof FolderNode ? folder.beginSync() : 0;
    return this.call("sync folder", path, syncing, () => {
      if (!(folder instanceof FolderNode)) throw new DiskError(`${path}: no such folder`, "ENOENT");
      this.#disk.count("folder sync");
      if (this.#disk.syncFails(path)) throw this.syncFailed(path);
      folder.endSync(upTo);
    });
  }

  space(path: string): Promise<DiskSpace> {
    return this.call("space", path, quick, () => this.#disk.space);
  }

  lock(path: string): Promise<FolderLock | undefined> {
    return this.call("lock", path, quick, () => {
      if (!this.#disk.lock(path, this)) return undefined;
      return {
        release: () => this.call("unlock", path, quick, () => this.#disk.unlock(path)),
      };
    });
  }

  syncFailed(path: string): DiskError {
    this.#disk.count("failed sync");
    this.#disk.trace?.(`the sync of ${path} fails`);
    return new DiskError(`Cannot sync ${path}: simulated`, "EIO");
  }

  closed(file: SimFile): void {
    this.#open.delete(file);
  }

  /** Makes a call: `effect` happens at some moment, the answer comes later. `details`: more about it, for the trace. */
  call<T>(
    what: string,
    path: string,
    durationMs: readonly [number, number],
    effect: () => T,
    killed: () => void = () => this.#halfDone(effect),
    details: () => string = () => "",
  ): Promise<T> {
    const { timeline, random, faults } = this.#disk;
    if (!this.isAlive) return new Promise(() => {});
    this.onCall(what, path);
    if (random.chance(faults.writeBackFails)) this.#disk.failWriteBack();
    const [least, most] = durationMs;
    const takesMs = this.#disk.slowness * least * (most / least) ** random.fraction();
    const call: Call = { killed };
    this.#calls.add(call);
    return new Promise<T>((resolve, reject) => {
      timeline.after(takesMs, () => {
        if (!this.isAlive) return;
        this.#calls.delete(call);
        const { trace } = this.#disk;
        try {
          const answer = effect();
          trace?.(`${what} ${path} ${details()}`);
          resolve(answer);
        } catch (error) {
          trace?.(`${what} ${path} ${details()}: ${error instanceof Error ? error.message : error}`);
          reject(error);
        }
      });
    });
  }

  /** A call that was on its way at a kill has happened or not. */
  #halfDone(effect: () => unknown): void {
    if (!this.#disk.random.chance(0.5)) return;
    try {
      effect();
    } catch {
      // Nobody is there to be told.
    }
  }
}

/** An open file. */
export class SimFile implements DiskFile {
  readonly path: string;
  readonly #node: FileNode;
  readonly #disk: SimDisk;
  readonly #process: ProcessDisk;
  #isOpen = true;
  /** The system's note for this handle; the next sync tells of it. */
  writeBackFailed = false;

  constructor(path: string, node: FileNode, disk: SimDisk, process: ProcessDisk) {
    this.path = path;
    this.#node = node;
    this.#disk = disk;
    this.#process = process;
    node.handles.add(this);
  }

  /** Its process is gone. */
  forget(): void {
    this.#isOpen = false;
    this.#node.handles.delete(this);
  }

  size(): Promise<number> {
    return this.#call("size", quick, () => this.#node.size);
  }

  read(into: Uint8Array, at: number): Promise<number> {
    const details = () => `${into.length} at ${at}`;
    return this.#call("read", quick, () => this.#node.read(into, at), undefined, details);
  }

  readRecent(into: Uint8Array, at: number): Promise<number> {
    return this.read(into, at);
  }

  write(parts: readonly Uint8Array[], at: number): Promise<void> {
    // The bytes are taken when the call takes effect: a caller that changes them meanwhile is caught.
    let total = 0;
    for (const { length } of parts) total += length;
    const effect = () => this.#disk.write(this.#node, this.path, parts, at);
    const part = () => {
      const { random } = this.#disk;
      const some = random.pick([0, total, random.between(0, total)]);
      try {
        this.#disk.write(this.#node, this.path, firstOf(parts, some), at);
      } catch {
        // Nobody is there to be told that there was no room.
      }
    };
    return this.#call("write", quick, effect, part, () => `${total} at ${at}`);
  }

  sync(): Promise<void> {
    const sync: SyncUnderWay = this.#node.beginSync();
    const effect = () => {
      this.#disk.count("sync");
      if (this.writeBackFailed || this.#disk.syncFails(this.path)) {
        this.writeBackFailed = false;
        this.#node.failSync(this.#disk.random, this.#disk.survivalOf(this.path));
        throw this.#process.syncFailed(this.path);
      }
      if (this.#disk.script.syncLies?.(this.path)) this.#node.failSync(this.#disk.random);
      else this.#node.endSync(sync);
    };
    // At a kill what was being synced still is on its way to the disk; a power cut decides.
    return this.#call("sync", syncing, effect, () => {});
  }

  truncate(size: number): Promise<void> {
    const effect = () => this.#disk.truncate(this.#node, size);
    return this.#call("truncate", quick, effect, undefined, () => `to ${size}`);
  }

  close(): Promise<void> {
    assert(this.#isOpen, `${this.path} is closed twice`);
    return this.#call("close", quick, () => {
      this.forget();
      this.#process.closed(this);
    });
  }

  #call<T>(
    what: string,
    durationMs: readonly [number, number],
    effect: () => T,
    killed?: () => void,
    details?: () => string,
  ): Promise<T> {
    // A kill closes all; what the dead still ask for is never answered.
    assert(this.#isOpen || !this.#process.isAlive, `${this.path} is used after close`);
    return this.#process.call(what, this.path, durationMs, effect, killed, details);
  }
}

/** The first bytes of parts that come one after the other. */
export function firstOf(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const first: Uint8Array[] = [];
  let left = bytes;
  for (const part of parts) {
    if (left <= 0) break;
    first.push(part.subarray(0, left));
    left -= part.length;
  }
  return first;
}
