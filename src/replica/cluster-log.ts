/**
 * One log of a node that is one of a cluster, as `stream/` has it.
 * - Only the leader takes appends. Before the first in a term it reads what the log says of its stream, up to the batch that
 *   begins the term: all before that will be committed with it. So what a batch is judged by follows the log, whoever led.
 * - Who does not lead knows what is committed: settings, log start and fence are brought up to date before a read.
 * Elsewhere: terms, votes and commits (`raft/`), the driver's side of a group (`replica-group.ts`), a node alone (`lone-log.ts`).
 * @module
 */

import { assert } from "../base/assert.ts";
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import type { VersionedSettings } from "../base/stream-settings.ts";
import type { GroupLog } from "../log/types.ts";
import { isCaughtUp } from "../raft/group.ts";
import { takesAppends } from "../raft/leading.ts";
import { nodeOf } from "../raft/types.ts";
import { decodeFence, decodeTrim, decodeVoters } from "../wire/checkpoint.ts";
import { decodeSettings } from "../wire/settings.ts";
import { nameOf } from "./core-batch.ts";
import type {
  AppendedBatch,
  Leadership,
  LogBatch,
  LogDoor,
  LogOwner,
  LogReadRequest,
  SegmentSize,
  StreamPart,
} from "./log-door.ts";
import { decodeStoredCheckpoint, recallProducers, segmentLimitsOf } from "./log-past.ts";
import { ClosedError, NotLeaderError } from "./replica-errors.ts";
import type { ReplicaGroup } from "./replica-group.ts";

/** What the log up to an index says of its stream. */
interface KnownPart {
  readonly part: StreamPart;
  readonly index: number;
  /** Index of the batch that ends the stream, if it is there. */
  readonly closedAt: number | undefined;
}

export class ClusterLog implements LogDoor {
  readonly #replica: ReplicaGroup;
  readonly #log: GroupLog;
  readonly #owner: LogOwner;
  readonly #made: Promise<void>;
  readonly #ignore: () => void;
  #isIncomplete: boolean;
  /** The term in which appends are judged here; none while this replica does not lead. */
  #readyTerm = -1;
  /** The term in which the owner was told what a leader goes by, committed or not; none while it was told what is committed. */
  #toldTerm = -1;
  #preparing: { readonly term: number; readonly done: Promise<void> } | undefined;
  /** Where the batch stands that ends the stream, as far as a leader knows. */
  #closedAt: number | undefined;
  /** What is committed, where this replica does not lead. */
  #known: KnownPart | undefined;
  #refreshing: Promise<void> | undefined;
  readonly #waiting = new Set<() => void>();

  /**
   * @param made Settles with its making, where that is on its way: until then nothing is read.
   * @param isObserver No log of its node is ever voted for: one that has something tells it, though nobody is there.
   */
  constructor(
    replica: ReplicaGroup,
    owner: LogOwner,
    { made = Promise.resolve(), isObserver = false }: { made?: Promise<void>; isObserver?: boolean } = {},
  ) {
    this.#replica = replica;
    this.#log = replica.log;
    this.#owner = owner;
    this.#made = made;
    // The newest voters have nearly all, those of batch 0 from the beginning on; who was alone is named by the disk only.
    const isNamed = () =>
      decodeVoters(this.#log.note).some((voter) => replica.self.endsWith(nameOf({ ...voter, nodeId: "" })));
    this.#isIncomplete = !isNamed() && (!isObserver || this.#log.durableEnd.index <= 1);
    this.#ignore = this.#log.onDurable(() => this.#wake());
    replica.onRole(() => {
      this.#noteComplete();
      this.#roleChanged();
    });
  }

  get group(): number {
    return this.#log.group;
  }

  get leadership(): Leadership {
    const { state, self } = this.#replica;
    if (!state) return { kind: "unknown" };
    if (takesAppends(state)) return { kind: "here" };
    const { leaderHint } = state;
    if (leaderHint === null || leaderHint === self) return { kind: "unknown" };
    return { kind: "elsewhere", node: nodeOf(leaderHint) };
  }

  want(): void {
    this.#replica.want();
  }

  get lagMs(): number | undefined {
    return this.#replica.lagMs;
  }

  /** The base is committed always. Of a new log nobody says so before more is: it may stay all that there is. */
  get commit(): { readonly index: number; readonly offset: number } {
    const { commit, base } = this.#log;
    return commit.index > base.index ? commit : { index: base.index + 1, offset: base.offset };
  }

  async committed(): Promise<{ readonly index: number; readonly digest: Uint8Array }> {
    for (;;) {
      const { index } = this.commit;
      const digest = await this.#log.digestAt(index - 1);
      if (digest) return { index, digest };
      // The log began anew meanwhile, or its base has moved.
      assert(index !== this.commit.index, `batch ${index - 1} is not there`);
    }
  }

  /** The replica that it is the log of. */
  get replica(): ReplicaGroup {
    return this.#replica;
  }

  get storedBytes(): number {
    return this.#log.storedBytes;
  }

  get isDamaged(): boolean {
    return this.#log.damage !== undefined;
  }

  get isIncomplete(): boolean {
    this.#noteComplete();
    return this.#isIncomplete;
  }

  get baseIndex(): number {
    return this.#log.base.index;
  }

  /** Once it has had all, or was made a voter for having nearly all, it tells what it has, whoever is there. */
  #noteComplete(): void {
    const { state, self } = this.#replica;
    if (!this.#isIncomplete || !state) return;
    if (state.log.voters.includes(self) || isCaughtUp(state)) this.#isIncomplete = false;
  }

  /** This replica began or ceased to lead: what waited for either looks again. */
  #roleChanged(): void {
    if (this.#toldTerm >= 0 && this.#leadingTerm() !== this.#toldTerm) {
      this.#toldTerm = -1;
      this.#readyTerm = -1;
      this.#known = undefined;
      // What it placed and is not committed another leader may cut off: of producers it knows nothing until it leads again.
      this.#owner.restoring({ producers: [] });
    }
    this.#wake();
  }

