/**
 * A segment's sparse index: for about every 4 KiB of store, the batch that stands there; and which batches are control
 * batches, so that who wants only those need not look at all. Losing it costs a scan.
 * In memory it has the bytes of its file, so that writing and reading the file is one copy.
 * @module
 */
import { getU64, putU32, putU64, sameBytes, viewOf } from "../base/bytes.ts";
import type { Hash } from "../host/hash.ts";
import { indexFile as at } from "./format.ts";

/** A batch that the index knows. */
export interface IndexEntry {
  readonly baseOffset: number;
  readonly index: number;
  readonly appendTimeMicros: number;
  /** Where it stands in the segment's file. */
  readonly position: number;
}

/** A batch that is noted. */
export interface IndexedBatch extends IndexEntry {
  /** Whether it has no records. */
  readonly isControl: boolean;
}

/** Which of an entry's numbers to search by. */
export type IndexKey = "baseOffset" | "index" | "appendTimeMicros" | "position";

const keyAt: Record<IndexKey, number> = {
  baseOffset: at.entryOffsetAt,
  index: at.entryIndexAt,
  appendTimeMicros: at.entryTimeAt,
  position: at.entryPositionAt,
};

/** The index of one segment; entries come in the order of their positions. */
export class SegmentIndex {
  #bytes = new Uint8Array(4 * at.entryBytes);
  #view = viewOf(this.#bytes);
  #count = 0;
  /** Indexes of control batches, ascending. */
  #controls: number[] = [];

  get count(): number {
    return this.#count;
  }

  /** Memory that it takes. */
  get memoryBytes(): number {
    return this.#bytes.length + this.#controls.length * at.controlBytes;
  }

  /** Indexes of its control batches, ascending. */
  get controls(): readonly number[] {
    return this.#controls;
  }

  /** Notes a batch; kept only if the last one kept is 4 KiB before it. A control batch is kept in any case. */
  add({ isControl, ...entry }: IndexedBatch): void {
    // The last one kept is met again by who goes on from it.
    if (isControl && (this.#controls.at(-1) ?? -1) < entry.index) this.#controls.push(entry.index);
    const last = this.#count > 0 ? this.#read(this.#count - 1, "position") : -at.interval;
    if (entry.position - last < at.interval) return;
    if ((this.#count + 1) * at.entryBytes > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = viewOf(grown);
    }
    const start = this.#count * at.entryBytes;
    putU64(this.#bytes, start + at.entryOffsetAt, entry.baseOffset);
    putU64(this.#bytes, start + at.entryIndexAt, entry.index);
    putU64(this.#bytes, start + at.entryTimeAt, entry.appendTimeMicros);
    putU64(this.#bytes, start + at.entryPositionAt, entry.position);
    this.#count += 1;
  }

  /** The last entry. */
  last(): IndexEntry | undefined {
    if (this.#count === 0) return undefined;
    const entry = this.#count - 1;
    return {
      baseOffset: this.#read(entry, "baseOffset"),
      index: this.#read(entry, "index"),
      appendTimeMicros: this.#read(entry, "appendTimeMicros"),
      position: this.#read(entry, "position"),
    };
  }

  /** Position of the last entry whose `key` is below `value`, else 0: what is looked for stands there or later. */
  positionBelow(key: IndexKey, value: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#read(middle, key) < value) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.#read(low - 1, "position");
  }

  /** Whether another, of all batches of the segment, says the same of those that this one knows. */
  isPartOf(all: SegmentIndex): boolean {
    const bytes = this.#count * at.entryBytes;
    const last = this.last()?.index ?? -1;
    const controls = all.#controls.filter((control) => control < last);
    return (
      this.#count <= all.#count &&
      sameBytes(this.#bytes.subarray(0, bytes), all.#bytes.subarray(0, bytes)) &&
      controls.length === this.#controls.length &&
      controls.every((control, i) => control === this.#controls[i])
    );
  }

  /** The index file's bytes. */
  toFile(group: number, segment: number, hash: Hash): Uint8Array {
    const controlsAt = at.headerBytes + this.#count * at.entryBytes;
    const file = new Uint8Array(controlsAt + this.#controls.length * at.controlBytes);
    putU32(file, at.magicAt, at.magic);
    putU32(file, at.versionAt, at.version);
    putU64(file, at.groupAt, group);
    putU64(file, at.segmentAt, segment);
    putU64(file, at.countAt, this.#count);
    putU32(file, at.controlsAt, this.#controls.length);
    for (const [i, index] of this.#controls.entries()) putU64(file, controlsAt + i * at.controlBytes, index);
    file.set(this.#bytes.subarray(0, this.#count * at.entryBytes), at.headerBytes);
    putU32(file, at.crcAt, hash.crc32(file.subarray(at.magicAt)));
    return file;
  }

  /**
   * Reads an index file's bytes; `undefined`: it is not this segment's, or not whole. Nothing in it is believed then.
   * @param storeBytes Length of the store: an entry beyond it can't be.
   */
  static fromFile(
    file: Uint8Array,
    of: { group: number; segment: number; storeBytes: number },
    hash: Hash,
  ): SegmentIndex | undefined {
    if (file.length < at.headerBytes) return undefined;
    const view = viewOf(file);
    const count = getU64(view, at.countAt);
    const controls = view.getUint32(at.controlsAt, true);
    const controlsAt = at.headerBytes + count * at.entryBytes;
    const whole =
      view.getUint32(at.magicAt, true) === at.magic &&
      view.getUint32(at.versionAt, true) === at.version &&
      getU64(view, at.groupAt) === of.group &&
      getU64(view, at.segmentAt) === of.segment &&
      file.length === controlsAt + controls * at.controlBytes &&
      view.getUint32(at.crcAt, true) === hash.crc32(file.subarray(at.magicAt));
    if (!whole) return undefined;
    const index = new SegmentIndex();
    index.#bytes = new Uint8Array(Math.max(count, 4) * at.entryBytes);
    index.#bytes.set(file.subarray(at.headerBytes, controlsAt));
    index.#view = viewOf(index.#bytes);
    index.#count = count;
    const last = index.last();
    if (last !== undefined && last.position >= of.storeBytes) return undefined;
    // What stands from the last entry on may be other batches by now, and is read again.
    for (let i = 0; i < controls; i++) {
      const control = getU64(view, controlsAt + i * at.controlBytes);
      if (last !== undefined && control < last.index) index.#controls.push(control);
    }
    return index;
  }

  #read(entry: number, key: IndexKey): number {
    return getU64(this.#view, entry * at.entryBytes + keyAt[key]);
  }
}
