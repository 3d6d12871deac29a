/**
 * The log as it was in the end, and which of its states show what.
 * A log that only grows has one state for each number of batches from its beginning: a *state* here is that number.
 * What a rule asks for (a next offset, a producer's next batch) holds over a run of states, and is found by halving.
 * @module
 */
import type { LogBatch, Stamp } from "./history.ts";

/** States from the one to the other, both included. */
export interface States {
  readonly from: number;
  readonly to: number;
}

/** One stream's log. */
export class FinalLog {
  readonly stream: string;
  readonly batches: readonly LogBatch[];
  /** Next offset in each state. */
  readonly #ends: number[] = [0];
  /** Where batches of each producer stand, in order. */
  readonly #produced = new Map<string, { readonly stamp: Stamp; readonly place: number }[]>();
  /** Since which state each token is in force. */
  readonly #fences: { readonly since: number; readonly token: string }[] = [{ since: 0, token: "" }];

  constructor(stream: string, batches: readonly LogBatch[]) {
    this.stream = stream;
    this.batches = batches;
    for (const [place, { baseOffset, count, producer, fence }] of batches.entries()) {
      this.#ends.push(baseOffset + count);
      if (fence !== undefined) this.#fences.push({ since: place + 1, token: fence });
      if (producer) this.#producedBy(producer).push({ stamp: producer, place });
    }
  }

  /** A batch, as a violation speaks of it. */
  nameOf({ index, value, count }: LogBatch): string {
    const what = count === 0 ? "control batch" : "batch";
    return `${what} ${index}${value === undefined ? "" : ` "${value}"`} of stream ${this.stream}`;
  }

  /** All of them. */
  get states(): States {
    return { from: 0, to: this.batches.length };
  }

  /** Next offset in a state. */
  endIn(state: number): number {
    return this.#ends[state] ?? Number.NaN;
  }

  /** The token in force in a state; empty: none. */
  fenceIn(state: number): string {
    return this.#fences[this.#fenceNumber(state)]?.token ?? "";
  }

  /** States in which the next offset is this. */
  ending(offset: number): States | undefined {
    const from = this.#firstEnd((end) => end >= offset);
    return statesBetween(from, this.#firstEnd((end) => end > offset) - 1);
  }

  /** States in which this is what would be taken of the producer. */
  taking({ id, epoch, sequence }: Stamp): States | undefined {
    const produced = this.#produced.get(id) ?? [];
    if (sequence === 0) {
      const newer = firstIndex(produced.length, (i) => (produced[i]?.stamp.epoch ?? 0) >= epoch);
      return { from: 0, to: produced[newer]?.place ?? this.batches.length };
    }
    const before = this.#find({ id, epoch, sequence: sequence - 1 });
    const from = produced[before]?.place;
    return from === undefined ? undefined : statesBetween(from + 1, produced[before + 1]?.place ?? this.batches.length);
  }

  /** States in which the producer's batch is there, and its epoch the newest. */
  knowing(stamp: Stamp): States | undefined {
    const produced = this.#produced.get(stamp.id) ?? [];
    const place = produced[this.#find(stamp)]?.place;
    const newer = firstIndex(produced.length, (i) => (produced[i]?.stamp.epoch ?? 0) > stamp.epoch);
    return place === undefined ? undefined : statesBetween(place + 1, produced[newer]?.place ?? this.batches.length);
  }

  /** The first of these states in which the token is in force. */
  firstFenced({ from, to }: States, token: string): number | undefined {
    for (let number = this.#fenceNumber(from); ; number++) {
      const fence = this.#fences[number];
      if (fence === undefined || fence.since > to) return undefined;
      if (fence.token === token) return Math.max(fence.since, from);
    }
  }

  /** Batches of records with offsets from `from` on and below `end`. */
  records(from: number, end: number): LogBatch[] {
    const found: LogBatch[] = [];
    for (let place = this.#firstEnd((next) => next > from) - 1; ; place++) {
      const batch = this.batches[place];
      if (batch === undefined || batch.baseOffset >= end) return found;
      if (batch.count > 0) found.push(batch);
    }
  }

  #producedBy({ id }: Stamp): { stamp: Stamp; place: number }[] {
    const produced = this.#produced.get(id) ?? [];
    this.#produced.set(id, produced);
    return produced;
  }

  /** Number of this batch among its producer's; -1: it is not there. */
  #find({ id, epoch, sequence }: Stamp): number {
    const produced = this.#produced.get(id) ?? [];
    const found = firstIndex(produced.length, (i) => {
      const stamp = produced[i]?.stamp;
      return stamp === undefined || stamp.epoch > epoch || (stamp.epoch === epoch && stamp.sequence >= sequence);
    });
    const stamp = produced[found]?.stamp;
    return stamp?.epoch === epoch && stamp.sequence === sequence ? found : -1;
  }

  #firstEnd(test: (end: number) => boolean): number {
    return firstIndex(this.#ends.length, (state) => test(this.endIn(state)));
  }

  #fenceNumber(state: number): number {
    return firstIndex(this.#fences.length, (i) => (this.#fences[i]?.since ?? 0) > state) - 1;
  }
}

/** The states that are in both. */
export function inBoth(one: States | undefined, other: States | undefined): States | undefined {
  if (!one || !other) return undefined;
  return statesBetween(Math.max(one.from, other.from), Math.min(one.to, other.to));
}

function statesBetween(from: number, to: number): States | undefined {
  return from <= to ? { from, to } : undefined;
}

/** The first of `length` indexes that pass; those behind it must pass too. `length`: none does. */
function firstIndex(length: number, passes: (index: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (passes(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
