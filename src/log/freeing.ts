/**
 * Frees the oldest file of the ring before it is needed: moves the tails that stand in it elsewhere.
 * - Largest first, to segments, two at a time, paced by the room that is left: an append beside it hardly waits.
 * - Tails that are small are carried instead: copied, whole and in order, into a frame at the journal's head. A part of a
 *   tail would be dropped by recovery, since what follows it would follow nothing.
 * @module
 */
import { NoRoomError } from "../base/disk-errors.ts";
import type { Clock } from "../host/clock.ts";
import type { Hash } from "../host/hash.ts";
import { Carrier, isPinning, type MarkWriter } from "./carrier.ts";
import type { JournaledLog } from "./group-log.ts";
import type { Journal } from "./journal.ts";
import type { LogSettings } from "./settings.ts";

/** What freeing works on. */
export interface FreeingContext {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly settings: LogSettings;
  readonly hash: Hash;
  readonly writeMark: MarkWriter;
  logs(): Iterable<JournaledLog>;
  failed(error: Error): void;
}

/** One file that is being freed. */
interface Round {
  readonly slot: number;
  /** Largest first. */
  readonly toFlush: JournaledLog[];
  readonly carrier: Carrier;
  /** Bytes of the tails to flush, in all and not begun yet. */
  readonly allBytes: number;
  leftBytes: number;
  running: number;
  carrying: boolean;
  /** Room of the ring when it began. */
  readonly roomBytes: number;
}

const flushesAtOnce = 2;
/** It is done when this part of the room that was left at its beginning is used. */
const doneBy = 0.7;
const retryMs = 1000;

/** The freeing of one folder's ring. */
export class Freeing {
  readonly #context: FreeingContext;
  #round: Round | undefined;
  #retryAtMs = 0;
  #stopped = false;
  /** What is on its way. */
  readonly #working = new Set<Promise<void>>();

  constructor(context: FreeingContext) {
    this.#context = context;
  }

  /** A frame was written: begins a round from half the ring on, or goes on with one as far as the pace asks. */
  step(): void {
    const { journal, settings, clock } = this.#context;
    if (this.#stopped) return;
    if (!this.#round) {
      const slot = journal.oldestSlot;
      const half = (settings.journalFiles * settings.journalFileBytes) / 2;
      if (slot === undefined || journal.usedBytes < half || clock.monotonicMs() < this.#retryAtMs) return;
      this.#round = this.#begin(slot);
    }
    this.#go(this.#round);
  }

  /** The oldest file is needed now: moves all tails in it elsewhere. @throws {NoRoomError} */
  async finish(slot: number): Promise<void> {
    await this.#carryDamaged(slot);
    for (let pinned = this.#pinning(slot); pinned.length > 0; pinned = this.#pinning(slot)) {
      const outcomes = await Promise.allSettled(pinned.map((log) => log.emptyTail()));
      // Only now: what still reads the ring must be done before the ring goes on, or ends.
      for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    }
  }

  /** Damaged logs' tails have no segment to go to. What carries them now is the room that is held back. */
  async #carryDamaged(slot: number): Promise<void> {
    const { journal, settings, writeMark, hash } = this.#context;
    const damaged = this.#pinning(slot).filter(({ state }) => state.damage !== undefined);
    const bytes = damaged.reduce((sum, { state }) => sum + state.tail.bytes, 0);
    if (bytes > settings.heldBackBytes / 4) throw new NoRoomError("damaged streams' newest batches fill the journal");
    await new Carrier(damaged, slot, journal, { writeMark, hash, urgent: true }).carry();
  }

  /** Begins nothing more; resolves when nothing is on its way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#working);
  }

  #work(work: Promise<void>, over: () => void): void {
    const settled = work
      .then(() => over())
      .catch((error: unknown) => this.#failed(error))
      .finally(() => this.#working.delete(settled));
    this.#working.add(settled);
  }

  #begin(slot: number): Round {
    const { journal, settings, writeMark, hash } = this.#context;
    const all = this.#pinning(slot).sort((a, b) => b.state.tail.bytes - a.state.tail.bytes);
    const carried: JournaledLog[] = [];
    const pinning = all.filter(({ state }) => state.damage === undefined);
    const damaged = all.filter(({ state }) => state.damage !== undefined);
    let carriedBytes = 0;
    for (let last = pinning.at(-1); last; last = pinning.at(-1)) {
      const { bytes } = last.state.tail;
      if (bytes >= settings.carryMaxBytes || carriedBytes + bytes > settings.journalFileBytes / 8) break;
      carried.push(last);
      carriedBytes += bytes;
      pinning.pop();
    }
    const allBytes = pinning.reduce((sum, log) => sum + log.state.tail.bytes, 0);
    const round = {
      slot,
      toFlush: pinning,
      carrier: new Carrier(carried, slot, journal, { writeMark, hash, urgent: false }),
      allBytes,
      leftBytes: allBytes,
      running: 0,
      carrying: false,
      roomBytes: Math.max(journal.roomBytes, 1),
    };
    // Of a damaged log nothing can be flushed: its tail goes first, while there is room for it.
    if (damaged.length > 0)
      this.#beside(round, new Carrier(damaged, slot, journal, { writeMark, hash, urgent: false }).carry());
    return round;
  }

  /** Work of a round, which ends when that is over. */
  #beside(round: Round, work: Promise<void>): void {
    round.running += 1;
    this.#work(work, () => {
      round.running -= 1;
      if (this.#round === round && !this.#stopped) this.#go(round);
    });
  }

  #go(round: Round): void {
    const { journal } = this.#context;
    const usedPart = 1 - journal.roomBytes / round.roomBytes;
    const dueBytes = round.allBytes * Math.min(usedPart / doneBy, 1);
    while (round.running < flushesAtOnce && round.allBytes - round.leftBytes <= dueBytes) {
      const log = round.toFlush.shift();
      if (!log) break;
      round.leftBytes -= Math.min(log.state.tail.bytes, round.leftBytes);
      this.#beside(round, log.emptyTail());
    }
    if (round.toFlush.length === 0 && round.running === 0 && !round.carrying) {
      round.carrying = true;
      this.#work(round.carrier.carry(), () => this.#end(round));
    }
  }

  #end(round: Round): void {
    if (this.#round !== round) return;
    this.#round = undefined;
    const { journal } = this.#context;
    // Who was flushing when it was to be carried, or grew meanwhile, is for a round that the next frame begins: at once
    // it could find the same, again and again, and let nothing else happen.
    if (journal.oldestSlot !== round.slot || this.#pinning(round.slot).length > 0) return;
    journal.free(round.slot);
    this.step();
  }

  #failed(error: unknown): void {
    this.#round = undefined;
    // No room in segments loses nothing: the tails stay where they are, and this is tried again.
    this.#retryAtMs = this.#context.clock.monotonicMs() + retryMs;
    if (!(error instanceof NoRoomError))
      this.#context.failed(error instanceof Error ? error : new Error(String(error)));
  }

  /** Logs that have a batch of their tail in a file. */
  #pinning(slot: number): JournaledLog[] {
    return [...this.#context.logs()].filter((log) => isPinning(log, slot, this.#context.journal));
  }
}
