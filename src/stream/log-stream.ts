/**
 * One stream of this node, over the door to its log.
 * - A stream is in the catalogue before its log is made: its first append makes it, in one write with that append.
 *   Until then it is empty. Want of room may refuse the making again and again; the stream stays what it is.
 * - An idle stream has no timer, no listener and no buffer.
 * Elsewhere: which records of which batches (`slices.ts`), which streams there are (`streams.ts`).
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import type { Limits } from "../base/limits.ts";
import { checkRecords } from "../base/records.ts";
import type { AppendedBatch, LogDoor, LogDoors, LogOwner, LogPosition, StreamPart } from "../replica/log-door.ts";
import type { StoredStream } from "../wire/catalogue.ts";
import {
  belowLogStart,
  explainNoRoom,
  nodeStops,
  pastEnd,
  streamNotFound,
  streamReplaced,
  systemStream,
  trimPastEnd,
} from "./refusals.ts";
import { readSlices } from "./slices.ts";
import { StreamState } from "./stream-state.ts";
import type { ReadRequest, ReadResult, Receipt, Start, Stream, StreamDescription, StreamSettings } from "./types.ts";

/** What all streams of a node share. */
export interface StreamHome {
  readonly logs: LogDoors;
  readonly limits: Limits;
  /** The stream that has a name now. */
  readonly idOf: (name: string) => number | undefined;
  /** True once the node stops: nothing is taken or given any more. */
  isStopped: boolean;
}

type AppendTimes = Required<Pick<StreamDescription, "firstAppendTimeMicros" | "lastAppendTimeMicros">>;

/** The log of a stream before it is made. */
const nothing: LogPosition = { index: 0, offset: 0, appendTimeMicros: 0, term: 0, digest: new Uint8Array(32) };

export class LogStream implements Stream, LogOwner {
  readonly stored: StoredStream;
  readonly #home: StreamHome;
  readonly #log: StreamState;
  #door: LogDoor | undefined;
  #made: Promise<void> | undefined;
  #state: "normal" | "deleting" | "deleted" = "normal";
  #listeners: Set<() => void> | undefined;
  #stopListening: (() => void) | undefined;
  /** Append time of the record at log start, once asked for. */
  #first: { readonly offset: number; readonly micros: number } | undefined;
  /** Next offset after the last append made here, and its time. */
  #lastNextOffset = -1;
  #lastMicros = 0;
  /** Trims, one after the other. */
  #trims: Promise<unknown> | undefined;

  constructor(stored: StoredStream, part: StreamPart, home: StreamHome) {
    this.stored = stored;
    this.#log = new StreamState(part);
    this.#home = home;
  }

  get name(): string {
    return this.#log.part.name;
  }

  get id(): number {
    return this.stored.id;
  }

  get settings(): StreamSettings {
    return this.#log.part.settings;
  }

  get logStart(): number {
    return this.#log.part.logStart;
  }

  get highWatermark(): number {
    return this.#door?.commit.offset ?? this.stored.creation.startOffset;
  }

  /** Whether its log is there, or on its way. */
  get isMade(): boolean {
    return this.#door !== undefined;
  }

  get deleted(): boolean {
    return this.#state === "deleted";
  }

  restored(part: StreamPart): void {
    this.#log.restore(part);
  }

  checkpointPart(index: number): StreamPart {
    return this.#log.asOf(index);
  }

