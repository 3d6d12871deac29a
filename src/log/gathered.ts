import type { Pending, PlacedPending } from "./pending.ts";
import type { LogPosition } from "./types.ts";

/** The appends of a log that wait for their turn, in the order in which they come. */
export class Gathered {
  #waiting: Pending[] = [];
  #bytes = 0;
  /** How many at the front have their places. Of what came behind one that had none nobody knows before its turn. */
  #placed = 0;

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Bytes of all of them. */
  get bytes(): number {
    return this.#bytes;
  }

  get first(): Pending | undefined {
    return this.#waiting[0];
  }

  /** Whether all have their places: nothing waits that is still to be stamped. */
  get arePlaced(): boolean {
    return this.#placed === this.#waiting.length;
  }

  /** Where those end that have their places: they come before all others. */
  get end(): LogPosition | undefined {
    return this.#waiting[this.#placed - 1]?.stored?.end;
  }

  /** Those at the front whose places are known. */
  placed(): readonly Pending[] {
    return this.#waiting.slice(0, this.#placed);
  }

  add(pending: Pending): void {
    if (pending.stored && this.arePlaced) this.#placed += 1;
    this.#waiting.push(pending);
    this.#bytes += pending.bytes;
  }

  /** Puts the log's own checkpoint before all others. */
  putFirst(pending: Pending): void {
    this.#waiting.unshift(pending);
    this.#bytes += pending.bytes;
    this.#placed = 0;
  }

  takeFirst(first: Pending): Pending {
    this.#waiting.shift();
    this.#bytes -= first.bytes;
    this.#placed = Math.max(this.#placed - 1, 0);
    return first;
  }

  /** The log's own checkpoint, if it waits: the batch for which it is due comes right behind it. */
  takeRolled(): Pending | undefined {
    const { first } = this;
    return first?.rolled ? this.takeFirst(first) : undefined;
  }

  /** All that was stamped by a leader. */
  takeStored(): PlacedPending[] {
    const stored = this.#waiting.filter(isPlaced);
    this.#waiting = this.#waiting.filter((pending) => !isPlaced(pending));
    for (const { bytes } of stored) this.#bytes -= bytes;
    this.#placed = 0;
    return stored;
  }

  takeAll(): Pending[] {
    const all = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    this.#placed = 0;
    return all;
  }
}

function isPlaced(pending: Pending): pending is PlacedPending {
  return pending.stored !== undefined;
}
