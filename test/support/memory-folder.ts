/**
 * A data folder in memory: stands in for `log/` in tests of what is above it. Frames are written one at a time, each a
 * turn of the event loop after what it holds was gathered, and are kept for the test to look at; a frame can be held
 * back or refused for want of room, and the folder can be opened again with what was durable.
 */
import { createHash } from "node:crypto";
import { BatchKind, type ProducerStamp, type StoredBatch } from "../../src/base/batch.ts";
import { NoRoomError } from "../../src/base/disk-errors.ts";
import type {
  AppendedBatch,
  CheckpointState,
  DataFolder,
  Floor,
  GroupLog,
  LogMetrics,
  LogPosition,
  LogReadRequest,
  NewBatch,
  NewGroup,
  Promised,
  RecoveryReport,
  SegmentLimits,
  TermStart,
  Vote,
} from "../../src/log/types.ts";

/** What a frame says, as a test reads it: `made 3`, `vote 3 term 1`, `batch 3.2 records`. */
export type Frame = readonly string[];

interface Gathered {
  readonly log: MemoryLog;
  /** Absent: the group's making. */
  readonly batch?: NewBatch;
  readonly resolve: (appended: AppendedBatch | undefined) => void;
  readonly reject: (error: Error) => void;
}

interface Stamped {
  readonly lines: string[];
  readonly taken: Gathered[];
  readonly appended: (AppendedBatch | undefined)[];
}

interface Stored {
  readonly batches: StoredBatch[];
  readonly vote: Vote;
  readonly baseIndex: number;
}

export class MemoryFolder implements DataFolder {
  readonly nodeId = "node";
  readonly diskId = new Uint8Array(16).fill(7);
  readonly incarnation = 1;
  readonly report: RecoveryReport;
  readonly metrics = {} as LogMetrics;
  readonly noRoom = undefined;
  readonly failed = new Promise<Error>(() => {});
  readonly frames: Frame[] = [];
  /** How many frames to refuse for want of room. */
  refuse = 0;
  /** When set, a checkpoint comes after so many batches, whatever the stream's settings. */
  rollAfterBatches: number | undefined;
  /** Whether only what frees room is taken. */
  isFull = false;
  /** Whether frames wait for `release`. */
  hold = false;
  nowMicros = 1_000_000;
  readonly #stored: Map<number, Stored>;
  readonly #logs = new Map<number, MemoryLog>();
  #gathered: Gathered[] = [];
  #writing = false;
  #wake: (() => void) | undefined;

  constructor(stored: Map<number, Stored> = new Map()) {
    this.#stored = stored;
    this.report = {
      kind: stored.size === 0 ? "created" : "clean",
      groups: stored.size,
      tailBatches: 0,
      keptBytes: 0,
      cutBytes: 0,
      droppedBatches: 0,
      durationMs: 0,
    };
    for (const [group, { batches, vote, baseIndex }] of stored) {
      this.#logs.set(group, new MemoryLog(group, this, { batches: [...batches], vote, baseIndex }));
    }
  }

  groups(): Iterable<number> {
    return this.#logs.keys();
  }

  log(group: number): MemoryLog | undefined {
    return this.#logs.get(group);
  }

  create({ group, checkpointState, startOffset, appendTimeMicros }: NewGroup): { log: GroupLog; made: Promise<void> } {
    const log = new MemoryLog(group, this, { batches: [], vote: { term: 0 }, baseIndex: 0 });
    log.makeFrom(checkpointState, startOffset, appendTimeMicros);
    this.#logs.set(group, log);
    const made = new Promise<AppendedBatch | undefined>((resolve, reject) =>
      this.gather({ log, resolve, reject }),
    ).then(
      () => {},
      (error) => {
        this.#logs.delete(group);
        throw error;
      },
    );
    return { log, made };
  }

  async remove(group: number): Promise<void> {
    this.#logs.delete(group);
    this.#stored.delete(group);
    this.frames.push([`gone ${group}`]);
  }

  renew({ group }: NewGroup): Promise<GroupLog> {
    return Promise.reject(new Error(`group ${group} in memory has one life`));
  }

  async close(): Promise<void> {}

