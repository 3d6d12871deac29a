/**
 * What the rest of a node sees of streams: the door that `server/` calls through.
 * Positions are numbers below 2^53, ends exclusive, times microseconds since 1970.
 * @module
 */
import type { ProducerStamp, StoredBatch } from "../base/batch.ts";
import type { StreamSettings, VersionedSettings } from "../base/stream-settings.ts";

/** What an append is told when its batch is committed. With the stream's id it is a receipt. */
export interface Receipt {
  readonly streamId: number;
  /** Offset of the batch's first record. */
  readonly startOffset: number;
  /** Offset after its last record. */
  readonly nextOffset: number;
  /** Position of the batch in its log. */
  readonly index: number;
  readonly appendTimeMicros: number;
  /** Stands for the whole log up to and with this batch: 32 bytes. */
  readonly digest: Uint8Array;
  /** It was here before: nothing was appended, and this is the receipt of the first. */
  readonly duplicate?: true;
}

/** What is answered for a batch that was here before, and is older than what is kept of its producer's batches. */
export interface ForgottenDuplicate {
  readonly streamId: number;
  readonly duplicate: true;
  readonly startOffset?: undefined;
}

/** What an append is answered with. */
export type AppendAnswer = Receipt | ForgottenDuplicate;

/** Appends of which none is taken once one was not: set when that happens. */
export interface AppendSeries {
  isBroken: boolean;
  /** Set by who keeps something for it: called once nothing more is appended. */
  ended?: () => void;
}

/** What an append depends on. Checked in this order, in total order with all that the stream takes. */
export interface AppendOptions {
  /** Who appends, and which of its batches this is: a repeated one is answered with its first receipt. */
  readonly producer?: ProducerStamp;
  /** The fence token that must be in force; without one none may be. */
  readonly fence?: Uint8Array;
  /** The next offset must be this. */
  readonly expectedOffset?: number;
  /** The request's field that the payload came in, for a refusal: `batch` by default. */
  readonly field?: string;
  readonly series?: AppendSeries;
}

/** A stored batch, and which of its records were asked for. */
export interface BatchSlice {
  readonly batch: StoredBatch;
  /** First records to leave out. */
  readonly skip: number;
  /** Records to take after those, at least 1; 0 in control batches. */
  readonly take: number;
}

/** What to read. */
export interface ReadRequest {
  /** First offset wanted: from log start to the high watermark, both included. */
  readonly startOffset: number;
  /**
   * Leave out batches below this index. For who reads control batches bit by bit: they take no offset, so the next
   * offset alone would give the last ones again. The index after the last batch that was given whole.
   */
  readonly startIndex?: number;
  /** Do not read at or beyond this offset. */
  readonly endOffset?: number;
  /** At most this many records. */
  readonly maxRecords?: number;
  /** Soft limit, bytes of stored batches; one batch comes whatever its size. */
  readonly maxBytes: number;
  /** Whether control batches come too, up to the last that is committed unless `endOffset` is given. */
  readonly controlBatches: boolean;
}

/** Committed batches in order, and where to go on. */
export interface ReadResult {
  readonly batches: readonly BatchSlice[];
  /** Offset after the last record given, or where the read began if none. */
  readonly nextOffset: number;
}

/** Where to start reading. */
export type Start =
  | { readonly at: "offset"; readonly offset: number }
  | { readonly at: "time"; readonly micros: number }
  | { readonly at: "earliest" }
  | { readonly at: "latest" }
  | { readonly at: "before_end"; readonly count: number };

/** A stream and how it stands. */
export interface StreamDescription {
  readonly name: string;
  readonly id: number;
  readonly createdMicros: number;
  readonly settings: VersionedSettings;
  readonly logStart: number;
  readonly highWatermark: number;
  /** Absent when no record is kept. */
  readonly firstAppendTimeMicros?: number;
  readonly lastAppendTimeMicros?: number;
  readonly storedBytes: number;
  readonly digest: Uint8Array;
  readonly nextIndex: number;
  readonly state: "normal" | "read_only" | "deleting";
  /** The fence token in force; empty: none. */
  readonly fence: Uint8Array;
}

