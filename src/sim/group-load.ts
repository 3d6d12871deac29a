/**
 * What a life does to one log: appends to it as a leader does, knows its state, and asks for promises.
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import { putU32 } from "../base/bytes.ts";
import type { AppendedBatch, GroupLog, NewBatch, Promised } from "../log/types.ts";
import type { Submission } from "./group-appends.ts";
import { GroupFeed } from "./group-feed.ts";
import type { GroupModel } from "./log-model.ts";
import { LogReads } from "./log-reads.ts";
import { type LifeContext, outcomeOf } from "./log-world.ts";
import { must } from "./must.ts";
import type { SimRandom } from "./random.ts";
import { checkpointState, FoldedStamps, foldIn, foldOver, noFold } from "./state-fold.ts";

/** Turns of promises after which a refusal has been heard. */
const refusalTurns = 16;

/** Appends of one log, in one life. */
export class GroupLoad {
  readonly model: GroupModel;
  readonly log: GroupLog;
  /** It is being removed, or was refused: it takes nothing. */
  hasEnded = false;
  readonly reads: LogReads;
  readonly #life: LifeContext;
  readonly #stamps: FoldedStamps;
  /** What is on its way to this log. */
  readonly #pending = new Set<Promise<void>>();
  #isReady = false;
  /** Its own appends that are on their way. */
  readonly #own = new Set<Promise<void>>();
  /** Those of them that have no place yet. */
  readonly #unplaced = new Set<number>();
  readonly #feed: GroupFeed;

  constructor(model: GroupModel, log: GroupLog, life: LifeContext) {
    this.model = model;
    this.log = log;
    this.#life = life;
    this.reads = new LogReads(model, log, life);
    this.#stamps = new FoldedStamps(life.world.hash, (index) => model.foldBefore(index));
    this.#feed = new GroupFeed({ model, log, life }, this.#stamps, (work, of) => void this.#settle(work, of));
  }

