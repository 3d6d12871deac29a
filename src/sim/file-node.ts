/**
 * A file of the simulated disk: what processes see (the cache), and what a power cut leaves (the disk).
 * - A write reaches the cache. Each of its sectors reaches the disk on its own, when a sync says so or whenever it likes.
 * - A sync makes durable what was written before it was called, and nothing that was written after.
 * - A failed one forgets: what it was for is clean from then on, and is on the disk or not.
 * @module
 */
import type { SimRandom } from "./random.ts";

/** Written whole or not at all. */
export const sectorBytes = 512;

/** Most versions of one unsynced sector that are kept: any of them may be what is found after a power cut. */
const versionsMax = 3;

/** A sync that was called and has not returned. */
export interface SyncUnderWay {
  /** First sector and the one after the last, in order. */
  readonly runs: readonly { readonly from: number; readonly to: number }[];
  /** What those sectors held at the call, where they were written again since. */
  readonly contents: Map<number, Uint8Array>;
  readonly older: Map<number, Uint8Array[]>;
  readonly sizes: readonly number[];
  readonly size: number;
}

/** What of a file that was not synced is on the disk after all, where a test decides it. */
export interface FileSurvival {
  /** Whether the newest content of a sector is; "first": what it held first since it was synced. */
  sector(sector: number): boolean | "first";
  /** Whether its size is; "largest": the largest that it had. */
  size(): boolean | "largest";
}

/** What a power cut did to a file. */
export interface Losses {
  readonly unsynced: number;
  readonly lost: number;
}

/** A file, whatever its names. */
export class FileNode {
  readonly kind = "file";
  #cache = new Uint8Array(0);
  #size = 0;
  #disk = new Uint8Array(0);
  #diskSize = 0;
  /** 1 for each sector that was written since it was last given to a sync. */
  #dirty = new Uint8Array(0);
  #dirtyFrom = Number.POSITIVE_INFINITY;
  #dirtyTo = 0;
  /** What dirty sectors held before they were written again. */
  #older = new Map<number, Uint8Array[]>();
  /** Sizes that it had since the last sync. */
  #sizes: number[] = [];
  #syncs: SyncUnderWay[] = [];
  /** Written, or given up by a sync, since the cache was known to be what the disk has. */
  #isTouched = false;
  /** Handles that are open on it, and are told when writing back fails. */
  readonly handles = new Set<{ writeBackFailed: boolean }>();

  get size(): number {
    return this.#size;
  }

  get isDirty(): boolean {
    return this.#dirtyTo > this.#dirtyFrom;
  }

