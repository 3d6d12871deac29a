/**
 * Reads a log on from its mark after an unclean stop: keeps what follows batch by batch, writes it again and syncs it,
 * and cuts off the rest. What the page cache shows may never have reached the disk; written again and synced, it has.
 * @module
 */
import { present } from "../base/assert.ts";
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { sameBytes } from "../base/bytes.ts";
import type { Disk, DiskFile } from "../host/disk.ts";
import type { Hash } from "../host/hash.ts";
import { batchBytes, digestFollows, readBatch, readHeader } from "./batch-reader.ts";
import { batchFarBeyond } from "./damage-search.ts";
import { FileWindow } from "./file-window.ts";
import { batchHeader, inDataFolder, indexName, isSegmentFile, parseSegmentName, segmentName } from "./format.ts";
import type { Mark } from "./group-state.ts";
import type { LogPosition } from "./types.ts";

/** Segments are read and written again in pieces of this. */
const pieceBytes = 1 << 20;

/** A log whose segments are to be looked at. */
export interface SegmentsToRecover {
  readonly group: number;
  /** Folder of its files. */
  readonly folder: string;
  readonly mark: Mark;
  /** Files below it are leftovers. */
  readonly baseIndex: number;
  /** Digest of the journaled batch with this index, if there is one: it outranks what a segment says. */
  readonly journaled: (index: number) => Promise<Uint8Array | undefined>;
}

/** What became of it. */
export interface RecoveredSegments {
  readonly mark: Mark;
  readonly segments: readonly { firstIndex: number; sizeBytes: number }[];
  readonly keptBytes: number;
  readonly cutBytes: number;
  readonly syncs: number;
  /** Something below the mark is missing. */
  readonly damage: string | undefined;
}

/**
 * The segments of a log that was stopped cleanly: nothing beyond the mark is read. Files that were removed before may be
 * back after a power cut: they go again.
 */
export async function listSegments(
  disk: Disk,
  of: { folder: string; mark: Mark; baseIndex: number },
): Promise<Pick<RecoveredSegments, "segments" | "damage" | "syncs">> {
  const { mark, folder, baseIndex } = of;
  const names = (await disk.list(folder)) ?? [];
  const all = segmentIndexes(names);
  const sealed = all.filter((firstIndex) => firstIndex >= baseIndex && firstIndex < mark.segment);
  const segments: { firstIndex: number; sizeBytes: number }[] = [];
  for (const firstIndex of sealed) segments.push({ firstIndex, sizeBytes: await sizeOf(disk, folder, firstIndex) });
  segments.push({ firstIndex: mark.segment, sizeBytes: mark.position });
  const path = `${folder}/${segmentName(mark.segment)}`;
  const sizeBytes = all.includes(mark.segment) ? await sizeOf(disk, folder, mark.segment) : undefined;
  const damage = missingFirst(folder, segments, baseIndex) ?? belowMark(path, sizeBytes, mark.position);
  const syncs = damage === undefined ? await removeLeftovers(disk, folder, names, segments) : 0;
  return { segments, damage, syncs };
}

/** What is wrong where a log's files do not begin at its base. */
function missingFirst(
  folder: string,
  segments: readonly { firstIndex: number }[],
  baseIndex: number,
): string | undefined {
  return segments[0]?.firstIndex === baseIndex
    ? undefined
    : `${inDataFolder(folder)}/${segmentName(baseIndex)} is missing`;
}

/** What is wrong where the file that a mark is in is gone or short. */
function belowMark(path: string, sizeBytes: number | undefined, position: number): string | undefined {
  if (sizeBytes === undefined) return `${inDataFolder(path)} is missing`;
  return sizeBytes < position ? `${inDataFolder(path)} has ${sizeBytes} bytes, and ${position} were synced` : undefined;
}

/** Recovers the segments of one log. */
export async function recoverSegments(disk: Disk, hash: Hash, log: SegmentsToRecover): Promise<RecoveredSegments> {
  const { folder, mark, baseIndex } = log;
  const names = (await disk.list(folder)) ?? [];
  const all = segmentIndexes(names);
  const sealed = all.filter((firstIndex) => firstIndex >= baseIndex && firstIndex < mark.segment);
  const segments: { firstIndex: number; sizeBytes: number }[] = [];
  for (const firstIndex of sealed) segments.push({ firstIndex, sizeBytes: await sizeOf(disk, folder, firstIndex) });
  const missing = missingFirst(folder, [...segments, { firstIndex: mark.segment }], baseIndex);
  if (missing !== undefined) return { ...nothing(mark, segments), damage: missing };

  let current = mark;
  let [keptBytes, cutBytes, syncs] = [0, 0, 0];
  for (let firstIndex = mark.segment; ; firstIndex = current.end.index) {
    const from = firstIndex === mark.segment ? mark.position : 0;
    const path = `${folder}/${segmentName(firstIndex)}`;
    const file = await disk.open(path, { create: false });
    if (!file) {
      if (firstIndex > mark.segment || mark.position === 0) break;
      return { ...nothing(mark, segments), damage: belowMark(path, undefined, from) };
    }
    try {
      const sizeBytes = await file.size();
      const short = belowMark(path, sizeBytes, from);
      if (short !== undefined) return { ...nothing(mark, segments), damage: short };
      const read = await readOn(file, hash, log, { from, sizeBytes, after: current.end, isFirst: from === 0 });
      const far = await batchFarBeyond(file, hash, { group: log.group, ...read, sizeBytes });
      if (far !== undefined) {
        const damage = `${inDataFolder(path)} is bad at byte ${read.position}, and a whole batch stands at byte ${far}`;
        return { ...nothing(mark, segments), damage };
      }
      if (read.end.index === firstIndex && from === 0) {
        // Its first batch never arrived whole: the file was not begun.
        cutBytes += sizeBytes;
        break;
      }
      if (sizeBytes > from) {
        await rewrite(file, from, read.position);
        if (sizeBytes > read.position) await file.truncate(read.position);
        await file.sync();
        syncs += 1;
      }
      keptBytes += read.position - from;
      cutBytes += sizeBytes - read.position;
      segments.push({ firstIndex, sizeBytes: read.position });
      current = { end: read.end, segment: firstIndex, position: read.position, commitIndex: mark.commitIndex };
    } finally {
      await file.close();
    }
  }
  if (current.segment > mark.segment || mark.position === 0) syncs += await syncNames(disk, log, current);
  syncs += await removeLeftovers(disk, folder, names, segments);
  return { mark: current, segments, keptBytes, cutBytes, syncs, damage: undefined };
}

