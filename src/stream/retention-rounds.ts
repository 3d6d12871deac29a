/**
 * When retention looks at which stream: all of a node one after the other, again and again, and soon at those of which a
 * segment was filled. One timer a node; a turn looks at some streams, then others have theirs.
 * A look that does not end, as when a trim waits for a majority of its voters, is left to itself, and holds up no other stream.
 * @module
 */
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import type { Clock, Timer } from "../host/clock.ts";
import { isOfLeaders } from "../replica/replica-errors.ts";

/** A stream as retention sees it. */
export interface RetainedStream {
  readonly isKnown: boolean;
  /** Another node lets go what the settings do not keep, and this one what that says. */
  readonly isLedElsewhere: boolean;
  /** Resolves when what its log says of it is known. */
  ready(): Promise<void>;
  /** Whether a look may find something. */
  isRetentionDue(nowMicros: number): boolean;
  retain(nowMicros: number): Promise<void>;
  /** Tells the node's usage what it holds. */
  recount(): void;
}

export interface RetentionOptions {
  readonly clock: Clock;
  /** How long after a round the next one begins. */
  readonly intervalMs: number;
  /** The streams there are now. */
  readonly streams: () => Iterable<RetainedStream>;
}

/** Streams that a turn passes, and those of them that it reads something of. */
const turnMaxStreams = 2000;
const turnMaxLooks = 50;
const turnPauseMs = 5;
/**
 * After a start each stream's past has to be read before it is known what it keeps. The pause behind that is so many times
 * as long, so that it takes no more than a tenth of the node's time.
 */
const learningPauses = 9;
const turnLearningMs = 20;
/** A look that takes longer is waited for no more. */
const lookMaxMs = 5000;
/** So many may be left to themselves, then the next one is waited for: a slow disk is not to have all at once. */
const stuckMaxStreams = 16;
/** How soon a stream is looked at of which a segment was filled. */
const rolledDelayMs = 1000;

export class RetentionRounds {
  readonly #options: RetentionOptions;
  /** Those that are still to come in this round. */
  #round: RetainedStream[] = [];
  /** When the next one begins. */
  #roundAtMs: number;
  readonly #rolled = new Set<RetainedStream>();
  /** Those whose look goes on, and is not waited for: they are not looked at a second time meanwhile. */
  readonly #stuck = new Set<RetainedStream>();
  #timer: Timer | undefined;
  #turnAtMs = 0;
  #isRunning = false;
  #isStopped = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#roundAtMs = options.clock.monotonicMs() + options.intervalMs;
    this.#schedule(options.intervalMs);
  }

  /** A segment of the stream is about to begin: the ones before it may go. */
  rolled(stream: RetainedStream): void {
    this.#rolled.add(stream);
    if (this.#isRunning || this.#turnAtMs <= this.#options.clock.monotonicMs() + rolledDelayMs) return;
    this.#schedule(rolledDelayMs);
  }

  /** No turn begins any more; one that runs ends by what it meets. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    const { clock } = this.#options;
    this.#timer?.cancel();
    this.#turnAtMs = clock.monotonicMs() + delayMs;
    this.#timer = clock.after(delayMs, () => void this.#turn());
  }

  async #turn(): Promise<void> {
    const { clock, intervalMs, streams } = this.#options;
    this.#isRunning = true;
    if (this.#round.length === 0 && clock.monotonicMs() >= this.#roundAtMs) {
      this.#round = [...streams()].reverse();
      this.#roundAtMs = clock.monotonicMs() + intervalMs;
    }
    let looks = 0;
    let lookingMs = 0;
    let learningMs = 0;
    for (let passed = 0; passed < turnMaxStreams && looks < turnMaxLooks && !this.#isStopped; passed++) {
      const stream = this.#next();
      if (stream === undefined) break;
      const isLearnt = !stream.isKnown;
      const sinceMs = clock.monotonicMs();
      if (await this.#look(stream)) looks++;
      // What takes longer waits for other nodes, not for the disk.
      const tookMs = Math.min(clock.monotonicMs() - sinceMs, lookMaxMs);
      lookingMs += tookMs;
      if (isLearnt) learningMs += tookMs;
      if (learningMs >= turnLearningMs || tookMs === lookMaxMs) break;
    }
    this.#isRunning = false;
    // What goes takes syncs: others have at least half of the time for theirs.
    const pauseMs = Math.max(turnPauseMs, learningPauses * learningMs, lookingMs);
    const isOver = this.#round.length === 0 && this.#rolled.size === 0;
    this.#schedule(isOver ? Math.max(this.#roundAtMs - clock.monotonicMs(), pauseMs) : pauseMs);
  }

  #next(): RetainedStream | undefined {
    for (const stream of this.#rolled) {
      this.#rolled.delete(stream);
      return stream;
    }
    return this.#round.pop();
  }

  /** Whether it cost something. */
  async #look(stream: RetainedStream): Promise<boolean> {
    const nowMicros = this.#options.clock.nowMicros();
    stream.recount();
    if (stream.isLedElsewhere || this.#stuck.has(stream)) return false;
    if (stream.isKnown && !stream.isRetentionDue(nowMicros)) return false;
    await this.#unlessStuck(stream, this.#retain(stream, nowMicros));
    return true;
  }

  /** Waits for a look; not for long, unless too many go on already. */
  #unlessStuck(stream: RetainedStream, look: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const isWaitedFor = this.#stuck.size >= stuckMaxStreams;
      const timer = this.#options.clock.after(lookMaxMs, () => {
        if (isWaitedFor) return;
        this.#stuck.add(stream);
        resolve();
      });
      // What it fails with ends the node, whether it is still waited for or not.
      void look
        .finally(() => {
          timer.cancel();
          this.#stuck.delete(stream);
        })
        .then(resolve);
    });
  }

  async #retain(stream: RetainedStream, nowMicros: number): Promise<void> {
    try {
      await stream.ready();
      if (stream.isRetentionDue(nowMicros)) await stream.retain(nowMicros);
    } catch (error) {
      // Deleted meanwhile, damaged, led by another node, or there is no room: what can be done is done in another round.
      const isOfDisk = error instanceof NoRoomError || error instanceof DiskError;
      const isLater = isOfDisk || error instanceof TailraceError || isOfLeaders(error);
      if (!isLater && !this.#isStopped) throw error;
    }
  }
}
