/**
 * The door to `log/`: what one group's log and a data folder of them do for the layers above.
 * Indexes and offsets are numbers below 2^53, ends exclusive, times microseconds since 1970.
 * @module
 */
import type { BatchHeader, BatchKind, ProducerStamp, StoredBatch } from "../base/batch.ts";
import type { VerifiedBatch } from "./stored-batch.ts";

/** A copy of a group's log on one disk. */
export interface Replica {
  /** 16 bytes. */
  readonly diskId: Uint8Array;
  /** How often this group's log was lost on that disk. */
  readonly life: number;
}

/** A place between two batches, and what is known of the one before it. */
export interface LogPosition {
  /** Index of the next batch. */
  readonly index: number;
  /** Offset of the next record. */
  readonly offset: number;
  /** Append time of the batch before; 0 at the beginning. */
  readonly appendTimeMicros: number;
  /** Term of the batch before. */
  readonly term: number;
  /** Digest of the batch before: 32 bytes, zeros at the beginning. */
  readonly digest: Uint8Array;
}

/** The term that a group is in, and whom this replica gave its vote in it. */
export interface Vote {
  readonly term: number;
  readonly votedFor?: Replica;
}

/** The last batch, by term and index, of a log that a replica discarded knowingly: below it, it does not campaign. */
export interface Floor {
  readonly term: number;
  readonly index: number;
}

/** What a replica tells others only once it is durable, each newer than what was saved before. */
export interface Promised {
  /** Of a higher term, or the first vote in the present one. */
  readonly vote?: Vote;
  readonly floor?: Floor;
  /** Opaque, at most 512 bytes: the group's voters, where a cut made others count again. */
  readonly note?: Uint8Array;
}

/** A batch to append; index, offset, time, term and digest are stamped when its round is taken. */
export interface NewBatch {
  readonly kind: BatchKind;
  /** Stored as it is; must not change until the append is settled. */
  readonly payload: Uint8Array;
  /** Number of records; 0 for control batches. */
  readonly recordCount: number;
  /** It leads to more room, such as a deletion: taken also while free space is below the reserve. */
  readonly frees?: boolean;
  /** For a leader change: the term that it begins, made durable as a vote for itself in the same frame (B16). */
  readonly begins?: Required<Vote>;
  /** Who wrote it: kept in its header. */
  readonly producer?: ProducerStamp;
  /** The group's note from this batch on, in the same frame: opaque, at most 512 bytes. */
  readonly note?: Uint8Array;
  /** A segment begins before it, with a checkpoint, whatever the one that grows has: unless that has nothing else yet. */
  readonly rolls?: boolean;
  /**
   * Asked synchronously when its place is known, right before it is stamped there: all that comes before it has been. What
   * it throws is what the append is refused with; nothing of the batch was written. May be asked again for another place.
   */
  readonly admit?: (place: { readonly index: number; readonly offset: number }) => void;
  /**
   * Called synchronously when the batch is stamped, before anything is stamped after it: so a checkpoint's state can
   * count exactly what comes before it. A refusal takes the stamp back.
   */
  readonly stamped?: (index: number, appendTimeMicros: number, digest: Uint8Array) => void;
}

/** How a batch is appended that another replica's leader stamped. */
export interface StoredAppendOptions {
  /** The group's note from this batch on, in the same frame, as a new batch's. */
  readonly note?: Uint8Array;
  /** It leads to more room: taken also while free space is below the reserve. */
  readonly frees?: boolean;
}

/** A batch that is durable. */
export interface AppendedBatch {
  readonly index: number;
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly appendTimeMicros: number;
  readonly term: number;
  readonly digest: Uint8Array;
}

