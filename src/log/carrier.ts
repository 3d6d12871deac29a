/**
 * Copies small tails to the journal's head: each whole, in order, before anything new of its log in that frame.
 * @module
 */
import type { NoRoomError } from "../base/disk-errors.ts";
import { RecordKind, recordHeader } from "./format.ts";
import type { FrameBuilder } from "./frame-writer.ts";
import type { JournaledLog } from "./group-log.ts";
import type { Contributor, Journal } from "./journal.ts";
import { readRing } from "./ring-reader.ts";

/** Adds a log's mark to a frame if it waits; false: it does not fit. */
export type MarkWriter = (group: number, frame: FrameBuilder) => boolean;

interface Copy {
  readonly log: JournaledLog;
  readonly startIndex: number;
  readonly ringPositions: readonly number[];
}

/** Carries the tails of some logs out of a file. */
export class Carrier implements Contributor {
  readonly #logs: JournaledLog[];
  readonly #slot: number;
  readonly #journal: Journal;
  readonly #writeMark: MarkWriter;
  /** Batches of a tail by ring position, read before its frame is built: building waits for nothing. */
  readonly #read = new Map<JournaledLog, Map<number, Uint8Array>>();
  #copies: Copy[] = [];
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(logs: readonly JournaledLog[], slot: number, journal: Journal, writeMark: MarkWriter) {
    this.#logs = [...logs];
    this.#slot = slot;
    this.#journal = journal;
    this.#writeMark = writeMark;
  }

  /** Resolves when all that can be carried is. @throws {NoRoomError} */
  async carry(): Promise<void> {
    for (const log of this.#logs) await this.#readTail(log);
    if (this.#logs.length === 0) return;
    await new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#journal.submitFirst(this);
    });
  }

  contribute(frame: FrameBuilder): boolean {
    for (let log = this.#logs[0]; log; log = this.#logs[0]) {
      const bodies = this.#wholeTail(log);
      if (bodies) {
        // The tail follows what the mark tells of: recovery must know of that first.
        if (!this.#writeMark(log.group, frame)) return false;
        if (!frame.fits(...bodies.map(({ length }) => length))) return false;
        this.#copies.push(this.#copy(log, bodies, frame));
      }
      this.#logs.shift();
    }
    // With nothing to copy no frame may come of it.
    if (this.#copies.length === 0) this.#settle?.resolve();
    return true;
  }

  written(): void {
    for (const { log, startIndex, ringPositions } of this.#copies) {
      const { tail } = log.state;
      ringPositions.forEach((ringPosition, i) => {
        const index = startIndex + i;
        if (index >= tail.startIndex && index < tail.endIndex) tail.move(index, ringPosition);
      });
    }
    this.#copies = [];
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
    if (!read || tail.count === 0 || log.isFlushing) return undefined;
    if (this.#journal.slotOf(tail.entry(tail.startIndex).ringPosition) !== this.#slot) return undefined;
    const batches: Uint8Array[] = [];
    for (let index = tail.startIndex; index < tail.endIndex; index++) {
      const entry = tail.entry(index);
      // What came after the reading, perhaps in the place of what was cut off, is so new that it is in memory.
      const bytes = read.get(entry.ringPosition) ?? this.#journal.bytesAt(entry.ringPosition, entry.bytes);
      if (!bytes) return undefined;
      batches.push(bytes);
    }
    return batches;
  }

  #copy(log: JournaledLog, batches: readonly Uint8Array[], frame: FrameBuilder): Copy {
    const { group, logNumber, tail } = log.state;
    const ringPositions: number[] = [];
    for (const batch of batches) {
      const at = frame.add(RecordKind.batch, group, logNumber, batch.length, recordHeader.carried);
      frame.bytes.set(batch, at);
      ringPositions.push(this.#journal.ringPosition(at));
    }
    return { log, startIndex: tail.startIndex, ringPositions };
  }
}
