/**
 * Tells damage from a torn end in a segment. A bad batch above the mark ends the log, whatever follows, unless a whole
 * batch of this log stands more than two flushes beyond it: that can't be without a sync in between.
 * @module
 */
import type { DiskFile } from "../host/disk.ts";
import type { Hash } from "../host/hash.ts";
import { batchBytes, readBatch, readHeader } from "./batch-reader.ts";
import { batchHeader, batchMaxBytes, formatVersion } from "./format.ts";
import type { LogPosition } from "./types.ts";

/** Two flushes of the largest size. */
const tornMaxBytes = 2 * batchMaxBytes;

const windowBytes = 4 << 20;
/** The bytes of a header's magic. */
const [first, second] = [batchHeader.magic & 0xff, batchHeader.magic >>> 8];

/** Where a log ends, in which file, and what is behind it. */
export interface BrokenOff {
  readonly group: number;
  readonly end: Pick<LogPosition, "index" | "term">;
  readonly position: number;
  readonly sizeBytes: number;
}

/** Position of a whole batch of this log more than two flushes beyond where it ends, if there is one. */
export async function batchFarBeyond(file: DiskFile, hash: Hash, log: BrokenOff): Promise<number | undefined> {
  return await batchBeyond(file, hash, log, log.position + tornMaxBytes);
}

/** Position of the first whole batch at or after `from` that may be this log's. */
export async function batchBeyond(
  file: DiskFile,
  hash: Hash,
  log: BrokenOff,
  from: number,
): Promise<number | undefined> {
  // Windows overlap by a header, so that one across their border is seen.
  for (let at = from; at < log.sizeBytes; at += windowBytes - batchHeader.bytes) {
    const window = new Uint8Array(Math.min(windowBytes, log.sizeBytes - at));
    await file.read(window, at);
    for (let found = window.indexOf(first); found >= 0; found = window.indexOf(first, found + 1)) {
      const start = found - batchHeader.magicAt;
      if (window[found + 1] !== second || window[found + 2] !== formatVersion) continue;
      if (start >= 0 && (await isBatch(file, hash, log, at + start, window.subarray(start)))) return at + start;
    }
  }
  return undefined;
}

async function isBatch(
  file: DiskFile,
  hash: Hash,
  log: BrokenOff,
  position: number,
  bytes: Uint8Array,
): Promise<boolean> {
  const header = readHeader(bytes, log.group, hash);
  if (!header || position + batchBytes(header) > log.sizeBytes) return false;
  const mostBetween = Math.floor((position - log.position) / batchHeader.bytes);
  const { index, term } = header;
  if (index <= log.end.index || index > log.end.index + mostBetween || term < log.end.term) return false;
  const whole = new Uint8Array(batchBytes(header));
  await file.read(whole, position);
  return readBatch(whole, log.group, hash) !== undefined;
}
