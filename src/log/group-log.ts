/**
 * One log: what is appended gathers, and goes round by round to the journal or, where a round is large, to the segment.
 * - A round is what gathered while the one before was on its way. It is stamped when it is taken, in order.
 * - A batch is journaled only when all before it is durable or in the journal: while a large round is on its way,
 *   small batches wait. So none ever hangs on an unsynced large one.
 * - A refusal for want of room refuses all that is stamped and not durable, and all that waits behind it.
 * @module
 */
import { assert } from "../base/assert.ts";
import { type BatchHeader, BatchKind, type StoredBatch } from "../base/batch.ts";
import { putU32 } from "../base/bytes.ts";
import { DiskError, type NoRoomError } from "../base/disk-errors.ts";
import { limitPassed, TailraceError } from "../base/errors.ts";
import { stampHeader } from "./batch-writer.ts";
import type { LogContext } from "./context.ts";
import { type DirectRound, Flusher, type RoundLimit } from "./flush.ts";
import {
  batchHeader,
  batchMaxBytes,
  digestBytes,
  frameHeader,
  markBody,
  noteMaxBytes,
  RecordKind,
  voteBody,
} from "./format.ts";
import { type FrameBuilder, recordBytes } from "./frame-writer.ts";
import { writeVote } from "./group-state.ts";
import type { Contributor } from "./journal.ts";
import { cutLog, dropLogBefore, installLog } from "./log-changes.ts";
import { LogReader } from "./log-reader.ts";
import type { LogState } from "./log-state.ts";
import { Rolling } from "./rolling.ts";
import type { Segments } from "./segments.ts";
import { Tail } from "./tail.ts";
import type { AppendedBatch, GroupLog, LogPosition, LogReadRequest, NewBatch, SegmentLimits, Vote } from "./types.ts";

/** An append that waits for its stamp, or for the disk. */
interface Pending {
  readonly batch: NewBatch;
  readonly bytes: number;
  /** It goes through the journal whatever the round's size, as batch 0 does. */
  readonly journaled: boolean;
  /** For batch 0, which makes the group: its append time is the same on every replica. */
  readonly made: { readonly appendTimeMicros: number } | undefined;
  /** The log put it there: it says what is before it, so it is for one place only. */
  readonly rolled?: true;
  readonly resolve: (appended: AppendedBatch) => void;
  readonly reject: (error: Error) => void;
  /** What it was stamped with. */
  appended: AppendedBatch | undefined;
  /** Where in the ring it stands. */
  ringPosition: number;
}

/** Length of a note record's body. */
function noteBytes(note: Uint8Array): number {
  return 4 + note.length;
}

/** One group's log. */
export class JournaledLog implements GroupLog, Contributor {
  readonly state: LogState;
  readonly segments: Segments;
  readonly #context: LogContext;
  readonly #flusher: Flusher;
  readonly #reader: LogReader;
  #gathered: Pending[] = [];
  #gatheredBytes = 0;
  /** Stamped, in the frame that is on its way. */
  #journaling: Pending[] = [];
  /** Told when that frame is over. */
  readonly #onJournaled: (() => void)[] = [];
  /** Stamped, in flushes that are on their way. */
  #flushing: Pending[] = [];
  readonly #rolling: Rolling;
  /** Changes of the log other than appends, one after the other; nothing is on its way while one runs. */
  #changes: Promise<void> = Promise.resolve();
  #changing = 0;
  /** How many changes have begun. */
  #changesBegun = 0;
  /** Settles when a removal that began is over: the log is gone, or goes on. */
  #removal: Promise<void> | undefined;
  #removalOver: () => void = () => {};
  readonly #durableListeners = new Set<() => void>();
  readonly #commitListeners = new Set<() => void>();
  /** Why it takes nothing more: it was removed, or its making was refused. */
  #ended: Error | undefined;

