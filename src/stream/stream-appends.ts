/**
 * Appends of records to one stream, and what they depend on: the producer's sequence, then the fence, then the offset, so
 * that a client's own retry is not refused because its first try worked.
 * - All is judged when the batch has its place, after all before it have theirs: in total order with the data.
 * - What a refusal or a duplicate tells of may itself not be committed yet: it is told once that is.
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import { sameBytes } from "../base/bytes.ts";
import type { TailraceError } from "../base/errors.ts";
import { checkRecords } from "../base/records.ts";
import type { AppendedBatch } from "../replica/log-door.ts";
import { FateUnknownError, RefusedError } from "../replica/replica-errors.ts";
import type { ProducedBatch } from "./producers.ts";
import { explainNoRoom, fenced, notNext, offsetTaken, seriesBroken, systemStream } from "./refusals.ts";
import { withUnknownFate } from "./routed-refusals.ts";
import type { StreamLog } from "./stream-log.ts";
import type { AppendAnswer, AppendOptions, AppendSeries } from "./types.ts";

/** What became of a batch that did not get its place. */
type Verdict =
  | { readonly kind: "refused"; readonly refusal: TailraceError }
  | { readonly kind: "duplicate"; readonly first: ProducedBatch | undefined };

type Place = { readonly index: number; readonly offset: number };

/** Takes a batch out of the log's queue. `basis` resolves when all that the verdict is of, below `end`, is committed. */
class NotTaken extends Error {
  override readonly name = "NotTaken";
  readonly verdict: Verdict;
  readonly basis: Promise<void>;
  readonly end: number;

  constructor(verdict: Verdict, basis: Promise<void>, end: number) {
    super("A batch was not taken");
    this.verdict = verdict;
    this.basis = basis;
    this.end = end;
    // Who appended looks at it a turn later.
    basis.catch(() => {});
  }
}

const noToken = new Uint8Array(0);

/** Nothing of the series goes in behind what is refused: it is known a turn later, before anything that came since is judged. */
function breaksWith(series: AppendSeries, work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    if (!(error instanceof NotTaken)) series.isBroken = true;
  });
}

/** Appends of one stream. */
export class StreamAppends {
  readonly #log: StreamLog;

  constructor(log: StreamLog) {
    this.#log = log;
  }

