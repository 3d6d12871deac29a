/**
 * Copies tails to the journal's head: each whole, in order, before anything new of its log in that frame.
 * The tail of a damaged log, which has no segment to go to, may take some frames: nothing new of that log comes between.
 * @module
 */
import { DiskError, type NoRoomError } from "../base/disk-errors.ts";
import type { Hash } from "../host/hash.ts";
import { readBatch } from "./batch-reader.ts";
import { RecordKind, recordHeader } from "./format.ts";
import type { FrameBuilder } from "./frame-writer.ts";
import type { JournaledLog } from "./group-log.ts";
import type { Contributor, Journal } from "./journal.ts";
import { readRing } from "./ring-reader.ts";

/** Adds a log's mark to a frame if it waits; false: it does not fit. */
export type MarkWriter = (group: number, frame: FrameBuilder) => boolean;

/** A tail that is being copied, and where its copies stand. */
interface Copy {
  readonly log: JournaledLog;
  readonly startIndex: number;
  readonly ringPositions: number[];
  /** The rest comes with the next frame. */
  isWhole: boolean;
}

/** Carries the tails of some logs out of a file. */
export class Carrier implements Contributor {
  /** A file that is needed at once waits for it. */
  readonly urgent: boolean;
  readonly #logs: JournaledLog[];
  readonly #slot: number;
  readonly #journal: Journal;
  readonly #writeMark: MarkWriter;
  readonly #hash: Hash;
  /** Batches of a tail by ring position, read before its frame is built: building waits for nothing. */
  readonly #read = new Map<JournaledLog, Map<number, Uint8Array>>();
  #copies: Copy[] = [];
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(
    logs: readonly JournaledLog[],
    slot: number,
    journal: Journal,
    how: { writeMark: MarkWriter; hash: Hash; urgent: boolean },
  ) {
    this.urgent = how.urgent;
    this.#hash = how.hash;
    this.#logs = [...logs];
    this.#slot = slot;
    this.#journal = journal;
    this.#writeMark = how.writeMark;
  }

  /** Resolves when all that can be carried is. @throws {NoRoomError} */
  async carry(): Promise<void> {
    for (const log of this.#logs) await this.#readTail(log);
    if (this.#logs.length === 0) return;
    await new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject };
      if (this.urgent) this.#journal.submit(this);
      else this.#journal.submitFirst(this);
    });
  }

  contribute(frame: FrameBuilder): boolean {
    for (let log = this.#logs[0]; log; log = this.#logs[0]) {
      const batches = this.#wholeTail(log);
      if (batches && !this.#copy(log, batches, frame)) return false;
      // One that was begun may have left the file meanwhile: the rest of it never comes.
      if (!batches) this.#copies = this.#copies.filter((copy) => copy.log !== log);
      this.#logs.shift();
    }
    // With nothing to copy no frame may come of it.
    if (this.#copies.length === 0) this.#settle?.resolve();
    return true;
  }

  written(): void {
    // Places change together: a file is freed when the first batch of every tail has left it.
    for (const { log, startIndex, ringPositions } of this.#copies.filter(({ isWhole }) => isWhole)) {
      const { tail } = log.state;
      ringPositions.forEach((ringPosition, i) => {
        const index = startIndex + i;
        if (index >= tail.startIndex && index < tail.endIndex) tail.move(index, ringPosition);
      });
    }
    this.#copies = this.#copies.filter(({ isWhole }) => !isWhole);
    if (this.#logs.length === 0) this.#settle?.resolve();
  }

  refused(error: NoRoomError): void {
    this.#copies = [];
    this.#settle?.reject(error);
  }

  async #readTail(log: JournaledLog): Promise<void> {
    const { tail } = log.state;
    const { startIndex } = tail;
    const entries = Array.from({ length: tail.count }, (_, i) => tail.entry(startIndex + i));
    const bytes = new Uint8Array(tail.bytes);
    await readRing(this.#journal, entries, bytes);
    let end = 0;
    const batches = new Map<number, Uint8Array>();
    for (const entry of entries) {
      batches.set(entry.ringPosition, bytes.subarray(end, end + entry.bytes));
      end += entry.bytes;
    }
    this.#read.set(log, batches);
  }

  /** All batches of a tail, or nothing where it is on its way to a segment, or not in the file any more. */
  #wholeTail(log: JournaledLog): Uint8Array[] | undefined {
    const { tail } = log.state;
    const read = this.#read.get(log);
    if (!read || log.isFlushing || !isPinning(log, this.#slot, this.#journal)) return undefined;
    const batches: Uint8Array[] = [];
    for (let index = tail.startIndex; index < tail.endIndex; index++) {
      const entry = tail.entry(index);
      // What came after the reading, perhaps in the place of what was cut off, is so new that it is in memory.
      const bytes = read.get(entry.ringPosition) ?? this.#journal.bytesAt(entry.ringPosition, entry.bytes);
      if (!bytes) return undefined;
      // In a new frame, with a checksum of its own, it would pass for what was written.
      if (readBatch(bytes, log.group, this.#hash)?.index !== index) {
        throw new DiskError(
          `journal/${this.#slot} is damaged: batch ${index} of group ${log.group} is not what it was`,
        );
      }
      batches.push(bytes);
    }
    return batches;
  }

  /** Adds the tail, or goes on with it; false: the rest does not fit. */
  #copy(log: JournaledLog, batches: readonly Uint8Array[], frame: FrameBuilder): boolean {
    const { group, logNumber, tail, damage } = log.state;
    // The tail follows what the mark tells of: recovery must know of that first.
    if (!this.#writeMark(group, frame)) return false;
    const begun = this.#copies.find((copy) => copy.log === log);
    if (!begun && damage === undefined && !frame.fits(...batches.map(({ length }) => length))) return false;
    const copy = begun ?? { log, startIndex: tail.startIndex, ringPositions: [], isWhole: false };
    if (!begun) this.#copies.push(copy);
    for (const batch of batches.slice(copy.ringPositions.length)) {
      if (!frame.fits(batch.length)) return false;
      const at = frame.add(RecordKind.batch, group, logNumber, batch.length, recordHeader.carried);
      frame.bytes.set(batch, at);
      copy.ringPositions.push(this.#journal.ringPosition(at));
    }
    copy.isWhole = true;
    return true;
  }
}

/**
 * Whether a tail has a batch in a file. Tails are in the order of the ring, so the first one tells; but a damaged log's may
 * have been carried in part when the node was killed.
 */
export function isPinning({ state: { tail, damage } }: JournaledLog, slot: number, journal: Journal): boolean {
  const end = damage === undefined ? Math.min(tail.startIndex + 1, tail.endIndex) : tail.endIndex;
  for (let index = tail.startIndex; index < end; index++) {
    if (journal.slotOf(tail.entry(index).ringPosition) === slot) return true;
  }
  return false;
}