  /** The folder after the process was killed: what was durable is there. */
  reopen(): MemoryFolder {
    const folder = new MemoryFolder(new Map(this.#stored));
    folder.rollAfterBatches = this.rollAfterBatches;
    return folder;
  }

  /** Lets held frames go. */
  release(): void {
    this.hold = false;
    this.#wake?.();
  }

  /** What the log is now is durable. */
  keep({ group, batches, vote, base }: MemoryLog): void {
    this.#stored.set(group, { batches: [...batches], vote, baseIndex: base.index });
  }

  gather(gathered: Gathered): void {
    this.#gathered.push(gathered);
    if (!this.#writing) void this.#write();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#gathered.length > 0) {
      const gathered = this.#gathered;
      this.#gathered = [];
      const frame = this.#stamp(gathered);
      const { taken } = frame;
      await new Promise((resolve) => setImmediate(resolve));
      if (this.hold) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const logs = new Set(taken.map(({ log }) => log));
      if (this.refuse > 0) {
        this.refuse--;
        for (const log of logs) log.takeBack();
        for (const { reject } of taken) reject(new NoRoomError("no room"));
        continue;
      }
      this.frames.push(frame.lines);
      for (const log of logs) {
        log.settle();
        this.keep(log);
      }
      taken.forEach(({ resolve }, at) => {
        resolve(frame.appended[at]);
      });
    }
    this.#writing = false;
  }

  /** What is not admitted is refused, and not among what is taken. */
  #stamp(gathered: readonly Gathered[]): Stamped {
    const stamped: Stamped = { lines: [], taken: [], appended: [] };
    for (const waiting of gathered) {
      const { log, batch, reject } = waiting;
      try {
        if (batch !== undefined) log.admit(batch);
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
        continue;
      }
      stamped.taken.push(waiting);
      if (batch === undefined) stamped.lines.push(`made ${log.group}`);
      if (batch?.begins !== undefined) stamped.lines.push(`vote ${log.group} term ${batch.begins.term}`);
      stamped.appended.push(batch && log.stamp(batch, stamped.lines));
    }
    return stamped;
  }
}

const kindNames = Object.fromEntries(Object.entries(BatchKind).map(([name, kind]) => [kind, name]));
const headerBytes = 128;

export class MemoryLog implements GroupLog {
  readonly group: number;
  /** Durable batches first, then those that were stamped. */
  readonly batches: StoredBatch[];
  vote: Vote;
  floor: Floor = { term: 0, index: 0 };
  readonly life = 0;
  note: Uint8Array = new Uint8Array(0);
  readonly damage = undefined;
  #commitIndex = 0;
  /** What is below is gone, though it stays in `batches`, where each stands at its index. */
  #baseIndex: number;
  #durableCount: number;
  #stampedVote: Vote | undefined;
  #rolling: { limits: SegmentLimits; state: CheckpointState } | undefined;
  readonly #folder: MemoryFolder;
  readonly #durable = new Set<() => void>();
  readonly #committed = new Set<() => void>();

  constructor(group: number, folder: MemoryFolder, { batches, vote, baseIndex }: Stored) {
    this.group = group;
    this.#folder = folder;
    this.batches = batches;
    this.#durableCount = batches.length;
    this.#baseIndex = baseIndex;
    this.vote = vote;
  }

  cut(index: number): Promise<void> {
    return Promise.reject(new Error(`group ${this.group} in memory can't be cut to ${index}`));
  }

  async selfCheck(): Promise<undefined> {}

  leaveDamage(): void {}

  repair(index: number): Promise<{ belowIndex: number }> {
    return Promise.reject(new Error(`batch ${index} of group ${this.group} in memory can't be mended`));
  }

  async segmentBelow(offset: number): Promise<number> {
    return this.#checkpoints().findLast(({ baseOffset }) => baseOffset <= offset)?.index ?? this.#baseIndex;
  }

