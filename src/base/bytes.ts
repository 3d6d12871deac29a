/**
 * Little-endian numbers in byte arrays. A u64 is a position below 2^53: its upper half is kept apart from its lower.
 * @module
 */

/** Writes 16 bits. */
export function putU16(into: Uint8Array, at: number, value: number): void {
  into[at] = value;
  into[at + 1] = value >>> 8;
}

/** Writes 32 bits. */
export function putU32(into: Uint8Array, at: number, value: number): void {
  into[at] = value;
  into[at + 1] = value >>> 8;
  into[at + 2] = value >>> 16;
  into[at + 3] = value >>> 24;
}

/** Writes 64 bits; `value` is whole, from 0 to 2^53 - 1. */
export function putU64(into: Uint8Array, at: number, value: number): void {
  putU32(into, at, value >>> 0);
  putU32(into, at + 4, Math.floor(value / 0x1_0000_0000));
}

/** A view for reading numbers; reading beyond its end throws. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads 64 bits. A value at or above 2^53 comes out rounded, and so is never below it: callers refuse it. */
export function getU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

/** Whether two arrays hold the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether all bytes are zero. */
export function allZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** The next multiple of `unit` at or above `value`. */
export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
