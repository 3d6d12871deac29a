/**
 * The one door through which `stream/` sees logs, whether their node is alone (`lone.ts`) or one of a cluster.
 * Positions are numbers below 2^53, ends exclusive, times microseconds since 1970.
 * @module
 */
import type { BatchHeader, BatchKind, ProducerStamp, StoredBatch } from "../base/batch.ts";
import type { VersionedSettings } from "../base/stream-settings.ts";
import type { AppendedBatch, LogPosition, LogReadRequest, SegmentSize } from "../log/types.ts";
import type { StoredCatalogue, StoredCreation } from "../wire/catalogue.ts";
import type { StoredProducer } from "../wire/checkpoint.ts";

export type { AppendedBatch, LogMetrics, LogPosition, LogReadRequest, SegmentSize } from "../log/types.ts";

/** A batch to append. */
export interface LogBatch {
  readonly kind: BatchKind;
  /** Stored as it is; must not change until the append is settled. */
  readonly payload: Uint8Array;
  /** Number of records; 0 in control batches. */
  readonly recordCount: number;
  /** It leads to more room, such as a deletion: taken also while appends are refused to keep some free. */
  readonly frees?: boolean;
  /** Called synchronously when its place is settled, before anything after it is placed; a refusal takes it back. */
  readonly stamped?: (index: number, appendTimeMicros: number, digest: Uint8Array) => void;
  /** A checkpoint goes right before it, with which files may begin once it is committed. */
  readonly rolls?: boolean;
  /** Who wrote it. */
  readonly producer?: ProducerStamp;
  /**
   * Asked synchronously when its place is known, after all that comes before it has one, and once what the log says of its
   * stream is known; what it throws is the batch's refusal. May be asked again for another place.
   */
  readonly admit?: (place: { readonly index: number; readonly offset: number }) => void;
}

/** The log of one group. */
export interface LogDoor {
  readonly group: number;
  /** What is committed ends here. */
  readonly commit: LogPosition;
  /** Bytes of all its batches, headers included. */
  readonly storedBytes: number;
  /** Its files are damaged: it takes no appends, and reads go up to the damage. */
  readonly isDamaged: boolean;
  /**
   * Appends a batch; resolves when it is durable and committed. Batches are taken in the order of the calls.
   * @throws {NoRoomError} Nothing was written: no room.
   * @throws {TailraceError} `limit`: too much waits already. `not_built`: the log is not one that this version leads.
   */
  append(batch: LogBatch): Promise<AppendedBatch>;
  /** Reads whole batches in order. Asking beyond `commit` is the caller's mistake. */
  read(request: LogReadRequest): Promise<StoredBatch[]>;
  /** The place of the first committed batch with an append time at or after `micros`, else the end of them. */
  findTime(micros: number): Promise<{ index: number; offset: number }>;
  /** Resolves when its owner knows what the log says of it; `undefined`: it does already. */
  ready(): Promise<void> | undefined;
  /** Segments of what is appended from here on end as these settings say. */
  endSegmentsBy(settings: VersionedSettings): void;
  /** Index of the checkpoint that its files begin with. */
  readonly baseIndex: number;
  /** Index of the newest checkpoint that files may begin with where nothing below `logStart` is needed. */
  baseIndexFor(logStart: number): Promise<number>;
  /** Its segments in order, from the base on, the one that grows last: what is in the journal counts as it will be in files. */
  segmentSizes(): SegmentSize[];
  /** Drops the files below a committed checkpoint. @throws {NoRoomError} They stay. */
  dropBefore(baseIndex: number): Promise<void>;
  /** The newest checkpoint, and what it says of the stream. */
  lastCheckpoint(): Promise<{ readonly index: number; readonly offset: number; readonly part: StreamPart }>;
  /** Calls `listener` after each move of `commit`, until the returned function is called. */
  onCommit(listener: () => void): () => void;
}

/** The stream's part of a checkpoint; replication adds its own. */
export interface StreamPart {
  readonly name: string;
  readonly settings: VersionedSettings;
  /** First offset that readers are given. */
  readonly logStart: number;
  /** The fence token in force, at most 64 bytes; empty: none. */
  readonly fence: Uint8Array;
  /** Last batches of its producers. */
  readonly producers: readonly StoredProducer[];
  /** Of `_meta` only. */
  readonly catalogue?: StoredCatalogue;
}

/** What a log that begins at offset 0 says of a stream, beside its name and settings. */
export const emptyPart = { logStart: 0, fence: new Uint8Array(0), producers: [] } as const;

/** Whose log it is. */
export interface LogOwner {
  /** Told, for a log that was there at the start, what it says of the stream: before `ready`, and before any append. */
  restored(part: StreamPart): void;
  /** Told before the first append what the last checkpoint says: `produced` follows. */
  restoring(checkpoint: Pick<StreamPart, "producers">): void;
  /** Told of each batch behind that checkpoint which names its producer, in order. */
  produced(batch: BatchHeader & { readonly producer: ProducerStamp }): void;
  /**
   * Asked, synchronously, for a checkpoint at `index`: the state that all before it determined.
   * @param logTimeMicros Append time of the batch before it.
   */
  checkpointPart(index: number, logTimeMicros: number): StreamPart;
}

/** A group to make: what its creation said, and when that was. */
export interface NewLog {
  readonly group: number;
  readonly creation: StoredCreation;
  readonly appendTimeMicros: number;
}

/** The logs of this node. */
export interface LogDoors {
  /** Groups that are here. */
  groups(): Iterable<number>;
  /** The log of a group that is here. */
  open(group: number, owner: LogOwner): LogDoor | undefined;
  /** What to say at the creation of a stream whose voters this node chooses. */
  describeNew(part: StreamPart, startOffset: number): StoredCreation;
  /**
   * Makes a group. Its log takes appends at once, in one write with its making. `made` resolves when it is durable;
   * when it rejects there is no such group, and it may be made again.
   */
  create(log: NewLog, owner: LogOwner): { door: LogDoor; made: Promise<void> };
  /** Ends a group for ever: resolves when that is durable. */
  remove(group: number): Promise<void>;
}
