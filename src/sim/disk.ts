/**
 * A disk in memory that breaks, from a seed, all that docs/disk.md does not promise.
 * - Processes use it through `attach`; each call takes effect, and returns, at moments of its own.
 * - A kill ends a process: what it had written stays visible, calls on their way have happened, in part, or not.
 * - A power cut ends all: what was not synced is there or not, sector by sector and name by name.
 * @module
 */
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import type { Disk, DiskSpace } from "../host/disk.ts";
import type { Hash } from "../host/hash.ts";
import { FileNode, type FileSurvival } from "./file-node.ts";
import { FolderNode, nodesBelow } from "./folder-node.ts";
import { firstOf, ProcessDisk } from "./process-disk.ts";
import type { SimRandom } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** What goes wrong, and how often: likelihoods by call. */
export interface DiskFaults {
  readonly syncFails: number;
  /** The system writes back by itself, and fails, before a call. */
  readonly writeBackFails: number;
  /** Overwriting needs room too, as on a copy-on-write file system. */
  readonly copyOnWrite: boolean;
}

/** What a test decides in place of luck. What it leaves out is drawn. */
export interface DiskScript {
  /** Whether this sync fails. */
  readonly syncFails?: (path: string) => boolean;
  /** Whether this sync of a file returns as if all were well, and has done nothing: no disk that may be called one does. */
  readonly syncLies?: (path: string) => boolean;
  /** Which of what was not synced is on the disk after a power cut or a failed sync. */
  readonly survives?: {
    /** The newest content of a sector; "first": what it held first since it was synced. */
    sector(path: string, sector: number): boolean | "first";
    /** The newest size; "largest": the largest that it had. */
    size(path: string): boolean | "largest";
    /** A name that was given, or taken away. */
    name(path: string, isGiven: boolean): boolean;
  };
}

/** Counts of what was done and what went wrong, by name. */
export type Tally = Map<string, number>;

const blockBytes = 4096;

/** The volume. */
export class SimDisk {
  readonly timeline: Timeline;
  /** Decides what becomes of each call; a run may change it. */
  random: SimRandom;
  readonly tally: Tally;
  /** Room of the whole volume; a run may change it. */
  totalBytes: number;
  /** How many times longer than usual each call takes. */
  slowness = 1;
  faults: DiskFaults = { syncFails: 0, writeBackFails: 0, copyOnWrite: false };
  script: DiskScript = {};
  /** Told of each call, and of what broke. */
  trace: ((line: string) => void) | undefined;
  /** Told of what is about to be written. */
  onWrite: ((path: string, parts: readonly Uint8Array[], at: number) => void) | undefined;
  #root = new FolderNode();
  readonly #processes = new Set<ProcessDisk>();
  readonly #locks = new Map<string, ProcessDisk>();
  #usedBytes = 0;

  constructor(options: { timeline: Timeline; random: SimRandom; totalBytes: number; tally: Tally }) {
    this.timeline = options.timeline;
    this.random = options.random;
    this.totalBytes = options.totalBytes;
    this.tally = options.tally;
  }

  /** A process begins. */
  attach(): Disk & Pick<ProcessDisk, "kill" | "isAlive" | "openFiles" | "onCall"> {
    const process = new ProcessDisk(this);
    this.#processes.add(process);
    return process;
  }

