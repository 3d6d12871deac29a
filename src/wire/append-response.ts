import { varintBytes, writeVarint } from "../base/varint.ts";

/** What an AppendResponse says: all of it but `duplicate`. */
export interface AppendReceipt {
  readonly streamId: number;
  readonly startOffset: number;
  readonly nextOffset: number;
  readonly index: number;
  readonly appendTimeMicros: number;
  /** 32 bytes. */
  readonly digest: Uint8Array;
}

const streamIdTag = 0x08;
const startOffsetTag = 0x10;
const nextOffsetTag = 0x18;
const indexTag = 0x20;
const appendTimeTag = 0x2a;
const digestTag = 0x32;
const secondsTag = 0x08;
const nanosTag = 0x10;

/** Tags and lengths, five varints of at most 8 bytes, one of at most 5, and the digest take less. */
const bytesAtMost = 96;

/**
 * A serialized AppendResponse. The busiest answer of all, so it is written by hand: protobuf-es takes twenty times as
 * long.
 */
export function encodeAppendResponse(receipt: AppendReceipt): Uint8Array {
  const bytes = new Uint8Array(bytesAtMost);
  let at = 0;
  // The only field without presence: 0, the id of `_meta`, is not written.
  if (receipt.streamId > 0) at = writeField(streamIdTag, receipt.streamId, bytes, at);
  at = writeField(startOffsetTag, receipt.startOffset, bytes, at);
  at = writeField(nextOffsetTag, receipt.nextOffset, bytes, at);
  at = writeField(indexTag, receipt.index, bytes, at);
  at = writeTime(receipt.appendTimeMicros, bytes, at);
  bytes[at++] = digestTag;
  bytes[at++] = receipt.digest.length;
  bytes.set(receipt.digest, at);
  return bytes.subarray(0, at + receipt.digest.length);
}

function writeField(tag: number, value: number, into: Uint8Array, at: number): number {
  into[at] = tag;
  return writeVarint(value, into, at + 1);
}

/** @param micros Not before 1970, as append times are. */
function writeTime(micros: number, into: Uint8Array, at: number): number {
  const seconds = Math.floor(micros / 1e6);
  const nanos = (micros - seconds * 1e6) * 1000;
  const length = (seconds > 0 ? 1 + varintBytes(seconds) : 0) + (nanos > 0 ? 1 + varintBytes(nanos) : 0);
  into[at] = appendTimeTag;
  into[at + 1] = length;
  let next = at + 2;
  if (seconds > 0) next = writeField(secondsTag, seconds, into, next);
  if (nanos > 0) next = writeField(nanosTag, nanos, into, next);
  return next;
}
