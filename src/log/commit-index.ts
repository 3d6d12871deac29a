/**
 * Moves a log's commit index. Who reads by offset needs the offset there too: of a batch that only segments hold it is
 * looked up first, and the commit index moves when it is known.
 * @module
 */
import { assert } from "../base/assert.ts";
import type { LogState } from "./log-state.ts";

/** The commit index of one log. */
export class CommitIndex {
  readonly #log: LogState;
  readonly #lookUp: (index: number) => Promise<number>;
  readonly #moved: () => void;
  #looking: Promise<void> | undefined;

  /** `lookUp`: the offset at an index. `moved`: told after each move. */
  constructor(log: LogState, lookUp: (index: number) => Promise<number>, moved: () => void) {
    this.#log = log;
    this.#lookUp = lookUp;
    this.#moved = moved;
  }

  /** All below `index` is committed. */
  set(index: number): void {
    const log = this.#log;
    assert(index <= log.durable.index, `commit ${index} is beyond what is durable, ${log.durable.index}`);
    log.committed = Math.max(log.committed, index);
    if (index <= log.commit.index) return;
    const offset = this.#known(index);
    if (offset !== undefined) this.#move(index, offset);
    else this.#looking ??= this.#look(index);
  }

  /** Waits until no offset is looked up. */
  async idle(): Promise<void> {
    while (this.#looking) await this.#looking;
  }

  #known(index: number): number | undefined {
    const { durable, flushed, tail } = this.#log;
    if (index === durable.index) return durable.offset;
    if (index === flushed.end.index) return flushed.end.offset;
    return index >= tail.startIndex && index < tail.endIndex ? tail.entry(index).baseOffset : undefined;
  }

  async #look(index: number): Promise<void> {
    const log = this.#log;
    const { logNumber } = log;
    // A log that can't be read there is ended, damaged or failed: its readers are told, and the next one tries again.
    const offset = await this.#lookUp(index).catch(() => undefined);
    this.#looking = undefined;
    if (offset === undefined || log.logNumber !== logNumber) return;
    if (index > log.commit.index) this.#move(index, offset);
    if (log.committed > log.commit.index) this.set(log.committed);
  }

  #move(index: number, offset: number): void {
    this.#log.commit = { index, offset };
    this.#moved();
  }
}
