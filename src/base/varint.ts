/**
 * Protobuf's variable-length integers, read and written in place. Readers of lengths and tags take at most 5 bytes, as
 * the strictest stock runtimes do; longer forms of a small number are allowed.
 * @module
 */

/**
 * Where a varint that begins at `at` ends; -1 if it is cut off by `end`, has more than 10 bytes or more than 64 bits.
 */
export function varintEnd(bytes: Uint8Array, at: number, end: number): number {
  const last = Math.min(end, at + 10);
  for (let position = at; position < last; position++) {
    const byte = bytes[position] ?? 0x80;
    if (byte >= 0x80) continue;
    return position === at + 9 && byte > 1 ? -1 : position + 1;
  }
  return -1;
}

/** The value of a varint in `bytes[at, end)`, as `varintEnd` found it; -1 if it is 2^32 or more, or over 5 bytes long. */
export function varint32(bytes: Uint8Array, at: number, end: number): number {
  if (end - at > 5) return -1;
  let value = 0;
  let scale = 1;
  for (let position = at; position < end; position++) {
    value += ((bytes[position] ?? 0) & 0x7f) * scale;
    scale *= 128;
  }
  return value < 2 ** 32 ? value : -1;
}

/** The value of a varint in `bytes[at, end)` as a signed 64-bit integer; beyond 2^53 it is rounded. */
export function varintSigned64(bytes: Uint8Array, at: number, end: number): number {
  let low = 0;
  let high = 0;
  for (let position = at; position < end; position++) {
    const bits = (bytes[position] ?? 0) & 0x7f;
    const shift = 7 * (position - at);
    if (shift < 28) low += bits * 2 ** shift;
    else if (shift === 28) {
      low += (bits & 0x0f) * 2 ** 28;
      high |= bits >> 4;
    } else high |= bits << (shift - 32);
  }
  return high * 2 ** 32 + low;
}

/** Bytes that `value`, a whole number from 0 to 2^53 - 1, takes as a varint. */
export function varintBytes(value: number): number {
  let count = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) count++;
  return count;
}

/** Writes `value`, a whole number from 0 to 2^53 - 1, at `at`; returns the position after it. There must be room. */
export function writeVarint(value: number, into: Uint8Array, at: number): number {
  let rest = value;
  let position = at;
  while (rest >= 128) {
    into[position++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  into[position++] = rest;
  return position;
}
