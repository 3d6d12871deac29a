import * as fs from "node:fs";
import { assert } from "../base/assert.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import type { DiskFile } from "./disk.ts";
import { diskFailure, syncFailure } from "./system-errors.ts";

/**
 * Writes up to this many bytes are made on the calling thread: copying them to the page cache takes less time than a
 * thread hop does, and cannot queue behind syncs, for which the runtimes have only a few threads.
 */
export const syncWriteMaxBytes = 64 << 10;

/** Most parts that Linux takes in one call (IOV_MAX). */
const partsMax = 1024;

/**
 * Opens a file or folder. The number alone is no `FileHandle`: the runtimes close one of those that nobody refers to,
 * and with it would go its lock.
 */
export function openDescriptor(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, flags, 0o666, (error, fd) => (error ? reject(error) : resolve(fd)));
  });
}

/**
 * One open file by its descriptor.
 * - `close` waits for the calls that are on their way: a descriptor's number is given to the next file at once, and a
 *   late write would land there.
 * - A call after `close` is a bug of the caller.
 */
export class NodeFile implements DiskFile {
  readonly #path: string;
  readonly #fd: number;
  #inFlight = 0;
  #open = true;
  #onIdle: (() => void) | undefined;

  constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  async size(): Promise<number> {
    const stats = await this.#call<fs.Stats>((done) => fs.fstat(this.#fd, done)).catch((error) => {
      throw diskFailure("Cannot stat", this.#path, error);
    });
    return stats.size;
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      const [from, length] = [filled, into.length - filled];
      const count = await this.#call<number>((done) =>
        fs.read(this.#fd, into, from, length, at + from, (error, bytes) => done(error, bytes)),
      ).catch((error) => {
        throw diskFailure("Cannot read", this.#path, error);
      });
      if (count === 0) break;
      filled += count;
    }
    return filled;
  }

  async readRecent(into: Uint8Array, at: number): Promise<number> {
    assert(this.#open, `${this.#path} is used after close`);
    let filled = 0;
    try {
      while (filled < into.length) {
        const count = fs.readSync(this.#fd, into, filled, into.length - filled, at + filled);
        if (count === 0) break;
        filled += count;
      }
    } catch (error) {
      throw diskFailure("Cannot read", this.#path, error);
    }
    return filled;
  }

  async write(parts: readonly Uint8Array[], at: number): Promise<void> {
    let total = 0;
    for (const part of parts) total += part.length;
    const onThisThread = total <= syncWriteMaxBytes;
    let rest = parts;
    let position = at;
    const end = at + total;
    while (position < end) {
      const some = rest.length > partsMax ? rest.slice(0, partsMax) : rest;
      const written = onThisThread ? this.#writeHere(some, position) : await this.#writeAside(some, position);
      // A call may write less than it was given, at a limit or in a full volume; the next one says why.
      if (written === 0) throw new NoRoomError(`Cannot write to ${this.#path}: the system took no byte more`);
      position += written;
      if (position < end) rest = after(rest, written);
    }
    assert(position === end, `${this.#path}: wrote beyond what was asked`);
  }

  async sync(): Promise<void> {
    await this.#call<void>((done) => fs.fdatasync(this.#fd, done)).catch((error) => {
      throw syncFailure(this.#path, error);
    });
  }

  async truncate(size: number): Promise<void> {
    await this.#call<void>((done) => fs.ftruncate(this.#fd, size, done)).catch((error) => {
      throw diskFailure("Cannot cut", this.#path, error);
    });
  }

  async close(): Promise<void> {
    assert(this.#open, `${this.#path} is closed twice`);
    this.#open = false;
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await new Promise<void>((resolve, reject) => {
      fs.close(this.#fd, (error) => (error ? reject(diskFailure("Cannot close", this.#path, error)) : resolve()));
    });
  }

  #writeHere(parts: readonly Uint8Array[], at: number): number {
    assert(this.#open, `${this.#path} is used after close`);
    try {
      const [only] = parts;
      if (parts.length === 1 && only !== undefined) return fs.writeSync(this.#fd, only, 0, only.length, at);
      return fs.writevSync(this.#fd, parts, at);
    } catch (error) {
      throw diskFailure("Cannot write to", this.#path, error);
    }
  }

  #writeAside(parts: readonly Uint8Array[], at: number): Promise<number> {
    return this.#call<number>((done) => fs.writev(this.#fd, parts, at, (error, written) => done(error, written))).catch(
      (error) => {
        throw diskFailure("Cannot write to", this.#path, error);
      },
    );
  }

  /** Runs one call of the thread pool, counted as on its way. */
  #call<T>(start: (done: (error: Error | null | undefined, value: T) => void) => void): Promise<T> {
    assert(this.#open, `${this.#path} is used after close`);
    this.#inFlight += 1;
    return new Promise<T>((resolve, reject) => {
      start((error, value) => {
        this.#inFlight -= 1;
        if (this.#inFlight === 0) this.#onIdle?.();
        if (error) reject(error);
        else resolve(value);
      });
    });
  }
}

/** What remains of `parts` after their first `count` bytes. */
function after(parts: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let left = count;
  const index = parts.findIndex((part) => {
    if (part.length > left) return true;
    left -= part.length;
    return false;
  });
  assert(index >= 0, "nothing remains");
  return parts.slice(index).map((part, at) => (at === 0 ? part.subarray(left) : part));
}
