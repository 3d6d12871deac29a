/**
 * Reads batches from bytes that may be anything: a torn write, another log's, a newer version's.
 * @module
 */
import { present } from "../base/assert.ts";
import { type BatchHeader, BatchKind, type ProducerStamp, type StoredBatch } from "../base/batch.ts";
import { getU64, sameBytes, viewOf } from "../base/bytes.ts";
import { DataFolderError } from "../base/disk-errors.ts";
import type { Hash } from "../host/hash.ts";
import {
  batchHeader as at,
  batchMaxBytes,
  checkpointPrefixBytes,
  digestBytes,
  formatVersion,
  producerIdBytes,
} from "./format.ts";

/** Kinds by their number. */
const kinds: readonly (BatchKind | undefined)[] = Object.values(BatchKind).sort((a, b) => a - b);

/**
 * The header at the start of `bytes`, if a whole one of `group` stands there; its digest is a view.
 * @throws {DataFolderError} The header is whole, and of a version or with flags that only a newer tailrace knows.
 */
export function readHeader(bytes: Uint8Array, group: number, hash: Hash): BatchHeader | undefined {
  if (bytes.length < at.bytes) return undefined;
  const view = viewOf(bytes);
  if (view.getUint16(at.magicAt, true) !== at.magic) return undefined;
  if (view.getUint32(at.crcAt, true) !== hash.crc32(bytes.subarray(at.magicAt, at.bytes))) return undefined;
  return soundHeader(bytes, view, group);
}

/**
 * The same of bytes that another checksum has shown to be as they were written: those of a whole frame. A start reads as many
 * as the ring holds, so nothing is checked twice.
 */
export function readHeaderInFrame(bytes: Uint8Array, group: number): BatchHeader | undefined {
  const view = viewOf(bytes);
  if (bytes.length < at.bytes || view.getUint16(at.magicAt, true) !== at.magic) return undefined;
  const header = soundHeader(bytes, view, group);
  return header && batchBytes(header) <= bytes.length ? header : undefined;
}

function soundHeader(bytes: Uint8Array, view: DataView, group: number): BatchHeader | undefined {
  if (getU64(view, at.groupAt) !== group) return undefined;
  const payloadBytes = view.getUint32(at.payloadBytesAt, true);
  const recordCount = view.getUint32(at.recordsAt, true);
  const kind = kinds[view.getUint8(at.kindAt)];
  if (kind === undefined || !isOfThisVersion(view, recordCount)) throw newerVersion(whatIsNewer(view, recordCount));
  const header: BatchHeader = {
    kind,
    codec: view.getUint8(at.codecAt),
    payloadBytes,
    group,
    index: getU64(view, at.indexAt),
    baseOffset: getU64(view, at.baseOffsetAt),
    recordCount,
    term: getU64(view, at.termAt),
    appendTimeMicros: getU64(view, at.appendTimeAt),
    digest: bytes.subarray(at.digestAt, at.bytes),
    producer: hasProducer(view) ? producerIn(bytes, view) : undefined,
  };
  const sound =
    at.bytes + payloadBytes <= batchMaxBytes &&
    Number.isSafeInteger(header.index) &&
    Number.isSafeInteger(header.baseOffset + recordCount) &&
    Number.isSafeInteger(header.term) &&
    Number.isSafeInteger(header.appendTimeMicros) &&
    Number.isSafeInteger(header.producer?.sequence ?? 0);
  return sound ? header : undefined;
}

function hasProducer(view: DataView): boolean {
  const id = at.producerIdAt;
  return (view.getUint32(id) | view.getUint32(id + 4) | view.getUint32(id + 8) | view.getUint32(id + 12)) !== 0;
}

function producerIn(bytes: Uint8Array, view: DataView): ProducerStamp {
  return {
    id: bytes.slice(at.producerIdAt, at.producerIdAt + producerIdBytes),
    epoch: view.getUint32(at.producerEpochAt, true),
    sequence: getU64(view, at.sequenceAt),
  };
}