/** What to read: whole batches from a place on, in order, below `belowIndex`. */
export interface LogReadRequest {
  /** An index: the batch there first. An offset: the first batch at or after it, or the one that holds it. */
  readonly from: { readonly index: number } | { readonly offset: number };
  readonly belowIndex: number;
  /** Soft limit, bytes of whole batches; one batch comes whatever its size. */
  readonly maxBytes: number;
  /**
   * Reads on beyond the durable end, up to `end`: what is there is on its way to this disk and may be taken back. It counts
   * for nothing here; a leader sends it on so that others write it meanwhile.
   */
  readonly unsynced?: boolean;
}

/** The first batch of a term. */
export interface TermStart {
  readonly term: number;
  readonly index: number;
}

/** When the log writes a checkpoint and begins a segment with it. */
export interface SegmentLimits {
  readonly maxBytes: number;
  readonly maxAgeMicros: number;
}

/** A segment: index of the checkpoint that it begins with, and bytes of its durable batches. */
export interface SegmentSize {
  readonly firstIndex: number;
  readonly sizeBytes: number;
}

/**
 * What a checkpoint stamped at `index` says after its first 40 bytes. Batches that were stamped at or above `index` before
 * were refused. `logTimeMicros` is the append time of the batch before it.
 */
export type CheckpointState = (index: number, logTimeMicros: number) => Uint8Array;