  /** Ends all processes, and forgets what was not on the disk. */
  powerCut(): void {
    for (const process of this.#processes) process.kill();
    let [unsynced, lost] = [0, 0];
    // A folder that comes back, or loses its names, decides what is below it.
    const { survives } = this.script;
    for (const { path, node } of nodesBelow(this.#root)) {
      if (!(node instanceof FolderNode)) continue;
      node.powerCut(this.random, survives && ((name, isGiven) => survives.name(`${path}/${name}`, isGiven)));
    }
    const seen = new Set<FileNode>();
    for (const { path, node } of nodesBelow(this.#root)) {
      if (!(node instanceof FileNode) || seen.has(node)) continue;
      seen.add(node);
      const losses = node.powerCut(this.random, this.survivalOf(path));
      unsynced += losses.unsynced;
      lost += losses.lost;
    }
    this.count(lost > 0 ? "power cut that lost sectors" : "power cut");
    this.trace?.(`the power goes: ${lost} of ${unsynced} unsynced sectors are lost`);
    this.#recount();
  }

  /** A copy of what is on the disk now, as a power cut would leave it at the least: how it was, to be put back later. */
  image(): FolderNode {
    return this.#root.copyOfDisk();
  }

  /** Ends all processes; the disk is what it was when the copy was made. */
  putBack(image: FolderNode): void {
    for (const process of this.#processes) process.kill();
    this.#root = image.copyOfDisk();
    this.#recount();
    this.trace?.("an old copy of the disk is put back");
  }

  /** Whether a sync of this file or folder fails. */
  syncFails(path: string): boolean {
    return this.script.syncFails ? this.script.syncFails(path) : this.random.chance(this.faults.syncFails);
  }

  /** What of a file survives, where a test decides it. */
  survivalOf(path: string): FileSurvival | undefined {
    const { survives } = this.script;
    return survives && { sector: (sector) => survives.sector(path, sector), size: () => survives.size(path) };
  }

  count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
  }

  /** All files, in the order of their paths. */
  files(): { path: string; node: FileNode }[] {
    const files: { path: string; node: FileNode }[] = [];
    for (const { path, node } of nodesBelow(this.#root)) if (node instanceof FileNode) files.push({ path, node });
    return files.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Stands for all that is on it: paths, what processes see, and what a power cut now would leave at the least. */
  fingerprint(hash: Hash): string {
    const digest = new Uint8Array(32);
    for (const { path, node } of this.files()) {
      hash.sha256Into([digest, new TextEncoder().encode(path), node.content(), node.contentOnDisk()], digest, 0);
    }
    return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  get space(): DiskSpace {
    return { freeBytes: Math.max(this.totalBytes - this.#usedBytes, 0), totalBytes: this.totalBytes };
  }

  /** The node with this path, if there is one. */
  find(path: string): FileNode | FolderNode | undefined {
    let node: FileNode | FolderNode | undefined = this.#root;
    for (const name of partsOf(path)) node = node instanceof FolderNode ? node.names.get(name) : undefined;
    return node;
  }

  /** The folder above a path. @throws {DiskError} It is not there. */
  above(path: string): { folder: FolderNode; name: string } {
    const parts = partsOf(path);
    const name = parts.pop() ?? "";
    const folder = this.find(`/${parts.join("/")}`);
    if (!(folder instanceof FolderNode)) throw new DiskError(`${path}: no such folder`, "ENOENT");
    return { folder, name };
  }

  makeFolder(path: string): void {
    const parts = partsOf(path);
    for (let depth = 1; depth <= parts.length; depth++) {
      const { folder, name } = this.above(`/${parts.slice(0, depth).join("/")}`);
      if (folder.names.has(name)) continue;
      this.takeRoom(blockBytes, path);
      folder.set(name, new FolderNode());
    }
  }

  makeFile(path: string): FileNode {
    const { folder, name } = this.above(path);
    this.takeRoom(0, path);
    const file = new FileNode();
    folder.set(name, file);
    return file;
  }

  rename(from: string, to: string): void {
    const source = this.above(from);
    const node = source.folder.names.get(source.name);
    if (!node) throw new DiskError(`${from}: not there`, "ENOENT");
    const target = this.above(to);
    const old = target.folder.names.get(target.name);
    if (old instanceof FolderNode && old.names.size > 0) throw new DiskError(`${to}: not empty`, "ENOTEMPTY");
    this.takeRoom(0, to);
    target.folder.set(target.name, node);
    source.folder.set(source.name, undefined);
    this.#recount();
  }

  remove(path: string): void {
    const node = this.find(path);
    if (!node) return;
    if (node instanceof FolderNode) for (const name of [...node.names.keys()]) this.remove(`${path}/${name}`);
    const { folder, name } = this.above(path);
    folder.set(name, undefined);
    this.#recount();
  }

  /** Writes as much as there is room for. @throws {NoRoomError} Not all of it. */
  write(file: FileNode, path: string, parts: readonly Uint8Array[], at: number): void {
    this.onWrite?.(path, parts, at);
    let length = 0;
    for (const part of parts) length += part.length;
    const free = this.space.freeBytes;
    const needed = blocks(Math.max(file.size, at + length)) - blocks(file.size);
    const room = this.faults.copyOnWrite ? Math.min(free, free + needed - length) : free - needed;
    if (room >= 0) {
      file.write(parts, at);
      this.#usedBytes += needed;
      return;
    }
    const fit = Math.max(Math.min(length, blocks(file.size) + (free - (free % blockBytes)) - at), 0);
    const before = blocks(file.size);
    file.write(firstOf(parts, this.faults.copyOnWrite ? this.random.between(0, fit) : fit), at);
    this.#usedBytes += blocks(file.size) - before;
    this.count("write without room");
    throw new NoRoomError("no space left on the simulated disk", "ENOSPC");
  }

  truncate(file: FileNode, size: number): void {
    this.#usedBytes += blocks(size) - blocks(file.size);
    file.truncate(size);
  }

  lock(path: string, process: ProcessDisk): boolean {
    const holder = this.#locks.get(path);
    if (holder?.isAlive) return false;
    this.#locks.set(path, process);
    return true;
  }

  unlock(path: string): void {
    this.#locks.delete(path);
  }

  /** @throws {NoRoomError} The volume is full. */
  takeRoom(bytes: number, path: string): void {
    if (this.space.freeBytes < Math.max(bytes, 1)) throw new NoRoomError(`${path}: no space left`, "ENOSPC");
    this.#usedBytes += bytes;
  }

  /** Some dirty pages of a file are lost in writing back: of one that is drawn, or all of the one with this path. */
  failWriteBack(only?: string): void {
    const dirty = [...nodesBelow(this.#root)].filter(({ path, node }) => {
      return node instanceof FileNode && node.isDirty && (only === undefined || path === only);
    });
    const [first, ...rest] = dirty;
    if (!first) return;
    const { path, node } = this.random.pick([first, ...rest]);
    if (!(node instanceof FileNode)) return;
    node.failWriteBack(() => only !== undefined || !this.random.chance(0.5));
    this.count(node.handles.size > 0 ? "writing back failed" : "writing back failed with nobody to tell");
    this.trace?.(`writing back ${path} fails`);
  }

  #recount(): void {
    this.#usedBytes = 0;
    for (const { node } of nodesBelow(this.#root)) {
      this.#usedBytes += node instanceof FileNode ? blocks(node.size) : blockBytes;
    }
  }
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}

function blocks(bytes: number): number {
  return Math.ceil(bytes / blockBytes) * blockBytes;
}
