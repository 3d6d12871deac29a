/**
 * Where each number stands in what a data folder holds: docs/format.md is the page, this is its table.
 * Writers and readers share these constants and nothing else.
 * @module
 */
import { batchHeaderBytes } from "../base/batch.ts";

/** Version of every format here. A reader refuses a newer one in words. */
export const formatVersion = 1;

/** Batch header (docs/format.md, "Batch"). */
export const batchHeader = {
  bytes: batchHeaderBytes,
  crcAt: 0,
  magicAt: 4,
  versionAt: 6,
  kindAt: 7,
  codecAt: 8,
  paddingAt: 9,
  flagsAt: 10,
  payloadBytesAt: 12,
  groupAt: 16,
  indexAt: 24,
  baseOffsetAt: 32,
  recordsAt: 40,
  offsetSpanAt: 44,
  termAt: 48,
  appendTimeAt: 56,
  producerIdAt: 64,
  sequenceAt: 80,
  producerEpochAt: 88,
  payloadCrcAt: 92,
  digestAt: 96,
  /** "TR". */
  magic: 0x5254,
  /** Flags 0 to 7 may be ignored by who does not know them, 8 to 15 not. */
  flagsToKnow: 0xff00,
} as const;

/** Bytes of a producer's id. */
export const producerIdBytes = 16;

/** Bytes of a digest: SHA-256. */
export const digestBytes = 32;

/** What precedes the state in a checkpoint's payload: term and digest of the batch before. */
export const checkpointPrefixBytes = 40;

/** Largest batch with its header, and largest flush. */
export const batchMaxBytes = 8 << 20;

/** Frame header (docs/format.md, "Journal"). */
export const frameHeader = {
  bytes: 64,
  crcAt: 0,
  magicAt: 4,
  lengthAt: 8,
  versionAt: 12,
  kindAt: 13,
  /** u16: how many files the ring has. */
  filesAt: 14,
  numberAt: 16,
  incarnationAt: 24,
  freedAt: 32,
  diskIdAt: 40,
  recordsAt: 56,
  /** "TRJF". */
  magic: 0x464a5254,
  /** Frames begin at multiples of this. */
  border: 4096,
} as const;

/** Kinds of frames. */
export const FrameKind = { frame: 0, snapshot: 1, clean: 2 } as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** Record header within a frame. */
export const recordHeader = {
  bytes: 16,
  kindAt: 0,
  flagsAt: 1,
  logNumberAt: 2,
  lengthAt: 4,
  groupAt: 8,
  /** Flag: a copy of a batch that an older frame holds. */
  carried: 1,
  /** Flag of a cut: it goes into the segments, so their files must follow. */
  cutsSegments: 2,
} as const;

/** Kinds of records within a frame. */
export const RecordKind = {
  batch: 1,
  made: 2,
  vote: 3,
  life: 4,
  floor: 5,
  note: 6,
  mark: 7,
  placed: 8,
  cut: 9,
  cutDone: 10,
  log: 11,
  base: 12,
  gone: 13,
  state: 14,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** Body of a vote record: term, disk id and life of whom it went to (zeros: nobody yet). */
export const voteBody = { bytes: 32, termAt: 0, diskIdAt: 8, lifeAt: 24 } as const;

/** Body of mark and cut records: a place in the segments, and what is known of the batch before it. */
export const markBody = {
  bytes: 88,
  endAt: 0,
  segmentAt: 8,
  positionAt: 16,
  nextOffsetAt: 24,
  appendTimeAt: 32,
  termAt: 40,
  commitAt: 48,
  digestAt: 56,
} as const;

/** Body of a base record: the first batch that is kept, and its offset. */
export const baseBody = { bytes: 16, indexAt: 0, offsetAt: 8 } as const;

/** Body of a log record: the base of the new log, and where it ends, as in a mark. The record's log number is the new one. */
export const logBody = { bytes: 104, baseAt: 0, markAt: 16 } as const;

/** Body of life records. */
export const lifeBody = { bytes: 8, lifeAt: 0 } as const;

/** Body of floor records. */
export const floorBody = { bytes: 16, termAt: 0, indexAt: 8 } as const;

/** Body of a state record, in snapshots: all of a group that the journal keeps. The note follows. */
export const stateBody = {
  bytes: 232,
  flagsAt: 0,
  lifeAt: 4,
  voteAt: 8,
  floorAt: 40,
  baseAt: 56,
  markAt: 72,
  /** Where the batches end that this and older frames hold: index, next offset, append time, term, digest. */
  endAt: 160,
  noteBytesAt: 224,
  noteAt: 232,
  /** Flag: its folder and first file are there. */
  placed: 1,
  /** Flag: a cut into the segments is not done yet; its 88 bytes follow the note, at the next multiple of 8. */
  openCut: 2,
} as const;

/** A place in a log, and what is known of the batch before it. */
export const positionBody = { bytes: 64, indexAt: 0, offsetAt: 8, timeAt: 16, termAt: 24, digestAt: 32 } as const;

/** Largest note of a group. */
export const noteMaxBytes = 1024;

/** Body of note records: the note's length, then the note. */
export const noteBody = { bytesAt: 0, noteAt: 4 } as const;

/** Index file: header, then entries. */
export const indexFile = {
  headerBytes: 40,
  crcAt: 0,
  magicAt: 4,
  versionAt: 8,
  controlsAt: 12,
  groupAt: 16,
  segmentAt: 24,
  countAt: 32,
  /** "TRIX". */
  magic: 0x58495254,
  /** Version 1 did not tell of control batches; a file of it is made anew. */
  version: 2,
  entryBytes: 32,
  entryOffsetAt: 0,
  entryIndexAt: 8,
  entryTimeAt: 16,
  entryPositionAt: 24,
  /** At most one entry for so many bytes of store. */
  interval: 4096,
  /** Behind the entries, the index of each control batch. */
  controlBytes: 8,
} as const;

/** The `id` file. */
export const idFile = {
  bytes: 128,
  crcAt: 0,
  magicAt: 4,
  versionAt: 8,
  crcKeyAt: 12,
  diskIdAt: 16,
  nodeIdBytesAt: 32,
  nodeIdAt: 33,
  nodeIdMaxBytes: 95,
  /** "TRID". */
  magic: 0x44495254,
} as const;

/** The path in the data folder of one of its groups' files or folders: what users are told names no more of the machine. */
export function inDataFolder(path: string): string {
  return path.slice(path.lastIndexOf("/groups/") + 1);
}

/** Name of a segment's file: the index of its first batch, 20 digits. */
export function segmentName(firstIndex: number): string {
  return `${String(firstIndex).padStart(20, "0")}.log`;
}

/** Name of a segment's index file. */
export function indexName(firstIndex: number): string {
  return `${String(firstIndex).padStart(20, "0")}.index`;
}

/** The first index that a segment's file name says; `undefined`: not such a name. */
export function parseSegmentName(name: string): number | undefined {
  const digits = /^(\d{20})\.log$/.exec(name)?.[1];
  if (digits === undefined) return undefined;
  const index = Number(digits);
  return Number.isSafeInteger(index) ? index : undefined;
}

/** Whether a file of this name is a segment or the index of one. */
export function isSegmentFile(name: string): boolean {
  return /^\d{20}\.(log|index)$/.test(name);
}
