/**
 * One log, as the layers above have it: its appends go to `rounds.ts`, its reads to `log-reader.ts`, and changes of
 * another kind run one after the other, when nothing is on its way.
 * @module
 */
import type { BatchHeader, StoredBatch } from "../base/batch.ts";
import { DiskError } from "../base/disk-errors.ts";
import type { TailraceError } from "../base/errors.ts";
import { damagedLog } from "./admission.ts";
import { CommitIndex } from "./commit-index.ts";
import type { LogContext } from "./context.ts";
import type { Mark } from "./group-state.ts";
import { cutDamagedLog, cutLog, dropLogBefore, installLog } from "./log-changes.ts";
import { savePromised } from "./log-promises.ts";
import { LogReader } from "./log-reader.ts";
import type { LogState } from "./log-state.ts";
import { Rounds } from "./rounds.ts";
import { isDamage } from "./segment.ts";
import { segmentSizes } from "./segment-sizes.ts";
import type { Segments } from "./segments.ts";
import { Tail } from "./tail.ts";
import type {
  AppendedBatch,
  CheckpointState,
  Floor,
  GroupLog,
  LogPosition,
  LogReadRequest,
  NewBatch,
  Promised,
  SegmentLimits,
  SegmentSize,
  Vote,
} from "./types.ts";

/** One group's log. */
export class JournaledLog implements GroupLog {
  readonly state: LogState;
  readonly segments: Segments;
  readonly #context: LogContext;
  readonly #rounds: Rounds;
  readonly #reader: LogReader;
  readonly #commit: CommitIndex;
  /** Changes of the log other than appends, one after the other; nothing is on its way while one runs. */
  #changes: Promise<void> = Promise.resolve();
  /** How many run or wait. */
  #changing = 0;
  /** How many have begun. */
  #changesBegun = 0;
  /** Settles when a removal that began is over: the log is gone, or goes on. */
  #removal: Promise<void> | undefined;
  #removalOver: () => void = () => {};
  readonly #durableListeners = new Set<() => void>();
  readonly #commitListeners = new Set<() => void>();