  constructor(state: LogState, segments: Segments, context: LogContext) {
    this.state = state;
    this.segments = segments;
    this.#context = context;
    this.#flusher = new Flusher(state, segments, context, {
      takeRound: (limit) => this.#takeRound(limit),
      nextIsCheckpoint: () => this.#nextIsCheckpoint(),
      flushed: (well) => {
        if (well) this.#flushLargeTail();
        this.#schedule();
      },
      refused: (error) => this.#refuseAll(error),
    });
    this.#reader = new LogReader(state, segments, context);
    this.#rolling = new Rolling(state, segments, context.clock);
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

  get storedBytes(): number {
    return this.segments.storedBytes + this.state.tail.bytes;
  }

  get damage(): string | undefined {
    return this.state.damage;
  }

  rollBy(limits: SegmentLimits, checkpointState: (index: number) => Uint8Array): void {
    this.#rolling.begin(limits, checkpointState);
  }

  append(batch: NewBatch): Promise<AppendedBatch> {
    const bytes = batchHeader.bytes + batch.payload.length;
    const refusal = this.#refusal(bytes, batch.frees ?? false);
    if (refusal) return Promise.reject(refusal);
    const journaled = batch.begins !== undefined;
    if (journaled && !this.#fitsFrame(bytes)) return Promise.reject(this.#tooLarge(bytes));
    return this.#gather(batch, bytes, { journaled, made: undefined });
  }

  /** Makes the log: batch 0, whose record tells the journal of the group. */
  make(batch0: NewBatch, appendTimeMicros: number): Promise<AppendedBatch> {
    const bytes = batchHeader.bytes + batch0.payload.length;
    const refusal = this.#refusal(bytes, false) ?? (this.#fitsFrame(bytes) ? undefined : this.#tooLarge(bytes));
    if (refusal) {
      this.#ended = refusal;
      return Promise.reject(refusal);
    }
    return this.#gather(batch0, bytes, { journaled: true, made: { appendTimeMicros } });
  }

  setCommit(index: number): void {
    const { state } = this;
    assert(index <= state.durable.index, `commit ${index} is beyond what is durable, ${state.durable.index}`);
    if (index <= state.commit.index) return;
    assert(index === state.durable.index, "a commit index below the durable end needs its offset looked up");
    state.commit = { index, offset: state.durable.offset };
    for (const listener of this.#commitListeners) listener();
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
    this.#rolling.read(checkpoint);
    return checkpoint;
  }

  async *headers(index: number): AsyncGenerator<BatchHeader> {
    for (let next = index; ; ) {
      const batches = await this.read({
        from: { index: next },
        belowIndex: Number.MAX_SAFE_INTEGER,
        maxBytes: 1 << 20,
      });
      const last = batches.at(-1);
      if (!last) return;
      yield* batches;
      next = last.index + 1;
    }
  }

  cut(index: number): Promise<void> {
    return this.#change(() => cutLog(this.#parts, index));
  }

  async segmentBelow(offset: number): Promise<number> {
    const { state, segments } = this;
    const found = await this.#reading(() => segments.lastBelow(offset));
    // A segment that grows may have begun with a checkpoint that is not synced there yet.
    return Math.max(Math.min(found ?? 0, state.flushed.segment), state.base.index);
  }

  dropBefore(checkpointIndex: number): Promise<void> {
    return this.#dropBefore(checkpointIndex);
  }

  install(checkpoint: Uint8Array): Promise<void> {
    return this.#change(() => installLog(this.#parts, checkpoint));
  }

  /** Ends it: what waits and what comes is refused with `reason`. Resolves when nothing is on its way. */
  async end(reason: TailraceError): Promise<void> {
    this.#ended = reason;
    const removal = new Promise<void>((resolve) => {
      this.#removalOver = resolve;
    });
    this.#removal = removal;
    this.#rejectAll(this.#takeGathered(), reason);
    await this.#changes;
    while (this.#isUnderWay) await this.#nothingUnderWay();
    // Who asked for a flush in this very turn finds an empty tail when the removal is over.
    void this.#flusher.hold(() => removal);
  }

  /** It was not removed after all: that was refused. */
  goOn(): void {
    this.#ended = undefined;
    this.#removalOver();
  }

  /** The journal has it no more. */
  removed(): void {
    this.state.tail = new Tail(this.state.durable.index);
    this.#removalOver();
  }

  /** Whether batches are on their way to a segment. */
  get isFlushing(): boolean {
    return this.#flusher.isBusy;
  }

  /** Moves the tail to segments; of a log that is being removed it waits for that. @throws {NoRoomError} */
  async emptyTail(): Promise<void> {
    await this.#removal;
    // Of a log that is to be removed nothing more is moved: its files go.
    await this.#flusher.emptyTail(() => this.#ended === undefined);
  }

  /** Waits until no append and no flush is on its way. @throws {Error} None will end any more: the folder failed. */
  async idle(): Promise<void> {
    await this.#changes;
    while (this.#gathered.length > 0 || this.#isUnderWay) {
      await (this.#isUnderWay ? this.#nothingUnderWay() : this.#context.journal.idle());
    }
  }

  get #isUnderWay(): boolean {
    return this.#journaling.length > 0 || this.#flusher.isBusy;
  }

  /**
   * Waits until what is stamped is durable or refused. Not for the whole journal: that may wait for this log's tail.
   * @throws {Error} It never will be: the folder failed.
   */
  async #nothingUnderWay(): Promise<void> {
    while (this.#isUnderWay) {
      await this.#flusher.idle();
      if (this.#journaling.length > 0) {
        const settled = new Promise<void>((resolve) => this.#onJournaled.push(resolve));
        await Promise.race([settled, this.#context.journal.idle()]);
      }
      const failure = this.#context.failure();
      if (failure) throw failure;
    }
  }

  #journaled(): void {
    for (const settled of this.#onJournaled.splice(0)) settled();
  }

  contribute(frame: FrameBuilder): boolean {
    if (this.#flusher.holdsJournal || this.#changing > 0 || this.#gathered.length === 0) return true;
    // What was flushed without being journaled comes before what is journaled now: say so first.
    if (!this.#context.writeMark(this.group, frame)) return false;
    for (;;) {
      this.#gatherDueCheckpoint();
      const next = this.#gathered[0];
      if (!next) return true;
      if (!next.journaled && this.#isLargeRound()) return this.#journaling.length > 0 || this.#startDirectFlush();
      if (!this.#fits(next, frame)) return false;
      this.#putInFrame(next, frame);
      this.#gathered.shift();
      this.#gatheredBytes -= next.bytes;
      this.#journaling.push(next);
    }
  }

  written(): void {
    const { state } = this;
    const written = this.#journaling;
    this.#journaling = [];
    this.#journaled();
    for (const pending of written) {
      const { appended, batch } = pending;
      assert(appended !== undefined, "a batch was written without a stamp");
      state.tail.push({
        ringPosition: pending.ringPosition,
        bytes: pending.bytes,
        baseOffset: appended.baseOffset,
        appendTimeMicros: appended.appendTimeMicros,
        checkpoint: batch.kind === BatchKind.checkpoint,
      });
      if (batch.begins) state.vote = batch.begins;
    }
    this.#durable(written);
    this.#flushLargeTail();
    this.#schedule();
  }

  refused(error: NoRoomError): void {
    // A large round went its own way meanwhile: what waits now waits for that.
    if (this.#journaling.length > 0 || !this.#flusher.holdsJournal) this.#refuseAll(error);
  }

  #refuseAll(error: NoRoomError): void {
    const refused = [...this.#journaling, ...this.#flushing, ...this.#takeGathered()];
    this.#journaling = [];
    this.#journaled();
    this.#flushing = [];
    this.state.stamped = this.state.durable;
    this.#rolling.takenBack();
    // What it took now would be journaled for a group that the journal does not know, and lost at the next start.
    if (refused.some(({ made }) => made !== undefined)) this.#ended = error;
    this.#rejectAll(refused, error);
  }

  #takeGathered(): Pending[] {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    return gathered;
  }

  /** Of a log that was removed meanwhile a reader is told that, whatever happened to its files. */
  async #reading<T>(read: () => Promise<T>): Promise<T> {
    for (;;) {
      if (this.#changing > 0) await this.#changes;
      if (this.#ended) throw this.#ended;
      const changesBegun = this.#changesBegun;
      try {
        const found = await read();
        if (changesBegun === this.#changesBegun) return found;
      } catch (error) {
        // So is a reader of a folder that is closing.
        const refusal = this.#ended ?? this.#context.refusal(true);
        if (refusal || changesBegun === this.#changesBegun) throw refusal ?? error;
      }
      // The log was changed under the reading, which may have met both what was and what is: it is done again.
    }
  }

  #refusal(bytes: number, frees: boolean): Error | undefined {
    const { counters, settings } = this.#context;
    if (this.#ended) return this.#ended;
    if (this.state.damage !== undefined) return this.#damaged(this.state.damage);
    if (bytes > batchMaxBytes) {
      const limit = { name: "stored_batch_max_bytes", value: batchMaxBytes, actual: bytes };
      return limitPassed("Cannot append the batch", limit, "Append fewer or smaller records at once");
    }
    if (counters.gatheredBytes + bytes > settings.appendQueueMaxBytes) {
      const limit = { name: "append_queue_max_bytes", value: settings.appendQueueMaxBytes };
      return limitPassed("Cannot append now", limit, "Append again in a moment", { retryAfterMs: 100 });
    }
    return this.#context.refusal(frees);
  }

  /** Whether a batch that must be journaled fits, with its vote or its note. */
  #fitsFrame(bytes: number): boolean {
    return this.#journaledMaxBytes >= bytes;
  }

  get #journaledMaxBytes(): number {
    const beside = frameHeader.bytes + recordBytes(markBody.bytes) + recordBytes(noteMaxBytes + 4) + recordBytes(0);
    return this.#context.settings.frameMaxBytes - beside;
  }

  #tooLarge(actual: number): TailraceError {
    const limit = { name: "journaled_batch_max_bytes", value: this.#journaledMaxBytes, actual };
    return limitPassed("Cannot append the batch", limit, "Make it smaller, or give the journal larger files");
  }

  #damaged(why: string): TailraceError {
    const what = `Cannot append to the log of stream ${this.group}`;
    const todo = "Reads go on up to the damage; stop the node and run tailrace repair on its data folder";
    return new TailraceError("damaged", { what, why, todo }, { nextOffset: this.state.durable.offset });
  }

  #gather(batch: NewBatch, bytes: number, how: Pick<Pending, "journaled" | "made">): Promise<AppendedBatch> {
    return new Promise((resolve, reject) => {
      this.#gathered.push({ batch, bytes, ...how, resolve, reject, appended: undefined, ringPosition: 0 });
      this.#gatheredBytes += bytes;
      this.#context.counters.gatheredBytes += bytes;
      this.#schedule();
    });
  }

  /** Sends what gathered on its way, unless something that must come first is on its own. */
  #schedule(): void {
    if (this.#gathered.length === 0 || this.#journaling.length > 0 || this.#changing > 0) return;
    const [first] = this.#gathered;
    if (!first?.journaled && this.#isLargeRound()) this.#startDirectFlush();
    else if (!this.#flusher.holdsJournal) this.#context.journal.submit(this);
  }

  #isLargeRound(): boolean {
    return this.#gatheredBytes >= this.#context.settings.flushBytes;
  }

  #startDirectFlush(): true {
    if (this.#flusher.mayStart) this.#flushAside(true);
    return true;
  }

  /** A tail that has grown too large is moved in the background. */
  #flushLargeTail(): void {
    const { tail } = this.state;
    const isLarge = tail.count > 0 && tail.bytes >= this.#context.settings.tailMaxBytes;
    if (isLarge && !this.#flusher.isBusy && !this.#ended) this.#flushAside();
  }

  #flushAside(direct = false): void {
    this.#flusher.start(direct).catch((error: Error) => this.#context.failed(error));
  }

  #nextIsCheckpoint(): boolean {
    this.#gatherDueCheckpoint();
    return this.#gathered[0]?.batch.kind === BatchKind.checkpoint;
  }

  /** Puts a checkpoint before what waits, if one is due. Once it is there it stays, whatever the clock says next. */
  #gatherDueCheckpoint(): void {
    const [first] = this.#gathered;
    if (!first || first.batch.kind === BatchKind.checkpoint || !this.#rolling.isDue) return;
    const batch = this.#rolling.checkpoint();
    const bytes = batchHeader.bytes + batch.payload.length;
    const nobody = () => {};
    this.#gathered.unshift({
      batch,
      bytes,
      journaled: false,
      made: undefined,
      rolled: true,
      resolve: nobody,
      reject: nobody,
      appended: undefined,
      ringPosition: 0,
    });
    this.#gatheredBytes += bytes;
    this.#context.counters.gatheredBytes += bytes;
  }

  /** The place that it was for is another. */
  #dropDueCheckpoint(): void {
    const [first] = this.#gathered;
    if (!first?.rolled) return;
    this.#gathered.shift();
    this.#gatheredBytes -= first.bytes;
    this.#context.counters.gatheredBytes -= first.bytes;
  }

  #fits(pending: Pending, frame: FrameBuilder): boolean {
    const { batch, bytes, made } = pending;
    if (batch.begins) return frame.fits(voteBody.bytes, bytes);
    return made ? frame.fits(bytes, noteBytes(this.state.note)) : frame.fits(bytes);
  }

  #putInFrame(pending: Pending, frame: FrameBuilder): void {
    const { batch, bytes } = pending;
    const { group, logNumber } = this.state;
    if (batch.begins) {
      writeVote(frame.bytes, frame.add(RecordKind.vote, group, logNumber, voteBody.bytes), batch.begins);
    }
    const at = frame.add(pending.made ? RecordKind.made : RecordKind.batch, group, logNumber, bytes);
    pending.ringPosition = this.#context.journal.ringPosition(at);
    const whole = frame.bytes.subarray(at, at + bytes);
    whole.set(batch.payload, batchHeader.bytes);
    this.#stamp(pending, whole.subarray(0, batchHeader.bytes), whole.subarray(batchHeader.bytes), whole);
    if (!pending.made) return;
    const { note } = this.state;
    const noteAt = frame.add(RecordKind.note, group, logNumber, noteBytes(note));
    putU32(frame.bytes, noteAt, note.length);
    frame.bytes.set(note, noteAt + 4);
  }

  /** Gives a batch its place, its time and its digest: writes its header. */
  #stamp(pending: Pending, header: Uint8Array, payload: Uint8Array, whole?: Uint8Array): void {
    const { state } = this;
    const { stamped } = state;
    const { batch } = pending;
    // A clock that went back does not take the log with it.
    const nowMicros = pending.made?.appendTimeMicros ?? this.#context.clock.nowMicros();
    const appendTimeMicros = Math.max(nowMicros, stamped.appendTimeMicros);
    const term = batch.begins?.term ?? stamped.term;
    const stamp = {
      kind: batch.kind,
      group: state.group,
      index: stamped.index,
      baseOffset: stamped.offset,
      recordCount: batch.recordCount,
      term,
      appendTimeMicros,
    };
    stampHeader(header, payload, stamp, stamped.digest, this.#context.hash, whole);
    const digest = header.slice(batchHeader.digestAt, batchHeader.digestAt + digestBytes);
    const nextOffset = stamped.offset + batch.recordCount;
    pending.appended = {
      index: stamped.index,
      baseOffset: stamped.offset,
      nextOffset,
      appendTimeMicros,
      term,
      digest,
    };
    state.stamped = { index: stamped.index + 1, offset: nextOffset, appendTimeMicros, term, digest };
    this.#rolling.stamped({ kind: batch.kind, index: stamped.index, bytes: pending.bytes, appendTimeMicros });
    batch.stamped?.(stamped.index, appendTimeMicros);
  }

  #takeRound({ roomBytes, begins, alone }: RoundLimit): DirectRound | undefined {
    const round: Pending[] = [];
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for (;;) {
      this.#gatherDueCheckpoint();
      const next = this.#gathered[0];
      // What must be journaled is never alone in a flush: a vote goes with it.
      if (!next || next.journaled) break;
      // A segment begins where a checkpoint stands, and nowhere else.
      if ((next.batch.kind === BatchKind.checkpoint) !== (begins && round.length === 0)) break;
      if (bytes + next.bytes > roomBytes && !(alone && round.length === 0)) break;
      const header = new Uint8Array(batchHeader.bytes);
      this.#stamp(next, header, next.batch.payload);
      parts.push(header, next.batch.payload);
      bytes += next.bytes;
      this.#gathered.shift();
      this.#gatheredBytes -= next.bytes;
      round.push(next);
      this.#flushing.push(next);
    }
    if (round.length === 0) return undefined;
    return { parts, bytes, batches: round.length, written: () => this.#flushedRound(round) };
  }

  #flushedRound(round: readonly Pending[]): void {
    this.#flushing.splice(0, round.length);
    this.#durable(round);
  }

  /** These are on the disk, and all before them. */
  #durable(batches: readonly Pending[]): void {
    const { state } = this;
    const { counters } = this.#context;
    const last = batches.at(-1)?.appended;
    if (!last) return;
    state.durable = {
      index: last.index + 1,
      offset: last.nextOffset,
      appendTimeMicros: last.appendTimeMicros,
      term: last.term,
      digest: last.digest,
    };
    for (const listener of this.#durableListeners) listener();
    for (const pending of batches) {
      if (pending.appended) this.#rolling.durable({ kind: pending.batch.kind, ...pending.appended });
      counters.gatheredBytes -= pending.bytes;
      counters.appendedBatches += 1;
      counters.appendedBytes += pending.bytes;
      if (pending.appended) pending.resolve(pending.appended);
    }
  }

  #rejectAll(refused: readonly Pending[], error: Error): void {
    for (const pending of refused) {
      this.#context.counters.gatheredBytes -= pending.bytes;
      pending.reject(error);
    }
  }

  get #parts() {
    return { state: this.state, segments: this.segments, reader: this.#reader, context: this.#context };
  }

  /** A segment must begin there: what is before it is flushed first. */
  async #dropBefore(checkpointIndex: number): Promise<void> {
    if (checkpointIndex >= this.state.tail.startIndex) await this.emptyTail();
    await this.#change(async () => {
      const refusal = this.#context.refusal(true);
      if (refusal) throw refusal;
      await dropLogBefore(this.#parts, checkpointIndex);
    });
  }

  /** Runs a change when nothing is on its way, and lets nothing begin meanwhile. */
  #change(change: () => Promise<void>): Promise<void> {
    const run = async () => {
      if (this.#ended) throw this.#ended;
      this.#changing += 1;
      try {
        // A flush may begin in the turn between.
        while (this.#isUnderWay) await this.#nothingUnderWay();
        this.#changesBegun += 1;
        await this.#flusher.hold(change);
      } catch (error) {
        // What the files are now, nobody knows.
        if (error instanceof DiskError) this.#context.failed(error);
        throw error;
      } finally {
        this.#dropDueCheckpoint();
        this.#rolling.changed();
        this.#changing -= 1;
        this.#schedule();
      }
    };
    const result = this.#changes.then(run);
    this.#changes = result.catch(() => {});
    return result;
  }
}
