/**
 * One group of a node: its log, what is on its way there, and who waits for it. What is asked of it here is asked of the
 * leader; another replica refuses it, and says who leads as far as it knows.
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import { sameBytes } from "../base/bytes.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import { limitPassed } from "../base/errors.ts";
import { noteMaxBytes } from "../log/format.ts";
import type { AppendedBatch, GroupLog, NewBatch, SegmentLimits } from "../log/types.ts";
import type { Group } from "../raft/group.ts";
import type { GroupInput } from "../raft/inputs.ts";
import { takesAppends } from "../raft/leading.ts";
import type { Effect } from "../raft/turn.ts";
import type { Before, LeaderMessage, NodeId, RaftSettings, ReplicaId } from "../raft/types.ts";
import { type CheckpointState, encodeCheckpoint, encodeVoters } from "../wire/checkpoint.ts";
import { beforeOf, replicaOf } from "./core-batch.ts";
import { FateUnknownError, isDamaged, NotLeaderError, RefusedError } from "./replica-errors.ts";

/** The core of a group, as its replica reaches it. */
export interface CoreOfGroup {
  readonly settings: RaftSettings;
  /** Its state; undefined: it is not open. */
  state(): Group | undefined;
  /** How long ago it last had all that was committed, as far as it was told; undefined: nobody tells it. */
  lagMs(): number | undefined;
  feed(input: GroupInput): void;
  /** Takes it when what runs now has ended. */
  feedLater(input: GroupInput): void;
}

/** What is told to who asked for something. */
interface Answer<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** An append that has its place and waits to be committed. */
interface WaitingAppend extends Answer<AppendedBatch> {
  readonly appended: AppendedBatch;
}

/** Batches that came while the log is being changed. */
export interface HeldBatches {
  readonly node: NodeId;
  readonly number: number;
  readonly message: Extract<LeaderMessage, { kind: "batches" }>;
}

/** Limits of a log that begins no segments by itself. */
const neverRoll: SegmentLimits = { maxBytes: Number.POSITIVE_INFINITY, maxAgeMicros: Number.POSITIVE_INFINITY };

/** A group of a node. */
export class ReplicaGroup {
  readonly self: ReplicaId;
  readonly log: GroupLog;
  /** Changes of the log that were asked for and are not done: what the disk says meanwhile is of what was. */
  changing = 0;
  /** Batches that came meanwhile, in order. */
  readonly held: HeldBatches[] = [];
  /** The term whose leader change has its place here; appends of that term may follow it. */
  leadingTerm = -1;
  /** Voters of a batch that has its place here, which the core may not have heard of yet. */
  placedVoters: { readonly index: number; readonly voters: readonly ReplicaId[] } | undefined;
  readonly #core: CoreOfGroup;
  /** Trims that have their place, the base that each lets the log have; the oldest first. */
  readonly #trims: { readonly index: number; readonly baseIndex: number }[] = [];
  readonly #listeners = new Set<() => void>();
  #waiting: WaitingAppend[] = [];
  /** None that waits is of a lower term. */
  #lowestTerm = Number.POSITIVE_INFINITY;
  readonly #reads = new Map<number, Answer<number>>();
  #lastRead = 0;
  /** Something was wanted of it before it was open. */
  #isWanted = false;
  #change: Answer<void> | undefined;
  #transfer: Answer<void> | undefined;
  /** Why nothing more comes of what is asked. */
  #ended: string | undefined;

  constructor(log: GroupLog, self: ReplicaId, core: CoreOfGroup) {
    this.log = log;
    this.self = self;
    this.#core = core;
  }

  /** What the core knows of it; undefined: it is not open. */
  get state(): Group | undefined {
    return this.#core.state();
  }

  get group(): number {
    return this.log.group;
  }

  /** Nothing more comes of what is asked. */
  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** How long ago it last had all that was committed, as far as it was told; milliseconds. */
  get lagMs(): number | undefined {
    return this.#core.lagMs();
  }

