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
import { batchHeader, RecordKind, voteBody } from "./format.ts";
import type { FrameBuilder } from "./frame-writer.ts";
import { noteBytes, writeNote, writeVote } from "./group-state.ts";
import type { Contributor } from "./journal.ts";
import { setNote } from "./log-promises.ts";
import type { LogState } from "./log-state.ts";
import type { Pending } from "./pending.ts";
import { Rolling } from "./rolling.ts";
import type { Segments } from "./segments.ts";
import { stamp } from "./stamping.ts";
import type { AppendedBatch, NewBatch } from "./types.ts";

/** The appends of one log. */
export class Rounds implements Contributor, FlushSource {
  readonly flusher: Flusher;
  readonly rolling: Rolling;
  readonly #state: LogState;
  readonly #context: LogContext;
  readonly #onDurable: () => void;
  #gathered: Pending[] = [];
  #gatheredBytes = 0;
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

  /** `onDurable`: told when the durable end has moved, before appends are answered. */
  constructor(state: LogState, segments: Segments, context: LogContext, onDurable: () => void) {
    this.#state = state;
    this.#context = context;
    this.#onDurable = onDurable;
    this.flusher = new Flusher(state, segments, context, this);
    this.rolling = new Rolling(state, segments, context.clock);
  }

  /** Why nothing is taken any more. */
  get ended(): Error | undefined {
    return this.#ended;
  }

  append(batch: NewBatch): Promise<AppendedBatch> {
    const bytes = batchHeader.bytes + batch.payload.length;
    const journaled = batch.begins !== undefined || batch.note !== undefined;
    const refusal =
      this.#ended ?? appendRefusal(this.#state, this.#context, { bytes, journaled, frees: batch.frees ?? false });
    if (refusal) return Promise.reject(refusal);
    return this.#gather(batch, bytes, { journaled, made: undefined });
  }

