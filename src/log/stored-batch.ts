/**
 * Batches that another replica stored, checked byte for byte before they are taken into a log. They were stamped by a
 * leader, so nothing of them is changed: they land as they came, or not at all.
 * - A batch fits one place only: its digest covers that of the batch before (docs/format.md, "Batch").
 * - It is hashed once, here. That it still fits when its turn comes is a comparison of places.
 * @module
 */
import { type BatchHeader, BatchKind, type StoredBatch } from "../base/batch.ts";
import { sameBytes } from "../base/bytes.ts";
import { DataFolderError } from "../base/disk-errors.ts";
import type { Hash } from "../host/hash.ts";
import { batchBytes, checkpointPrefix, digestFollows, readBatch, readHeader } from "./batch-reader.ts";
import { batchHeader } from "./format.ts";
import type { LogPosition } from "./types.ts";

/** A whole batch that was found to follow a place. Its bytes must not change until its append is settled. */
export class VerifiedBatch {
  readonly batch: StoredBatch;
  /** The log's end once it is appended. */
  readonly end: LogPosition;
  readonly #follows: LogPosition;

  constructor(batch: StoredBatch, follows: LogPosition) {
    this.batch = batch;
    this.#follows = follows;
    this.end = positionAfter(batch);
  }

  /** Whether `position` is the place that it was verified for. */
  fits(position: LogPosition): boolean {
    return this.#follows === position || samePlace(this.#follows, position);
  }
}

/** Why the batch that is due at `index` is not taken. Nothing of it was written. */
export class BatchRefusedError extends Error {
  override readonly name = "BatchRefusedError";
  readonly index: number;
  readonly why: string;

  constructor(group: number, { index, why }: { index: number; why: string }) {
    super(`Batch ${index} of group ${group} is refused: ${why}`);
    this.index = index;
    this.why = why;
  }
}

/** What stored bytes are found to hold. */
export interface VerifiedRun {
  /** Those that fit, in order. */
  readonly batches: readonly VerifiedBatch[];
  /** Where the last of them ends. */
  readonly end: LogPosition;
  /** Length of those in the bytes that were given. */
  readonly bytes: number;
  /** The first that does not fit. `isShort`: what is there of it may be its beginning. Absent: all fit. */
  readonly refused: { readonly index: number; readonly why: string; readonly isShort: boolean } | undefined;
}

/**
 * Verifies a run of stored batches, one behind the other, before anything of it is written.
 * @param after The place that the first is to follow.
 */
export function verifyStored(
  bytes: Uint8Array,
  { after, group, hash }: { after: LogPosition; group: number; hash: Hash },
): VerifiedRun {
  // What slice() gives of a socket's Buffer is no copy but a view.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const batches: VerifiedBatch[] = [];
  let end = after;
  let at = 0;
  while (at < plain.length) {
    const found = batchAt(plain.subarray(at), end, { group, hash });
    if ("why" in found) return { batches, end, bytes: at, refused: { index: end.index, ...found } };
    batches.push(found);
    at += batchBytes(found.batch);
    end = found.end;
  }
  return { batches, end, bytes: at, refused: undefined };
}

/** Where a log ends that ends with this batch. */
export function positionAfter(batch: BatchHeader): LogPosition {
  return {
    index: batch.index + 1,
    offset: batch.baseOffset + batch.recordCount,
    appendTimeMicros: batch.appendTimeMicros,
    term: batch.term,
    // Bytes of a message are not kept for 32 of them.
    digest: batch.digest.slice(),
  };
}

interface Refused {
  readonly why: string;
  readonly isShort: boolean;
}

function batchAt(
  bytes: Uint8Array,
  position: LogPosition,
  { group, hash }: { group: number; hash: Hash },
): VerifiedBatch | Refused {
  if (bytes.length < batchHeader.bytes) return { why: "its bytes end in its header", isShort: true };
  const header = headerIn(bytes, group, hash);
  if ("why" in header) return header;
  const why = whyNot(header, position);
  if (why !== undefined) return { why, isShort: false };
  if (bytes.length < batchBytes(header)) return { why: "its bytes end in its payload", isShort: true };
  const batch = readBatch(bytes, group, hash);
  if (!batch) return { why: "its payload is not what its checksum says", isShort: false };
  if (!saysWhatIsBefore(batch, position)) {
    return { why: "it is a checkpoint that says another term or digest of the batch before it", isShort: false };
  }
  if (!digestFollows(batch, position.digest, hash)) {
    return { why: "its digest does not follow that of the batch before it", isShort: false };
  }
  return new VerifiedBatch(batch, position);
}

function headerIn(bytes: Uint8Array, group: number, hash: Hash): BatchHeader | Refused {
  try {
    return readHeader(bytes, group, hash) ?? { why: "no header of this group's batches is there", isShort: false };
  } catch (error) {
    // It is whole, and a newer version's.
    if (!(error instanceof DataFolderError)) throw error;
    return { why: error.message, isShort: false };
  }
}

/** Why a header is not that of the batch that is due. */
function whyNot(header: BatchHeader, due: LogPosition): string | undefined {
  if (header.index !== due.index) return `its index is ${header.index}`;
  if (header.baseOffset !== due.offset) return `its base offset is ${header.baseOffset}, and ${due.offset} is next`;
  if (header.term < due.term) return `its term is ${header.term}, and that before it is ${due.term}`;
  if (header.term > due.term && header.kind !== BatchKind.leaderChange) {
    return `its term is ${header.term}, and no leader change begins it`;
  }
  if (header.appendTimeMicros < due.appendTimeMicros) return "it is of an earlier time than the batch before it";
  return undefined;
}

/** A checkpoint begins with the term and digest of the batch before it: a log may begin with it (docs/format.md). */
function saysWhatIsBefore({ kind, payload }: StoredBatch, { term, digest }: LogPosition): boolean {
  if (kind !== BatchKind.checkpoint) return true;
  const said = checkpointPrefix(payload);
  return said !== undefined && said.term === term && sameBytes(said.digest, digest);
}

function samePlace(a: LogPosition, b: LogPosition): boolean {
  return a.index === b.index && a.offset === b.offset && sameBytes(a.digest, b.digest);
}
