/**
 * The log of one stream between its creation and its end, and what the stream is told of it.
 * - A stream is in the catalogue before its log is made: its first append makes it, in one write with that append.
 *   Until then it is empty. Want of room may refuse the making again and again; the stream stays what it is.
 * - An idle stream has no timer, no listener and no buffer.
 * Elsewhere: reading and appending (`log-stream.ts`), changing the stream (`stream-changes.ts`).
 * @module
 */

import type { BatchHeader, ProducerStamp } from "../base/batch.ts";
import type { TailraceError } from "../base/errors.ts";
import type { Limits } from "../base/limits.ts";
import { isSystemName } from "../base/stream-name.ts";
import type { LogDoor, LogDoors, LogOwner, StreamPart } from "../replica/log-door.ts";
import type { StoredStream } from "../wire/catalogue.ts";
import { AppendTimes } from "./append-times.ts";
import { LastPlaced } from "./last-placed.ts";
import { Producers } from "./producers.ts";
import { explainNoRoom, nodeStops, streamNotFound, streamReplaced } from "./refusals.ts";
import { StreamRetention } from "./retention.ts";
import { StreamState } from "./stream-state.ts";
import type { CountedLog, Usage } from "./usage.ts";
import { Watchers } from "./watchers.ts";

/** What all streams of a node share. */
export interface StreamHome {
  readonly logs: LogDoors;
  readonly limits: Limits;
  readonly usage: Usage;
  /** The stream that has a name now. */
  readonly idOf: (name: string) => number | undefined;
  /** Told when a segment of a stream is about to begin. */
  readonly rolled: (log: StreamLog) => void;
  /** True once the node stops: nothing is taken or given any more. */
  isStopped: boolean;
}

export class StreamLog implements LogOwner, CountedLog {
  readonly home: StreamHome;
  readonly state: StreamState;
  readonly producers = new Producers();
  readonly lastPlaced = new LastPlaced();
  readonly watchers = new Watchers();
  readonly times = new AppendTimes(this);
  readonly retention = new StreamRetention(this);
  /** Bytes that the node's usage has of it. */
  countedBytes = 0;
  #stored: StoredStream;
  #door: LogDoor | undefined;
  #made: Promise<void> | undefined;
  #isKnown = false;
  #left = { logStart: 0, highWatermark: 0 };
  #life: "normal" | "deleting" | "deleted" = "normal";

  constructor(stored: StoredStream, part: StreamPart, home: StreamHome) {
    this.#stored = stored;
    if (stored.isDeleting) this.#life = "deleting";
    this.state = new StreamState(part, home.limits, (index, appending) => {
      // It may have the place of batches that were refused: their producers are to send them again.
      this.producers.takeBack(index);
      this.lastPlaced.placed(appending);
    });
    this.home = home;
  }

  /** What the catalogue says of it. */
  get stored(): StoredStream {
    return this.#stored;
  }

  get name(): string {
    return this.state.part.name;
  }

  get isSystem(): boolean {
    return isSystemName(this.name);
  }

  /** First offset that readers are given. */
  get logStart(): number {
    return this.state.part.logStart;
  }

  /** First offset not yet committed. */
  get highWatermark(): number {
    return this.#door?.commit.offset ?? this.stored.creation.startOffset;
  }

  /** The log, if it is there or on its way. */
  get door(): LogDoor | undefined {
    return this.#door;
  }

  /** How it stood when its log was let go here: what was told of it is not taken back. */
  get left(): { readonly logStart: number; readonly highWatermark: number } {
    return this.#left;
  }

  /** Whether what its log says of it is known: always, once `ready` was awaited. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  get isDeleted(): boolean {
    return this.#life === "deleted";
  }

  get isDeleting(): boolean {
    return this.#life === "deleting";
  }

  restored(part: StreamPart): void {
    this.#isKnown = true;
    this.state.restore(part);
  }

  restoring(checkpoint: Pick<StreamPart, "producers">): void {
    this.producers.restore(checkpoint.producers);
  }

  produced({ producer, baseOffset, ...header }: BatchHeader & { readonly producer: ProducerStamp }): void {
    const { index, recordCount, appendTimeMicros } = header;
    const digest = header.digest.slice();
    this.producers.placed(producer, { index, startOffset: baseOffset, recordCount, appendTimeMicros, digest });
    this.producers.committed(index + 1);
  }

  checkpointPart(index: number, logTimeMicros: number): StreamPart {
    this.retention.changed();
    this.home.rolled(this);
    return { ...this.state.asOf(index), producers: this.producers.checkpoint(index, logTimeMicros) };
  }

  /** Takes the log that is there. */
  attach(door: LogDoor): void {
    this.#door = door;
    this.recount();
    this.watchers.attach(door);
  }

