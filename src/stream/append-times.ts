/**
 * When records of a stream were appended, remembered where it is asked again and again: a listing asks for the first and
 * the last record of each stream, retention for the last of the oldest segment.
 * @module
 */
import { readSlices } from "./slices.ts";
import type { StreamLog } from "./stream-log.ts";

interface KnownTime {
  readonly offset: number;
  readonly micros: number;
}

export class AppendTimes {
  readonly #log: StreamLog;
  /** Of the last record that was appended here. */
  #newest: KnownTime | undefined;
  /** Of records that were looked up: the first that is kept, and the last of the oldest segment. */
  #lookedUp: readonly KnownTime[] = [];

  constructor(log: StreamLog) {
    this.#log = log;
  }

  /** The record before `nextOffset` was appended. Batches are told of in order. */
  appended(nextOffset: number, micros: number): void {
    this.#newest = { offset: nextOffset - 1, micros };
  }

  /** The time of the record at `offset`, if it is known without reading. */
  known(offset: number): number | undefined {
    if (this.#newest?.offset === offset) return this.#newest.micros;
    return this.#lookedUp.find((time) => time.offset === offset)?.micros;
  }

  /** The time of the record at `offset`, which is committed and kept. @throws {TailraceError} It is gone. */
  async of(offset: number): Promise<number> {
    const known = this.known(offset);
    if (known !== undefined) return known;
    const { door } = this.#log;
    const request = { startOffset: offset, maxRecords: 1, maxBytes: 1, controlBatches: false };
    const [slice] = door === undefined ? [] : (await this.#log.unlessDeleted(readSlices(door, request))).batches;
    // Trimmed meanwhile, it is another record that was found, or none.
    if (slice === undefined || slice.batch.baseOffset > offset || offset < this.#log.logStart) throw this.#log.gone();
    const micros = slice.batch.appendTimeMicros;
    this.#lookedUp = [{ offset, micros }, ...this.#lookedUp].slice(0, 2);
    return micros;
  }
}