  /** Takes the log that is there. */
  attach(door: LogDoor): void {
    this.#door = door;
    if (this.#listeners !== undefined) this.#listen(door);
  }

  /** Makes the log if it is not there; resolves when that is durable. @throws {NoRoomError} It may be tried again. */
  async make(): Promise<void> {
    if (this.#door === undefined) this.#create();
    await this.#made;
  }

  async append(payload: Uint8Array, field = "batch"): Promise<Receipt> {
    this.#checkServed();
    if (this.#isSystem) throw systemStream(this.name, "stream", "appended to");
    const recordCount = checkRecords(payload, this.#home.limits, field);
    const door = this.#door ?? this.#create();
    let appended: AppendedBatch;
    try {
      appended = await door.append({ kind: BatchKind.records, payload, recordCount });
    } catch (error) {
      if (this.deleted) throw this.#gone();
      throw explainNoRoom(error, `Cannot append to stream "${this.name}"`, { stream: this.name });
    }
    const { baseOffset, nextOffset, index, appendTimeMicros, digest } = appended;
    this.#lastNextOffset = nextOffset;
    this.#lastMicros = appendTimeMicros;
    return { streamId: this.id, startOffset: baseOffset, nextOffset, index, appendTimeMicros, digest };
  }

  async trim(offset: number): Promise<number> {
    if (this.#isSystem) throw systemStream(this.name, "name", "trimmed");
    const trimmed = (this.#trims ?? Promise.resolve()).then(() => this.#trim(offset));
    this.#trims = trimmed.catch(() => {});
    return await trimmed;
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    await this.#ready();
    this.#checkOffset(request.startOffset);
    return this.#read(request);
  }

  async resolve(start: Start): Promise<number> {
    await this.#ready();
    switch (start.at) {
      case "earliest":
        return this.logStart;
      case "latest":
        return this.highWatermark;
      case "before_end":
        return Math.max(this.logStart, this.highWatermark - start.count);
      case "offset":
        this.#checkOffset(start.offset);
        return start.offset;
      case "time": {
        const door = this.#door;
        if (door === undefined) return this.logStart;
        const { offset } = await this.#unlessDeleted(door.findTime(start.micros));
        return Math.max(this.logStart, offset);
      }
    }
  }

  watch(listener: () => void): () => void {
    this.#listeners ??= new Set();
    const listeners = this.#listeners;
    // Wrapped, so that one function may watch twice.
    const entry = (): void => listener();
    listeners.add(entry);
    if (listeners.size === 1 && this.#door !== undefined) this.#listen(this.#door);
    return () => {
      if (listeners.delete(entry) && listeners.size === 0) this.#unlisten();
    };
  }

  async describe(): Promise<StreamDescription> {
    await this.#ready();
    const commit = this.#door?.commit ?? nothing;
    const { logStart, highWatermark } = this;
    const storedBytes = this.#door?.storedBytes ?? 0;
    let times: Partial<AppendTimes> = {};
    if (highWatermark > logStart) {
      try {
        times = await this.#appendTimes(logStart, highWatermark);
      } catch (error) {
        // Trimmed meanwhile: it is another description now.
        if (this.logStart > logStart) return await this.describe();
        throw error;
      }
    }
    return {
      name: this.name,
      id: this.id,
      createdMicros: this.stored.createdMicros,
      settings: this.settings,
      logStart,
      highWatermark,
      ...times,
      storedBytes,
      digest: commit.digest,
      nextIndex: commit.index,
      state: this.#state === "normal" ? (this.#door?.isDamaged ? "read_only" : "normal") : "deleting",
    };
  }

  /** Its deletion is on its way, or came to nothing. */
  markDeleting(isDeleting: boolean): void {
    this.#state = isDeleting ? "deleting" : "normal";
  }

  /** It is deleted: tells those who wait, then lets its log go. */
  async end(): Promise<void> {
    this.#state = "deleted";
    this.#wake();
    this.#unlisten();
    this.#listeners = undefined;
    // A log that is still being made goes once it is there.
    await this.#made?.catch(() => {});
    if (this.#door !== undefined) await this.#home.logs.remove(this.id);
  }

  #create(): LogDoor {
    const { creation, createdMicros } = this.stored;
    const log = { group: this.id, creation, appendTimeMicros: createdMicros };
    const { door, made } = this.#home.logs.create(log, this);
    this.attach(door);
    this.#made = made;
    made.then(
      () => {
        this.#made = undefined;
      },
      () => {
        this.#unlisten();
        this.#door = undefined;
        this.#made = undefined;
      },
    );
    return door;
  }

  /** Ends when the files are gone, too. */
  async #trim(offset: number): Promise<number> {
    await this.#ready();
    const { logStart: before, highWatermark } = this;
    if (offset > highWatermark) {
      throw trimPastEnd(this.name, offset, { logStart: before, nextOffset: highWatermark });
    }
    const door = this.#door;
    if (door === undefined) return before;
    const logStart = Math.max(offset, before);
    const baseIndex = await this.#unlessDeleted(door.baseIndexFor(logStart));
    if (logStart === before && baseIndex <= door.baseIndex) return before;
    try {
      await this.#log.append(door, { kind: "trim", trim: { logStart, baseIndex } });
    } catch (error) {
      if (this.deleted) throw this.#gone();
      throw explainNoRoom(error, `Cannot trim stream "${this.name}"`, { stream: this.name });
    }
    this.#wake();
    if (baseIndex > door.baseIndex) await this.#dropBefore(door, baseIndex);
    return this.logStart;
  }

  /** Trimmed it is, whatever becomes of the files: those that stay go with the next trim, or after the next start. */
  async #dropBefore(door: LogDoor, baseIndex: number): Promise<void> {
    try {
      await door.dropBefore(baseIndex);
    } catch (error) {
      const isLater = error instanceof NoRoomError || error instanceof TailraceError;
      if (!isLater && !this.deleted && !this.#home.isStopped) throw error;
    }
  }

  async #read(request: ReadRequest): Promise<ReadResult> {
    const door = this.#door;
    if (door === undefined) return { batches: [], nextOffset: request.startOffset };
    try {
      return await this.#unlessDeleted(readSlices(door, request));
    } finally {
      // What was below log start may have gone in the middle: then neither what was read counts nor what went wrong.
      if (request.startOffset < this.logStart && !this.deleted) this.#checkOffset(request.startOffset);
    }
  }

  async #unlessDeleted<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw this.deleted ? this.#gone() : error;
    }
  }

  async #appendTimes(logStart: number, highWatermark: number): Promise<AppendTimes> {
    let first = this.#first;
    if (first?.offset !== logStart) {
      first = { offset: logStart, micros: await this.#appendTimeOf(logStart) };
      this.#first = first;
    }
    const isKnown = this.#lastNextOffset === highWatermark;
    const lastAppendTimeMicros = isKnown ? this.#lastMicros : await this.#appendTimeOf(highWatermark - 1);
    return { firstAppendTimeMicros: first.micros, lastAppendTimeMicros };
  }

  async #appendTimeOf(offset: number): Promise<number> {
    const { batches } = await this.#read({ startOffset: offset, maxRecords: 1, maxBytes: 1, controlBatches: false });
    const [slice] = batches;
    if (slice === undefined) throw this.#gone();
    return slice.batch.appendTimeMicros;
  }

  #listen(door: LogDoor): void {
    this.#stopListening = door.onCommit(() => this.#wake());
  }

  #unlisten(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
  }

  #wake(): void {
    for (const listener of [...(this.#listeners ?? [])]) listener();
  }

  get #isSystem(): boolean {
    return this.#log.part.catalogue !== undefined;
  }

  /** After a start nobody knows where a log begins that was trimmed: it is read when it is first asked for. */
  async #ready(): Promise<void> {
    this.#checkServed();
    const ready = this.#door?.ready();
    if (ready === undefined) return;
    await this.#unlessDeleted(ready);
    this.#checkServed();
  }

  #checkServed(): void {
    if (this.deleted) throw this.#gone();
    if (this.#home.isStopped) throw nodeStops();
  }

  #gone(): TailraceError {
    const id = this.#home.idOf(this.name);
    if (id !== undefined) return streamReplaced(this.name, this.id, id);
    return streamNotFound(this.name, `it was deleted (its id was ${this.id})`, { fate: "nothing_written" });
  }

  #checkOffset(offset: number): void {
    const { logStart, highWatermark } = this;
    if (offset < logStart) throw belowLogStart(this.name, offset, { logStart, nextOffset: highWatermark });
    if (offset > highWatermark) throw pastEnd(this.name, offset, { logStart, nextOffset: highWatermark });
  }
}