  /** Tells the node's usage what the log holds now. */
  recount(): void {
    this.home.usage.count(this, this.#door?.storedBytes ?? 0);
  }

  /**
   * The log, which is made if it is not there: what is appended to it goes with its making.
   * @throws {TailraceError} The stream was deleted: nothing would ever end a log that is made now.
   */
  opened(): LogDoor {
    if (this.isDeleted) throw this.gone();
    return this.#door ?? this.#create();
  }

  /** Makes the log if it is not there; resolves when that is durable. @throws {NoRoomError} It may be tried again. */
  async make(): Promise<void> {
    // One that is here, and could not be opened yet, is not made a second time.
    if (this.#door === undefined && this.home.logs.isHere(this.stored.id)) return;
    this.opened();
    await this.#made;
  }

  /**
   * It was moved away: its log here goes.
   * @throws {NoRoomError} The log may be attached again.
   */
  async leave(): Promise<void> {
    if (this.#door === undefined || this.#made !== undefined || this.isDeleted) return;
    const leaving = this.home.logs.leave(this.stored);
    this.lost();
    await leaving;
  }

  /** Its log is here no more: who follows it here goes on elsewhere. */
  lost(): void {
    if (this.isDeleted) return;
    const { logStart, highWatermark } = this;
    this.#left = { logStart, highWatermark };
    this.watchers.detach();
    this.#door = undefined;
    this.retention.changed();
    this.recount();
    this.watchers.wake();
  }

  /** The catalogue says something else of it. */
  changed(stored: StoredStream): void {
    this.#stored = stored;
    if (stored.isDeleting && !this.isDeleted) this.#life = "deleting";
  }

  /** Its deletion is on its way, or came to nothing. */
  markDeleting(isDeleting: boolean): void {
    this.#life = isDeleting ? "deleting" : "normal";
  }

  /** It is deleted: tells those who wait, then lets its log go. */
  async end(): Promise<void> {
    this.#life = "deleted";
    this.watchers.wake();
    this.watchers.detach();
    // A log that is still being made goes once it is there.
    await this.#made?.catch(() => {});
    const { logs } = this.home;
    if (this.#door !== undefined || logs.isHere(this.stored.id)) await logs.remove(this.stored.id);
    this.home.usage.count(this, 0);
  }

  /** After a start nobody knows where a log begins that was trimmed: it is read when it is first asked for. */
  async ready(): Promise<void> {
    this.checkServed();
    const ready = this.#door?.ready();
    if (ready === undefined) return;
    await this.unlessDeleted(ready);
    this.checkServed();
  }

  /** The outcome of what reads the log; what fails because the stream was deleted meanwhile, or for want of files, says so. */
  async unlessDeleted<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (this.isDeleted) throw this.gone();
      throw explainNoRoom(error, `Cannot read stream "${this.name}"`, { stream: this.name });
    }
  }

  /** @throws {TailraceError} It was deleted, or the node stops. */
  checkServed(): void {
    if (this.isDeleted) throw this.gone();
    if (this.home.isStopped) throw nodeStops();
  }

  /** What is said of a stream that was deleted. */
  gone(): TailraceError {
    const id = this.home.idOf(this.name);
    // Its log ends before the catalogue says so: until then it has its name.
    if (id !== undefined && id !== this.stored.id) return streamReplaced(this.name, this.stored.id, id);
    const why = `it was deleted (its id was ${this.stored.id})`;
    return streamNotFound(this.name, why, { fate: "nothing_written" });
  }

  #create(): LogDoor {
    const { creation, createdMicros, id } = this.stored;
    const log = { group: id, creation, appendTimeMicros: createdMicros };
    const { door, made } = this.home.logs.create(log, this);
    this.attach(door);
    this.#isKnown = true;
    this.#made = made;
    made.then(
      () => {
        this.#made = undefined;
        this.recount();
      },
      () => {
        this.watchers.detach();
        this.#door = undefined;
        this.#made = undefined;
        this.recount();
      },
    );
    return door;
  }
}
