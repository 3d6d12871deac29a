/**
 * One log, as the layers above have it: its appends go to `rounds.ts`, its reads to `log-reader.ts`, and changes of
 * another kind run one after the other, when nothing is on its way.
 * @module
 */
import type { BatchHeader, StoredBatch } from "../base/batch.ts";
import type { TailraceError } from "../base/errors.ts";
import { damagedLog } from "./admission.ts";
import { BatchFacts } from "./batch-facts.ts";
import { firstUnfit } from "./chain-check.ts";
import { CommitIndex } from "./commit-index.ts";
import type { LogContext } from "./context.ts";
import type { Mark } from "./group-state.ts";
import { cutDamagedLog, cutLog, dropLogBefore, installLog } from "./log-changes.ts";
import { savePromised } from "./log-promises.ts";
import { LogReader } from "./log-reader.ts";
import type { LogState } from "./log-state.ts";
import { LogTurns } from "./log-turns.ts";
import { mendLog } from "./mending.ts";
import { Rounds } from "./rounds.ts";
import { segmentSizes } from "./segment-sizes.ts";
import type { Segments } from "./segments.ts";
import type { VerifiedBatch } from "./stored-batch.ts";
import { Tail } from "./tail.ts";
import { TermStarts } from "./term-starts.ts";
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
  StoredAppendOptions,
  TermStart,
  Vote,
} from "./types.ts";
import type { Unsynced } from "./unsynced.ts";

/** One group's log. */
export class JournaledLog implements GroupLog {
  readonly state: LogState;
  readonly segments: Segments;
  readonly #context: LogContext;
  readonly #rounds: Rounds;
  readonly #reader: LogReader;
  readonly #commit: CommitIndex;
  readonly #termStarts: TermStarts;
  readonly #facts: BatchFacts;
  readonly #turns: LogTurns;
  /** The damage that a read met, if there is no other. */
  #damageRead: string | undefined;
  /** Settles when a removal that began is over: the log is gone, or goes on. */
  #removal: Promise<void> | undefined;
  #removalOver: () => void = () => {};
  readonly #durableListeners = new Set<() => void>();
  readonly #takenBackListeners = new Set<() => void>();
  readonly #commitListeners = new Set<() => void>();