  constructor(state: LogState, segments: Segments, context: LogContext) {
    this.state = state;
    this.segments = segments;
    this.#context = context;
    this.#rounds = new Rounds(state, segments, context, () => {
      for (const listener of this.#durableListeners) listener();
    });
    this.#reader = new LogReader(state, segments, context);
    const offsetAt = (index: number) => this.#reading(() => this.#reader.offsetAt(index));
    this.#commit = new CommitIndex(state, offsetAt, () => {
      for (const listener of this.#commitListeners) listener();
    });
  }

  get group(): number {
    return this.state.group;
  }

  get base(): { readonly index: number; readonly offset: number } {
    return this.state.base;
  }

  get durableEnd(): LogPosition {
    return this.state.durable;
  }

  get commit(): { readonly index: number; readonly offset: number } {
    return this.state.commit;
  }

  get vote(): Vote {
    return this.state.vote;
  }

  get floor(): Floor {
    return this.state.floor;
  }

  get note(): Uint8Array {
    return this.state.note;
  }

  get storedBytes(): number {
    return this.segments.storedBytes + this.state.tail.bytes;
  }

  get damage(): string | undefined {
    return this.state.damage;
  }

  rollBy(limits: SegmentLimits, checkpointState: CheckpointState): void {
    this.#rounds.rolling.begin(limits, checkpointState);
  }

  append(batch: NewBatch): Promise<AppendedBatch> {
    return this.#rounds.append(batch);
  }

  /** Makes the log: batch 0, whose record tells the journal of the group. */
  make(batch0: NewBatch, appendTimeMicros: number): Promise<AppendedBatch> {
    return this.#rounds.make(batch0, appendTimeMicros);
  }

  async save(promised: Promised): Promise<void> {
    const refusal = this.#rounds.ended ?? this.#context.refusal(true);
    if (refusal) throw refusal;
    await savePromised(this.state, this.#context, promised);
  }

  setCommit(index: number): void {
    this.#commit.set(index);
  }

  onDurable(listener: () => void): () => void {
    this.#durableListeners.add(listener);
    return () => this.#durableListeners.delete(listener);
  }

  onCommit(listener: () => void): () => void {
    this.#commitListeners.add(listener);
    return () => this.#commitListeners.delete(listener);
  }

  read(request: LogReadRequest): Promise<StoredBatch[]> {
    return this.#reading(() => this.#reader.read(request));
  }

  findTime(micros: number, belowIndex: number): Promise<{ index: number; offset: number }> {
    return this.#reading(() => this.#reader.findTime(micros, belowIndex));
  }

  async lastCheckpoint(): Promise<StoredBatch> {
    const checkpoint = await this.#reading(() => this.#reader.lastCheckpoint());
    this.#rounds.rolling.read(checkpoint);
    return checkpoint;
  }

  async *headers(index: number): AsyncGenerator<BatchHeader> {
    for (let next = index; ; ) {
      const from = next;
      const headers = await this.#reading(() => this.#reader.headers(from));
      const last = headers.at(-1);
      if (!last) return;
      yield* headers;
      next = last.index + 1;
    }
  }

  async *controlBatches(index: number): AsyncGenerator<StoredBatch> {
    for (const control of await this.#reading(() => this.#reader.controls(index))) {
      const request = { from: { index: control }, belowIndex: control + 1, maxBytes: 1 };
      const [batch] = await this.read(request);
      // Cut off meanwhile, or below the base.
      if (batch?.index === control) yield batch;
    }
  }

  cut(index: number): Promise<void> {
    return this.#change(() => cutLog(this.#parts, index));
  }

  /** Ends it where what is whole of it ends: `to` is a place in its segments, above the base. */
  cutDamaged(to: Mark): Promise<void> {
    return this.#change(() => cutDamagedLog(this.#parts, to));
  }

  async segmentBelow(offset: number): Promise<number> {
    const { state, segments } = this;
    const found = await this.#reading(() => segments.lastBelow(offset));
    // A segment that grows may have begun with a checkpoint that is not synced there yet.
    return Math.max(Math.min(found ?? 0, state.flushed.segment), state.base.index);
  }

  segmentSizes(): SegmentSize[] {
    return segmentSizes(this.state, this.segments);
  }

  dropBefore(checkpointIndex: number): Promise<void> {
    return this.#dropBefore(checkpointIndex);
  }

  install(checkpoint: Uint8Array): Promise<void> {
    return this.#change(() => installLog(this.#parts, checkpoint));
  }

  /** Ends it: what waits and what comes is refused with `reason`. Resolves when nothing is on its way. */
  async end(reason: TailraceError): Promise<void> {
    const removal = new Promise<void>((resolve) => {
      this.#removalOver = resolve;
    });
    this.#removal = removal;
    this.#rounds.end(reason);
    await this.#changes;
    while (this.#rounds.isUnderWay) await this.#rounds.nothingUnderWay();
    // Who asked for a flush in this very turn finds an empty tail when the removal is over.
    void this.#rounds.flusher.hold(() => removal);
  }

  /** It was not removed after all: that was refused. */
  goOn(): void {
    this.#rounds.goOn();
    this.#removalOver();
  }

  /** The journal has it no more. */
  removed(): void {
    this.state.tail = new Tail(this.state.durable.index);
    this.segments.leave();
    this.#removalOver();
  }

  /** Whether batches are on their way to a segment. */
  get isFlushing(): boolean {
    return this.#rounds.flusher.isBusy;
  }

  /** Moves the tail to segments; of a log that is being removed it waits for that. @throws {NoRoomError} */
  async emptyTail(): Promise<void> {
    await this.#removal;
    // Of a log that is to be removed nothing more is moved: its files go.
    await this.#rounds.flusher.emptyTail(() => this.#rounds.ended === undefined);
  }

  /** Waits until no append, no flush and no look-up is on its way. @throws {Error} None will end any more: the folder failed. */
  async idle(): Promise<void> {
    await this.#changes;
    while (this.#changing > 0 || this.#rounds.isGathering || this.#rounds.isUnderWay) {
      // What gathers while a change runs is on its way nowhere.
      if (this.#changing > 0) await this.#changes;
      else await (this.#rounds.isUnderWay ? this.#rounds.nothingUnderWay() : this.#context.journal.idle());
    }
    await this.#commit.idle();
  }

  /** The folder failed: who waits for an append is told. */
  fail(error: Error): void {
    this.#rounds.fail(error);
  }

  /** Of a log that was removed meanwhile a reader is told that, whatever happened to its files. */
  async #reading<T>(read: () => Promise<T>): Promise<T> {
    for (;;) {
      if (this.#changing > 0) await this.#changes;
      if (this.#rounds.ended) throw this.#rounds.ended;
      const changesBegun = this.#changesBegun;
      try {
        const found = await read();
        if (this.#rounds.ended) throw this.#rounds.ended;
        if (changesBegun === this.#changesBegun) return found;
      } catch (error) {
        // So is a reader of a folder that is closing.
        const refusal = this.#rounds.ended ?? this.#context.refusal(true);
        if (refusal) throw refusal;
        if (changesBegun === this.#changesBegun) {
          // Nothing more is appended behind it.
          if (isDamage(error)) this.state.damage ??= error.why;
          throw error;
        }
      }
      // The log was changed under the reading, which may have met both what was and what is: it is done again.
    }
  }

  get #parts() {
    return { state: this.state, segments: this.segments, reader: this.#reader, context: this.#context };
  }

  /** A segment must begin there: what is before it is flushed first. */
  async #dropBefore(checkpointIndex: number): Promise<void> {
    const { tail, damage } = this.state;
    if (checkpointIndex >= tail.startIndex) {
      if (damage !== undefined) throw damagedLog(this.state, "trim", damage);
      await this.emptyTail();
    }
    await this.#change(async () => {
      const refusal = this.#context.refusal(true);
      if (refusal) throw refusal;
      await dropLogBefore(this.#parts, checkpointIndex);
    });
  }

  /** Runs a change when nothing is on its way, and lets nothing begin meanwhile. */
  #change(change: () => Promise<void>): Promise<void> {
    const run = async () => {
      if (this.#rounds.ended) throw this.#rounds.ended;
      this.#changing += 1;
      this.#rounds.hold();
      try {
        // A flush may begin in the turn between.
        while (this.#rounds.isUnderWay) await this.#rounds.nothingUnderWay();
        const failure = this.#context.failure();
        if (failure) throw failure;
        this.#changesBegun += 1;
        await this.#rounds.flusher.hold(change);
      } catch (error) {
        // What the files are now, nobody knows.
        if (error instanceof DiskError) this.#context.failed(error);
        throw error;
      } finally {
        this.#changing -= 1;
        this.#rounds.release();
      }
    };
    const result = this.#changes.then(run);
    this.#changes = result.catch(() => {});
    return result;
  }
}
