/**
 * Stamps batches: writes the 128 bytes before a payload (docs/format.md, "Batch").
 * @module
 */
import type { BatchKind, ProducerStamp } from "../base/batch.ts";
import { putU16, putU32, putU64 } from "../base/bytes.ts";
import type { Hash } from "../host/hash.ts";
import { batchHeader as at, checkpointPrefixBytes, digestBytes, formatVersion } from "./format.ts";

/** What the leader stamps on a batch. */
export interface Stamp {
  readonly kind: BatchKind;
  readonly group: number;
  readonly index: number;
  readonly baseOffset: number;
  readonly recordCount: number;
  readonly term: number;
  readonly appendTimeMicros: number;
  readonly producer?: ProducerStamp;
}

/**
 * Writes a header at the start of `header` and its digest, given the digest of the batch before.
 * The digest covers bytes 4 to the end of the batch with the digest before in its own place.
 * @param batch The whole batch, where header and payload touch: then one call hashes it and nothing is copied.
 */
export function stampHeader(
  header: Uint8Array,
  payload: Uint8Array,
  stamp: Stamp,
  previousDigest: Uint8Array,
  hash: Hash,
  batch?: Uint8Array,
): void {
  header.fill(0, 0, at.bytes);
  putU16(header, at.magicAt, at.magic);
  header[at.versionAt] = formatVersion;
  header[at.kindAt] = stamp.kind;
  putU32(header, at.payloadBytesAt, payload.length);
  putU64(header, at.groupAt, stamp.group);
  putU64(header, at.indexAt, stamp.index);
  putU64(header, at.baseOffsetAt, stamp.baseOffset);
  putU32(header, at.recordsAt, stamp.recordCount);
  putU32(header, at.offsetSpanAt, stamp.recordCount);
  putU64(header, at.termAt, stamp.term);
  putU64(header, at.appendTimeAt, stamp.appendTimeMicros);
  const { producer } = stamp;
  if (producer) {
    header.set(producer.id, at.producerIdAt);
    putU64(header, at.sequenceAt, producer.sequence);
    putU32(header, at.producerEpochAt, producer.epoch);
  }
  putU32(header, at.payloadCrcAt, hash.crc32(payload));
  header.set(previousDigest, at.digestAt);
  const parts = batch ? [batch.subarray(at.magicAt)] : [header.subarray(at.magicAt, at.bytes), payload];
  hash.sha256Into(parts, header, at.digestAt);
  putU32(header, at.crcAt, hash.crc32(header.subarray(at.magicAt, at.bytes)));
}

/** A checkpoint's payload: term and digest of the batch before it, then the state. */
export function checkpointPayload(term: number, digest: Uint8Array, state: Uint8Array): Uint8Array {
  const payload = new Uint8Array(checkpointPrefixBytes + state.length);
  putU64(payload, 0, term);
  payload.set(digest.subarray(0, digestBytes), 8);
  payload.set(state, checkpointPrefixBytes);
  return payload;
}