  /** Makes the log: batch 0, whose record tells the journal of the group. */
  make(batch0: NewBatch, appendTimeMicros: number): Promise<AppendedBatch> {
    const bytes = batchHeader.bytes + batch0.payload.length;
    const refusal = appendRefusal(this.#state, this.#context, { bytes, journaled: true, frees: false });
    if (refusal) {
      this.#ended = refusal;
      return Promise.reject(refusal);
    }
    return this.#gather(batch0, bytes, { journaled: true, made: { appendTimeMicros } });
  }

  /** Refuses with `reason` what waits and what comes. */
  end(reason: Error): void {
    this.#ended = reason;
    this.#reject(this.#takeGathered(), reason);
  }

  /** It was not ended after all. */
  goOn(): void {
    this.#ended = undefined;
  }

  /** The folder failed: nobody knows what became of what is on its way, and nothing more is written. */
  fail(error: Error): void {
    this.#reject([...this.#journaling.splice(0), ...this.#flushing.splice(0), ...this.#takeGathered()], error);
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
    this.#schedule();
  }

  /** Whether something waits for its round. */
  get isGathering(): boolean {
    return this.#gathered.length > 0;
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
    if (this.flusher.holdsJournal || this.#holds > 0 || this.#gathered.length === 0) return true;
    // What was flushed without being journaled comes before what is journaled now: say so first.
    if (!this.#context.writeMark(this.#state.group, frame)) return false;
    for (;;) {
      this.#gatherDueCheckpoint();
      const next = this.#gathered[0];
      if (!next) return true;
      if (!next.journaled && this.#isLargeRound()) return this.#journaling.length > 0 || this.#startDirectFlush();
      if (!this.#fits(next, frame)) return false;
      if (!this.#admits(next)) continue;
      this.#putInFrame(next, frame);
      this.#journaling.push(this.#takeFirst(next));
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
      const next = this.#gathered[0];
      // What must be journaled is never alone in a flush: a vote goes with it.
      if (!next || next.journaled) break;
      // A segment begins where a checkpoint stands, and nowhere else.
      if ((next.batch.kind === BatchKind.checkpoint) !== (begins && round.length === 0)) break;
      if (bytes + next.bytes > roomBytes && !(alone && round.length === 0)) break;
      if (!this.#admits(next)) continue;
      const header = new Uint8Array(batchHeader.bytes);
      this.#stamp(next, { header, payload: next.batch.payload });
      parts.push(header, next.batch.payload);
      bytes += next.bytes;
      round.push(this.#takeFirst(next));
      this.#flushing.push(next);
    }
    if (round.length === 0) return undefined;
    return { parts, bytes, batches: round.length, written: () => this.#flushedRound(round) };
  }

  nextIsCheckpoint(): boolean {
    this.#gatherDueCheckpoint();
    return this.#gathered[0]?.batch.kind === BatchKind.checkpoint;
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
    this.#onDurable();
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
    const refused = [...this.#journaling, ...this.#flushing, ...this.#takeGathered()];
    this.#journaling = [];
    this.#journaled();
    this.#flushing = [];
    this.#state.stamped = this.#state.durable;
    this.rolling.takenBack();
    // What it took now would be journaled for a group that the journal does not know, and lost at the next start.
    if (refused.some(({ made }) => made !== undefined)) this.#ended = error;
    this.#reject(refused, error);
  }

  #reject(refused: readonly Pending[], error: Error): void {
    for (const pending of refused) {
      this.#context.counters.gatheredBytes -= pending.bytes;
      pending.reject(error);
    }
  }

  #takeGathered(): Pending[] {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    return gathered;
  }

  #takeFirst(first: Pending): Pending {
    this.#gathered.shift();
    this.#gatheredBytes -= first.bytes;
    return first;
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
    if (this.#gathered.length === 0 || this.#journaling.length > 0 || this.#holds > 0) return;
    const [first] = this.#gathered;
    if (!first?.journaled && this.#isLargeRound()) this.#startDirectFlush();
    else if (!this.flusher.holdsJournal) this.#context.journal.submit(this);
  }

  #isLargeRound(): boolean {
    return this.#gatheredBytes >= this.#context.settings.flushBytes;
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

  /** Puts a checkpoint before what waits, if one is due. Once it is there it stays, whatever the clock says next. */
  #gatherDueCheckpoint(): void {
    const [first] = this.#gathered;
    if (!first || first.batch.kind === BatchKind.checkpoint) return;
    if (!this.rolling.isDue && !(first.batch.rolls && this.rolling.isBegun)) return;
    const batch = this.rolling.checkpoint();
    const bytes = batchHeader.bytes + batch.payload.length;
    const nobody = { resolve: () => {}, reject: () => {} };
    const how = { journaled: false, made: undefined, rolled: true, appended: undefined, ringPosition: 0 } as const;
    this.#gathered.unshift({ batch, bytes, ...how, ...nobody });
    this.#gatheredBytes += bytes;
    this.#context.counters.gatheredBytes += bytes;
  }

  /** The place that it was for is another. */
  #dropDueCheckpoint(): void {
    const [first] = this.#gathered;
    if (!first?.rolled) return;
    this.#takeFirst(first);
    this.#context.counters.gatheredBytes -= first.bytes;
  }

  #fits(pending: Pending, frame: FrameBuilder): boolean {
    const vote = pending.batch.begins ? [voteBody.bytes] : [];
    const note = this.#noteOf(pending);
    return frame.fits(...vote, pending.bytes, ...(note ? [noteBytes(note)] : []));
  }

  #noteOf({ made, batch }: Pending): Uint8Array | undefined {
    return made ? this.#state.note : batch.note;
  }

  /** Asks whether a batch may have the next place; if not it is taken out, and refused with the answer. */
  #admits(next: Pending): boolean {
    try {
      const { index, offset } = this.#state.stamped;
      next.batch.admit?.({ index, offset });
      return true;
    } catch (error) {
      this.#takeFirst(next);
      this.#reject([next], error instanceof Error ? error : new Error(String(error)));
      return false;
    }
  }

  #putInFrame(pending: Pending, frame: FrameBuilder): void {
    const { batch, bytes } = pending;
    const { group, logNumber } = this.#state;
    if (batch.begins) {
      writeVote(frame.bytes, frame.add(RecordKind.vote, group, logNumber, voteBody.bytes), batch.begins);
    }
    const at = frame.add(pending.made ? RecordKind.made : RecordKind.batch, group, logNumber, bytes);
    pending.ringPosition = this.#context.journal.ringPosition(at);
    const whole = frame.bytes.subarray(at, at + bytes);
    whole.set(batch.payload, batchHeader.bytes);
    const header = whole.subarray(0, batchHeader.bytes);
    this.#stamp(pending, { header, payload: whole.subarray(batchHeader.bytes), whole });
    const note = this.#noteOf(pending);
    if (note) writeNote(frame.bytes, frame.add(RecordKind.note, group, logNumber, noteBytes(note)), note);
  }

  #stamp(pending: Pending, bytes: { header: Uint8Array; payload: Uint8Array; whole?: Uint8Array }): void {
    const { index } = this.#state.stamped;
    stamp(this.#state, pending, bytes, this.#context);
    const { appendTimeMicros, digest } = this.#state.stamped;
    this.rolling.stamped({ kind: pending.batch.kind, index, bytes: pending.bytes, appendTimeMicros });
    pending.batch.stamped?.(index, appendTimeMicros, digest);
  }
}