  async append(batch: LogBatch): Promise<AppendedBatch> {
    this.#replica.want();
    const term = this.#leadingTerm();
    if (term === undefined) throw this.#notLeader();
    if (this.#readyTerm !== term) await this.#prepare(term);
    return await this.#replica.append({
      ...batch,
      admit: (place) => {
        if (this.#readyTerm !== term) throw this.#notLeader();
        this.#judgeClosed(place.index);
        batch.admit?.(place);
      },
    });
  }

  /** The log is let go: it hears of that no more. */
  close(): void {
    this.#ignore();
  }

  /** Ends the log: when that resolves it takes nothing more, whoever leads. */
  async end(): Promise<void> {
    try {
      await this.#appendEnd();
    } catch (error) {
      if (!(error instanceof ClosedError)) throw error;
      await this.settled(error.end - 1);
    }
  }

  async #appendEnd(): Promise<void> {
    const stamped = (index: number) => {
      this.#closedAt = index;
      this.#replica.rollNoMore();
    };
    await this.append({ kind: BatchKind.closed, payload: new Uint8Array(0), recordCount: 0, frees: true, stamped });
  }

  async settled(index: number): Promise<void> {
    const term = this.#leadingTerm();
    if (this.commit.index > index) return;
    if (term === undefined) throw this.#notLeader();
    await this.#until(() => this.commit.index > index, term);
  }

  async confirm(): Promise<void> {
    const index = await this.#replica.linearize();
    await this.#until(() => this.commit.index >= index);
  }

  async read(request: LogReadRequest): Promise<StoredBatch[]> {
    try {
      return await this.#log.read(request);
    } catch (error) {
      this.#replica.met(error);
      throw error;
    }
  }

  findTime(micros: number): Promise<{ index: number; offset: number }> {
    return this.#log.findTime(micros, this.commit.index);
  }

  ready(): Promise<void> | undefined {
    const term = this.#leadingTerm();
    if (term !== undefined && term === this.#toldTerm) return undefined;
    if (this.#known?.index === this.commit.index) return undefined;
    if (this.#refreshing === undefined) {
      this.#refreshing = this.#refresh().finally(() => {
        this.#refreshing = undefined;
      });
      // Who reads waits for it.
      this.#refreshing.catch(() => {});
    }
    return this.#refreshing;
  }

  endSegmentsBy(settings: VersionedSettings): void {
    if (this.#readyTerm !== this.#leadingTerm()) return;
    this.#replica.roll(segmentLimitsOf(settings), (index, logTimeMicros) =>
      this.#owner.checkpointPart(index, logTimeMicros),
    );
  }

  baseIndexFor(logStart: number): Promise<number> {
    return this.#log.segmentBelow(Math.min(logStart, this.commit.offset));
  }

  segmentSizes(): SegmentSize[] {
    return this.#log.segmentSizes();
  }

  dropBefore(baseIndex: number): Promise<void> {
    return this.#replica.dropBefore(baseIndex);
  }

  async lastCheckpoint(): Promise<{ index: number; offset: number; part: StreamPart }> {
    const batch = await this.#log.lastCheckpoint();
    return { index: batch.index, offset: batch.baseOffset, part: decodeStoredCheckpoint(batch) };
  }

  onCommit(listener: () => void): () => void {
    return this.#log.onCommit(listener);
  }

  /** Reads what the log says once this term's first batch, and so all before it, is on the disk. */
  async #prepare(term: number): Promise<void> {
    const before = this.#preparing;
    const preparing = before?.term === term ? before : { term, done: this.#readPast(term, before?.done) };
    this.#preparing = preparing;
    try {
      await preparing.done;
    } catch (error) {
      // For want of files, perhaps: the next append has it read again.
      if (this.#preparing === preparing) this.#preparing = undefined;
      throw error;
    }
  }

  /** @param before The same of an earlier term: the owner is told by one at a time. */
  async #readPast(term: number, before: Promise<void> | undefined): Promise<void> {
    this.#replica.want();
    await before?.catch(() => {});
    await this.#until(() => this.#log.durableEnd.term === term, term);
    const { index } = this.#log.durableEnd;
    const { part, closedAt } = await this.#partAt(index);
    this.#checkLeads(term);
    this.#toldTerm = term;
    this.#known = undefined;
    this.#owner.restored(part);
    await recallProducers(this.#log, {
      restoring: (checkpoint) => {
        this.#checkLeads(term);
        this.#owner.restoring(checkpoint);
      },
      produced: (batch) => {
        // Who leads no more may have another's batches here, before this one or in its place.
        this.#checkLeads(term);
        this.#owner.produced(batch);
      },
    });
    await this.#owner.recalling?.(this, index);
    this.#checkLeads(term);
    this.#readyTerm = term;
    this.#closedAt = closedAt;
    // No checkpoint comes behind the end: who leads next finds it there.
    if (closedAt === undefined) this.endSegmentsBy(part.settings);
  }

  /** Brings what is known up to what is committed. */
  async #refresh(): Promise<void> {
    await this.#made;
    const known = await this.#partAt(this.commit.index);
    const term = this.#leadingTerm();
    // Who leads meanwhile was told more than what is committed.
    if (term !== undefined && term === this.#toldTerm) return;
    this.#known = known;
    // A log that began anew may lack the trim that let its base move there: what is below the base can't be read for all that.
    const logStart = Math.max(known.part.logStart, this.#log.base.offset);
    this.#owner.restored({ ...known.part, logStart });
  }

  /** What the log below an index says. */
  async #partAt(index: number): Promise<KnownPart> {
    let known = this.#known;
    if (!known || known.index > index || known.index < this.baseIndex) known = await this.#partOfCheckpoint(index);
    let { part, closedAt } = known;
    for await (const control of this.#log.controlBatches(known.index)) {
      if (control.index >= index) break;
      part = changedBy(part, control);
      if (control.kind === BatchKind.closed) closedAt = control.index;
    }
    return { part, index, closedAt };
  }

  /** The newest checkpoint below an index says all that was before it. */
  async #partOfCheckpoint(index: number): Promise<KnownPart> {
    const newest = await this.#log.lastCheckpoint();
    if (newest.index < index) return partOf(newest);
    for (;;) {
      const from = this.baseIndex;
      const [base] = await this.#log.read({ from: { index: from }, belowIndex: from + 1, maxBytes: 1 });
      // The base may have moved under the reading.
      if (base?.index === from && from === this.baseIndex) return partOf(base);
    }
  }

  /** @throws {ClosedError} */
  #judgeClosed(index: number): void {
    // What was on its way may have been taken back: another batch has its place then.
    if (this.#closedAt === undefined || this.#closedAt >= index) this.#closedAt = undefined;
    else throw new ClosedError(this.group, this.#closedAt + 1);
  }

  #leadingTerm(): number | undefined {
    const state = this.#replica.state;
    return state?.role.kind === "leader" ? state.term : undefined;
  }

  /** @throws {NotLeaderError} The term is not led here, or not any more. */
  #checkLeads(term: number): void {
    if (this.#leadingTerm() !== term) throw this.#notLeader();
  }

  #notLeader(): NotLeaderError {
    return new NotLeaderError(this.group, this.#replica.state?.leaderHint ?? null);
  }

  /** Waits until it holds; with a term only as long as that is led here. @throws {NotLeaderError} It was, or the replica has ended. */
  async #until(holds: () => boolean, term?: number): Promise<void> {
    while (!holds()) {
      const isOver = this.#replica.hasEnded || (term !== undefined && this.#leadingTerm() !== term);
      if (isOver) throw this.#notLeader();
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake);
          stop();
          resolve();
        };
        const stop = this.#log.onCommit(wake);
        this.#waiting.add(wake);
      });
    }
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

function partOf(checkpoint: StoredBatch): KnownPart {
  return { part: decodeStoredCheckpoint(checkpoint), index: checkpoint.index + 1, closedAt: undefined };
}

/** What a control batch changes of what the log says. */
function changedBy(part: StreamPart, { kind, payload }: StoredBatch): StreamPart {
  switch (kind) {
    case BatchKind.fence:
      return { ...part, fence: decodeFence(payload) };
    case BatchKind.trim:
      return { ...part, logStart: Math.max(part.logStart, decodeTrim(payload).logStart) };
    case BatchKind.settings: {
      const later = decodeSettings(payload);
      return later.version > part.settings.version ? { ...part, settings: later } : part;
    }
    default:
      return part;
  }
}
