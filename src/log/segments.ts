/**
 * The segments of one log: which one holds a batch, and which one grows.
 * - Segments touch: each begins with the checkpoint that ended the one before.
 * - Only the last one grows; the others are sealed and never written again.
 * @module
 */
import { present } from "../base/assert.ts";
import type { BatchHeader, StoredBatch } from "../base/batch.ts";
import type { TailraceError } from "../base/errors.ts";
import { isDamage, missingIn, Segment, type SegmentContext } from "./segment.ts";
import type { IndexKey } from "./segment-index.ts";

/** What to look for: the first batch that is `wanted`; all before it have a smaller `key` than `value`. */
export interface Wanted {
  readonly key: Exclude<IndexKey, "position">;
  readonly value: number;
  readonly wanted: (batch: {
    index: number;
    baseOffset: number;
    recordCount: number;
    appendTimeMicros: number;
  }) => boolean;
}

/** All segments of a log, in order. */
export class Segments {
  readonly #group: number;
  #folder: string;
  readonly #context: SegmentContext;
  #segments: Segment[] = [];

  /** `found`: first index and size of each segment that is there, in order. */
  constructor(
    group: number,
    folder: string,
    found: readonly { firstIndex: number; sizeBytes: number }[],
    context: SegmentContext,
  ) {
    this.#group = group;
    this.#folder = folder;
    this.#context = context;
    this.restart(folder, found);
  }