/** The log of one group. */
export interface GroupLog {
  readonly group: number;
  /** First batch and offset that the files begin with. */
  readonly base: { readonly index: number; readonly offset: number };
  /** What is durable ends here. */
  readonly durableEnd: LogPosition;
  /**
   * All that has its place ends here, durable or on its way to the disk: a stored batch must follow it. It goes back when what
   * is on its way is refused (`onTakenBack`), and with a cut.
   */
  readonly end: LogPosition;
  /** First batch and offset not known to be committed. */
  readonly commit: { readonly index: number; readonly offset: number };
  /** How often this group's log was lost on this disk: another life is another replica. */
  readonly life: number;
  /** Newest term that is durable here, and the vote in it. */
  readonly vote: Vote;
  /** What it held when it last discarded any of it knowingly; zeros: it never did. */
  readonly floor: Floor;
  /** Opaque to the log: the group's voters, as of the newest durable batch that set them. */
  readonly note: Uint8Array;
  /** Bytes of all its batches, headers included, whether in segments or only in the journal. */
  readonly storedBytes: number;
  /** Why nothing is appended any more, where its files are damaged; reads go up to the damage. */
  readonly damage: string | undefined;
  /**
   * Set before the first append, and again when a limit changes: when segments end, and what their checkpoints say. The
   * segment that grows ends by the new limits, too, with the next append. `stamped`: told of each such checkpoint.
   */
  rollBy(limits: SegmentLimits, checkpointState: CheckpointState, stamped?: NewBatch["stamped"]): void;
  /**
   * Appends a batch; resolves when it is durable. Batches are stamped in the order of the calls.
   * @throws {NoRoomError} Nothing was written: no room. @throws {TailraceError} `limit`: too much waits already.
   */
  append(batch: NewBatch): Promise<AppendedBatch>;
  /**
   * Appends a batch that a leader stamped, byte for byte; resolves when it is durable. No checkpoint is put before it. It may
   * be mixed with `append` in any order: each kind waits for what was called before.
   * @param batch Verified (`verifyStored`) for the place where it comes to stand: usually behind `end`.
   * @throws {BatchRefusedError} The log ends elsewhere when its turn comes. All stored ones that wait behind it are refused too.
   * @throws {NoRoomError} As `append`. @throws {TailraceError} As `append`.
   */
  appendStored(batch: VerifiedBatch, options?: StoredAppendOptions): Promise<AppendedBatch>;
  /** Makes what is promised durable; in force when that resolves. @throws {NoRoomError} Nothing of it is. */
  save(promised: Promised): Promise<void>;
  /**
   * All below `index` is committed; never goes back, never beyond what is durable. `commit` moves, and listeners hear of
   * it, when the offset there is known, which may take a read.
   */
  setCommit(index: number): void;
  /** Calls `listener` after each move of the durable end, until the returned function is called. */
  onDurable(listener: () => void): () => void;
  /**
   * Calls `listener` after `end` went back because what was on its way was refused, until the returned function is called.
   * Other batches get those places: who sent any of it on must not lead on in the same term.
   */
  onTakenBack(listener: () => void): () => void;
  /** Calls `listener` after each move of the commit index, until the returned function is called. */
  onCommit(listener: () => void): () => void;
  /** Reads batches, checksums checked. @throws {TailraceError} `damaged`. */
  read(request: LogReadRequest): Promise<StoredBatch[]>;
  /**
   * Reads the log again from a checkpoint on, all bytes of it, and computes its chain of digests anew. Gives the first batch
   * that is not what it was; `undefined`: all are.
   * @param checkpointIndex Where it begins: the base unless another checkpoint of the log is named.
   */
  selfCheck(checkpointIndex?: number): Promise<{ readonly index: number } | undefined>;
  /**
   * Mends segments in place: what is damaged from `index` on becomes what another replica has stored there. Taken only where
   * this log's own chain says, before and behind, that these are the bytes that were lost; then a damage that a read met is over.
   * @param bytes Stored batches, the first of them the one at `index`. As many are taken as it needs; more do no harm.
   * @returns Where what was mended ends.
   * @throws {BatchRefusedError} They don't fit, or are too few; nothing was written.
   * @throws {TailraceError} `damaged`: more than these bytes is, as what is before them or the log as its start found it.
   */
  repair(index: number, bytes: Uint8Array): Promise<{ readonly belowIndex: number }>;
  /**
   * Goes on with a damage that a read met, in what nobody needs any more: the next read that meets it is refused as this one was.
   * @throws {TailraceError} `damaged`: what a start finds missing is more than some bytes.
   */
  leaveDamage(): void;
  /** Cuts off all batches from `index` on, which is above the base and not below the commit index. */
  cut(index: number): Promise<void>;
  /** Index of the newest checkpoint with which a synced segment begins and whose offset is not above `offset`; else the base. */
  segmentBelow(offset: number): Promise<number>;
  /** Its segments in order, from the base on: what is in the journal counts as it will be in files. */
  segmentSizes(): SegmentSize[];
  /** Moves the base to a committed checkpoint, and drops the files below it; what is before it is flushed first. */
  dropBefore(checkpointIndex: number): Promise<void>;
  /** Begins the log anew with a stored checkpoint, batch and all, which is committed: beside the old one, then in its place. */
  install(checkpoint: Uint8Array): Promise<void>;
  /** The place of the first batch below `belowIndex` with an append time at or after `micros`, else the end there. */
  findTime(micros: number, belowIndex: number): Promise<{ index: number; offset: number }>;
  /** The newest checkpoint that is durable. */
  lastCheckpoint(): Promise<StoredBatch>;
  /** Headers of the durable batches from `index` on, in order. */
  headers(index: number): AsyncIterable<BatchHeader>;
  /**
   * Where its terms begin, in order, up to `end`; the first is the base with its term, which may have begun before. Read at
   * most once, by headers of control batches. @throws {TailraceError} `damaged`.
   */
  termStarts(): Promise<TermStart[]>;
  /**
   * Term of the batch at `index`, durable or not. Of the one before the base too, which the base's checkpoint tells of, and
   * 0 before the first; `undefined`: there is no such batch here.
   * @throws {TailraceError} `damaged`.
   */
  termAt(index: number): Promise<number | undefined>;
  /** Its digest, likewise. */
  digestAt(index: number): Promise<Uint8Array | undefined>;
  /**
   * The durable control batches from `index` on, in order. Where they are is known from indexes, so that records cost
   * nothing, however many there are. @throws {TailraceError} `damaged`.
   */
  controlBatches(index: number): AsyncIterable<StoredBatch>;
}

