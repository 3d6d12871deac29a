import type { Slots } from "../base/slots.ts";
import type { Clock } from "../host/clock.ts";
import type { Hash } from "../host/hash.ts";
import type { FileHandles } from "./file-handles.ts";
import type { FolderSyncs } from "./folder-syncs.ts";
import type { FrameBuilder } from "./frame-writer.ts";
import type { Journal } from "./journal.ts";
import type { SegmentContext } from "./segment.ts";
import type { LogSettings } from "./settings.ts";
import type { SyncCounts } from "./types.ts";

/** Counts of a folder's logs together, since the start. */
export interface LogCounters {
  readonly syncs: SyncCounts;
  flushes: number;
  flushBytes: number;
  directBytes: number;
  appendedBatches: number;
  appendedBytes: number;
  /** Bytes of appends that wait, now. */
  gatheredBytes: number;
}

/** What all logs of a folder share. */
export interface LogContext extends SegmentContext {
  readonly clock: Clock;
  readonly hash: Hash;
  readonly settings: LogSettings;
  readonly handles: FileHandles;
  /** Flushes that sync at once: the runtimes have few file threads, and more would queue the journal's own sync. */
  readonly flushSlots: Slots;
  readonly folderSyncs: FolderSyncs;
  readonly journal: Journal;
  readonly counters: LogCounters;
  /** Folder that holds a folder per group. */
  readonly groupsFolder: string;
  /** The error with which an append is refused now. `frees`: it may use the room that is kept free. */
  refusal(frees: boolean): Error | undefined;
  /** A log's mark moved and waits for a frame. */
  markWaits(group: number): void;
  /** A log's mark that waits is true no more. */
  dropMark(group: number): void;
  /** Adds a log's mark to a frame if it waits; false: it does not fit. It must come before batches that follow it. */
  writeMark(group: number, frame: FrameBuilder): boolean;
  /** What snapshots say of a log has so many bytes more, or less. */
  snapshotGrew(bytes: number): void;
  /** A write or sync failed for good. */
  failed(error: Error): void;
  /** What failed for good: nothing more is written. */
  failure(): Error | undefined;
}
