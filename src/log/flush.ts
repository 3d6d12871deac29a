/**
 * Moves a log's batches to its segments: the tail, and large rounds that are not journaled, by one write and one sync.
 * - Nothing else writes to segments. Flushes of one log complete in order, two are on their way at most: while one is
 *   synced the next is written. Its sync begins when the other's has returned: the system tells of a failed write once,
 *   and of two syncs that wait for one file the other would return as if all were well.
 * - A flush never crosses a checkpoint: the segment before is sealed first.
 * - What could not be written for want of room is cut off again before anything else is written.
 * @module
 */
import { assert, present } from "../base/assert.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import type { LogContext } from "./context.ts";
import { type DirectRound, type Taken, takenOf } from "./flush-taken.ts";
import { batchMaxBytes } from "./format.ts";
import { finishCut } from "./log-changes.ts";
import type { LogState } from "./log-state.ts";
import { readRing } from "./ring-reader.ts";
import { SegmentWriter } from "./segment-writer.ts";
import type { Segments } from "./segments.ts";

/** What a flush has room for. */
export interface RoundLimit {
  readonly roomBytes: number;
  /** It begins a segment: with a checkpoint, and only such a round. */
  readonly begins: boolean;
  /** Nothing goes before it: its first batch may be larger than the room. */
  readonly alone: boolean;
}

/** Where large rounds come from, and who is told. */
export interface FlushSource {
  /** Stamps what waits, as far as the limit lets it. */
  takeRound(limit: RoundLimit): DirectRound | undefined;
  /** Whether a checkpoint is the next thing to stamp; if so it stays that. */
  nextIsCheckpoint(): boolean;
  /** A flush is over; `well`: what it took is in the segment. */
  flushed(well: boolean): void;
  /** Nothing that is stamped and not durable can be written: no room. */
  flushRefused(error: NoRoomError): void;
}

interface Flush {
  readonly direct: boolean;
  /** It begins a segment. */
  begins: boolean;
  /** Index after its last batch of the tail, once it was taken. */
  tailEnd: number | undefined;
  /** Size of its segment when it is written. */
  endPosition: number;
  /** Resolves when it is known what it takes, or that it takes nothing. */
  readonly taken: Promise<void>;
  readonly settled: Promise<void>;
}