/** What a group is made from. */
export interface NewGroup {
  readonly group: number;
  /** What batch 0, a checkpoint of term 0, says after its first 40 bytes. */
  readonly checkpointState: Uint8Array;
  /** Offset of the first record. */
  readonly startOffset: number;
  /** Append time of batch 0. */
  readonly appendTimeMicros: number;
  /** Opaque, at most 512 bytes, kept with the group: its voters. */
  readonly note: Uint8Array;
}

/** What a start found, for the one line that tells of it. */
export interface RecoveryReport {
  /** A new folder was made, the last stop was clean, or it was not. */
  readonly kind: "created" | "clean" | "recovered";
  readonly groups: number;
  /** Batches that only the journal holds. */
  readonly tailBatches: number;
  /** Bytes above the marks that were kept, written again and synced. */
  readonly keptBytes: number;
  /** Bytes of torn writes that were cut off. */
  readonly cutBytes: number;
  /** Batches of the journal that followed nothing and were dropped. */
  readonly droppedBatches: number;
  readonly durationMs: number;
}

/** Syncs since the start by what they were for; together they are all that the log asked of the disk. */
export interface SyncCounts {
  /** Frames of the journal. */
  journal: number;
  /** Zero-filling of the journal ahead of its head, and making its files. */
  journalFill: number;
  /** Tails and large rounds written to segments. */
  flush: number;
  /** Sealing of segments. */
  seal: number;
  /** Folders. */
  folder: number;
  /** Recovery, and the folder's own small files. */
  other: number;
}

/** Counters of a data folder since its start. */
export interface LogMetrics {
  readonly syncs: SyncCounts;
  readonly frames: number;
  readonly frameBytes: number;
  readonly flushes: number;
  readonly flushBytes: number;
  /** Bytes of batches that went to segments without being journaled. */
  readonly directBytes: number;
  readonly appendedBatches: number;
  readonly appendedBytes: number;
  /** Bytes of appends that wait to be written. */
  readonly gatheredBytes: number;
  /** Bytes of batches that only the journal holds. */
  readonly tailBytes: number;
  readonly ringBytesUsed: number;
  readonly ringBytesMax: number;
  /** How often appends waited until the ring's oldest file was free. */
  readonly ringWaits: number;
}

/** All logs of one node, with the journal that they share. */
export interface DataFolder {
  readonly nodeId: string;
  /** 16 bytes. */
  readonly diskId: Uint8Array;
  /** How often it was opened, this time included. */
  readonly incarnation: number;
  readonly report: RecoveryReport;
  readonly metrics: LogMetrics;
  /** Why there is no room for appends, as it was seen within the last half second or when that was asked before. */
  readonly noRoom: string | undefined;
  /** Settles with the error when a write or sync failed for good: nothing more is acknowledged, the node must end. */
  readonly failed: Promise<Error>;
  /** Groups that are here. */
  groups(): Iterable<number>;
  log(group: number): GroupLog | undefined;
  /** Makes a group. Its log takes appends at once; they share a frame with its making. `made` resolves when durable. */
  create(group: NewGroup): { log: GroupLog; made: Promise<void> };
  /**
   * Begins a new life of a group whose log is damaged, lost or wanted no more here, and which other replicas have: an empty log
   * with batch 0 made anew, another replica of the group, `life` one more. Vote, term and floor stay. Resolves with it when that
   * is durable and what was left of the old log was moved aside and dropped; who still holds that is refused.
   * @param why What they are told; left out: that it was lost.
   * @throws {NoRoomError} Nothing was done: the old one is as it was.
   */
  renew(group: NewGroup, why?: string): Promise<GroupLog>;
  /** Ends a group for ever: resolves when that is durable; then its files are moved aside and dropped. */
  remove(group: number): Promise<void>;
  /** Waits for what was appended, writes the clean stop, gives the lock back. */
  close(): Promise<void>;
}
