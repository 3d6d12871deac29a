/**
 * A series of appends whose leader may be another node, or change in the middle: they stay in order, and none goes in behind one
 * that was refused.
 * - They go one behind the other, without waiting, on a way that keeps them in order: to the log here, or by one call to the node
 *   that leads.
 * - Those that lost their leader on the way, and all behind them, wait: the first is done wherever a leader is found, then the
 *   others go on the way to that one. Nothing overtakes what may still come to be.
 * @module
 */
import { TailraceError } from "../base/errors.ts";
import { seriesBroken } from "./refusals.ts";
import type { AppendAnswer, AppendOptions, AppendSeries } from "./types.ts";

/** What a failed try says of its append. */
export type TryFailure = "not done" | "unknown" | "refused";

/** A way to a log that keeps the order of what is sent on it, and takes nothing behind what it refused. */
export interface SeriesWay {
  /** Whether it still goes to who leads. */
  readonly isCurrent: boolean;
  append(payload: Uint8Array, options: AppendOptions): Promise<AppendAnswer>;
  failure(error: unknown): TryFailure;
  /** What a failed try is to a client. */
  explain(error: unknown): unknown;
  /** Nothing more is sent on it; what was sent is answered. */
  end(): void;
}

/** How appends of a series are done. */
export interface SeriesWays {
  readonly name: string;
  /** The way to who leads now; undefined: nobody is known to. */
  readonly open: () => SeriesWay | undefined;
  /** Appends wherever the leader is. */
  readonly anywhere: (payload: Uint8Array, options: AppendOptions) => Promise<AppendAnswer>;
}

interface Entry {
  readonly payload: Uint8Array;
  readonly options: AppendOptions;
  readonly resolve: (answer: AppendAnswer) => void;
  readonly reject: (error: unknown) => void;
  tried: { readonly way: SeriesWay; readonly outcome: Promise<AppendAnswer> } | undefined;
}

export class RoutedSeries {
  readonly #ways: SeriesWays;
  readonly #series: AppendSeries;
  /** Those that are not answered, in order. */
  readonly #waiting: Entry[] = [];
  #way: SeriesWay | undefined;
  #isRunning = false;
  #isEnded = false;
  /** Some lost their leader, or found none: what comes waits behind them. */
  #isBehind = false;

  /** @param series Its state as the caller sees it. */
  constructor(ways: SeriesWays, series: AppendSeries) {
    this.#ways = ways;
    this.#series = series;
    series.ended = () => {
      this.#isEnded = true;
      if (this.#waiting.length === 0) this.#way?.end();
    };
  }

  append(payload: Uint8Array, options: AppendOptions): Promise<AppendAnswer> {
    return new Promise((resolve, reject) => {
      const entry: Entry = { payload, options, resolve, reject, tried: undefined };
      const isFirst = this.#waiting.push(entry) === 1;
      if (!this.#isBehind && !this.#series.isBroken) this.#start(entry, isFirst);
      if (!this.#isRunning) void this.#run();
    });
  }

  /** Sends it on its way; on another one only if nothing is on the one before, which it could overtake. */
  #start(entry: Entry, isFirst: boolean): void {
    if (this.#way?.isCurrent !== true && isFirst) this.#reopen();
    if (this.#way?.isCurrent === true) this.#try(entry, this.#way);
    else this.#isBehind = true;
  }

  #reopen(): void {
    this.#way?.end();
    this.#way = this.#ways.open();
  }

  #try(entry: Entry, way: SeriesWay): void {
    const outcome = way.append(entry.payload, entry.options);
    // It is looked at in its turn.
    outcome.catch(() => {});
    entry.tried = { way, outcome };
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let entry = this.#waiting[0]; entry !== undefined; entry = this.#waiting[0]) {
      try {
        entry.resolve(await this.#answer(entry));
      } catch (error) {
        this.#series.isBroken = true;
        entry.reject(error);
      }
      this.#waiting.shift();
      if (this.#isBehind && !this.#series.isBroken) await this.#resume();
    }
    this.#isRunning = false;
    if (this.#isEnded) this.#way?.end();
  }

  async #answer({ payload, options, tried }: Entry): Promise<AppendAnswer> {
    if (tried !== undefined) {
      try {
        return await tried.outcome;
      } catch (error) {
        const isLost = this.#isLost(tried.way, error, options);
        if (!isLost) throw tried.way.explain(error);
        this.#isBehind = true;
      }
    }
    if (this.#series.isBroken) throw seriesBroken(this.#ways.name);
    return await this.#ways.anywhere(payload, options);
  }

  /** All that wait go on their way again, once it is known of each how its last try ended. */
  async #resume(): Promise<void> {
    const done = new Set<Entry>();
    for (const entry of this.#waiting) {
      const { tried, options } = entry;
      if (tried === undefined) continue;
      try {
        await tried.outcome;
        done.add(entry);
      } catch (error) {
        // What can't be tried again ends the series in its turn.
        if (!this.#isLost(tried.way, error, options)) return;
      }
    }
    this.#reopen();
    if (this.#way === undefined && this.#waiting.length > 0) return;
    for (const entry of this.#waiting) if (!done.has(entry) && this.#way) this.#try(entry, this.#way);
    this.#isBehind = false;
  }

  /** Whether a try came to nothing for want of a leader, or its fate is not known and a second one is safe. */
  #isLost(way: SeriesWay, error: unknown, { producer }: AppendOptions): boolean {
    switch (way.failure(error)) {
      case "not done":
        return true;
      case "unknown":
        return producer !== undefined;
      case "refused":
        // Those behind one that lost its leader are refused for that.
        return (
          (this.#isBehind || this.#series.isBroken) && error instanceof TailraceError && error.reason === "not_ready"
        );
    }
  }
}