  /** Waits for what is on its way. */
  async quiet(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** A log that was just made is known from its first batch on. */
  begin(): void {
    this.#isReady = true;
    this.#stamps.begin(1, noFold);
    this.#roll();
  }

  /** The log was changed: who appends must look at it anew. */
  changed(): void {
    this.#isReady = false;
    this.reads.readOn();
  }

  /** As a leader does before it appends: reads the state at the log's end. False: it can't be appended to. */
  async prepare(): Promise<boolean> {
    const { model, log } = this;
    if (!this.#isReady) await this.quiet();
    if (this.#isReady || model.stage !== "made" || model.change) return this.#isReady && !this.hasEnded;
    const { changes } = model;
    const newest = model.lastCheckpoint;
    try {
      const checkpoint = await log.lastCheckpoint();
      must(checkpoint.kind === BatchKind.checkpoint, `group ${model.group}: the last checkpoint is none`);
      let fold = foldIn(checkpoint.payload);
      let next = checkpoint.index + 1;
      while (next < log.durableEnd.index) {
        const read = await log.read({ from: { index: next }, belowIndex: log.durableEnd.index, maxBytes: 1 << 20 });
        for (const batch of read) fold = foldOver(fold, batch, this.#life.world.hash);
        next += read.length;
      }
      if (changes !== model.changes || this.hasEnded) return false;
      const isOld = checkpoint.index < (newest?.index ?? 0) && !model.isSpoiled;
      must(!isOld, `group ${model.group}: an old checkpoint for the last one`);
      model.expectFold(next, fold);
      this.#stamps.begin(next, fold);
      this.#life.world.disk.count("state from the last checkpoint");
    } catch (error) {
      if (changes !== model.changes || this.hasEnded) return false;
      outcomeOf(error, `reading the state of group ${model.group}`, this.#life, model);
      return false;
    }
    this.#isReady = true;
    this.#roll();
    return true;
  }

  /** Appends one batch. */
  append(random: SimRandom): void {
    const { model } = this;
    const { plan } = this.#life.world;
    const isLarge = random.chance(plan.large);
    const bytes = isLarge
      ? random.skewed(plan.largeMaxBytes >> 4, plan.largeMaxBytes)
      : random.skewed(4, plan.payloadMaxBytes);
    const payload = new Uint8Array(bytes).fill(random.between(0, 255), 4);
    const note = random.chance(0.03) && !model.promises.isComing ? newNote(random) : undefined;
    const promised: Promised = note ? { note } : {};
    void this.#submit(
      {
        kind: note ? BatchKind.voters : BatchKind.records,
        payload,
        recordCount: note ? 0 : random.between(1, 4),
        ...promised,
      },
      promised,
    );
  }

  /** Waits until none of its own appends is on its way. */
  async ownAreOver(): Promise<void> {
    while (this.#own.size > 0) await Promise.all(this.#own);
  }

  /** Resolves when none waits for a place that was refused already, as what is too large is: it is told some turns later. */
  async refusedAtOnce(): Promise<void> {
    for (let turn = 0; turn < refusalTurns && this.#unplaced.size > 0; turn++) await undefined;
  }

  /** Appends some that a leader elsewhere stamped. */
  feed(random: SimRandom, count: number): void {
    this.#feed.feed(random, count, this.#unplaced.size > 0);
  }

  /** A leader change of a term that nobody had. Resolves when it is settled. */
  async beginTerm(): Promise<void> {
    const { model, log } = this;
    if (model.promises.isComing || model.stage !== "made") return;
    const term = Math.max(log.vote.term, log.durableEnd.term, model.termSeen) + 1;
    const vote = { term, votedFor: { diskId: this.#life.folder.diskId, life: 0 } };
    await this.#submit(
      { kind: BatchKind.leaderChange, payload: new Uint8Array(12), recordCount: 0, begins: vote },
      { vote },
    );
  }

  /** Saves promises, each newer than the last. */
  save(random: SimRandom): void {
    const { model, log } = this;
    const { world } = this.#life;
    if (model.promises.isComing || model.stage !== "made") return;
    const promised = newPromise(random, model);
    model.promises.begin(promised);
    world.trace?.(`save ${JSON.stringify(Object.keys(promised))} of group ${model.group}`);
    void this.#keep(
      log.save(promised).then(
        () => {
          world.disk.count("promise saved");
          model.promises.done(promised);
          model.promises.check(log);
        },
        (error: unknown) => {
          const outcome = outcomeOf(error, `saving promises of group ${model.group}`, this.#life, model);
          if (outcome === "refused") model.promises.refused();
        },
      ),
    );
  }

  #roll(): void {
    const { model } = this;
    this.log.rollBy(this.#life.world.plan.rolling, (index) => {
      const fold = this.#stamps.before(index);
      must(fold !== undefined, `group ${model.group}: a checkpoint at ${index}, where the state is not known`);
      return checkpointState(fold, model.group, index);
    });
  }

  /** Appends a batch; `promised`: what becomes durable with it. */
  async #submit(batch: NewBatch, promised: Promised): Promise<void> {
    const { model, log } = this;
    const { world } = this.#life;
    world.lastAppend += 1;
    const id = world.lastAppend;
    putU32(batch.payload, 0, id);
    const { kind, payload, recordCount, begins } = batch;
    const submission: Submission = { id, kind, payload, recordCount, begins, outcome: "pending" };
    model.appends.submit(submission);
    model.promises.begin(promised);
    world.trace?.(
      `append ${id}, ${payload.length} bytes${begins ? `, begins term ${begins.term}` : ""}, to group ${model.group}`,
    );
    const stamped = (index: number) => {
      this.#unplaced.delete(id);
      this.#stamps.stamped(index, payload);
    };
    this.#unplaced.add(id);
    const appending = this.#settle(log.append({ ...batch, stamped }), { submission, promised });
    this.#own.add(appending);
    await appending;
    this.#own.delete(appending);
    this.#unplaced.delete(id);
    if (submission.outcome === "refused") this.#feed.ownRefused();
  }

  /** Waits for an append, and notes what became of it. */
  #settle(
    work: Promise<AppendedBatch>,
    { submission, promised }: { submission: Submission | undefined; promised: Promised },
  ): Promise<void> {
    const { model, log } = this;
    const { world } = this.#life;
    const name = submission ? `append ${submission.id}` : "a checkpoint that it is fed with";
    const promises = promised.vote || promised.note;
    return this.#keep(
      work.then(
        (appended) => {
          world.trace?.(`${name} is batch ${appended.index} of group ${model.group}`);
          world.disk.count(submission ? "append" : "fed with a checkpoint");
          if (promises) model.promises.done(promised);
          if (submission?.begins) model.mustBegin = false;
          model.termSeen = Math.max(model.termSeen, appended.term);
          if (submission) model.acknowledge(submission, appended);
          must(log.durableEnd.index > appended.index, `${name} is answered before it is durable`);
        },
        (error: unknown) => {
          world.trace?.(`${name}: ${error}`);
          if (outcomeOf(error, name, this.#life, model) === "unknown") return;
          world.disk.count("append refused");
          if (promises) model.promises.refused();
          if (submission) submission.outcome = "refused";
        },
      ),
    );
  }

  #keep(work: Promise<void>): Promise<void> {
    const kept = work.finally(() => this.#pending.delete(kept));
    this.#pending.add(kept);
    this.#life.spawn(kept);
    return kept.catch(() => {});
  }
}

function newNote(random: SimRandom): Uint8Array {
  return random.bytes(random.skewed(0, 512));
}

function newPromise(random: SimRandom, { promises }: GroupModel): Promised {
  const { vote, floor } = promises;
  const other = { diskId: random.bytes(16), life: random.between(0, 3) };
  const term = vote.term + random.between(vote.votedFor ? 1 : 0, 3);
  const what = random.between(1, 7);
  return {
    ...((what & 1) > 0 && { vote: random.chance(0.7) || term === vote.term ? { term, votedFor: other } : { term } }),
    ...((what & 2) > 0 && {
      floor: { term: floor.term + random.between(0, 2), index: floor.index + random.between(0, 9) },
    }),
    ...((what & 4) > 0 && { note: newNote(random) }),
  };
}
