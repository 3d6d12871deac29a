/**
 * Moves a log's batches to its segments: the tail, and large rounds that are not journaled, by one write and one sync.
 * - Nothing else writes to segments. Flushes of one log complete in order, two are on their way at most.
 * - A flush never crosses a checkpoint: the segment before is sealed first.
 * - What could not be written for want of room is cut off again before anything else is written.
 * @module
 */
import { present } from "../base/assert.ts";
import { getU64, viewOf } from "../base/bytes.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import type { LogContext } from "./context.ts";
import { batchHeader, batchMaxBytes, digestBytes } from "./format.ts";
import type { Mark } from "./group-state.ts";
import type { LogState } from "./log-state.ts";
import type { IndexEntry } from "./segment-index.ts";
import type { Segments } from "./segments.ts";

/** Batches that go to the segment at once: the bytes of each, one after the other. */
export interface DirectRound {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  readonly batches: number;
  /** They are durable. */
  written(): void;
}

/** Where large rounds come from, and who is told. */
export interface FlushSource {
  /** Stamps what waits, at most `maxBytes`; ends before a checkpoint unless that comes first and `mayBegin`. */
  takeRound(maxBytes: number, mayBegin: boolean): DirectRound | undefined;
  /** Whether a checkpoint is the next thing to stamp. */
  nextIsCheckpoint(): boolean;
  /** A flush is over, whatever became of it. */
  flushed(): void;
  /** Nothing that is stamped and not durable can be written: no room. */
  refused(error: NoRoomError): void;
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
  #foldersMade = false;

  constructor(log: LogState, segments: Segments, context: LogContext, source: FlushSource) {
    this.#log = log;
    this.#segments = segments;
    this.#context = context;
    this.#source = source;
    this.#foldersMade = log.placed;
  }

  /** Whether small batches must wait: a large round before them is not durable, or is being cut off again. */
  get holdsJournal(): boolean {
    return this.#refusal !== undefined || this.#flushes.some(({ direct }) => direct);
  }

  get inFlight(): number {
    return this.#flushes.length;
  }

  /** Whether one more may start. */
  get mayStart(): boolean {
    return this.#flushes.length < flushesAtOnce && this.#refusal === undefined;
  }

