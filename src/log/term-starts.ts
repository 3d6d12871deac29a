/**
 * Where the terms of a log begin: Raft asks for it whenever a follower's log is compared with a leader's. It is read once,
 * and kept up with what becomes durable after that.
 * - A term begins with a leader change, and nothing else raises it; so of all batches only control batches are looked at,
 *   and of those only where a segment begins in another term than the next one.
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import type { LogReader } from "./log-reader.ts";
import type { LogState } from "./log-state.ts";
import type { Segments } from "./segments.ts";
import type { AppendedBatch, TermStart } from "./types.ts";

/** The durable terms of one log. */
export class TermStarts {
  readonly #log: LogState;
  readonly #segments: Segments;
  readonly #reader: LogReader;
  /** All from the base on, in order, once they were read. */
  #known: TermStart[] | undefined;
  /** Those that begin while it is read. */
  #since: TermStart[] | undefined;
  #reading: Promise<void> | undefined;

  constructor(log: LogState, segments: Segments, reader: LogReader) {
    this.#log = log;
    this.#segments = segments;
    this.#reader = reader;
  }

  /** A batch became durable. */
  durable({ kind }: { kind: BatchKind }, { term, index }: AppendedBatch): void {
    const starts = this.#known ?? this.#since;
    if (kind === BatchKind.leaderChange && starts && term > (starts.at(-1)?.term ?? 0)) starts.push({ term, index });
  }

  /** The log is changed otherwise than by appending: what is read across that is not kept. */
  forget(): void {
    this.#known = undefined;
    this.#since = undefined;
    this.#reading = undefined;
  }

  /** Reads them, unless they are known. @throws {TailraceError} `damaged` */
  async load(): Promise<void> {
    if (this.#known) return;
    const reading = this.#reading ?? this.#load();
    this.#reading = reading;
    try {
      await reading;
    } finally {
      if (this.#reading === reading) this.#reading = undefined;
    }
  }

  /** Those that are durable now, the base's first; empty: the log was changed since they were read. */
  get now(): readonly TermStart[] {
    return this.#known ?? [];
  }

  async #load(): Promise<void> {
    const since: TermStart[] = [];
    this.#since = since;
    const read = await this.#read();
    if (this.#since !== since) return;
    const last = read.at(-1)?.term ?? 0;
    this.#known = [...read, ...since.filter(({ term }) => term > last)];
    this.#since = undefined;
  }

  async #read(): Promise<TermStart[]> {
    const { tail, base, flushed, durable } = this.#log;
    // The tail first: what moves to a segment meanwhile is met twice, and nothing is missed.
    const inTail = [...tail.controls];
    const hasSegments = tail.startIndex > base.index;
    const inSegments = hasSegments ? await this.#segments.controlsWhereTermsChange(flushed.end.term) : [];
    const first = await this.#reader.headerAt(base.index);
    const starts: TermStart[] = [{ term: first.term, index: base.index }];
    for (const index of [...new Set([...inSegments, ...inTail])].sort((a, b) => a - b)) {
      if (index <= base.index || index >= durable.index) continue;
      const { kind, term } = await this.#reader.headerAt(index);
      if (kind === BatchKind.leaderChange && term > (starts.at(-1)?.term ?? 0)) starts.push({ term, index });
    }
    return starts;
  }
}
