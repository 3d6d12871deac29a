import { randomBytes } from "node:crypto";

/** A source of random bytes; a test or the simulator gives a seeded one. */
export interface Random {
  /** `count` fresh bytes. */
  bytes(count: number): Uint8Array;
}

/** The system's cryptographic source. */
export const systemRandom: Random = { bytes: (count) => new Uint8Array(randomBytes(count)) };