/** A promise and who resolves it. */
function signal(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

const flushesAtOnce = 2;
/** How soon it is tried again to cut off what was refused, where too many files are open for it. */
const cutBackAgainMs = 100;

/** The flushes of one log. */
export class Flusher {
  readonly #log: LogState;
  readonly #segments: Segments;
  readonly #context: LogContext;
  readonly #source: FlushSource;
  /** On their way, in order. */
  readonly #flushes: Flush[] = [];
  #refusal: NoRoomError | undefined;
  /** Whether a large round was among what had no room. A tail alone loses nothing: the journal has it. */
  #refusesRound = false;
  /** What was refused is being cut off. */
  #cuttingBack: Promise<void> | undefined;
  /** While the log is changed otherwise no flush begins. */
  #held: Promise<unknown> | undefined;
  /** A write or sync failed for good: nothing counts any more. */
  #broken: Error | undefined;
  readonly #writer: SegmentWriter;

  constructor(log: LogState, segments: Segments, context: LogContext, source: FlushSource) {
    this.#log = log;
    this.#segments = segments;
    this.#context = context;
    this.#source = source;
    this.#writer = new SegmentWriter(log, segments, context);
  }

  /** Whether small batches must wait: a large round before them is not durable, or is being cut off again. */
  get holdsJournal(): boolean {
    return this.#isStopped || this.#flushes.some(({ direct }) => direct);
  }

  /** Whether something is on its way. */
  get isBusy(): boolean {
    return this.#flushes.length > 0 || this.#cuttingBack !== undefined;
  }

  /** Whether one more may start. */
  get mayStart(): boolean {
    return this.#flushes.length < flushesAtOnce && !this.#isStopped;
  }

  /** Starts a flush of the tail, and of what waits if `direct`. Resolves when it is over, well or not. */
  async start(direct: boolean): Promise<void> {
    const before = [...this.#flushes];
    const [taken, settled] = [signal(), signal()];
    const flush: Flush = {
      direct,
      begins: false,
      tailEnd: undefined,
      endPosition: 0,
      taken: taken.promise,
      settled: settled.promise,
    };
    this.#flushes.push(flush);
    try {
      await this.#run(flush, before, taken.resolve);
    } catch (error) {
      this.#failed(error);
    }
    if (this.#refusal && direct) this.#refusesRound = true;
    this.#flushes.splice(this.#flushes.indexOf(flush), 1);
    taken.resolve();
    settled.resolve();
    if (this.#refusal && this.#flushes.length === 0) this.#endRefusal(this.#refusal);
    else this.#source.flushed(!this.#isStopped);
  }

  /** Runs a change of the log; nothing is on its way, and flushes that are asked for begin when it is over. */
  async hold(change: () => Promise<void>): Promise<void> {
    assert(!this.isBusy && !this.#held, `group ${this.#log.group} is changed while it is flushed`);
    const held = change();
    this.#held = held.catch(() => {});
    try {
      await held;
    } finally {
      this.#held = undefined;
    }
  }

  /**
   * Flushes until nothing of the tail is left, as long as that is wanted.
   * @throws {NoRoomError} @throws {Error} The disk failed.
   */
  async emptyTail(isWanted: () => boolean): Promise<void> {
    const end = this.#log.tail.endIndex;
    // What is cut off meanwhile need not be flushed any more.
    const isLeft = () => this.#log.tail.count > 0 && this.#log.tail.startIndex < end;
    while (isLeft()) {
      await this.idle();
      if (!isLeft()) return;
      const start = this.#log.tail.startIndex;
      if (!isWanted()) return;
      await this.start(false);
      if (this.#broken) throw this.#broken;
      if (isLeft() && this.#log.tail.startIndex === start && this.#flushes.length === 0) {
        // Not before it is cut off again: who is told may refuse what waits here, or drop the folder.
        await this.idle();
        if (this.#broken) throw this.#broken;
        throw new NoRoomError(`no room to flush the tail of group ${this.#log.group}`);
      }
    }
  }

  /** Waits until nothing is on its way. */
  async idle(): Promise<void> {
    while (this.isBusy) await (this.#flushes.at(-1)?.settled ?? this.#cuttingBack);
  }

  get #isStopped(): boolean {
    return this.#refusal !== undefined || this.#broken !== undefined;
  }

  async #run(flush: Flush, before: readonly Flush[], isTaken: () => void): Promise<void> {
    while (this.#held) await this.#held;
    // A change that failed leaves files of which nobody knows what the disk has.
    this.#broken ??= this.#context.failure();
    const slot = new Slot(this.#context.flushSlots);
    try {
      const taken = await this.#takeInTurn(flush, before, { slot, isTaken });
      if (!taken) return;
      if (flush.begins) await this.#writer.begin(taken.startIndex);
      const segment = present(this.#segments.active, "a flush has no segment");
      if (!(await this.#writer.write(segment.path, taken, flush.begins, () => this.#syncTurn(before, slot)))) return;
      segment.grow(taken.index, flush.endPosition);
      this.#count(taken);
      this.#log.flushed = taken.mark;
      this.#log.tail.dropBefore(taken.mark.end.index);
      taken.round?.written();
      this.#context.markWaits(this.#log.group);
    } finally {
      slot.release();
    }
  }

  /** Waits for a slot, and until those before have taken what they take. None is held while another flush is waited for. */
  async #takeInTurn(
    flush: Flush,
    before: readonly Flush[],
    { slot, isTaken }: { slot: Slot; isTaken: () => void },
  ): Promise<Taken | undefined> {
    for (const { taken } of before) await taken;
    for (;;) {
      await slot.acquire();
      if (this.#isStopped) return undefined;
      // Nothing is written to files that a cut is still to shorten.
      if (this.#log.openCut) await finishCut({ state: this.#log, segments: this.#segments, context: this.#context });
      // Asked once, and acted on without an await: a checkpoint may come due at any moment.
      const begins = this.#begins(before);
      const last = this.#unsettled(before).at(-1);
      // Beginning a segment is for one flush alone.
      const mustWait = begins || this.#unsettled(before).some((other) => other.begins);
      if (!last || !mustWait) {
        const taking = this.#take(flush, before, begins);
        isTaken();
        return await taking;
      }
      slot.release();
      await last.settled;
    }
  }

  /** What is written is synced when the flushes before it have been; false: it is not to be, they failed. */
  async #syncTurn(before: readonly Flush[], slot: Slot): Promise<boolean> {
    if (this.#unsettled(before).length > 0) {
      slot.release();
      await Promise.all(before.map(({ settled }) => settled));
      await slot.acquire();
    }
    return !this.#isStopped;
  }

  #unsettled(before: readonly Flush[]): Flush[] {
    return before.filter((flush) => this.#flushes.includes(flush));
  }

  /** Whether what comes next begins a segment. */
  #begins(before: readonly Flush[]): boolean {
    const { tail } = this.#log;
    const from = this.#nextIndex(before);
    if (this.#segments.active === undefined) return true;
    return from < tail.endIndex ? tail.isCheckpoint(from) : this.#source.nextIsCheckpoint();
  }

  /** First index that no earlier flush takes. */
  #nextIndex(before: readonly Flush[]): number {
    const taken = this.#unsettled(before).map(({ tailEnd }) => tailEnd ?? 0);
    return Math.max(this.#log.tail.startIndex, ...taken);
  }

  /** All that decides what it takes happens before the first await: the next flush begins where this one ends. */
  async #take(flush: Flush, before: readonly Flush[], begins: boolean): Promise<Taken | undefined> {
    const { tail } = this.#log;
    const startIndex = this.#nextIndex(before);
    const stopIndex = Math.min(tail.checkpointFrom(startIndex + 1) ?? tail.endIndex, tail.endIndex);
    const active = this.#segments.active;
    const beginsWithTail = startIndex < tail.endIndex && tail.isCheckpoint(startIndex);
    const start = this.#startPosition(before);

    const entries: { ringPosition: number; bytes: number }[] = [];
    let bytes = 0;
    let index = startIndex;
    for (; index < stopIndex; index++) {
      const entry = tail.entry(index);
      if (bytes > 0 && bytes + entry.bytes > batchMaxBytes) break;
      entries.push(entry);
      bytes += entry.bytes;
    }
    flush.tailEnd = index;
    const wholeTail = index >= tail.endIndex;
    const mayBegin = index === startIndex;
    flush.begins = begins && (active === undefined || beginsWithTail || (mayBegin && flush.direct));
    const limit = { roomBytes: batchMaxBytes - bytes, begins: mayBegin && flush.begins, alone: bytes === 0 };
    const round = flush.direct && wholeTail ? this.#source.takeRound(limit) : undefined;
    if (entries.length === 0 && !round) {
      // The next flush may ask before this one is over.
      flush.begins = false;
      flush.endPosition = start;
      return undefined;
    }
    const position = flush.begins ? 0 : start;
    flush.endPosition = position + bytes + (round?.bytes ?? 0);
    if (round) flush.tailEnd = index + round.batches;

    const tailBytes = new Uint8Array(bytes);
    await readRing(this.#context.journal, entries, tailBytes);
    const segment = flush.begins || !active ? startIndex : active.firstIndex;
    const place = { segment, position, endPosition: flush.endPosition };
    return takenOf(this.#log, startIndex, { tailBytes, round }, place);
  }

  /** Where the next bytes go in the segment that grows. */
  #startPosition(before: readonly Flush[]): number {
    const earlier = this.#unsettled(before).at(-1);
    return earlier ? earlier.endPosition : (this.#segments.active?.sizeBytes ?? 0);
  }

  #count(taken: Taken): void {
    const { counters } = this.#context;
    counters.flushes += 1;
    counters.directBytes += taken.round?.bytes ?? 0;
    for (const part of taken.parts) counters.flushBytes += part.length;
  }

  #failed(error: unknown): void {
    if (error instanceof NoRoomError) {
      this.#refusal = error;
      return;
    }
    this.#broken = error instanceof Error ? error : new Error(String(error));
    this.#context.failed(this.#broken);
  }

  /** After the last flush of those that had no room: what they left is cut off, and who waits is told. */
  #endRefusal(refusal: NoRoomError): void {
    this.#cuttingBack ??= this.#cutBack()
      .then(() => {
        this.#refusal = undefined;
        this.#cuttingBack = undefined;
        const refusesRound = this.#refusesRound;
        this.#refusesRound = false;
        if (refusesRound) this.#source.flushRefused(refusal);
        this.#source.flushed(false);
      })
      .catch((error: unknown) => {
        this.#cuttingBack = undefined;
        this.#failed(error);
      });
  }

  async #cutBack(): Promise<void> {
    for (;;) {
      try {
        await this.#writer.cutBack();
        return;
      } catch (error) {
        if (!(error instanceof NoRoomError)) throw error;
      }
      await new Promise<void>((resolve) => this.#context.clock.after(cutBackAgainMs, resolve));
      const failure = this.#context.failure();
      if (failure) throw failure;
    }
  }
}

/** A place among the flushes that may be on the disk at once. */
class Slot {
  readonly #slots: LogContext["flushSlots"];
  #held = false;

  constructor(slots: LogContext["flushSlots"]) {
    this.#slots = slots;
  }

  async acquire(): Promise<void> {
    await this.#slots.acquire();
    this.#held = true;
  }

  release(): void {
    if (this.#held) this.#slots.release();
    this.#held = false;
  }
}
