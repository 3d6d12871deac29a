/**
 * Payloads that are known by group and serial alone, so that two processes need not tell each other.
 * @module
 */
import { putU32, putU64 } from "../../../src/base/bytes.ts";

/** Serial and group come first. */
export const payloadMinBytes = 12;

/** The payload with this serial; nothing but its length is free. */
export function payloadOf(group: number, serial: number, bytes: number): Uint8Array {
  const payload = new Uint8Array(bytes);
  const words = new Uint32Array(payload.buffer, 0, bytes >>> 2);
  let state = (Math.imul(group, 0x9e3779b9) ^ serial) >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  putU64(payload, 0, serial);
  putU32(payload, 8, group);
  return payload;
}

/** How many records the batch with this serial has. */
export function recordsOf(serial: number): number {
  return 1 + (serial % 3);
}
