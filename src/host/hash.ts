import * as crypto from "node:crypto";
import * as zlib from "node:zlib";

/** The two functions that keep bytes honest. */
export interface Hash {
  /** CRC-32 (IEEE, as zlib) of `bytes`, going on from `start` (0). */
  crc32(bytes: Uint8Array, start?: number): number;
  /** Writes the SHA-256 of all `parts`, one after the other, into `into` at `at`: 32 bytes. */
  sha256Into(parts: readonly Uint8Array[], into: Uint8Array, at: number): void;
}

/** zlib's CRC-32 (in Node's zlib from 20.15 on) and the runtime's SHA-256. */
export const systemHash: Hash = {
  crc32: (bytes, start = 0) => zlib.crc32(bytes, start),
  sha256Into(parts, into, at) {
    const [only] = parts;
    if (parts.length === 1 && only !== undefined) {
      into.set(crypto.hash("sha256", only, "buffer"), at);
      return;
    }
    const hash = crypto.createHash("sha256");
    for (const part of parts) hash.update(part);
    into.set(hash.digest(), at);
  },
};