  /** Something is going to be appended: a leader begins its term, and a lone voter stands for one. */
  want(): void {
    if (this.#core.state()) this.#core.feed({ kind: "wanted" });
    else this.#isWanted = true;
  }

  /** It takes part from now on. */
  opened(): void {
    // Nobody else would have a lone voter stand.
    if (this.#isWanted) this.want();
    this.#isWanted = false;
  }

  /**
   * Appends a batch; resolves when it is committed.
   * @throws {NotLeaderError} Nothing was written. @throws {FateUnknownError}
   * @throws {TailraceError} `limit`: too much waits to be committed. @throws {Error} As `GroupLog.append`.
   */
  async append(batch: NewBatch): Promise<AppendedBatch> {
    const state = this.#core.state();
    if (!state || !takesAppends(state) || this.#ended !== undefined) throw this.#notLeader();
    const { term } = state;
    this.want();
    const appended = await this.#place(batch, term);
    if (this.#ended !== undefined) throw new FateUnknownError(this.#ended);
    return new Promise((resolve, reject) => {
      // Some that another leader cut off may wait still: their places are taken by what comes now.
      const behind = this.#waiting.findLastIndex((other) => other.appended.index <= appended.index);
      this.#waiting.splice(behind + 1, 0, { appended, resolve, reject });
      this.#lowestTerm = Math.min(this.#lowestTerm, appended.term);
      this.settle();
    });
  }

  /**
   * Lets the log begin segments, until it is led here no more.
   * @param part What a checkpoint says beside the voters and the terms, by its index and the time of the batch before.
   */
  roll(
    limits: SegmentLimits,
    part: (index: number, logTimeMicros: number) => Omit<CheckpointState, "voters" | "termStarts">,
  ): void {
    const state = this.#core.state();
    if (!state) return;
    const { log } = this;
    const { term } = state;
    let voters: readonly ReplicaId[] = [];
    let before: Before = { term: 0, digest: new Uint8Array(0) };
    log.rollBy(
      limits,
      (index, logTimeMicros) => {
        const { placedVoters } = this;
        voters = placedVoters && placedVoters.index >= state.log.end ? placedVoters.voters : state.log.voters;
        before = { term: log.end.term, digest: log.end.digest };
        const termStarts = state.log.termStarts.filter((start) => start.index < index);
        return encodeCheckpoint({ ...part(index, logTimeMicros), voters: voters.map(replicaOf), termStarts });
      },
      (index, _time, digest) => {
        const batch = { index, term, digest, kind: BatchKind.checkpoint, voters, before };
        this.#core.feedLater({ kind: "appended", batch });
      },
    );
  }

  /** Drops the files below a committed checkpoint; who fetches from below it begins anew. @throws {NoRoomError} They stay. */
  async dropBefore(baseIndex: number): Promise<void> {
    const { log } = this;
    if (baseIndex <= log.base.index) return;
    await log.dropBefore(baseIndex);
    const { index } = log.base;
    const [base] = await log.read({ from: { index }, belowIndex: index + 1, maxBytes: 1 });
    if (base?.index === index) this.#core.feed({ kind: "baseMoved", index, before: beforeOf(base.payload) });
  }

  /** Resolves with an index below which all that was acknowledged before the call stands. @throws {NotLeaderError} */
  linearize(): Promise<number> {
    // A core that does not know the group answers nothing.
    if (this.#ended !== undefined || !this.state) return Promise.reject(this.#notLeader());
    this.#lastRead += 1;
    const read = this.#lastRead;
    return new Promise((resolve, reject) => {
      this.#reads.set(read, { resolve, reject });
      this.#core.feed({ kind: "linearize", read });
    });
  }

  /** Changes the voters by one. @throws {RefusedError} @throws {FateUnknownError} */
  change(voters: readonly ReplicaId[], force = false): Promise<void> {
    const refusal = this.#refusal;
    if (refusal !== undefined) return Promise.reject(new RefusedError(refusal));
    if (this.#change) return Promise.reject(new RefusedError("another change of voters is under way"));
    const bytes = encodeVoters(voters.map(replicaOf)).length;
    if (bytes > noteMaxBytes) {
      const why = `the names of ${voters.length} voters take ${bytes} bytes, and a replica keeps ${noteMaxBytes} at most`;
      return Promise.reject(new RefusedError(why));
    }
    return new Promise((resolve, reject) => {
      this.#change = { resolve, reject };
      this.#core.feed({ kind: "change", voters, force });
    });
  }

  /** Hands leadership over, to the voter that holds most unless one is named. @throws {RefusedError} */
  transfer(to?: ReplicaId): Promise<void> {
    const refusal = this.#refusal;
    if (refusal !== undefined) return Promise.reject(new RefusedError(refusal));
    if (this.#transfer) return Promise.reject(new RefusedError("leadership is being handed over already"));
    return new Promise((resolve, reject) => {
      this.#transfer = { resolve, reject };
      this.#core.feed({ kind: "transfer", to });
    });
  }

  /** Reading the log gave an error: damage is mended from another replica. */
  met(error: unknown): void {
    if (isDamaged(error)) this.#core.feedLater({ kind: "damaged" });
  }

  // What the core tells.

  /** A read may be answered, or not here. */
  answer(effect: Extract<Effect, { kind: "answerRead" | "refuseRead" }>): void {
    const read = this.#reads.get(effect.read);
    this.#reads.delete(effect.read);
    if (effect.kind === "answerRead") read?.resolve(effect.index);
    else read?.reject(this.#core.state()?.role.kind === "leader" ? new RefusedError(effect.why) : this.#notLeader());
  }

  /** A change of voters is committed, or refused. */
  changed({ refusal, fateUnknown }: Extract<Effect, { kind: "changed" }>): void {
    const change = this.#change;
    this.#change = undefined;
    if (refusal === undefined) change?.resolve();
    else change?.reject(fateUnknown ? new FateUnknownError(refusal) : new RefusedError(refusal));
  }

  /** Leadership went over, or not. */
  transferred({ refusal }: Extract<Effect, { kind: "transferred" }>): void {
    const transfer = this.#transfer;
    this.#transfer = undefined;
    if (refusal === undefined) transfer?.resolve();
    else transfer?.reject(new RefusedError(refusal));
  }

  /** It begins no segments any more: it is not led here, or ends. */
  rollNoMore(): void {
    this.log.rollBy(neverRoll, () => new Uint8Array(0));
  }

  /** Something happened in the core, such as a change of its role. */
  heard(event: string): void {
    // Who leads now says where segments begin.
    if (event.startsWith("stepped down") || event.startsWith("stopped")) this.rollNoMore();
    for (const listener of [...this.#listeners]) listener();
  }

  /** Calls `listener` whenever the role may have changed, and when it has ended, until the returned function is called. */
  onRole(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A trim has the place `index`: once it is committed the files below `baseIndex` may go. */
  trimmed(index: number, baseIndex: number): void {
    this.#trims.push({ index, baseIndex });
  }

  /** The files that a committed trim lets go are still there: it is due again. */
  trimAgain(baseIndex: number): void {
    this.#trims.unshift({ index: 0, baseIndex });
  }

  /** What was placed from `index` on is cut off. */
  cutTrims(index: number): void {
    const kept = this.#trims.findIndex((trim) => trim.index >= index);
    if (kept >= 0) this.#trims.length = kept;
  }

  /** The base that committed trims let the log have; each is given once. */
  takeDueBase(): number {
    const commit = this.log.commit.index;
    let due = 0;
    while (this.#trims[0] && this.#trims[0].index < commit) due = Math.max(due, this.#trims.shift()?.baseIndex ?? 0);
    return due;
  }

  /** Answers the appends below the commit index. In the term in which they were placed they are what is committed there. */
  settle(): void {
    const state = this.#core.state();
    // While the log begins anew it has what it held, and not what is committed.
    if (!state || this.changing > 0) return;
    const { commit } = state.log;
    while (this.#waiting[0] && this.#waiting[0].appended.index < commit) {
      const waiting = this.#waiting.shift();
      if (!waiting) return;
      const { appended, resolve } = waiting;
      if (state.role.kind === "leader" && state.term === appended.term) resolve(appended);
      else void this.#compare(waiting);
    }
    const term = state.log.termAt(commit - 1) ?? 0;
    if (term > this.#lowestTerm) this.#refuseBelow(term);
  }

  /** A batch of this term is committed, before the places of all that wait: terms only rise along a log, so none lower has one. */
  #refuseBelow(term: number): void {
    const waiting = this.#waiting;
    this.#lowestTerm = term;
    this.#waiting = waiting.filter(({ appended }) => appended.term >= term);
    for (const { appended, reject } of waiting) if (appended.term < term) reject(replacedError());
  }

  /** Nothing more comes of it: who waits is told. */
  end(why: string): void {
    this.#ended = why;
    const unknown = new FateUnknownError(why);
    for (const { reject } of this.#waiting.splice(0)) reject(unknown);
    for (const { reject } of this.#reads.values()) reject(this.#notLeader());
    this.#reads.clear();
    this.#change?.reject(unknown);
    this.#transfer?.reject(unknown);
    for (const listener of [...this.#listeners]) listener();
  }

  /** Gives a batch its place in the term that is led, and waits until it is on the own disk. */
  async #place(batch: NewBatch, term: number): Promise<AppendedBatch> {
    let placedAt: number | undefined;
    try {
      return await this.log.append({
        ...batch,
        admit: (place) => {
          const state = this.#core.state();
          const leads = state?.term === term && takesAppends(state) && this.leadingTerm === term;
          if (!leads) throw this.#notLeader();
          this.#checkRoom(place.index - state.log.commit);
          batch.admit?.(place);
        },
        stamped: (index, appendTimeMicros, digest) => {
          const { kind } = batch;
          batch.stamped?.(index, appendTimeMicros, digest);
          placedAt = index;
          this.#core.feedLater({ kind: "appended", batch: { index, term, digest, kind } });
        },
      });
    } catch (error) {
      // A client's read met it, and nothing more is written behind it: this replica can't lead before it is mended.
      this.met(error);
      if (error instanceof NoRoomError) this.#giveWay();
      if (placedAt === undefined) throw error;
      // It had its place, and may have gone to others before the disk refused it: they may keep it.
      const state = this.#core.state();
      const isHere = state?.role.kind === "leader" && state.term === term && state.role.sentEnd <= placedAt;
      throw isHere ? error : new FateUnknownError(String(error));
    }
  }

  /** There is no room here: another voter may have some, and leads then. */
  #giveWay(): void {
    const state = this.#core.state();
    if (this.#transfer || state?.role.kind !== "leader" || state.log.voters.length === 1) return;
    // Nobody has caught up, or another change is under way: the next append that finds no room tries again.
    this.transfer().catch(() => {});
  }

  /** @throws {TailraceError} `limit`: as many as may wait to be committed do. */
  #checkRoom(waiting: number): void {
    const { uncommittedMaxBatches: value } = this.#core.settings;
    if (waiting < value) return;
    const limit = { name: "uncommitted_max_batches", value };
    const todo = "Wait until a majority of the voters has stored what it was sent, then append again";
    throw limitPassed(`Cannot append to group ${this.group}`, limit, todo, { fate: "nothing_written" });
  }

  /** Looks whether the log has what was appended, now that another leader may have said what is there. */
  async #compare({ appended, resolve, reject }: WaitingAppend): Promise<void> {
    const { index, digest } = appended;
    try {
      const [batch] = await this.log.read({ from: { index }, belowIndex: index + 1, maxBytes: 1 });
      if (batch?.index === index && sameBytes(batch.digest, digest)) resolve(appended);
      else if (batch?.index === index) reject(replacedError());
      else reject(new FateUnknownError(`batch ${index} can't be looked at any more`));
    } catch (error) {
      reject(new FateUnknownError(String(error)));
    }
  }

  /** Why the core is asked for nothing: one that does not know the group answers nothing. */
  get #refusal(): string | undefined {
    return this.#ended ?? (this.state ? undefined : "the log is not open yet");
  }

  #notLeader(): NotLeaderError {
    return new NotLeaderError(this.group, this.#core.state()?.leaderHint ?? null);
  }
}

function replacedError(): RefusedError {
  return new RefusedError("another batch has its place");
}