  /** Starts a flush of the tail, and of what waits if `direct`. Resolves when it is over, well or not. */
  start(direct: boolean): Promise<void> {
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
    return this.#run(flush, before, taken.resolve)
      .catch((error: unknown) => this.#failed(error))
      .then(() => {
        if (this.#refusal && direct) this.#refusesRound = true;
        this.#flushes.splice(this.#flushes.indexOf(flush), 1);
        taken.resolve();
        settled.resolve();
        if (this.#refusal && this.#flushes.length === 0) this.#endRefusal(this.#refusal);
        else this.#source.flushed();
      });
  }

  /** Flushes until nothing of the tail is left. @throws {NoRoomError} */
  async emptyTail(): Promise<void> {
    const end = this.#log.tail.endIndex;
    while (this.#log.tail.startIndex < end) {
      const start = this.#log.tail.startIndex;
      const last = this.#flushes.at(-1);
      await (last ? last.settled : this.start(false));
      const stuck = this.#log.tail.startIndex === start && this.#flushes.length === 0;
      if (stuck && !last) throw new NoRoomError(`no room to flush the tail of group ${this.#log.group}`);
    }
  }

  /** Waits until nothing is on its way. */
  async idle(): Promise<void> {
    for (let last = this.#flushes.at(-1); last; last = this.#flushes.at(-1)) await last.settled;
  }

  async #run(flush: Flush, before: readonly Flush[], isTaken: () => void): Promise<void> {
    await this.#context.flushSlots.acquire();
    try {
      await this.#waitForTurn(before);
      if (this.#refusal) return;
      const taking = this.#take(flush, before);
      isTaken();
      const taken = await taking;
      if (!taken) return;
      if (flush.begins) await this.#beginSegment(taken.startIndex);
      const segment = present(this.#segments.active, "a flush has no segment");
      await this.#write(segment.path, taken, flush.begins);
      // The one before must count first: a mark says that all below it is there.
      await Promise.all(before.map(({ settled }) => settled));
      if (this.#refusal) return;
      segment.grow(taken.index, flush.endPosition);
      this.#count(taken);
      this.#log.flushed = { ...taken.mark, commitIndex: this.#log.commit.index };
      this.#log.tail.dropBefore(taken.mark.end.index);
      taken.round?.written();
      this.#context.markWaits(this.#log.group);
    } finally {
      this.#context.flushSlots.release();
    }
  }

  /** Beginning a segment is for one flush alone. */
  async #waitForTurn(before: readonly Flush[]): Promise<void> {
    const begins = () => {
      const from = this.#nextIndex(before);
      const { tail } = this.#log;
      if (this.#segments.active === undefined) return true;
      return from < tail.endIndex ? tail.isCheckpoint(from) : this.#source.nextIsCheckpoint();
    };
    for (const earlier of before) {
      await earlier.taken;
      if (earlier.begins || begins()) await earlier.settled;
    }
  }

  /** First index that no earlier flush takes. */
  #nextIndex(before: readonly Flush[]): number {
    const taken = before.filter((flush) => this.#flushes.includes(flush)).map(({ tailEnd }) => tailEnd ?? 0);
    return Math.max(this.#log.tail.startIndex, ...taken);
  }

  /** All that decides what it takes happens before the first await: the next flush begins where this one ends. */
  async #take(flush: Flush, before: readonly Flush[]): Promise<Taken | undefined> {
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
    const wholeTail = index === tail.endIndex;
    const mayBegin = index === startIndex;
    const beginsWithRound = mayBegin && flush.direct && this.#source.nextIsCheckpoint();
    flush.begins = active === undefined || beginsWithTail || beginsWithRound;
    const round = flush.direct && wholeTail ? this.#source.takeRound(batchMaxBytes - bytes, mayBegin) : undefined;
    if (entries.length === 0 && !round) return undefined;
    const position = flush.begins ? 0 : start;
    flush.endPosition = position + bytes + (round?.bytes ?? 0);
    if (round) flush.tailEnd = index + round.batches;

    const tailBytes = new Uint8Array(bytes);
    let at = 0;
    const { journal } = this.#context;
    for (const entry of entries) {
      const inMemory = journal.bytesAt(entry.ringPosition, entry.bytes);
      tailBytes.set(inMemory ?? (await journal.read(entry.ringPosition, entry.bytes)), at);
      at += entry.bytes;
    }
    const parts = bytes > 0 ? [tailBytes, ...(round?.parts ?? [])] : (round?.parts ?? []);
    const headers = [...headersIn(tailBytes), ...roundHeaders(round)];
    return {
      startIndex,
      position,
      parts,
      round,
      ...describe(headers, position, flush.endPosition, this.#log, active, flush),
    };
  }

  /** Where the next bytes go in the segment that grows. */
  #startPosition(before: readonly Flush[]): number {
    const earlier = before.filter((flush) => this.#flushes.includes(flush)).at(-1);
    return earlier ? earlier.endPosition : (this.#segments.active?.sizeBytes ?? 0);
  }

  async #beginSegment(firstIndex: number): Promise<void> {
    const { handles, counters, disk } = this.#context;
    const sealed = this.#segments.active;
    if (sealed) {
      await handles.use(sealed.path, false, async (file) => {
        await file?.truncate(sealed.sizeBytes);
        counters.syncs.seal += 1;
        await file?.sync();
      });
      await sealed.writeIndexFile();
    }
    if (!this.#foldersMade) await disk.makeFolder(this.#segments.folder);
    this.#segments.begin(firstIndex);
  }

  async #write(path: string, taken: Taken, isNew: boolean): Promise<void> {
    const { handles, counters } = this.#context;
    try {
      await handles.use(path, isNew, async (file) => {
        const open = present(file, `${path} is gone while it is written`);
        await open.write(taken.parts, taken.position);
        counters.syncs.flush += 1;
        await open.sync();
      });
    } catch (error) {
      if (error instanceof NoRoomError && isNew) {
        this.#segments.abandonLast();
        await handles.use(path, false, async (file) => await file?.truncate(0));
      }
      throw error;
    }
    if (isNew) await this.#syncFolders();
  }

  async #syncFolders(): Promise<void> {
    const { folderSyncs, groupsFolder } = this.#context;
    await folderSyncs.sync(this.#segments.folder);
    if (this.#foldersMade) return;
    await folderSyncs.sync(`${groupsFolder}/${this.#log.group}`);
    await folderSyncs.sync(groupsFolder);
    this.#foldersMade = true;
  }

  #count(taken: Taken): void {
    const { counters } = this.#context;
    counters.flushes += 1;
    counters.directBytes += taken.round?.bytes ?? 0;
    for (const part of taken.parts) counters.flushBytes += part.length;
  }

  #failed(error: unknown): void {
    if (error instanceof NoRoomError) this.#refusal = error;
    else this.#context.failed(error instanceof Error ? error : new Error(String(error)));
  }

  /** After the last flush of those that had no room: what they left is cut off, and who waits is told. */
  #endRefusal(refusal: NoRoomError): void {
    const active = this.#segments.active;
    const cutBack = active
      ? this.#context.handles.use(active.path, false, async (file) => {
          await file?.truncate(active.sizeBytes);
          this.#context.counters.syncs.other += 1;
          await file?.sync();
        })
      : Promise.resolve();
    cutBack
      .then(() => {
        this.#refusal = undefined;
        if (this.#refusesRound) this.#source.refused(refusal);
        this.#refusesRound = false;
        this.#source.flushed();
      })
      .catch((error: unknown) => this.#failed(error));
  }
}

interface Taken {
  readonly startIndex: number;
  readonly position: number;
  readonly parts: readonly Uint8Array[];
  readonly round: DirectRound | undefined;
  /** Its batches, for the segment's index. */
  readonly index: readonly IndexEntry[];
  /** The log's mark once it is written. */
  readonly mark: Mark;
}

/** The header of each batch in bytes that hold batches only. */
function* headersIn(bytes: Uint8Array): Generator<{ view: DataView; header: Uint8Array }> {
  for (let at = 0; at < bytes.length; ) {
    const header = bytes.subarray(at, at + batchHeader.bytes);
    const view = viewOf(header);
    yield { view, header };
    at += batchHeader.bytes + view.getUint32(batchHeader.payloadBytesAt, true);
  }
}

/** The headers of a round: each is a part of its own, before its payload. */
function* roundHeaders(round: DirectRound | undefined): Generator<{ view: DataView; header: Uint8Array }> {
  for (let i = 0; round && i < round.parts.length; i += 2) {
    const header = present(round.parts[i], "a round's part is missing");
    yield { view: viewOf(header), header };
  }
}

function describe(
  headers: readonly { view: DataView; header: Uint8Array }[],
  position: number,
  endPosition: number,
  log: LogState,
  active: { firstIndex: number } | undefined,
  flush: Flush,
): { index: IndexEntry[]; mark: Mark } {
  const index: IndexEntry[] = [];
  let at = position;
  for (const { view } of headers) {
    index.push({
      baseOffset: getU64(view, batchHeader.baseOffsetAt),
      index: getU64(view, batchHeader.indexAt),
      appendTimeMicros: getU64(view, batchHeader.appendTimeAt),
      position: at,
    });
    at += batchHeader.bytes + view.getUint32(batchHeader.payloadBytesAt, true);
  }
  const first = present(index[0], "a flush without a batch");
  const last = present(headers.at(-1), "a flush without a batch");
  const end = {
    index: getU64(last.view, batchHeader.indexAt) + 1,
    offset: getU64(last.view, batchHeader.baseOffsetAt) + last.view.getUint32(batchHeader.offsetSpanAt, true),
    appendTimeMicros: getU64(last.view, batchHeader.appendTimeAt),
    term: getU64(last.view, batchHeader.termAt),
    digest: last.header.slice(batchHeader.digestAt, batchHeader.digestAt + digestBytes),
  };
  const segment = flush.begins || !active ? first.index : active.firstIndex;
  return { index, mark: { end, segment, position: endPosition, commitIndex: log.commit.index } };
}
