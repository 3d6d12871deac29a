/**
 * Virtual time: things happen one after the other, each at its moment, and between two of them no time passes.
 * @module
 */
import type { Clock, Timer } from "../host/clock.ts";

interface Happening {
  readonly atMs: number;
  /** Order of those at one moment. */
  readonly order: number;
  readonly happen: () => void;
}

/** All that is going to happen, in order. */
export class Timeline {
  #nowMs = 0;
  #order = 0;
  /** A heap: the next one first. */
  readonly #heap: Happening[] = [];

  /** Milliseconds since the run began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** How many are to come. */
  get length(): number {
    return this.#heap.length;
  }

  /** Lets something happen after a while. */
  after(delayMs: number, happen: () => void): void {
    this.at(this.#nowMs + Math.max(delayMs, 0), happen);
  }

  /** Lets something happen at a time that has not passed; of those at one moment in the order of the calls. */
  at(atMs: number, happen: () => void): void {
    const heap = this.#heap;
    this.#order += 1;
    heap.push({ atMs, order: this.#order, happen });
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >>> 1;
      if (!this.#isBefore(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** Lets the next thing happen; false: there is none. */
  step(): boolean {
    const next = this.#take();
    if (!next) return false;
    this.#nowMs = next.atMs;
    next.happen();
    return true;
  }

  #take(): Happening | undefined {
    const heap = this.#heap;
    const next = heap[0];
    const last = heap.pop();
    if (!next || !last || heap.length === 0) return next;
    heap[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < heap.length && this.#isBefore(left, least)) least = left;
      if (right < heap.length && this.#isBefore(right, least)) least = right;
      if (least === at) return next;
      this.#swap(at, least);
      at = least;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (!x || !y) return false;
    return x.atMs < y.atMs || (x.atMs === y.atMs && x.order < y.order);
  }

  #swap(a: number, b: number): void {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (!x || !y) return;
    this.#heap[a] = y;
    this.#heap[b] = x;
  }
}

/** Waits until all that follows from what just happened has been done: the event loop's microtasks are empty then. */
function quiet(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Lets time pass until `work` is done. @throws {Error} Nothing is to come any more, and it is not. */
export async function passTime<T>(timeline: Timeline, work: Promise<T>): Promise<T> {
  let isDone = false;
  const watched = work.finally(() => {
    isDone = true;
  });
  watched.catch(() => {});
  await quiet();
  while (!isDone) {
    if (!timeline.step()) throw new Error("nothing happens any more, and something is still waited for");
    await quiet();
  }
  return await watched;
}

/** The clock of one process. It stops with the process. */
export class SimClock implements Clock {
  readonly #timeline: Timeline;
  readonly #isAlive: () => boolean;
  /** Wall time may jump; this is what it is ahead. */
  wallOffsetMicros = 1_800_000_000_000_000;

  constructor(timeline: Timeline, isAlive: () => boolean) {
    this.#timeline = timeline;
    this.#isAlive = isAlive;
  }

  nowMicros(): number {
    return this.wallOffsetMicros + Math.floor(this.#timeline.nowMs) * 1000;
  }

  monotonicMs(): number {
    return this.#timeline.nowMs;
  }

  after(delayMs: number, wake: () => void): Timer {
    let canceled = false;
    this.#timeline.after(delayMs, () => {
      if (!canceled && this.#isAlive()) wake();
    });
    return {
      cancel: () => {
        canceled = true;
      },
    };
  }
}