/** Whether a header whose checksum is right has nothing but its kind that only another version could know. */
function isOfThisVersion(view: DataView, recordCount: number): boolean {
  return (
    view.getUint8(at.versionAt) === formatVersion &&
    view.getUint8(at.codecAt) === 0 &&
    view.getUint8(at.paddingAt) === 0 &&
    (view.getUint16(at.flagsAt, true) & at.flagsToKnow) === 0 &&
    view.getUint32(at.offsetSpanAt, true) === recordCount
  );
}

function whatIsNewer(view: DataView, recordCount: number): string {
  const flags = view.getUint16(at.flagsAt, true);
  const odd: [name: string, value: number, isKnown: boolean][] = [
    ["version", view.getUint8(at.versionAt), view.getUint8(at.versionAt) === formatVersion],
    ["kind", view.getUint8(at.kindAt), kinds[view.getUint8(at.kindAt)] !== undefined],
    ["codec", view.getUint8(at.codecAt), view.getUint8(at.codecAt) === 0],
    ["padding", view.getUint8(at.paddingAt), view.getUint8(at.paddingAt) === 0],
    ["flags", flags, (flags & at.flagsToKnow) === 0],
    ["offset span", view.getUint32(at.offsetSpanAt, true), view.getUint32(at.offsetSpanAt, true) === recordCount],
  ];
  const [name, value] = present(
    odd.find(([, , isKnown]) => !isKnown),
    "a header is known and is not",
  );
  return `A batch with ${name} ${value}`;
}

/** The whole batch at the start of `bytes`, both checksums right; `undefined`: none stands there. */
export function readBatch(bytes: Uint8Array, group: number, hash: Hash): StoredBatch | undefined {
  const header = readHeader(bytes, group, hash);
  if (!header || bytes.length < at.bytes + header.payloadBytes) return undefined;
  const payload = bytes.subarray(at.bytes, at.bytes + header.payloadBytes);
  if (viewOf(bytes).getUint32(at.payloadCrcAt, true) !== hash.crc32(payload)) return undefined;
  return { ...header, header: bytes.subarray(0, at.bytes), payload };
}

/** Whether a batch's digest is the one that follows `previousDigest`. */
export function digestFollows(batch: StoredBatch, previousDigest: Uint8Array, hash: Hash): boolean {
  const covered = batch.header.slice(at.magicAt);
  covered.set(previousDigest, at.digestAt - at.magicAt);
  const computed = new Uint8Array(digestBytes);
  hash.sha256Into([covered, batch.payload], computed, 0);
  return sameBytes(computed, batch.digest);
}

/** The same of a batch in one piece, at the beginning of `bytes`: one call hashes it. */
export function digestInFrameFollows(
  bytes: Uint8Array,
  batch: BatchHeader,
  previousDigest: Uint8Array,
  hash: Hash,
): boolean {
  const covered = bytes.slice(at.magicAt, batchBytes(batch));
  covered.set(previousDigest, at.digestAt - at.magicAt);
  const computed = new Uint8Array(digestBytes);
  hash.sha256Into([covered], computed, 0);
  return sameBytes(computed, batch.digest);
}

/** What a checkpoint's payload says of the batch before it; `undefined`: it is too short for that. */
export function checkpointPrefix(payload: Uint8Array): { term: number; digest: Uint8Array } | undefined {
  if (payload.length < checkpointPrefixBytes) return undefined;
  return { term: getU64(viewOf(payload), 0), digest: payload.subarray(8, checkpointPrefixBytes) };
}

/** Whole length of a batch, header included. */
export function batchBytes(header: BatchHeader): number {
  return at.bytes + header.payloadBytes;
}

/** What a start says when it meets what it can't know. */
export function newerVersion(what: string): DataFolderError {
  return new DataFolderError(
    `${what} was written by a newer version of tailrace`,
    "Start this data folder with the version that wrote it, or a newer one",
  );
}