  constructor(state: LogState, segments: Segments, context: LogContext) {
    this.state = state;
    this.segments = segments;
    this.#context = context;
    this.#rounds = new Rounds(state, segments, context, {
      durable: (batches) => {
        for (const { batch, appended } of batches) if (appended) this.#termStarts.durable(batch, appended);
        tell(this.#durableListeners);
      },
      takenBack: () => tell(this.#takenBackListeners),
    });
    this.#turns = new LogTurns(this.#rounds, context, {
      changing: () => this.#termStarts.forget(),
      damage: ({ why }) => {
        // Nothing more is appended behind it.
        if (state.damage === undefined) this.#damageRead = why;
        state.damage ??= why;
      },
    });
    const unsynced: Unsynced = (fromIndex) => this.#rounds.unsynced(fromIndex);
    this.#reader = new LogReader(state, segments, context, unsynced);
    this.#termStarts = new TermStarts(state, segments, this.#reader);
    this.#facts = new BatchFacts(state, this.#reader, this.#termStarts, unsynced);
    const offsetAt = (index: number) => this.#turns.reading(() => this.#reader.offsetAt(index));
    this.#commit = new CommitIndex(state, offsetAt, () => tell(this.#commitListeners));
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

  get end(): LogPosition {
    return this.#rounds.end;
  }

  get commit(): { readonly index: number; readonly offset: number } {
    return this.state.commit;
  }

  get life(): number {
    return this.state.life;
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

  rollBy(limits: SegmentLimits, checkpointState: CheckpointState, stamped?: NewBatch["stamped"]): void {
    this.#rounds.rolling.begin(limits, checkpointState, stamped);
  }

  append(batch: NewBatch): Promise<AppendedBatch> {
    return this.#rounds.append(batch);
  }

  appendStored(batch: VerifiedBatch, options: StoredAppendOptions = {}): Promise<AppendedBatch> {
    return this.#rounds.appendStored(batch, options);
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
    return listen(this.#durableListeners, listener);
  }

  onTakenBack(listener: () => void): () => void {
    return listen(this.#takenBackListeners, listener);
  }

  onCommit(listener: () => void): () => void {
    return listen(this.#commitListeners, listener);
  }

  read(request: LogReadRequest): Promise<StoredBatch[]> {
    return this.#turns.reading(() => this.#reader.read(request));
  }

  findTime(micros: number, belowIndex: number): Promise<{ index: number; offset: number }> {
    return this.#turns.reading(() => this.#reader.findTime(micros, belowIndex));
  }

  async lastCheckpoint(): Promise<StoredBatch> {
    const checkpoint = await this.#turns.reading(() => this.#reader.lastCheckpoint());
    this.#rounds.rolling.read(checkpoint);
    return checkpoint;
  }

  async *headers(index: number): AsyncGenerator<BatchHeader> {
    for (let next = index; ; ) {
      const from = next;
      const headers = await this.#turns.reading(() => this.#reader.headers(from));
      const last = headers.at(-1);
      if (!last) return;
      yield* headers;
      next = last.index + 1;
    }
  }

  termStarts(): Promise<TermStart[]> {
    return this.#turns.reading(() => this.#facts.termStarts());
  }

  termAt(index: number): Promise<number | undefined> {
    return this.#turns.reading(() => this.#facts.termAt(index));
  }

  digestAt(index: number): Promise<Uint8Array | undefined> {
    return this.#turns.reading(() => this.#facts.digestAt(index));
  }

  async *controlBatches(index: number): AsyncGenerator<StoredBatch> {
    for (const control of await this.#turns.reading(() => this.#reader.controls(index))) {
      const request = { from: { index: control }, belowIndex: control + 1, maxBytes: 1 };
      const [batch] = await this.read(request);
      // Cut off meanwhile, or below the base.
      if (batch?.index === control) yield batch;
    }
  }

  cut(index: number): Promise<void> {
    return this.#turns.change(() => cutLog(this.#parts, index));
  }

  /** Ends it where what is whole of it ends: `to` is a place in its segments, above the base. */
  cutDamaged(to: Mark): Promise<void> {
    return this.#turns.change(() => cutDamagedLog(this.#parts, to));
  }

  async selfCheck(checkpointIndex?: number): Promise<{ index: number } | undefined> {
    const index = await this.#turns.reading(() => firstUnfit(this.#parts, checkpointIndex ?? this.base.index));
    if (index !== undefined) return { index };
    // What a read met went with a trim, or passed.
    if (checkpointIndex === undefined && this.state.damage === this.#damageRead) this.leaveDamage();
    return undefined;
  }

  async repair(index: number, bytes: Uint8Array): Promise<{ belowIndex: number }> {
    let belowIndex = index;
    await this.#turns.change(async () => {
      this.#refuseFound("repair");
      belowIndex = await mendLog(this.#parts, index, bytes);
      // If there is more, the next read meets it.
      this.leaveDamage();
    });
    return { belowIndex };
  }

  leaveDamage(): void {
    this.#refuseFound("go on with");
    this.state.damage = undefined;
    this.#damageRead = undefined;
  }

  /** What a start finds missing is more than some bytes. */
  #refuseFound(act: string): void {
    const { state } = this;
    if (state.damage !== this.#damageRead) throw damagedLog(state, act, state.damage ?? "");
  }

  async segmentBelow(offset: number): Promise<number> {
    const { state, segments } = this;
    const found = await this.#turns.reading(() => segments.lastBelow(offset));
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
    return this.#turns.change(() => installLog(this.#parts, checkpoint));
  }

  /** Ends it: what waits and what comes is refused with `reason`. Resolves when nothing is on its way. */
  async endWith(reason: TailraceError): Promise<void> {
    const removal = new Promise<void>((resolve) => {
      this.#removalOver = resolve;
    });
    this.#removal = removal;
    this.#rounds.endWith(reason);
    await this.#turns.over();
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
    await this.#turns.over();
    while (this.#turns.isChanging || this.#rounds.isGathering || this.#rounds.isUnderWay) {
      // What gathers while a change runs is on its way nowhere.
      if (this.#turns.isChanging) await this.#turns.over();
      else await (this.#rounds.isUnderWay ? this.#rounds.nothingUnderWay() : this.#context.journal.idle());
    }
    await this.#commit.idle();
  }

  /** The folder failed: who waits for an append is told. */
  fail(error: Error): void {
    this.#rounds.fail(error);
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
    await this.#turns.change(async () => {
      const refusal = this.#context.refusal(true);
      if (refusal) throw refusal;
      await dropLogBefore(this.#parts, checkpointIndex);
    });
  }
}

function listen(listeners: Set<() => void>, listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(listeners: ReadonlySet<() => void>): void {
  for (const listener of listeners) listener();
}
