/**
 * Random numbers that can be had again: each test that draws some prints its seed.
 * @module
 */

/** A source that is determined by its seed. */
export interface Seeded {
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number;
  /** `length` bytes, out of a pool. */
  bytes(length: number): Uint8Array;
}

/** The seed that TAILRACE_TEST_SEED asks for, or a new one; printed for the report of a failure. */
export function chooseSeed(test: string): number {
  const seed = Number(process.env["TAILRACE_TEST_SEED"] ?? Date.now() % 2 ** 31);
  console.log(`${test}: TAILRACE_TEST_SEED=${seed}`);
  return seed;
}

/** @param poolBytes Largest number of bytes that will be asked for at once. */
export function seeded(seed: number, poolBytes: number): Seeded {
  let state = seed >>> 0;
  /** Splits the bits of a counter: short, and good enough for tests. */
  const next = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  const between = (low: number, high: number) => low + (next() % (high - low + 1));
  const words = Uint32Array.from({ length: Math.ceil(poolBytes / 4) * 2 }, next);
  const pool = new Uint8Array(words.buffer);
  return {
    between,
    bytes(length) {
      const start = between(0, pool.length - length);
      return pool.subarray(start, start + length);
    },
  };
}
