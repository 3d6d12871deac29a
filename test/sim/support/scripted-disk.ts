/**
 * A process's disk that a test steps through: it sees each call, and may hold it, refuse it, or act right behind it.
 * @module
 */
import { NoRoomError } from "../../../src/base/disk-errors.ts";
import type { Disk, DiskFile, DiskSpace, FolderLock, OpenOptions } from "../../../src/host/disk.ts";

/** One call of the disk. */
export interface DiskCall {
  readonly name:
    | "open"
    | "read"
    | "write"
    | "sync"
    | "truncate"
    | "close"
    | "remove"
    | "rename"
    | "sync folder"
    | "other";
  readonly path: string;
  /** Where a read or write begins, and how long it is; a truncation's size. */
  readonly at: number;
  readonly bytes: number;
  state: "waiting" | "held" | "under way" | "done" | "failed";
}

/** Which calls. */
export type Match = (call: DiskCall) => boolean;

/** Calls that wait before they take effect, until they are let go. */
export interface Hold {
  /** Those that it caught. */
  readonly held: readonly DiskCall[];
  release(): void;
}

/** The disk, around another. */
export class ScriptedDisk implements Disk {
  /** All calls so far, in order. */
  readonly calls: DiskCall[] = [];
  readonly #inner: Disk;
  readonly #holds = new Map<Hold, { match: Match; held: DiskCall[]; released: Promise<void> }>();
  readonly #refused = new Map<Match, "before" | "behind">();
  readonly #behind = new Map<Match, () => void>();

  constructor(inner: Disk) {
    this.#inner = inner;
  }

  /** Lets calls wait from now on. */
  hold(match: Match): Hold {
    let letGo = () => {};
    const released = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const held: DiskCall[] = [];
    const hold: Hold = {
      held,
      release: () => {
        this.#holds.delete(hold);
        letGo();
      },
    };
    this.#holds.set(hold, { match, held, released });
    return hold;
  }

  /** For such calls there is no room, until the returned function is called. "behind": they have done all the same. */
  refuse(match: Match, when: "before" | "behind" = "before"): () => void {
    this.#refused.set(match, when);
    return () => this.#refused.delete(match);
  }

  /** Acts once, when such a call has taken effect and has not returned. */
  behind(match: Match, act: () => void): void {
    this.#behind.set(match, act);
  }

  /** Calls that were made and are not over. */
  get underWay(): DiskCall[] {
    return this.calls.filter(({ state }) => state !== "done" && state !== "failed");
  }

  open(path: string, options: OpenOptions): Promise<DiskFile | undefined> {
    return this.#call({ name: "open", path }, async () => {
      const file = await this.#inner.open(path, options);
      return file && this.#file(path, file);
    });
  }

  list(path: string): Promise<string[] | undefined> {
    return this.#call({ name: "other", path }, () => this.#inner.list(path));
  }

  makeFolder(path: string): Promise<void> {
    return this.#call({ name: "other", path }, () => this.#inner.makeFolder(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call({ name: "rename", path: from }, () => this.#inner.rename(from, to));
  }

  remove(path: string): Promise<void> {
    return this.#call({ name: "remove", path }, () => this.#inner.remove(path));
  }

  syncFolder(path: string): Promise<void> {
    return this.#call({ name: "sync folder", path }, () => this.#inner.syncFolder(path));
  }

  space(path: string): Promise<DiskSpace> {
    return this.#inner.space(path);
  }

  lock(path: string): Promise<FolderLock | undefined> {
    return this.#inner.lock(path);
  }

  #file(path: string, file: DiskFile): DiskFile {
    const read = (into: Uint8Array, at: number) =>
      this.#call({ name: "read", path, at, bytes: into.length }, () => file.read(into, at));
    return {
      size: () => file.size(),
      read,
      readRecent: read,
      write: (parts, at) => {
        const bytes = parts.reduce((sum, part) => sum + part.length, 0);
        return this.#call({ name: "write", path, at, bytes }, () => file.write(parts, at));
      },
      sync: () => this.#call({ name: "sync", path }, () => file.sync()),
      truncate: (size) => this.#call({ name: "truncate", path, at: size }, () => file.truncate(size)),
      close: () => this.#call({ name: "close", path }, () => file.close()),
    };
  }

  async #call<T>(what: Pick<DiskCall, "name" | "path"> & Partial<DiskCall>, make: () => Promise<T>): Promise<T> {
    const call: DiskCall = { at: 0, bytes: 0, state: "waiting", ...what };
    this.calls.push(call);
    for (const { match, held, released } of [...this.#holds.values()]) {
      if (!match(call)) continue;
      held.push(call);
      call.state = "held";
      await released;
    }
    call.state = "under way";
    try {
      this.#checkRoom(call, "before");
      const answer = await make();
      this.#checkRoom(call, "behind");
      call.state = "done";
      for (const [match, act] of this.#behind) {
        if (!match(call)) continue;
        this.#behind.delete(match);
        act();
      }
      return answer;
    } catch (error) {
      call.state = "failed";
      throw error;
    }
  }

  #checkRoom(call: DiskCall, now: "before" | "behind"): void {
    for (const [match, when] of this.#refused) {
      if (when === now && match(call)) throw new NoRoomError("the test has no room for it", "ENOSPC");
    }
  }
}

/** Calls of this name, of one file or, with a path that ends in "/", of all below a folder. */
export function calls(name: DiskCall["name"], path: string): Match {
  return (call) => call.name === name && (path.endsWith("/") ? call.path.startsWith(path) : call.path === path);
}