  /** Other files in another folder take their place. */
  restart(folder: string, found: readonly { firstIndex: number; sizeBytes: number }[]): void {
    const group = this.#group;
    this.leave();
    this.#folder = folder;
    this.#segments = found.map((segment) => new Segment(folder, { group, ...segment }, this.#context));
    for (const segment of this.#segments.slice(0, -1)) segment.active = false;
  }

  /** The log has none of them any more. */
  leave(): void {
    for (const segment of this.#segments) segment.leave();
  }

  /** Folder of the files. */
  get folder(): string {
    return this.#folder;
  }

  /** The one that grows; none before the first flush. */
  get active(): Segment | undefined {
    return this.#segments.at(-1);
  }

  get storedBytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.sizeBytes;
    return bytes;
  }

  /** Each one's first index and size, in order. */
  sizes(): { firstIndex: number; sizeBytes: number }[] {
    return this.#segments.map(({ firstIndex, sizeBytes }) => ({ firstIndex, sizeBytes }));
  }

  /** Begins the next one; the one before it is sealed. */
  begin(firstIndex: number): Segment {
    const before = this.active;
    if (before) before.active = false;
    const segment = new Segment(this.#folder, { group: this.#group, firstIndex, sizeBytes: 0 }, this.#context);
    this.#segments.push(segment);
    return segment;
  }

  /** The segment that was begun last could not be written: the one before it grows again. */
  abandonLast(): void {
    this.#segments.pop()?.leave();
    const last = this.active;
    if (last) last.active = true;
  }

  /** The one that begins with the batch at `index`. */
  beginningAt(index: number): Segment | undefined {
    return this.#segments.find(({ firstIndex }) => firstIndex === index);
  }

  /** Where the batch at `index` ends. */
  async placeAfter(index: number): Promise<{ segment: number; position: number }> {
    const holder = this.#segments.findLast(({ firstIndex }) => firstIndex <= index);
    const segment = present(holder, `batch ${index} of group ${this.#group} is in no segment`);
    return { segment: segment.firstIndex, position: await segment.endOf(index) };
  }

  /** The log ends at a place now. The files are cut by others; their handles are closed for it. */
  async cutTo(place: { segment: number; position: number }): Promise<void> {
    for (const segment of this.#segments) if (segment.firstIndex > place.segment) segment.leave();
    this.#segments = this.#segments.filter(({ firstIndex }) => firstIndex <= place.segment);
    this.active?.cutTo(place.position);
    await this.#context.handles.closeBelow(this.#folder);
  }

  /** Drops the files of the segments before the one that begins at `index`. */
  async dropBefore(index: number): Promise<void> {
    const dropped = this.#segments.filter(({ firstIndex }) => firstIndex < index);
    this.#segments = this.#segments.filter(({ firstIndex }) => firstIndex >= index);
    for (const segment of dropped) segment.leave();
    for (const segment of dropped) await segment.remove();
  }

  /** Reads on from the first batch wanted, to the end of the segment that holds it. */
  async read(from: Wanted, limit: { belowIndex: number; maxBytes: number }): Promise<StoredBatch[]> {
    // Those that are dropped meanwhile are out of another list: here none moves to another's place.
    const segments = this.#segments;
    for (let at = await lastBelow(segments, from); at < begun(segments); ) {
      const segment = present(segments[at], "a segment that was found is gone");
      const { batches, end } = await segment.read(from, from.wanted, limit);
      if (batches.length > 0 || !end) return batches;
      // It may have grown, and been sealed, since its end was read.
      if (end.position < segment.sizeBytes) continue;
      const next = segments[at + 1];
      // Its end is where the next one begins, or batches are missing between the two.
      if (next && end.nextIndex !== next.firstIndex) throw this.#missing(end.nextIndex);
      at += 1;
    }
    return [];
  }

  /** Headers of some batches from `index` on, of the segment that holds it. */
  async headers(index: number, belowIndex: number): Promise<BatchHeader[]> {
    const segment = this.#segments.findLast(({ firstIndex, sizeBytes }) => firstIndex <= index && sizeBytes > 0);
    return (await segment?.headers(index, belowIndex)) ?? [];
  }

  /** Indexes of the control batches from `index` on. */
  async controls(index: number): Promise<number[]> {
    const segments = this.#segments;
    const holder = segments.findLastIndex(({ firstIndex }) => firstIndex <= index);
    const found: number[] = [];
    for (const segment of segments.slice(Math.max(holder, 0))) found.push(...(await segment.controls()));
    return found.filter((control) => control >= index);
  }

  /**
   * Indexes of the control batches of those segments that begin in another term than the next one, among them all that begin
   * a term; no others are looked at but by their first header, and of those few.
   * @param endTerm The term in which they end.
   */
  async controlsWhereTermsChange(endTerm: number): Promise<number[]> {
    const segments = this.#segments.slice(0, begun(this.#segments));
    const termAt = async (at: number) => (at < segments.length ? (await segments[at]?.first())?.term : endTerm);
    const found: number[] = [];
    const look = async (from: number, to: number, term: number | undefined): Promise<void> => {
      const next = await termAt(to);
      if (from >= to || term === next) return;
      if (to - from === 1) {
        found.push(...((await segments[from]?.controls()) ?? []));
        return;
      }
      const middle = (from + to) >>> 1;
      await look(from, middle, term);
      await look(middle, to, await termAt(middle));
    };
    await look(0, segments.length, await termAt(0));
    return found;
  }

  /** The header at an index; `undefined`: none of them has it. */
  async headerAt(index: number): Promise<BatchHeader | undefined> {
    const segment = this.#segments.findLast(({ firstIndex, sizeBytes }) => firstIndex <= index && sizeBytes > 0);
    return await segment?.headerAt(index);
  }

  /** First index of the last segment that begins at `offset` or below it; `undefined`: none has batches yet. */
  async lastBelow(offset: number): Promise<number | undefined> {
    const segments = this.#segments;
    return segments[await lastBelow(segments, { key: "baseOffset", value: offset + 1 })]?.firstIndex;
  }

  #missing(index: number): TailraceError {
    return missingIn(this.#folder, `batch ${index}`, this.#group);
  }

  /** Writes the index file of the one that grows, if its index is known. */
  async close(): Promise<void> {
    if (this.active?.indexChanged) await this.active.writeIndexFile();
  }
}

/** How many have batches: the first ones of the last may still be on their way. */
function begun(segments: readonly Segment[]): number {
  return segments.length - (segments.at(-1)?.sizeBytes === 0 ? 1 : 0);
}

/** Number of the last segment whose first batch has a smaller key, else 0. */
async function lastBelow(segments: readonly Segment[], from: Pick<Wanted, "key" | "value">): Promise<number> {
  let low = 0;
  let high = begun(segments);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const segment = present(segments[middle], "a segment that was counted is gone");
    const key = from.key === "index" ? segment.firstIndex : await firstKey(segment, from.key);
    if (key < from.value) low = middle + 1;
    else high = middle;
  }
  return Math.max(low - 1, 0);
}

/** Of one that can't be read it is as if it came later: who reads on from the one before meets it in its place. */
async function firstKey(segment: Segment, key: "baseOffset" | "appendTimeMicros"): Promise<number> {
  try {
    return (await segment.first())[key];
  } catch (error) {
    if (!isDamage(error)) throw error;
    return Number.POSITIVE_INFINITY;
  }
}
