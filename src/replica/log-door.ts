/**
 * The one door through which `stream/` sees logs, whether their node is alone (`lone.ts`) or one of a cluster.
 * Positions are numbers below 2^53, ends exclusive, times microseconds since 1970.
 * @module
 */
import type { BatchHeader, BatchKind, ProducerStamp, StoredBatch } from "../base/batch.ts";
import type { VersionedSettings } from "../base/stream-settings.ts";
import type { AppendedBatch, LogReadRequest, SegmentSize } from "../log/types.ts";
import type { StoredCatalogue, StoredCreation, StoredStream } from "../wire/catalogue.ts";
import type { StoredProducer } from "../wire/checkpoint.ts";

export type { AppendedBatch, LogMetrics, LogReadRequest, SegmentSize } from "../log/types.ts";

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

/** Who takes the appends of a log, as far as is known here. */
export type Leadership =
  | { readonly kind: "here" }
  | { readonly kind: "elsewhere"; readonly node: string }
  | { readonly kind: "unknown" };

/** The log of one group. */
export interface LogDoor {
  readonly group: number;
  readonly leadership: Leadership;
  /** Something is going to be appended: who votes alone stands for election, whom nobody had asked for anything yet. */
  want(): void;
  /** How long ago it last had all that was committed anywhere, as far as it was told, milliseconds; undefined: nobody tells it. */
  readonly lagMs: number | undefined;
  /** What is committed ends here. */
  readonly commit: { readonly index: number; readonly offset: number };
  /** The same, with the digest that stands for all of it: 32 bytes. */
  committed(): Promise<{ readonly index: number; readonly digest: Uint8Array }>;
  /**
   * Resolves once what has the place `index` is committed. @throws {NotLeader} This node leads no more: another batch may get it.
   */
  settled(index: number): Promise<void>;
  /** Resolves once all that was acknowledged, by any node, before the call is below `commit`. @throws {NotLeaderError} */
  confirm(): Promise<void>;
  /** Bytes of all its batches, headers included. */
  readonly storedBytes: number;
  /** Its files are damaged: it takes no appends, and reads go up to the damage. */
  readonly isDamaged: boolean;
  /** It began empty, of a stream that others have, and has not had yet all that is committed: they tell more of it. */
  readonly isIncomplete: boolean;
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
  /** Told that its log could not be opened for damage and begins anew: there is none until then. */
  lost?(): void;
  /** Told of each batch behind that checkpoint which names its producer, in order. */
  produced(batch: BatchHeader & { readonly producer: ProducerStamp }): void;
  /** Told, before the first append of a term, below which index all will be committed: what it needs of that it reads now. */
  recalling?(door: Pick<LogDoor, "read">, belowIndex: number): Promise<void>;
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

/** What to say of a stream whose voters this node chooses. */
export interface NewStream {
  readonly creation: StoredCreation;
  /** Nodes that hold it, the one that is to lead first; none: the node is alone. */
  readonly nodes: readonly string[];
}

/** The logs of this node. */
export interface LogDoors {
  /** No other node makes groups: one that the catalogue does not know is none that it will know. */
  readonly isAlone: boolean;
  /** Groups that are here. */
  groups(): Iterable<number>;
  /** Begins the logs of these streams anew that are damaged here, and had elsewhere. They must not be open. */
  prepare(streams: Iterable<StoredStream>): Promise<void>;
  /** Whether a group's log is here, whatever its state. */
  isHere(group: number): boolean;
  /** The log of a group, if it is here and can take part: what is damaged, and had elsewhere, is prepared first. */
  open(stream: Pick<StoredStream, "id" | "nodes">, owner: LogOwner): LogDoor | undefined;
  /** What to say at the creation of a stream. */
  describeNew(part: StreamPart, startOffset: number): NewStream;
  /** Whether this node is to have the stream's log. */
  holds(stream: Pick<StoredStream, "id" | "nodes" | "creation">): boolean;
  /**
   * Makes a group. Its log takes appends at once, in one write with its making. `made` resolves when it is durable;
   * when it rejects there is no such group, and it may be made again.
   */
  create(log: NewLog, owner: LogOwner): { door: LogDoor; made: Promise<void> };
  /** Ends a log, wherever it is led: nothing is appended to it any more. May be repeated. */
  close(group: number): Promise<void>;
  /** Removes a group for ever: resolves when that is durable. */
  remove(group: number): Promise<void>;
  /**
   * Lets go the log of a stream that was moved away: it takes no part from this call on. Resolves when its files are gone; should
   * the stream be placed here again, it is opened as an empty log, and fetched.
   * @throws {NoRoomError} It is as it was, and may be opened again.
   */
  leave(stream: StoredStream): Promise<void>;
  /** What the catalogue says is known below this index of `_meta`: a group below it that is not here is no more. */
  known(belowIndex: number): void;
}