/** A segment that was begun above the mark is in the folder; whether it is there on the disk too, nobody knows. */
async function syncNames(disk: Disk, log: SegmentsToRecover, end: Mark): Promise<number> {
  if (end.position === 0) return 0;
  const group = log.folder.slice(0, log.folder.lastIndexOf("/"));
  const folders = [log.folder, group, group.slice(0, group.lastIndexOf("/"))];
  for (const folder of folders) await disk.syncFolder(folder);
  return folders.length;
}

interface ReadOn {
  readonly position: number;
  readonly end: LogPosition;
}

/** Goes on batch by batch as long as each one follows. */
async function readOn(
  file: DiskFile,
  hash: Hash,
  log: SegmentsToRecover,
  where: { from: number; sizeBytes: number; after: LogPosition; isFirst: boolean },
): Promise<ReadOn> {
  const window = new FileWindow(file, where.sizeBytes, pieceBytes);
  let position = where.from;
  let end = where.after;
  for (;;) {
    const batch = await batchAt(window, hash, log.group, position);
    if (!batch || !(await follows(batch, end, log, hash))) return { position, end };
    // A segment begins where a checkpoint stands, and nowhere else.
    if ((batch.kind === BatchKind.checkpoint) !== (position === 0)) return { position, end };
    position += batchBytes(batch);
    end = {
      index: batch.index + 1,
      offset: batch.baseOffset + batch.recordCount,
      appendTimeMicros: batch.appendTimeMicros,
      term: batch.term,
      digest: batch.digest.slice(),
    };
  }
}

async function batchAt(
  window: FileWindow,
  hash: Hash,
  group: number,
  position: number,
): Promise<StoredBatch | undefined> {
  const start = await window.bytesAt(position, batchHeader.bytes);
  const header = start && readHeader(start, group, hash);
  const bytes = header && (await window.bytesAt(position, batchBytes(header)));
  return bytes && readBatch(bytes, group, hash);
}

async function follows(batch: StoredBatch, end: LogPosition, log: SegmentsToRecover, hash: Hash): Promise<boolean> {
  if (batch.index !== end.index || batch.baseOffset !== end.offset || batch.term < end.term) return false;
  if (!digestFollows(batch, end.digest, hash)) return false;
  // A flush that was refused may have left its bytes; what was journaled in their place is what was acknowledged.
  const journaled = await log.journaled(batch.index);
  return journaled === undefined || sameBytes(journaled, batch.digest);
}

async function rewrite(file: DiskFile, from: number, to: number): Promise<void> {
  for (let position = from; position < to; position += pieceBytes) {
    const piece = new Uint8Array(Math.min(pieceBytes, to - position));
    await file.read(piece, position);
    await file.write([piece], position);
  }
}

function segmentIndexes(names: readonly string[]): number[] {
  const indexes = names.map(parseSegmentName).filter((index) => index !== undefined);
  return indexes.sort((a, b) => a - b);
}

async function sizeOf(disk: Disk, folder: string, firstIndex: number): Promise<number> {
  const path = `${folder}/${segmentName(firstIndex)}`;
  const file = present(await disk.open(path, { create: false }), `${path} is gone`);
  const sizeBytes = await file.size();
  await file.close();
  return sizeBytes;
}

/**
 * Files beyond the end are leftovers of a segment that never began, those below the base of a trim; each on its own, since a
 * kill or a power cut may have come between a segment's removal and its index's.
 */
async function removeLeftovers(
  disk: Disk,
  folder: string,
  names: readonly string[],
  kept: readonly { firstIndex: number }[],
): Promise<number> {
  const called = new Set(kept.flatMap(({ firstIndex }) => [segmentName(firstIndex), indexName(firstIndex)]));
  const gone = names.filter((name) => isSegmentFile(name) && !called.has(name));
  if (gone.length === 0) return 0;
  for (const name of gone) await disk.remove(`${folder}/${name}`);
  // What came back would be taken for one of the log's segments, once the log has grown beyond it.
  await disk.syncFolder(folder);
  return 1;
}

function nothing(mark: Mark, segments: readonly { firstIndex: number; sizeBytes: number }[]) {
  const here = mark.position > 0 ? [{ firstIndex: mark.segment, sizeBytes: mark.position }] : [];
  return { mark, segments: [...segments, ...here], keptBytes: 0, cutBytes: 0, syncs: 0 };
}
