/**
 * How many bytes the streams of a node hold together, and the limit on that. Each stream tells what its log has, from time
 * to time; what is appended in between is added as it comes, on its way or not, so that no crowd of appends passes the limit.
 * @module
 */
import { batchHeaderBytes } from "../base/batch.ts";
import { limitPassed } from "../base/errors.ts";
import { limitName } from "../base/limits.ts";

/** Whoever runs the node is warned when so much of the limit is used, and again after it was less for a while. */
const warnAt = 0.8;
const warnAgainBelow = 0.75;

/** What one stream is known to hold. */
export interface CountedLog {
  countedBytes: number;
}

export interface UsageOptions {
  /** 0: no limit. */
  readonly maxBytes: number;
  /** Told when the limit comes near. */
  readonly nearLimit: (usedBytes: number, maxBytes: number) => void;
}

export class Usage {
  readonly #options: UsageOptions;
  #countedBytes = 0;
  #comingBytes = 0;
  #isWarned = false;

  constructor(options: UsageOptions) {
    this.#options = options;
  }

  /** Bytes of stored batches, headers included, of all streams; those on their way count. */
  get usedBytes(): number {
    return this.#countedBytes + this.#comingBytes;
  }

  /** The log holds so much now. */
  count(log: CountedLog, storedBytes: number): void {
    this.#countedBytes += storedBytes - log.countedBytes;
    log.countedBytes = storedBytes;
    this.#watch();
  }

  /**
   * Checks that there is room for a batch with a payload of so many bytes.
   * @param what That can't be done otherwise: `Cannot append to stream "a"`.
   * @throws {TailraceError} `limit`.
   */
  check(payloadBytes: number, what: string, stream: string): void {
    const { maxBytes } = this.#options;
    if (maxBytes === 0 || this.usedBytes + batchHeaderBytes + payloadBytes <= maxBytes) return;
    const limit = { name: limitName("storedMaxBytes"), value: maxBytes };
    const todo = "Trim or delete streams, keep less of them, or raise the node's limit; reads go on meanwhile";
    throw limitPassed(what, limit, todo, { stream, fate: "nothing_written" });
  }

  /** A batch is on its way to a log. */
  coming(payloadBytes: number): void {
    this.#comingBytes += batchHeaderBytes + payloadBytes;
    this.#watch();
  }

  /** It is there, or was refused. */
  came(payloadBytes: number, log: CountedLog | undefined): void {
    this.#comingBytes -= batchHeaderBytes + payloadBytes;
    if (log !== undefined) this.count(log, log.countedBytes + batchHeaderBytes + payloadBytes);
  }

  #watch(): void {
    const { maxBytes, nearLimit } = this.#options;
    if (maxBytes === 0) return;
    const { usedBytes } = this;
    if (usedBytes < warnAgainBelow * maxBytes) this.#isWarned = false;
    if (this.#isWarned || usedBytes < warnAt * maxBytes) return;
    this.#isWarned = true;
    nearLimit(usedBytes, maxBytes);
  }
}