  read(into: Uint8Array, at: number): number {
    const end = Math.min(at + into.length, this.#size);
    if (end <= at) return 0;
    into.set(this.#cache.subarray(at, end));
    return end - at;
  }

  /** Writes parts, one after the other, from `at` on. */
  write(parts: readonly Uint8Array[], at: number): void {
    let end = at;
    for (const { length } of parts) end += length;
    if (end === at) return;
    this.#reserve(end);
    this.#touch(at, end);
    let next = at;
    for (const part of parts) {
      this.#cache.set(part, next);
      next += part.length;
    }
    this.#resize(Math.max(this.#size, end));
  }

  /** Changes bytes in the cache and, where they are there, on the disk, as a disk that goes bad does. */
  spoil(at: number, bytes: Uint8Array): void {
    this.#cache.set(bytes, at);
    if (at + bytes.length <= this.#disk.length) this.#disk.set(bytes, at);
  }

  /** Ends it here, in the cache and on the disk. */
  spoilEnd(size: number): void {
    this.#cache.fill(0, size);
    this.#disk.fill(0, size);
    this.#size = size;
    this.#diskSize = size;
  }

  /** It holds this, in the cache and on the disk. */
  restore(content: Uint8Array): void {
    this.#reserve(content.length);
    this.#persist(0, content);
    this.#cache.set(content);
    this.#size = content.length;
    this.#diskSize = content.length;
  }

  /** What processes see: a copy. */
  content(): Uint8Array {
    return this.#cache.slice(0, this.#size);
  }

  /** Another file, that holds what is on the disk. */
  copyOfDisk(): FileNode {
    const copy = new FileNode();
    copy.restore(this.contentOnDisk());
    return copy;
  }

  /** What is on the disk: a copy. */
  contentOnDisk(): Uint8Array {
    return this.#disk.slice(0, this.#diskSize);
  }

  truncate(size: number): void {
    this.#reserve(size);
    if (size < this.#size) {
      this.#touch(size, this.#size);
      this.#cache.fill(0, size, this.#size);
    }
    this.#resize(size);
  }

  beginSync(): SyncUnderWay {
    const runs: { from: number; to: number }[] = [];
    for (let sector = this.#dirtyFrom; sector < this.#dirtyTo; sector++) {
      if (this.#dirty[sector] !== 1) continue;
      const last = runs.at(-1);
      if (last?.to === sector) last.to += 1;
      else runs.push({ from: sector, to: sector + 1 });
    }
    if (this.isDirty) this.#dirty.fill(0, this.#dirtyFrom, this.#dirtyTo);
    const sync = { runs, contents: new Map(), older: this.#older, sizes: this.#sizes, size: this.#size };
    this.#clean();
    this.#syncs.push(sync);
    return sync;
  }

  /** It returned: what was written before its call is on the disk, also what an earlier one was for. */
  endSync(sync: SyncUnderWay): void {
    const index = this.#syncs.indexOf(sync);
    for (const done of this.#syncs.splice(0, index + 1)) {
      for (const { from, to } of done.runs)
        this.#persist(from, this.#cache.subarray(from * sectorBytes, to * sectorBytes));
      for (const [sector, content] of done.contents) this.#persist(sector, content);
      this.#diskSize = done.size;
    }
  }

  /** It failed: all that is being synced is clean now. Who else syncs the same is not told. */
  failSync(random: SimRandom, survival?: FileSurvival): void {
    for (const failed of this.#syncs.splice(0)) {
      for (const sector of sectorsOf(failed)) {
        const survives = survival ? survival.sector(sector) : random.chance(0.5);
        if (survives) this.#persist(sector, contentOf(failed, sector, this.#cache));
      }
      if (survival ? survival.size() : random.chance(0.5)) this.#diskSize = failed.size;
    }
  }

  /** The system wrote some of it back by itself, and failed: those sectors are clean, and not on the disk. */
  failWriteBack(isLost: () => boolean): void {
    for (let sector = this.#dirtyFrom; sector < this.#dirtyTo; sector++) {
      if (this.#dirty[sector] !== 1 || !isLost()) continue;
      this.#dirty[sector] = 0;
      this.#older.delete(sector);
    }
    for (const handle of this.handles) handle.writeBackFailed = true;
  }

  /** The power goes: what is on the disk is all there is, and what was not synced is there or not, sector by sector. */
  powerCut(random: SimRandom, survival?: FileSurvival): Losses {
    const share = random.pick([0, 1, 0.5, random.fraction()]);
    let [unsynced, lost] = [0, 0];
    const settle = (sector: number, versions: readonly Uint8Array[]) => {
      unsynced += 1;
      const survives = survival ? survival.sector(sector) : random.chance(share);
      if (!survives) {
        lost += 1;
        return;
      }
      // Mostly the newest: the disk had time for the rest.
      const isNewest = survival ? survives !== "first" : random.chance(0.8);
      const newest = versions.length - 1;
      const older = () => (survival ? 0 : random.between(0, newest));
      const content = versions[isNewest ? newest : older()];
      if (content) this.#persist(sector, content);
    };
    const sizes = [this.#diskSize];
    for (const sync of this.#syncs) {
      for (const sector of sectorsOf(sync)) {
        settle(sector, [...(sync.older.get(sector) ?? []), contentOf(sync, sector, this.#cache)]);
      }
      sizes.push(...sync.sizes, sync.size);
    }
    for (let sector = this.#dirtyFrom; sector < this.#dirtyTo; sector++) {
      if (this.#dirty[sector] !== 1) continue;
      settle(sector, [...(this.#older.get(sector) ?? []), sectorOf(this.#cache, sector)]);
    }
    sizes.push(...this.#sizes, this.#size);
    const drawn = sizes[random.between(0, sizes.length - 1)] ?? this.#diskSize;
    const size = survival?.size();
    if (!survival) this.#diskSize = drawn;
    else if (size) this.#diskSize = size === "largest" ? Math.max(...sizes) : this.#size;
    this.#restart();
    return { unsynced, lost };
  }

  /** The cache is what the disk has. */
  #restart(): void {
    this.handles.clear();
    if (!this.#isTouched) return;
    this.#isTouched = false;
    this.#syncs = [];
    this.#dirty.fill(0);
    this.#clean();
    this.#size = this.#diskSize;
    const length = Math.max(this.#disk.length, this.#size);
    if (this.#disk.length < length) this.#disk = grown(this.#disk, length);
    this.#disk.fill(0, this.#size);
    this.#cache = this.#disk.slice();
    if (this.#dirty.length * sectorBytes < length) this.#dirty = grown(this.#dirty, Math.ceil(length / sectorBytes));
  }

  #clean(): void {
    this.#dirtyFrom = Number.POSITIVE_INFINITY;
    this.#dirtyTo = 0;
    this.#older = new Map();
    this.#sizes = [];
  }

  #resize(size: number): void {
    if (size === this.#size) return;
    this.#isTouched = true;
    this.#sizes.push(this.#size);
    this.#size = size;
  }

  /** These bytes are about to change. */
  #touch(from: number, to: number): void {
    this.#isTouched = true;
    const first = Math.floor(from / sectorBytes);
    const end = Math.ceil(to / sectorBytes);
    const watched = this.#syncs.length > 0;
    for (let sector = first; sector < end; sector++) {
      if (this.#dirty[sector] === 1) this.#keepVersion(sector);
      else if (watched) this.#keepForSyncs(sector);
      this.#dirty[sector] = 1;
    }
    this.#dirtyFrom = Math.min(this.#dirtyFrom, first);
    this.#dirtyTo = Math.max(this.#dirtyTo, end);
  }

  #keepVersion(sector: number): void {
    const versions = this.#older.get(sector) ?? [];
    versions.push(sectorOf(this.#cache, sector));
    if (versions.length > versionsMax) versions.shift();
    this.#older.set(sector, versions);
  }

  #keepForSyncs(sector: number): void {
    for (const sync of this.#syncs) {
      const isSynced = sync.runs.some(({ from, to }) => sector >= from && sector < to);
      if (isSynced && !sync.contents.has(sector)) sync.contents.set(sector, sectorOf(this.#cache, sector));
    }
  }

  /** Content of whole sectors, from this one on, reaches the disk. */
  #persist(sector: number, content: Uint8Array): void {
    const at = sector * sectorBytes;
    if (this.#disk.length < at + content.length) this.#disk = grown(this.#disk, at + content.length);
    this.#disk.set(content, at);
  }

  #reserve(bytes: number): void {
    const whole = Math.ceil(bytes / sectorBytes) * sectorBytes;
    if (this.#cache.length >= whole) return;
    this.#cache = grown(this.#cache, whole);
    this.#dirty = grown(this.#dirty, this.#cache.length / sectorBytes);
  }
}

function* sectorsOf(sync: SyncUnderWay): Generator<number> {
  for (const { from, to } of sync.runs) for (let sector = from; sector < to; sector++) yield sector;
}

function contentOf(sync: SyncUnderWay, sector: number, cache: Uint8Array): Uint8Array {
  return sync.contents.get(sector) ?? sectorOf(cache, sector);
}

function sectorOf(bytes: Uint8Array, sector: number): Uint8Array {
  return bytes.slice(sector * sectorBytes, (sector + 1) * sectorBytes);
}

/** A copy with room for `length` or more, a multiple of a sector. */
function grown(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.ceil(Math.max(length, bytes.length * 2, 4096) / sectorBytes) * sectorBytes);
  larger.set(bytes);
  return larger;
}
