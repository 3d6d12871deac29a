/**
 * Time as one simulated process has it: its clock runs faster or slower than others', and while the process is paused
 * nothing happens in it. What came meanwhile happens when it goes on.
 * @module
 */
import type { Clock, Timer } from "../../host/clock.ts";
import type { Timeline } from "../timeline.ts";

/** A process's clock, and the gate through which everything reaches it. */
export class ProcessClock implements Clock {
  readonly #timeline: Timeline;
  readonly #rate: number;
  readonly #isAlive: () => boolean;
  /** What its wall clock is ahead, microseconds. */
  #wallOffsetMicros: number;
  #isPaused = false;
  #waiting: (() => void)[] = [];

  constructor(timeline: Timeline, options: { rate: number; wallOffsetMicros: number; isAlive: () => boolean }) {
    this.#timeline = timeline;
    this.#rate = options.rate;
    this.#isAlive = options.isAlive;
    this.#wallOffsetMicros = options.wallOffsetMicros;
  }

  nowMicros(): number {
    return this.#wallOffsetMicros + Math.floor(this.#timeline.nowMs * this.#rate) * 1000;
  }

  monotonicMs(): number {
    return this.#timeline.nowMs * this.#rate;
  }

  after(delayMs: number, wake: () => void): Timer {
    let canceled = false;
    this.#timeline.after(delayMs / this.#rate, () => {
      this.run(() => {
        if (!canceled) wake();
      });
    });
    return {
      cancel: () => {
        canceled = true;
      },
    };
  }

  /** Somebody sets the wall clock: forward, or back. */
  jump(byMs: number): void {
    this.#wallOffsetMicros += byMs * 1000;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Does this once the process runs. */
  run(work: () => void): void {
    if (!this.#isAlive()) return;
    if (this.#isPaused) this.#waiting.push(work);
    else work();
  }

  /** Resolves once the process runs. */
  running(): Promise<void> | undefined {
    return this.#isPaused ? new Promise((resolve) => this.#waiting.push(resolve)) : undefined;
  }

  pause(): void {
    this.#isPaused = true;
  }

  goOn(): void {
    this.#isPaused = false;
    for (const work of this.#waiting.splice(0)) this.run(work);
  }
}