  async append(payload: Uint8Array, options: AppendOptions): Promise<AppendAnswer> {
    const log = this.#log;
    const { field = "batch" } = options;
    log.checkServed();
    if (log.isSystem) throw systemStream(log.name, "stream", "appended to");
    // Before its past is known, which is read for the first append after a start, so are not its settings.
    const isKnown = log.door?.ready() === undefined;
    const recordCount = checkRecords(payload, isKnown ? log.state.appendLimits : log.home.limits, field);
    const { usage } = log.home;
    let appended: AppendedBatch | undefined;
    try {
      usage.check(payload.length, this.#what, log.name);
    } catch (error) {
      const known = this.#committedDuplicate(options);
      if (known) return known;
      throw error;
    }
    usage.coming(payload.length);
    try {
      appended = await this.#send(payload, recordCount, { ...options, field, isKnown });
    } catch (error) {
      if (log.isDeleted) throw error instanceof FateUnknownError ? withUnknownFate(log.gone()) : log.gone();
      if (error instanceof NotTaken) return await this.#answer(error);
      const known = this.#committedDuplicate(options);
      if (known) return known;
      // What waits for a new term may be tried again with another, when this one was refused.
      if (options.series) options.series.isBroken = true;
      throw explainNoRoom(error, this.#what, { stream: log.name });
    } finally {
      usage.came(payload.length, appended === undefined || log.isDeleted ? undefined : log);
    }
    const { baseOffset, nextOffset, index, appendTimeMicros, digest } = appended;
    log.producers.committed(index + 1);
    log.times.appended(nextOffset, appendTimeMicros);
    return { streamId: log.stored.id, startOffset: baseOffset, nextOffset, index, appendTimeMicros, digest };
  }

  #send(
    payload: Uint8Array,
    recordCount: number,
    options: AppendOptions & { readonly field: string; readonly isKnown: boolean },
  ): Promise<AppendedBatch> {
    const log = this.#log;
    const { producer, field, series, isKnown } = options;
    const door = log.opened();
    let startOffset = 0;
    const appending = door.append({
      ...{ kind: BatchKind.records, payload, recordCount },
      ...(producer ? { producer } : {}),
      admit: (place) => {
        if (!isKnown) checkRecords(payload, log.state.appendLimits, field);
        const verdict = this.#judge(options, place);
        if (!verdict) {
          startOffset = place.offset;
          return;
        }
        const basis = log.lastPlaced.committed();
        if (series) breaksWith(series, basis);
        throw new NotTaken(verdict, basis, place.index);
      },
      stamped: (index, appendTimeMicros, digest) => {
        log.lastPlaced.placed(appending);
        if (!producer) return;
        log.producers.placed(producer, { index, startOffset, recordCount, appendTimeMicros, digest });
      },
    });
    if (series) breaksWith(series, appending);
    return appending;
  }

  /** What keeps a batch from a place; `undefined`: nothing. */
  #judge({ producer, fence = noToken, expectedOffset, series }: AppendOptions, place: Place): Verdict | undefined {
    const log = this.#log;
    const { name } = log;
    log.producers.takeBack(place.index);
    const refused = (refusal: TailraceError): Verdict => {
      if (series) series.isBroken = true;
      return { kind: "refused", refusal };
    };
    if (series?.isBroken) return refused(seriesBroken(name));
    const verdict = producer && log.producers.judge(producer);
    if (verdict?.kind === "duplicate") return verdict;
    if (producer && verdict && verdict.kind !== "next") return refused(notNext(name, producer, verdict));
    const inForce = log.state.asOf(place.index).fence;
    if (!sameBytes(fence, inForce)) return refused(fenced(name, fence, inForce));
    if (expectedOffset !== undefined && expectedOffset !== place.offset) {
      return refused(offsetTaken(name, expectedOffset, place.offset));
    }
    return undefined;
  }

  /** What is told was true when it was judged; now it is committed, or was refused, and then so is this. */
  async #answer({ verdict, basis, end }: NotTaken): Promise<AppendAnswer> {
    const { name, stored, door } = this.#log;
    try {
      await basis;
      // What another leader placed may not be committed yet, and never be.
      await door?.settled(end - 1);
      // A refusal that shows state is a read: another node may lead by now, and know better.
      if (verdict.kind === "refused") await door?.confirm();
    } catch (error) {
      // That is about what it was judged by: the batch itself has no place.
      if (error instanceof FateUnknownError) throw new RefusedError(error.message);
      throw explainNoRoom(error, this.#what, { stream: name });
    }
    if (verdict.kind === "refused") throw verdict.refusal;
    const { first } = verdict;
    return first === undefined ? { streamId: stored.id, duplicate: true } : this.#receiptOf(first);
  }

  /** A retry of what is committed needs no place: where a limit or want of room keeps it from one, it is answered too. */
  #committedDuplicate({ producer }: AppendOptions): AppendAnswer | undefined {
    const { door, producers } = this.#log;
    const verdict = producer && producers.judge(producer);
    if (door === undefined || verdict?.kind !== "duplicate") return undefined;
    const { first } = verdict;
    return first !== undefined && first.index < door.commit.index ? this.#receiptOf(first) : undefined;
  }

  #receiptOf({ startOffset, recordCount, index, appendTimeMicros, digest }: ProducedBatch): AppendAnswer {
    const nextOffset = startOffset + recordCount;
    const streamId = this.#log.stored.id;
    return { streamId, startOffset, nextOffset, index, appendTimeMicros, digest, duplicate: true };
  }

  get #what(): string {
    return `Cannot append to stream "${this.#log.name}"`;
  }
}
