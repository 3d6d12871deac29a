/**
 * A stream's newest batches, which only the journal holds: 16 bytes a batch say where.
 * - Entries are in the order of their indexes, without a gap; the first one's is `startIndex`.
 * - A place is a ring position: number of the journal file times the files' size, plus the position in it.
 * @module
 */
import { assert } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";

const fields = 4;
const saturated = 0xffff_ffff;

/** Where a batch stands. */
export interface TailEntry {
  readonly ringPosition: number;
  readonly bytes: number;
  readonly baseOffset: number;
}

/** The list of a tail. */
export class Tail {
  #startIndex: number;
  /** Per batch: ring position, length, offset and time (milliseconds, saturating) above the origin. */
  #entries = new Uint32Array(0);
  #first = 0;
  #count = 0;
  #bytes = 0;
  #originOffset = 0;
  #originMs = 0;
  /** Indexes of checkpoints among the entries, ascending: flushes end before each. */
  #checkpoints: number[] = [];
  /** Indexes of control batches, checkpoints among them, ascending. */
  #controls: number[] = [];

  constructor(startIndex: number) {
    this.#startIndex = startIndex;
  }

  get startIndex(): number {
    return this.#startIndex;
  }

  get endIndex(): number {
    return this.#startIndex + this.#count;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of its batches. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds the next batch. */
  push(batch: {
    ringPosition: number;
    bytes: number;
    baseOffset: number;
    appendTimeMicros: number;
    kind: BatchKind;
  }): void {
    if (this.#count === 0) {
      this.#originOffset = batch.baseOffset;
      this.#originMs = Math.floor(batch.appendTimeMicros / 1000);
    }
    if (batch.baseOffset - this.#originOffset > saturated) this.#moveOrigin();
    assert(batch.baseOffset - this.#originOffset <= saturated, "a tail has more offsets than a ring has room for");
    this.#reserve();
    const at = (this.#first + this.#count) * fields;
    const { baseOffset, appendTimeMicros } = batch;
    this.#entries[at] = batch.ringPosition;
    this.#entries[at + 1] = batch.bytes;
    this.#entries[at + 2] = baseOffset - this.#originOffset;
    this.#entries[at + 3] = Math.min(Math.floor(appendTimeMicros / 1000) - this.#originMs, saturated);
    if (batch.kind === BatchKind.checkpoint) this.#checkpoints.push(this.endIndex);
    if (batch.kind !== BatchKind.records) this.#controls.push(this.endIndex);
    this.#count += 1;
    this.#bytes += batch.bytes;
  }

  /** The entry of the batch with this index. */
  entry(index: number): TailEntry {
    const at = this.#at(index);
    return {
      ringPosition: this.#entries[at] ?? 0,
      bytes: this.#entries[at + 1] ?? 0,
      baseOffset: this.#originOffset + (this.#entries[at + 2] ?? 0),
    };
  }

  /** The batch with this index is in another place now. */
  move(index: number, ringPosition: number): void {
    this.#entries[this.#at(index)] = ringPosition;
  }

  /** Index of the first batch with a base offset at or above `offset`, or the end. */
  firstAtOffset(offset: number): number {
    return this.#firstWhere(2, offset - this.#originOffset);
  }

  /** Index of the first batch that may have an append time at or after `micros`: none before it has. */
  firstAtTime(micros: number): number {
    return this.#firstWhere(3, Math.min(Math.floor(micros / 1000) - this.#originMs, saturated));
  }

  /** The first checkpoint at or above `index`. */
  checkpointFrom(index: number): number | undefined {
    return this.#checkpoints.find((checkpoint) => checkpoint >= index);
  }

  /** Whether the batch with this index is a checkpoint. */
  isCheckpoint(index: number): boolean {
    return this.#checkpoints.includes(index);
  }

  /** Indexes of all checkpoints, ascending. */
  get checkpoints(): readonly number[] {
    return this.#checkpoints;
  }

  /** Indexes of all control batches, ascending. */
  get controls(): readonly number[] {
    return this.#controls;
  }

  /** Bytes of the batches from one index on and below another. */
  bytesBetween(from: number, below: number): number {
    if (from === this.#startIndex && below === this.endIndex) return this.#bytes;
    let bytes = 0;
    for (let index = from; index < below; index++) bytes += this.entry(index).bytes;
    return bytes;
  }

  /** The newest checkpoint. */
  get lastCheckpoint(): number | undefined {
    return this.#checkpoints.at(-1);
  }

  /** Forgets the batches before `index`: they are in a segment. */
  dropBefore(index: number): void {
    const count = Math.min(Math.max(index - this.#startIndex, 0), this.#count);
    for (let i = this.#startIndex; i < this.#startIndex + count; i++) this.#bytes -= this.entry(i).bytes;
    this.#first += count;
    this.#count -= count;
    this.#startIndex = index;
    this.#checkpoints = this.#checkpoints.filter((checkpoint) => checkpoint >= index);
    this.#controls = this.#controls.filter((control) => control >= index);
    if (this.#count === 0) {
      this.#first = 0;
      if (this.#entries.length > 64 * fields) this.#entries = new Uint32Array(0);
    }
  }

  /** Forgets the batches from `index` on. */
  dropFrom(index: number): void {
    assert(index >= this.#startIndex, `tail cut to ${index}, below its start ${this.#startIndex}`);
    for (let i = index; i < this.endIndex; i++) this.#bytes -= this.entry(i).bytes;
    this.#count = Math.min(this.#count, index - this.#startIndex);
    this.#checkpoints = this.#checkpoints.filter((checkpoint) => checkpoint < index);
    this.#controls = this.#controls.filter((control) => control < index);
  }

  #at(index: number): number {
    assert(index >= this.#startIndex && index < this.endIndex, `batch ${index} is not in the tail`);
    return (this.#first + index - this.#startIndex) * fields;
  }

  #firstWhere(field: number, atLeast: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[(this.#first + middle) * fields + field] ?? 0) < atLeast) low = middle + 1;
      else high = middle;
    }
    return this.#startIndex + low;
  }

  #reserve(): void {
    if ((this.#first + this.#count + 1) * fields <= this.#entries.length) return;
    const live = this.#entries.subarray(this.#first * fields, (this.#first + this.#count) * fields);
    // Moving to the front is enough when half of the room is in front; else the room doubles.
    const roomy = this.#first >= this.#count && this.#first > 0;
    const entries = roomy ? this.#entries : new Uint32Array(Math.max(8 * fields, this.#entries.length * 2));
    if (roomy) entries.copyWithin(0, this.#first * fields, (this.#first + this.#count) * fields);
    else entries.set(live, 0);
    this.#entries = entries;
    this.#first = 0;
  }

  #moveOrigin(): void {
    const shift = this.#entries[this.#first * fields + 2] ?? 0;
    for (let i = this.#first; i < this.#first + this.#count; i++) {
      this.#entries[i * fields + 2] = (this.#entries[i * fields + 2] ?? 0) - shift;
    }
    this.#originOffset += shift;
  }
}
