import type { Clock, Timer } from "../../src/host/clock.ts";

/** A clock that goes on when a test says so. */
export class ManualClock implements Clock {
  #micros: number;
  #ms = 0;
  readonly #timers = new Set<{ readonly atMs: number; readonly wake: () => void }>();

  constructor(nowMicros = 1_000_000) {
    this.#micros = nowMicros;
  }

  nowMicros(): number {
    return this.#micros;
  }

  monotonicMs(): number {
    return this.#ms;
  }

  after(delayMs: number, wake: () => void): Timer {
    const timer = { atMs: this.#ms + delayMs, wake };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** Lets time pass, and what waits for it happen in its order; what that does has some turns of the event loop. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#ms + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
      const [next] = due;
      if (next === undefined) break;
      this.#moveTo(Math.max(next.atMs, this.#ms));
      this.#timers.delete(next);
      next.wake();
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    this.#moveTo(Math.max(endMs, this.#ms));
  }

  /** Time passes while something is done. */
  take(ms: number): void {
    this.#moveTo(this.#ms + ms);
  }

  #moveTo(ms: number): void {
    this.#micros += (ms - this.#ms) * 1000;
    this.#ms = ms;
  }
}
