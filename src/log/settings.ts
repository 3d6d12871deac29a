/**
 * Settings of a data folder. The defaults are design.md's; tests make the ring and the memory small.
 * @module
 */

/** Sizes in bytes, times in milliseconds. */
export interface LogSettings {
  /** Most files of the journal's ring. */
  readonly journalFiles: number;
  readonly journalFileBytes: number;
  /** The files' size is a multiple of this: 1 MiB, and less for the simulator only. */
  readonly journalUnitBytes: number;
  /** Zero-filling ahead of the journal's head goes in steps of this. */
  readonly journalFillBytes: number;
  /** Largest frame: at most 4 MiB and a quarter of a file. */
  readonly frameMaxBytes: number;
  /** Of the ring's room: kept for what frees it. */
  readonly heldBackBytes: number;
  /** A round of this or more goes to its segment at once, and is not journaled. */
  readonly flushBytes: number;
  /** A tail of this or more is moved to its segment in the background. */
  readonly tailMaxBytes: number;
  /** Memory for the newest frames. */
  readonly arenaBytes: number;
  /** Marks are written after this at the latest. */
  readonly markDelayMs: number;
  /** Segment and index files kept open. */
  readonly segmentHandles: number;
  /** Memory for the indexes of sealed segments. */
  readonly indexMemoryBytes: number;
  /** Most bytes of appends that wait to be written: `append_queue_max_bytes`. */
  readonly appendQueueMaxBytes: number;
  /** Free space that appends leave, as a part of the volume; at least 64 MiB where it has 1 GiB. */
  readonly freeSpaceReserve: number;
}

/** What a user may choose; the rest follows from it. */
export type LogOptions = Partial<
  Omit<LogSettings, "frameMaxBytes" | "heldBackBytes" | "flushBytes" | "journalFillBytes">
>;

const mebibyte = 1 << 20;

/** Fills in defaults. @throws {RangeError} The journal's files are too small to work, or of a size that can't be. */
export function logSettings(options: LogOptions = {}): LogSettings {
  const journalFileBytes = options.journalFileBytes ?? 64 * mebibyte;
  const journalFiles = options.journalFiles ?? 4;
  const journalUnitBytes = options.journalUnitBytes ?? mebibyte;
  if (journalFileBytes % journalUnitBytes !== 0 || journalFiles < 2 || journalFiles * journalFileBytes > 2 ** 32) {
    throw new RangeError("the journal needs 2 files or more of whole MiB, at most 4 GiB in all");
  }
  const frameMaxBytes = Math.min(4 * mebibyte, journalFileBytes / 4);
  return {
    journalFiles,
    journalFileBytes,
    journalUnitBytes,
    journalFillBytes: 4 * mebibyte,
    frameMaxBytes,
    heldBackBytes: Math.min(mebibyte, journalFileBytes / 8),
    flushBytes: Math.min(mebibyte / 4, journalFileBytes / 16),
    tailMaxBytes: options.tailMaxBytes ?? 2 * mebibyte,
    arenaBytes: Math.max(options.arenaBytes ?? 32 * mebibyte, 4 * frameMaxBytes),
    markDelayMs: options.markDelayMs ?? 100,
    segmentHandles: options.segmentHandles ?? 1024,
    indexMemoryBytes: options.indexMemoryBytes ?? 32 * mebibyte,
    appendQueueMaxBytes: options.appendQueueMaxBytes ?? 256 * mebibyte,
    freeSpaceReserve: options.freeSpaceReserve ?? 0.01,
  };
}
