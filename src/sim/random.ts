import type { Random } from "../host/random.ts";

/** Random numbers that are determined by a seed: a run draws all its luck from one of these. */
export class SimRandom implements Random {
  #state: number;

  constructor(seed: number) {
    // Neighbouring seeds must not give neighbouring runs.
    this.#state = Math.imul(seed, 0x9e3779b1) >>> 0;
    for (let i = 0; i < 4; i++) this.word();
  }

  /** The source with this name: a seed, and what its draws are for. Others' draws do not change it. */
  static of(...name: readonly number[]): SimRandom {
    let seed = 0;
    for (const part of name) seed = new SimRandom(seed ^ Math.imul(part + 1, 0x85ebca6b)).word();
    return new SimRandom(seed);
  }

  /** 32 bits. */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** At or above 0, below 1. */
  fraction(): number {
    return this.word() / 2 ** 32;
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.fraction() * (high - low + 1));
  }

  /** Many small numbers, few large ones: each doubling of the range is as likely as the one before. */
  skewed(low: number, high: number): number {
    return Math.min(
      high,
      Math.floor((low + 1) * ((high + 1) / (low + 1)) ** this.fraction()) - 1 + (low === 0 ? 0 : 1),
    );
  }

  /** True in `likelihood` of the cases. */
  chance(likelihood: number): boolean {
    return this.fraction() < likelihood;
  }

  /** One of these. */
  pick<T>(options: readonly [T, ...T[]]): T {
    return options[this.between(0, options.length - 1)] ?? options[0];
  }

  bytes(count: number): Uint8Array {
    const words = new Uint32Array(Math.ceil(count / 4));
    for (let i = 0; i < words.length; i++) words[i] = this.word();
    return new Uint8Array(words.buffer, 0, count);
  }

  /** Another source, whose draws do not change this one's. */
  fork(): SimRandom {
    return new SimRandom(this.word());
  }
}
