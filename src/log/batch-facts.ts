import { checkpointPrefix } from "./batch-reader.ts";
import type { LogReader } from "./log-reader.ts";
import type { LogState } from "./log-state.ts";
import type { TermStarts } from "./term-starts.ts";
import type { TermStart } from "./types.ts";
import type { Unsynced, UnsyncedBatch } from "./unsynced.ts";

/** What Raft asks of a log's batches, durable or not, by their indexes. */
export class BatchFacts {
  readonly #log: LogState;
  readonly #reader: LogReader;
  readonly #durableTerms: TermStarts;
  readonly #unsynced: Unsynced;

  constructor(log: LogState, reader: LogReader, durableTerms: TermStarts, unsynced: Unsynced) {
    this.#log = log;
    this.#reader = reader;
    this.#durableTerms = durableTerms;
    this.#unsynced = unsynced;
  }

  async termStarts(): Promise<TermStart[]> {
    await this.#durableTerms.load();
    const starts = [...this.#durableTerms.now];
    for (const { term, index } of this.#unsynced(0)) {
      if (term > (starts.at(-1)?.term ?? 0)) starts.push({ term, index });
    }
    return starts;
  }

  async termAt(index: number): Promise<number | undefined> {
    if (index < this.#log.base.index) return (await this.#beforeBase(index))?.term;
    const unsynced = this.#unsyncedAt(index);
    if (unsynced || index >= this.#log.durable.index) return unsynced?.term;
    await this.#durableTerms.load();
    return this.#durableTerms.now.findLast((start) => start.index <= index)?.term;
  }

  async digestAt(index: number): Promise<Uint8Array | undefined> {
    const { base, durable } = this.#log;
    if (index < base.index) return (await this.#beforeBase(index))?.digest;
    if (index >= durable.index) return this.#unsyncedAt(index)?.digest;
    return index === durable.index - 1 ? durable.digest : (await this.#reader.headerAt(index)).digest;
  }

  #unsyncedAt(index: number): UnsyncedBatch | undefined {
    for (const unsynced of this.#unsynced(index)) return unsynced.index === index ? unsynced : undefined;
    return undefined;
  }

  /** What the base says of the batch before it. */
  async #beforeBase(index: number): Promise<{ term: number; digest: Uint8Array } | undefined> {
    const { base } = this.#log;
    if (index !== base.index - 1) return undefined;
    const [checkpoint] = await this.#reader.read({ from: { index: base.index }, belowIndex: index + 2, maxBytes: 1 });
    // The base may have moved meanwhile.
    return checkpoint?.index === base.index ? checkpointPrefix(checkpoint.payload) : undefined;
  }
}
