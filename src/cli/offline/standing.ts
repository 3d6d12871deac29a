/**
 * What stands at a place of a segment, and why it is not what should stand there.
 * @module
 */
import { type BatchHeader, BatchKind, type StoredBatch } from "../../base/batch.ts";
import { getU64, sameBytes, viewOf } from "../../base/bytes.ts";
import type { Hash } from "../../host/hash.ts";
import { batchBytes, digestFollows, readBatch, readHeader } from "../../log/batch-reader.ts";
import type { FileWindow } from "../../log/file-window.ts";
import { batchHeader, checkpointPrefixBytes } from "../../log/format.ts";
import type { LogPosition } from "../../log/types.ts";

/** Where a chain of batches ends; without a digest what comes next can't be compared with what was. */
export type ChainEnd = Omit<LogPosition, "digest"> & { readonly digest: Uint8Array | undefined };

/** A batch, or why none stands there; with its header where that is whole. */
export type Standing =
  | { readonly batch: StoredBatch }
  | { readonly batch: undefined; readonly why: string; readonly header: BatchHeader | undefined };

/**
 * Looks at a place of a segment.
 * @throws {DataFolderError} It was written by a newer version.
 */
export async function standingAt(
  window: FileWindow,
  position: number,
  of: { group: number; sizeBytes: number; hash: Hash },
): Promise<Standing> {
  const { group, sizeBytes, hash } = of;
  const start = await window.bytesAt(position, batchHeader.bytes);
  if (!start) return noBatch(`the file ends after ${sizeBytes - position} bytes of a header`);
  const header = readHeader(start, group, hash);
  if (!header) return noBatch(whyNoHeader(start, group, hash));
  const length = batchBytes(header);
  const kept = { ...header, digest: header.digest.slice() };
  const bytes = await window.bytesAt(position, length);
  if (!bytes) return noBatch(`the file ends within batch ${header.index}`, kept);
  const batch = readBatch(bytes, group, hash);
  return batch ? { batch } : noBatch(`the payload of batch ${header.index} is not what its checksum says`, kept);
}

function noBatch(why: string, header?: BatchHeader): Standing {
  return { batch: undefined, why, header };
}

function whyNoHeader(bytes: Uint8Array, group: number, hash: Hash): string {
  const view = viewOf(bytes);
  const whole = view.getUint32(batchHeader.crcAt, true) === hash.crc32(bytes.subarray(batchHeader.magicAt));
  if (view.getUint16(batchHeader.magicAt, true) !== batchHeader.magic) return "no batch begins here";
  if (!whole) return "the header of the batch is not what its checksum says";
  const other = getU64(view, batchHeader.groupAt);
  return other === group ? "the header of the batch says what can't be" : `a batch of stream ${other} stands here`;
}

/** Where a chain ends after a batch. */
export function endAfter(batch: BatchHeader): LogPosition {
  return {
    index: batch.index + 1,
    offset: batch.baseOffset + batch.recordCount,
    appendTimeMicros: batch.appendTimeMicros,
    term: batch.term,
    digest: batch.digest.slice(),
  };
}

/** Why a batch does not follow; `undefined`: it does. After a chain's end without a digest, batches may be missing. */
export function whyNotAfter(end: ChainEnd, batch: StoredBatch, hash: Hash): string | undefined {
  const { index, baseOffset, term, appendTimeMicros } = batch;
  const isNext = end.digest !== undefined;
  if (isNext ? index !== end.index : index < end.index) return `batch ${index} stands where ${end.index} should`;
  if (isNext ? baseOffset !== end.offset : baseOffset < end.offset) {
    return `batch ${index} begins at offset ${baseOffset}, not ${end.offset}`;
  }
  if (term < end.term) return `batch ${index} is of term ${term}, after one of ${end.term}`;
  if (appendTimeMicros < end.appendTimeMicros) return `batch ${index} has an earlier time than the one before it`;
  const before = beforeOf(batch);
  if (before && end.digest && !(sameBytes(before.digest, end.digest) && before.term === end.term)) {
    return `the checkpoint at index ${index} tells of another batch before it`;
  }
  const digest = end.digest ?? before?.digest;
  if (digest && !digestFollows(batch, digest, hash)) return `batch ${index} has a digest that does not follow`;
  return undefined;
}

/** What a checkpoint says of the batch before it. */
export function beforeOf(batch: StoredBatch): { term: number; digest: Uint8Array } | undefined {
  if (batch.kind !== BatchKind.checkpoint || batch.payload.length < checkpointPrefixBytes) return undefined;
  return { term: getU64(viewOf(batch.payload), 0), digest: batch.payload.slice(8, checkpointPrefixBytes) };
}
