/**
 * What is appended to one log gathers, and goes round by round to the journal or, where a round is large, to the segment.
 * - A round is what gathered while the one before was on its way. It is stamped when it is taken, in order.
 * - A batch is journaled only when all before it is durable or in the journal: while a large round is on its way,
 *   small batches wait. So none ever hangs on an unsynced large one.
 * - A refusal for want of room refuses all that is stamped and not durable, and all that waits behind it.
 * @module
 */
import { assert } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import type { NoRoomError } from "../base/disk-errors.ts";
import { appendRefusal } from "./admission.ts";
import type { LogContext } from "./context.ts";
import { Flusher, type FlushSource, type RoundLimit } from "./flush.ts";
import type { DirectRound } from "./flush-taken.ts";
import type { FrameBuilder } from "./frame-writer.ts";
import { Gathered } from "./gathered.ts";
import type { Contributor } from "./journal.ts";
import { setNote } from "./log-promises.ts";
import type { LogState } from "./log-state.ts";
import { type Pending, type PendingBatch, pendingNew, pendingStored } from "./pending.ts";
import { Placing } from "./placing.ts";
import { Rolling } from "./rolling.ts";
import type { Segments } from "./segments.ts";
import { BatchRefusedError, type VerifiedBatch } from "./stored-batch.ts";
import type { AppendedBatch, LogPosition, NewBatch, StoredAppendOptions } from "./types.ts";
import { type UnsyncedBatch, unsyncedOf } from "./unsynced.ts";

/** Who hears of it before appends are answered. */
interface Told {
  /** The durable end has moved on over these. */
  durable(batches: readonly Pending[]): void;
  /** What had its place has it no more. */
  takenBack(): void;
}

/** The appends of one log. */
export class Rounds implements Contributor, FlushSource {
  readonly flusher: Flusher;
  readonly rolling: Rolling;
  readonly #placing: Placing;
  readonly #state: LogState;
  readonly #context: LogContext;
  readonly #told: Told;
  readonly #gathered = new Gathered();
  /** Stamped, in the frame that is on its way. */
  #journaling: Pending[] = [];
  /** Told when that frame is over. */
  readonly #onJournaled: (() => void)[] = [];
  /** Stamped, in flushes that are on their way. */
  #flushing: Pending[] = [];
  /** How many changes of the log run or wait: no round begins meanwhile. */
  #holds = 0;
  /** Why nothing is taken any more: the log was removed, or its making was refused. */
  #ended: Error | undefined;

  constructor(state: LogState, segments: Segments, context: LogContext, told: Told) {
    this.#state = state;
    this.#context = context;
    this.#told = told;
    this.flusher = new Flusher(state, segments, context, this);
    this.rolling = new Rolling(state, segments, context.clock);
    this.#placing = new Placing(state, context, this.rolling);
  }

  /** Why nothing is taken any more. */
  get ended(): Error | undefined {
    return this.#ended;
  }

  /** All that has its place ends here, what waits for its turn too. */
  get end(): LogPosition {
    return this.#gathered.end ?? this.#state.stamped;
  }

  append(batch: NewBatch): Promise<AppendedBatch> {
    const pending = pendingNew(batch);
    const refusal = this.#refusalOf(pending);
    return refusal ? Promise.reject(refusal) : this.#gather(pending);
  }

  /** Appends a batch that has its place already. */
  appendStored(stored: VerifiedBatch, options: StoredAppendOptions): Promise<AppendedBatch> {
    const pending = pendingStored(stored, options);
    const misplaced = this.#gathered.arePlaced ? this.#placing.misplaced(stored, this.end) : undefined;
    const refusal = this.#refusalOf(pending) ?? misplaced;
    return refusal ? Promise.reject(refusal) : this.#gather(pending);
  }

  /** Makes the log: batch 0, whose record tells the journal of the group. */
  make(batch0: NewBatch, appendTimeMicros: number): Promise<AppendedBatch> {
    const pending = pendingNew(batch0, { appendTimeMicros });
    const refusal = this.#refusalOf(pending);
    if (!refusal) return this.#gather(pending);
    this.#ended = refusal;
    return Promise.reject(refusal);
  }