  segmentSizes(): { firstIndex: number; sizeBytes: number }[] {
    const starts = this.#checkpoints().map(({ index }) => index);
    return starts.map((firstIndex, at) => ({
      firstIndex,
      sizeBytes: bytesOf(this.batches.slice(firstIndex, starts[at + 1] ?? this.#durableCount)),
    }));
  }

  /** Checkpoints that are kept: in memory all that is durable is in segments at once. */
  #checkpoints(): StoredBatch[] {
    return this.#kept().filter(({ kind }) => kind === BatchKind.checkpoint);
  }

  #kept(): StoredBatch[] {
    return this.batches.slice(this.#baseIndex, this.#durableCount);
  }

  async dropBefore(checkpointIndex: number): Promise<void> {
    if (this.batches[checkpointIndex]?.kind !== BatchKind.checkpoint) throw new Error("only a checkpoint is a base");
    this.#baseIndex = Math.max(checkpointIndex, this.#baseIndex);
    this.#folder.keep(this);
  }

  install(): Promise<void> {
    return Promise.reject(new Error(`group ${this.group} in memory can't begin anew`));
  }

  appendStored(): Promise<AppendedBatch> {
    return Promise.reject(new Error(`group ${this.group} in memory follows nobody`));
  }

  get end(): LogPosition {
    return positionAfter(this.batches, this.batches.length);
  }

  onTakenBack(): () => void {
    return () => {};
  }

  get base(): { index: number; offset: number } {
    return { index: this.#baseIndex, offset: this.batches[this.#baseIndex]?.baseOffset ?? 0 };
  }

  get durableEnd(): LogPosition {
    return positionAfter(this.batches, this.#durableCount);
  }

  get commit(): { index: number; offset: number } {
    return positionAfter(this.batches, this.#commitIndex);
  }

  get storedBytes(): number {
    return bytesOf(this.#kept());
  }

  rollBy(limits: SegmentLimits, state: CheckpointState): void {
    this.#rolling = { limits, state };
  }

  append(batch: NewBatch): Promise<AppendedBatch> {
    if (this.#folder.isFull && batch.frees !== true)
      return Promise.reject(new NoRoomError("the reserve is kept", "free_space_reserve"));
    if (this.#rolling === undefined) throw new Error("rollBy was not called");
    return new Promise((resolve, reject) => {
      this.#folder.gather({
        log: this,
        batch,
        resolve: (appended) => (appended === undefined ? reject(new Error("not stamped")) : resolve(appended)),
        reject,
      });
    });
  }

  async save({ vote, floor, note }: Promised): Promise<void> {
    this.vote = vote ?? this.vote;
    this.floor = floor ?? this.floor;
    this.note = note ?? this.note;
  }

  setCommit(index: number): void {
    if (index > this.#durableCount) throw new Error("commit beyond what is durable");
    if (index <= this.#commitIndex) return;
    this.#commitIndex = index;
    for (const listener of [...this.#committed]) listener();
  }

  onDurable(listener: () => void): () => void {
    this.#durable.add(listener);
    return () => this.#durable.delete(listener);
  }

  onCommit(listener: () => void): () => void {
    this.#committed.add(listener);
    return () => this.#committed.delete(listener);
  }

  async read({ from, belowIndex, maxBytes }: LogReadRequest): Promise<StoredBatch[]> {
    if (belowIndex > this.#durableCount) throw new Error("read beyond what is durable");
    const isAtOrAfter = (batch: StoredBatch): boolean =>
      "index" in from
        ? batch.index >= from.index
        : batch.baseOffset >= from.offset || batch.baseOffset + batch.recordCount > from.offset;
    const found: StoredBatch[] = [];
    let bytes = 0;
    for (const batch of this.batches.slice(this.#baseIndex, belowIndex)) {
      if (!isAtOrAfter(batch)) continue;
      bytes += headerBytes + batch.payloadBytes;
      if (found.length > 0 && bytes > maxBytes) break;
      found.push(batch);
    }
    await Promise.resolve();
    return found;
  }

  async findTime(micros: number, belowIndex: number): Promise<{ index: number; offset: number }> {
    const found = this.batches.slice(this.#baseIndex, belowIndex).find((batch) => batch.appendTimeMicros >= micros);
    if (found !== undefined) return { index: found.index, offset: found.baseOffset };
    const { index, offset } = positionAfter(this.batches, belowIndex);
    return { index, offset };
  }

  async lastCheckpoint(): Promise<StoredBatch> {
    const found = this.batches.slice(0, this.#durableCount).findLast(({ kind }) => kind === BatchKind.checkpoint);
    if (found === undefined) throw new Error("a log begins with a checkpoint");
    return found;
  }

  async *headers(index: number): AsyncIterable<StoredBatch> {
    yield* this.batches.slice(index, this.#durableCount);
  }

  async *controlBatches(index: number): AsyncIterable<StoredBatch> {
    for await (const batch of this.headers(index)) if (batch.kind !== BatchKind.records) yield batch;
  }

  async termStarts(): Promise<TermStart[]> {
    const kept = this.batches.slice(this.#baseIndex);
    const isStart = ({ term }: StoredBatch, at: number) => at === 0 || term !== kept[at - 1]?.term;
    return kept.filter(isStart).map(({ term, index }) => ({ term, index }));
  }

  async termAt(index: number): Promise<number | undefined> {
    return this.batches[index]?.term;
  }

  async digestAt(index: number): Promise<Uint8Array | undefined> {
    return this.batches[index]?.digest;
  }

  makeFrom(checkpointState: Uint8Array, startOffset: number, appendTimeMicros: number): void {
    this.#put(BatchKind.checkpoint, withPrefix(checkpointState), 0, appendTimeMicros, 0, startOffset);
  }

  admit(batch: NewBatch): void {
    const { index, offset } = positionAfter(this.batches, this.batches.length);
    batch.admit?.({ index, offset });
  }

  stamp(batch: NewBatch, lines: string[]): AppendedBatch {
    if (batch.begins !== undefined) this.#stampedVote = batch.begins;
    this.#folder.nowMicros += 1000;
    if (this.#mustRoll(batch)) {
      const { index, appendTimeMicros } = positionAfter(this.batches, this.batches.length);
      const state = this.#rolling?.state(index, appendTimeMicros) ?? new Uint8Array();
      this.#put(BatchKind.checkpoint, withPrefix(state), 0, this.#folder.nowMicros, this.#term());
      lines.push(`batch ${this.group}.${this.batches.length - 1} checkpoint`);
    }
    const micros = this.#folder.nowMicros;
    const term = batch.begins?.term ?? this.#term();
    const stored = this.#put(batch.kind, batch.payload, batch.recordCount, micros, term, undefined, batch.producer);
    lines.push(`batch ${this.group}.${stored.index} ${kindNames[stored.kind]}`);
    batch.stamped?.(stored.index, micros, stored.digest);
    return { ...stored, nextOffset: stored.baseOffset + stored.recordCount };
  }

  takeBack(): void {
    this.batches.length = this.#durableCount;
    this.#stampedVote = undefined;
  }

  settle(): void {
    this.#durableCount = this.batches.length;
    this.vote = this.#stampedVote ?? this.vote;
    for (const listener of [...this.#durable]) listener();
  }

  #term(): number {
    return Math.max(this.#stampedVote?.term ?? 0, this.batches.at(-1)?.term ?? 0);
  }

  #mustRoll({ rolls }: NewBatch): boolean {
    const from = this.batches.findLastIndex(({ kind }) => kind === BatchKind.checkpoint);
    const segment = this.batches.slice(from);
    if (rolls === true && segment.length > 1) return true;
    const { rollAfterBatches } = this.#folder;
    if (rollAfterBatches !== undefined) return segment.length > rollAfterBatches;
    return segment.length > 1 && bytesOf(segment) >= (this.#rolling?.limits.maxBytes ?? Number.POSITIVE_INFINITY);
  }

  #put(
    kind: BatchKind,
    payload: Uint8Array,
    recordCount: number,
    appendTimeMicros: number,
    term: number,
    baseOffset?: number,
    producer?: ProducerStamp,
  ): StoredBatch {
    const end = positionAfter(this.batches, this.batches.length);
    const digest = createHash("sha256")
      .update(end.digest)
      .update(`${kind} ${term} ${appendTimeMicros}`)
      .update(payload);
    const batch: StoredBatch = {
      kind,
      codec: 0,
      payloadBytes: payload.length,
      group: this.group,
      index: end.index,
      baseOffset: baseOffset ?? end.offset,
      recordCount,
      term,
      appendTimeMicros,
      ...(producer ? { producer } : {}),
      digest: new Uint8Array(digest.digest()),
      header: new Uint8Array(headerBytes),
      payload,
    };
    this.batches.push(batch);
    return batch;
  }
}

function bytesOf(batches: readonly StoredBatch[]): number {
  return batches.reduce((sum, { payloadBytes }) => sum + headerBytes + payloadBytes, 0);
}

function withPrefix(state: Uint8Array): Uint8Array {
  const payload = new Uint8Array(40 + state.length);
  payload.set(state, 40);
  return payload;
}

function positionAfter(batches: readonly StoredBatch[], count: number): LogPosition {
  const last = batches[count - 1];
  if (last === undefined) return { index: 0, offset: 0, appendTimeMicros: 0, term: 0, digest: new Uint8Array(32) };
  const { appendTimeMicros, term, digest } = last;
  return { index: last.index + 1, offset: last.baseOffset + last.recordCount, appendTimeMicros, term, digest };
}
