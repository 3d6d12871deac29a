/**
 * Waits for what nobody tells of, such as who leads: all who wait are looked after by one timer, which runs while there are any.
 * @module
 */
import type { Clock, Timer } from "../host/clock.ts";

interface Watch {
  readonly holds: () => boolean;
  readonly then: () => void;
}

/** How often it is looked, milliseconds: a small part of the time that an election takes. */
const intervalMs = 10;

export class Polls {
  readonly #clock: Clock;
  readonly #watches = new Set<Watch>();
  #timer: Timer | undefined;
  #isEnded = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `then` once when it holds, a moment from now at the earliest, unless the returned function is called before. */
  watch(holds: () => boolean, then: () => void): () => void {
    const watch = { holds, then };
    this.#watches.add(watch);
    this.#timer ??= this.#clock.after(intervalMs, this.#look);
    return () => this.#watches.delete(watch);
  }

  /** Resolves when it holds, or `maxMs` have passed; with whether it holds. */
  async until(holds: () => boolean, maxMs: number): Promise<boolean> {
    if (holds()) return true;
    const endMs = this.#clock.monotonicMs() + maxMs;
    if (maxMs > 0) {
      await new Promise<void>((resolve) => this.watch(() => holds() || this.#clock.monotonicMs() >= endMs, resolve));
    }
    return holds();
  }

  /** True once nothing is worth waiting for: the node stops. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** All who wait, and who will, go on soon, whether it holds or not. */
  end(): void {
    this.#isEnded = true;
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    for (const watch of [...this.#watches]) {
      if (!this.#isEnded && !watch.holds()) continue;
      this.#watches.delete(watch);
      watch.then();
    }
    if (this.#watches.size > 0) this.#timer ??= this.#clock.after(intervalMs, this.#look);
  };
}
