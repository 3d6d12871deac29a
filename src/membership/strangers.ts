/**
 * Those who say what no node of this cluster says: each is named in the log once a minute, however often it comes.
 * @module
 */
import type { Logger } from "pino";
import type { Clock } from "../host/clock.ts";

const intervalMs = 60_000;
/** How many are remembered: more than this in a minute are no longer told apart. */
const peersMax = 100;
/** Longest name, and longest sentence, that is taken of what they say: it may be as long as a message. */
const nameMaxLength = 255;
const sentenceMaxLength = 2_000;

/** See the module's description. */
export class Strangers {
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** When each was named last; the oldest first. */
  readonly #namedMs = new Map<string, number>();
  #crowdMs = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** What was met since the start, named or not. */
  get count(): number {
    return this.#count;
  }

  /** @param peer Who it is: a node or an address. @param what A sentence for the log. */
  met(peer: string, what: string, level: "warn" | "error" = "warn"): void {
    this.#count += 1;
    this.#name(peer.slice(0, nameMaxLength), what.slice(0, sentenceMaxLength), level);
  }

  #name(peer: string, what: string, level: "warn" | "error"): void {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#namedMs.get(peer);
    if (last !== undefined && nowMs - last < intervalMs) return;
    this.#namedMs.delete(peer);
    for (const [other, namedMs] of this.#namedMs) {
      if (nowMs - namedMs < intervalMs) break;
      this.#namedMs.delete(other);
    }
    if (this.#namedMs.size < peersMax) {
      this.#namedMs.set(peer, nowMs);
      this.#logger[level]({ peer }, what);
      return;
    }
    if (nowMs - this.#crowdMs < intervalMs) return;
    this.#crowdMs = nowMs;
    this.#logger.warn({ peersMax }, `More than ${peersMax} strangers came within a minute: no more are named for now`);
  }
}