/** One stream of this node. Every method throws `TailraceError` when the stream was deleted meanwhile. */
export interface Stream {
  readonly name: string;
  readonly id: number;
  /** Settings in force; after a start they are known, as log start is, once `ready` or an answer of the stream's was awaited. */
  readonly settings: VersionedSettings;
  /** First offset that readers are given. */
  readonly logStart: number;
  /** First offset not yet committed. */
  readonly highWatermark: number;
  /** True once it was deleted. */
  readonly deleted: boolean;
  /**
   * How long ago this node last had all that was committed, as far as the stream's leader told it, milliseconds; 0 on the
   * leader; undefined: nobody tells it.
   */
  readonly lagMs: number | undefined;
  /**
   * Appends one batch, atomically; resolves when it is durable and committed. Batches of one stream are taken in the
   * order of the calls.
   * @param payload A serialized `tailrace.v1.Records`. It is checked and stored as it is; must not change until then.
   * Throws `stale_epoch`, `sequence_gap`, `unknown_producer`, `fenced` and `offset_taken`, each once what it tells is
   * committed.
   */
  append(payload: Uint8Array, options?: AppendOptions & { readonly producer?: undefined }): Promise<Receipt>;
  append(payload: Uint8Array, options: AppendOptions): Promise<AppendAnswer>;
  /**
   * Lets only appends in that name this token, at most 64 bytes, from here on; an empty one lets those in that name none.
   * Resolves when it is in force, with the next offset as of then.
   */
  fence(token: Uint8Array): Promise<number>;
  /**
   * Gives readers nothing below `offset` any more, and drops the files that hold nothing else; resolves with log start.
   * Log start never goes back: an offset below it changes nothing. Throws `past_end`.
   */
  trim(offset: number): Promise<number>;
  /**
   * Changes the settings that are given; resolves when that is durable, and in force for what is appended from then on.
   * Throws `invalid_field`, and `settings_changed` when their version is not the expected one.
   */
  update(settings: Partial<StreamSettings>, expectedVersion?: number): Promise<void>;
  /** Resolves when log start and settings are known. */
  ready(): Promise<void>;
  /** Resolves once this node has all that was acknowledged, by any node, before the call: what is read then is linearizable. */
  confirm(): Promise<void>;
  /** Reads committed batches once; waits for nothing. Throws `below_log_start` and `past_end`. */
  read(request: ReadRequest): Promise<ReadResult>;
  /** The offset at which reading from `start` begins. Throws `below_log_start` and `past_end`. */
  resolve(start: Start): Promise<number>;
  /** Calls `listener` after each commit and at deletion, until the returned function is called. */
  watch(listener: () => void): () => void;
  describe(): Promise<StreamDescription>;
}

/** A page of streams in the order of their names' bytes. */
export interface StreamPage<S extends Stream = Stream> {
  readonly streams: readonly S[];
  /** Ask for the page after this name; absent: this was the last. */
  readonly next?: string;
}

/**
 * What is done with a request for a stream that another node leads, or has: it is passed on, or refused with that node's
 * address. What another node passed on goes no further.
 */
export type Routing = "pass_on" | "refuse" | "forwarded";

/** Who calls: creations are limited for each. */
export interface Client {
  /** Until clients say who they are, where they call from. */
  readonly address: string;
  /** `pass_on` where it does not say. */
  readonly routing?: Routing;
  /** Milliseconds until the client waits no longer; absent: it did not say. */
  readonly remainingMs?: number | undefined;
}

/** All streams of a node. Names are checked here; system streams can be read, not written, created or deleted. */
export interface Streams<S extends Stream = Stream> {
  /** Throws `stream_not_found`, or `stream_replaced` when `streamId` is given and the name is another stream now. */
  get(name: string, streamId?: number, client?: Client): S;
  /**
   * As `get`; but what it throws is true of the whole cluster, whatever this node knew before. What it gives may be deleted,
   * as far as this node has not heard of that: `caughtUp` tells it.
   */
  find(name: string, streamId?: number, client?: Client): Promise<S>;
  /** The stream to append to: made with default settings where the node creates on append. */
  getForAppend(name: string, streamId?: number, client?: Client): Promise<S>;
  /** Resolves once this node knows of all creations and deletions that were acknowledged, by any node, before the call. */
  caughtUp(client?: Client): Promise<void>;
  /** Again with the same settings is no error. Absent settings are the node's defaults. Throws `stream_exists`. */
  create(name: string, settings: Partial<StreamSettings>, client?: Client): Promise<{ stream: S; created: boolean }>;
  /** Gives the id of what was deleted. */
  delete(name: string, streamId?: number, client?: Client): Promise<number>;
  /** Streams whose names begin with `prefix` (empty: all but the system's), after the name `after`. */
  list(request: { prefix: string; after?: string; limit: number }, client?: Client): StreamPage<S>;
}
