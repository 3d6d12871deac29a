/**
 * Changes of a log other than appends: one after the other, while nothing is on its way. Who reads sees the log before or
 * after a change, never what lies across one.
 * @module
 */
import { DiskError } from "../base/disk-errors.ts";
import type { TailraceError } from "../base/errors.ts";
import type { LogContext } from "./context.ts";
import type { Rounds } from "./rounds.ts";
import { isDamage } from "./segment.ts";

/** Whose turn it is, in one log. */
export class LogTurns {
  readonly #rounds: Rounds;
  readonly #context: LogContext;
  readonly #told: { changing(): void; damage(error: TailraceError): void };
  #changes: Promise<void> = Promise.resolve();
  /** How many run or wait. */
  #changing = 0;
  /** How many have begun. */
  #changesBegun = 0;

  /** `told`: who hears that a change begins, or that what was read is damaged. */
  constructor(rounds: Rounds, context: LogContext, told: { changing(): void; damage(error: TailraceError): void }) {
    this.#rounds = rounds;
    this.#context = context;
    this.#told = told;
  }

  /** Whether a change runs, or waits for its turn. */
  get isChanging(): boolean {
    return this.#changing > 0;
  }

  /** Waits for the changes that were asked for. */
  over(): Promise<void> {
    return this.#changes;
  }

  /** Of a log that was removed meanwhile a reader is told that, whatever happened to its files. */
  async reading<T>(read: () => Promise<T>): Promise<T> {
    for (;;) {
      if (this.isChanging) await this.#changes;
      if (this.#rounds.ended) throw this.#rounds.ended;
      const changesBegun = this.#changesBegun;
      try {
        const found = await read();
        if (this.#rounds.ended) throw this.#rounds.ended;
        if (changesBegun === this.#changesBegun) return found;
      } catch (error) {
        // So is a reader of a folder that is closing.
        const refusal = this.#rounds.ended ?? this.#context.refusal(true);
        if (refusal) throw refusal;
        if (changesBegun === this.#changesBegun) {
          if (isDamage(error)) this.#told.damage(error);
          throw error;
        }
      }
      // The log was changed under the reading, which may have met both what was and what is: it is done again.
    }
  }

  /** Runs a change when nothing is on its way, and lets nothing begin meanwhile. */
  change(change: () => Promise<void>): Promise<void> {
    const run = async () => {
      if (this.#rounds.ended) throw this.#rounds.ended;
      this.#changing += 1;
      this.#rounds.hold();
      try {
        // A flush may begin in the turn between.
        while (this.#rounds.isUnderWay) await this.#rounds.nothingUnderWay();
        const failure = this.#context.failure();
        if (failure) throw failure;
        this.#changesBegun += 1;
        this.#told.changing();
        await this.#rounds.flusher.hold(change);
      } catch (error) {
        // What the files are now, nobody knows.
        if (error instanceof DiskError) this.#context.failed(error);
        throw error;
      } finally {
        this.#changing -= 1;
        this.#rounds.release();
      }
    };
    const result = this.#changes.then(run);
    this.#changes = result.catch(() => {});
    return result;
  }
}