  /** What has its place and is not durable, in order, from an index on. */
  *unsynced(fromIndex: number): Generator<UnsyncedBatch> {
    const waiting = this.#holds > 0 ? [] : this.#gathered.placed();
    for (const pendings of [this.#flushing, this.#journaling, waiting]) {
      for (const pending of pendings) {
        const batch = unsyncedOf(pending, fromIndex);
        if (batch) yield batch;
      }
    }
  }

  /** Refuses with `reason` what waits and what comes. */
  endWith(reason: Error): void {
    this.#ended = reason;
    this.#reject(this.#gathered.takeAll(), reason);
  }

  /** It was not ended after all. */
  goOn(): void {
    this.#ended = undefined;
  }

  /** The folder failed: nobody knows what became of what is on its way, and nothing more is written. */
  fail(error: Error): void {
    this.#reject([...this.#journaling.splice(0), ...this.#flushing.splice(0), ...this.#gathered.takeAll()], error);
  }

  /** No round begins until `release`. */
  hold(): void {
    this.#holds += 1;
  }

  /** The log may be another than it was: what was prepared for its end is not for this one. */
  release(): void {
    this.#dropDueCheckpoint();
    this.rolling.changed();
    this.#holds -= 1;
    const { first } = this.#gathered;
    if (first?.stored && this.#placing.refusal(first)) this.#refuseStored();
    this.#schedule();
  }

  /** Whether something waits for its round. */
  get isGathering(): boolean {
    return !this.#gathered.isEmpty;
  }

  /** Whether something is on its way to the disk. */
  get isUnderWay(): boolean {
    return this.#journaling.length > 0 || this.flusher.isBusy;
  }

  /**
   * Waits until what is stamped is durable or refused. Not for the whole journal: that may wait for this log's tail.
   * @throws {Error} It never will be: the folder failed.
   */
  async nothingUnderWay(): Promise<void> {
    while (this.isUnderWay) {
      await this.flusher.idle();
      if (this.#journaling.length > 0) {
        const settled = new Promise<void>((resolve) => this.#onJournaled.push(resolve));
        await Promise.race([settled, this.#context.journal.idle()]);
      }
      const failure = this.#context.failure();
      if (failure) throw failure;
    }
  }

  contribute(frame: FrameBuilder): boolean {
    if (this.flusher.holdsJournal || this.#holds > 0 || this.#gathered.isEmpty) return true;
    // What was flushed without being journaled comes before what is journaled now: say so first.
    if (!this.#context.writeMark(this.#state.group, frame)) return false;
    for (;;) {
      this.#gatherDueCheckpoint();
      const next = this.#gathered.first;
      if (!next) return true;
      if (!next.journaled && this.#isLargeRound()) return this.#journaling.length > 0 || this.#startDirectFlush();
      if (!this.#placing.fits(next, frame)) return false;
      if (!this.#admits(next)) continue;
      this.#placing.putInFrame(next, frame);
      this.#journaling.push(this.#gathered.takeFirst(next));
    }
  }

  written(): void {
    const { tail } = this.#state;
    const written = this.#journaling;
    this.#journaling = [];
    this.#journaled();
    for (const { appended, batch, bytes, ringPosition } of written) {
      assert(appended !== undefined, "a batch was written without a stamp");
      const { baseOffset, appendTimeMicros } = appended;
      tail.push({ ringPosition, bytes, baseOffset, appendTimeMicros, kind: batch.kind });
      if (batch.begins) this.#state.vote = batch.begins;
      if (batch.note) setNote(this.#state, this.#context, batch.note);
    }
    this.#durable(written);
    this.#flushLargeTail();
    this.#schedule();
  }

  refused(error: NoRoomError): void {
    // A large round went its own way meanwhile: what waits now waits for that.
    if (this.#journaling.length > 0 || !this.flusher.holdsJournal) this.#refuseAll(error);
  }

  takeRound({ roomBytes, begins, alone }: RoundLimit): DirectRound | undefined {
    const round: Pending[] = [];
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for (;;) {
      this.#gatherDueCheckpoint();
      const next = this.#gathered.first;
      // What must be journaled is never alone in a flush: a vote goes with it.
      if (!next || next.journaled) break;
      // A segment begins where a checkpoint stands, and nowhere else.
      if ((next.batch.kind === BatchKind.checkpoint) !== (begins && round.length === 0)) break;
      if (bytes + next.bytes > roomBytes && !(alone && round.length === 0)) break;
      if (!this.#admits(next)) continue;
      parts.push(...this.#placing.putAside(next));
      bytes += next.bytes;
      round.push(this.#gathered.takeFirst(next));
      this.#flushing.push(next);
    }
    if (round.length === 0) return undefined;
    return { parts, bytes, batches: round.length, written: () => this.#flushedRound(round) };
  }

  nextIsCheckpoint(): boolean {
    this.#gatherDueCheckpoint();
    return this.#gathered.first?.batch.kind === BatchKind.checkpoint;
  }

  flushed(well: boolean): void {
    if (well) this.#flushLargeTail();
    this.#schedule();
  }

  flushRefused(error: NoRoomError): void {
    this.#refuseAll(error);
  }

  #flushedRound(round: readonly Pending[]): void {
    this.#flushing.splice(0, round.length);
    this.#durable(round);
  }

  /** These are on the disk, and all before them. */
  #durable(batches: readonly Pending[]): void {
    const { counters } = this.#context;
    const last = batches.at(-1)?.appended;
    if (!last) return;
    const { index, nextOffset: offset, appendTimeMicros, term, digest } = last;
    this.#state.durable = { index: index + 1, offset, appendTimeMicros, term, digest };
    this.#told.durable(batches);
    for (const { batch, bytes, appended, resolve } of batches) {
      counters.gatheredBytes -= bytes;
      counters.appendedBatches += 1;
      counters.appendedBytes += bytes;
      if (!appended) continue;
      this.rolling.durable({ kind: batch.kind, ...appended });
      resolve(appended);
    }
  }

  #journaled(): void {
    for (const settled of this.#onJournaled.splice(0)) settled();
  }

  #refuseAll(error: NoRoomError): void {
    const { end } = this;
    const refused = [...this.#journaling, ...this.#flushing, ...this.#gathered.takeAll()];
    this.#journaling = [];
    this.#journaled();
    this.#flushing = [];
    this.#state.stamped = this.#state.durable;
    this.rolling.takenBack();
    // What it took now would be journaled for a group that the journal does not know, and lost at the next start.
    if (refused.some(({ made }) => made !== undefined)) this.#ended = error;
    if (this.end.index < end.index) this.#told.takenBack();
    this.#reject(refused, error);
  }

  #reject(refused: readonly Pending[], error: Error): void {
    for (const pending of refused) {
      this.#context.counters.gatheredBytes -= pending.bytes;
      pending.reject(error);
    }
  }

  #refusalOf({ batch, bytes, journaled }: PendingBatch): Error | undefined {
    return this.#ended ?? appendRefusal(this.#state, this.#context, { bytes, journaled, frees: batch.frees ?? false });
  }

  #gather(batch: PendingBatch): Promise<AppendedBatch> {
    return new Promise((resolve, reject) => {
      const nowhere = { appended: undefined, header: undefined, ringPosition: 0 };
      this.#gathered.add({ ...batch, ...nowhere, resolve, reject });
      this.#context.counters.gatheredBytes += batch.bytes;
      this.#schedule();
    });
  }

  /** Sends what gathered on its way, unless something that must come first is on its own. */
  #schedule(): void {
    const { first } = this.#gathered;
    if (!first || this.#journaling.length > 0 || this.#holds > 0) return;
    if (!first.journaled && this.#isLargeRound()) this.#startDirectFlush();
    else if (!this.flusher.holdsJournal) this.#context.journal.submit(this);
  }

  #isLargeRound(): boolean {
    return this.#gathered.bytes >= this.#context.settings.flushBytes;
  }

  #startDirectFlush(): true {
    if (this.flusher.mayStart) this.#flushAside(true);
    return true;
  }

  /** A tail that has grown too large is moved in the background. */
  #flushLargeTail(): void {
    const { tail, damage } = this.#state;
    const isLarge = tail.count > 0 && tail.bytes >= this.#context.settings.tailMaxBytes;
    if (isLarge && damage === undefined && !this.flusher.isBusy && !this.#ended) this.#flushAside();
  }

  #flushAside(direct = false): void {
    this.flusher.start(direct).catch((error: Error) => this.#context.failed(error));
  }

  /**
   * Puts a checkpoint before what waits, if one is due. Once it is there it stays, whatever the clock says next. Of what a
   * leader stamped nothing is due: that has its checkpoints.
   */
  #gatherDueCheckpoint(): void {
    for (;;) {
      const { first } = this.#gathered;
      if (!first || first.stored || first.batch.kind === BatchKind.checkpoint) return;
      if (!this.rolling.isDue && !(first.batch.rolls && this.rolling.isBegun)) return;
      // It comes with a batch that is taken, or not at all: who may append nothing writes none. And what it says counts all
      // that has a place, so it is made when that is known.
      if (this.#admits(first)) break;
    }
    const due = { ...pendingNew(this.rolling.checkpoint()), rolled: true };
    const nobody = { resolve: () => {}, reject: () => {} };
    this.#gathered.putFirst({ ...due, ...nobody, appended: undefined, header: undefined, ringPosition: 0 });
    this.#context.counters.gatheredBytes += due.bytes;
  }

  /** The place that it was for is another. */
  #dropDueCheckpoint(): void {
    const dropped = this.#gathered.takeRolled();
    if (dropped) this.#context.counters.gatheredBytes -= dropped.bytes;
  }

  /** Asks whether a batch may have the next place; if not it is taken out, and refused with the answer. */
  #admits(next: Pending): boolean {
    const refusal = this.#placing.refusal(next);
    if (!refusal) return true;
    if (next.stored) this.#refuseStored();
    else this.#reject([this.#gathered.takeFirst(next)], refusal);
    return false;
  }

  /** The log ends elsewhere than the next stored batch says: that one can't be taken, nor any that waits behind it. */
  #refuseStored(): void {
    const refused = this.#gathered.takeStored();
    this.#told.takenBack();
    for (const pending of refused) {
      const { group, stamped } = this.#state;
      const { index } = pending.stored.batch;
      const behind = new BatchRefusedError(group, { index, why: "one that waited before it is refused" });
      this.#reject([pending], this.#placing.misplaced(pending.stored, stamped) ?? behind);
    }
  }
}
