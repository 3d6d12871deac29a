/**
 * What a leader elsewhere stamps, and a follower's log is fed with: batches that go on from its end, checkpoints among them.
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import { putU32 } from "../base/bytes.ts";
import { checkpointPayload, stampHeader } from "../log/batch-writer.ts";
import { batchHeader } from "../log/format.ts";
import { BatchRefusedError, type VerifiedBatch, verifyStored } from "../log/stored-batch.ts";
import type { AppendedBatch, GroupLog, LogPosition, Promised } from "../log/types.ts";
import type { Submission } from "./group-appends.ts";
import type { GroupModel } from "./log-model.ts";
import type { LifeContext } from "./log-world.ts";
import { must } from "./must.ts";
import type { SimRandom } from "./random.ts";
import { checkpointState, type FoldedStamps } from "./state-fold.ts";

/** A batch that the leader has. */
interface Fed {
  readonly bytes: Uint8Array;
  /** Absent of a checkpoint: the state at its place says what it holds. */
  readonly submission: Submission | undefined;
  readonly promised: Promised;
}

/** Waits for an append, and notes what became of it. */
export type Settle = (work: Promise<AppendedBatch>, of: Pick<Fed, "submission" | "promised">) => void;

/** Feeds one log in one life. */
export class GroupFeed {
  readonly #model: GroupModel;
  readonly #log: GroupLog;
  readonly #life: LifeContext;
  readonly #stamps: FoldedStamps;
  readonly #settle: Settle;
  /** How often something was refused: then all that waits behind it is. */
  #refusals = 0;
  /** How often an append of its own was: then what it is fed with may fit where that would have come. */
  #ownRefusals = 0;
  /** Whether what it is fed with now must be refused. */
  #isMisplaced = false;

  constructor(of: { model: GroupModel; log: GroupLog; life: LifeContext }, stamps: FoldedStamps, settle: Settle) {
    this.#model = of.model;
    this.#log = of.log;
    this.#life = of.life;
    this.#stamps = stamps;
    this.#settle = settle;
    of.log.onTakenBack(() => {
      this.#refusals += 1;
      this.#life.world.disk.count("taken back");
    });
  }

  /** An append of its own got no place. */
  ownRefused(): void {
    this.#ownRefusals += 1;
  }

  /** Feeds it with some batches. `isMisplaced`: its own, which wait, come to where these belong. */
  feed(random: SimRandom, count: number, isMisplaced: boolean): void {
    const { hash, trace } = this.#life.world;
    const { group } = this.#model;
    const after = this.#log.end;
    const fed: Fed[] = [];
    this.#isMisplaced = isMisplaced;
    let end = after;
    let isCheckpoint = true;
    while (fed.length < count) {
      const kind = this.#kindOf(random, { mayBegin: fed.length === 0, isCheckpoint });
      isCheckpoint = kind === BatchKind.checkpoint;
      const next = this.#batchAt(random, kind, end);
      const [verified] = verifyStored(next.bytes, { after: end, group, hash }).batches;
      must(verified !== undefined, `group ${group}: what a leader stamps at ${end.index} does not fit there`);
      end = verified.end;
      fed.push(next);
    }
    const run = verifyStored(Buffer.concat(fed.map(({ bytes }) => bytes)), { after, group, hash });
    must(run.end.index === end.index, `group ${group}: of a run up to ${end.index} ${run.end.index} is refused`);
    trace?.(`feed group ${group} from ${after.index} to ${end.index}${isMisplaced ? ", where its own come" : ""}`);
    for (const [i, batch] of run.batches.entries()) {
      const of = fed[i];
      if (of) this.#append(batch, of);
    }
  }

  #kindOf(random: SimRandom, where: { mayBegin: boolean; isCheckpoint: boolean }): BatchKind {
    const { mustBegin, promises } = this.#model;
    if ((where.mayBegin && mustBegin) || random.chance(0.04)) return BatchKind.leaderChange;
    if (!promises.isComing && random.chance(0.03)) return BatchKind.voters;
    const mayRoll = !where.isCheckpoint && !this.#isMisplaced;
    return mayRoll && random.chance(0.1) ? BatchKind.checkpoint : BatchKind.records;
  }

  #batchAt(random: SimRandom, kind: BatchKind, end: LogPosition): Fed {
    const { world, clock } = this.#life;
    const model = this.#model;
    const { group } = model;
    const { index, offset: baseOffset } = end;
    const begins = kind === BatchKind.leaderChange;
    const term = begins ? Math.max(end.term, this.#log.vote.term, model.termSeen) + 1 : end.term;
    model.termSeen = Math.max(model.termSeen, term);
    const isOurs = kind !== BatchKind.checkpoint;
    const payload = isOurs ? this.#payload(random) : this.#checkpoint(end);
    const recordCount = kind === BatchKind.records ? random.between(1, 4) : 0;
    const appendTimeMicros = Math.max(clock.nowMicros() + random.between(-50, 50), end.appendTimeMicros);
    const bytes = new Uint8Array(batchHeader.bytes + payload.length);
    bytes.set(payload, batchHeader.bytes);
    const stamp = { kind, group, index, baseOffset, recordCount, term, appendTimeMicros };
    stampHeader(bytes, payload, stamp, end.digest, world.hash);
    const promised = kind === BatchKind.voters ? { note: random.bytes(random.skewed(0, 512)) } : {};
    // One at a time is on its way.
    model.promises.begin(promised);
    if (!isOurs) return { bytes, submission: undefined, promised };
    // What never comes there changes no state.
    if (!this.#isMisplaced) this.#stamps.stamped(index, payload);
    const id = world.lastAppend;
    const submission: Submission = {
      ...{ id, kind, payload, recordCount, outcome: "pending" },
      begins: begins ? { term } : undefined,
    };
    return { bytes, submission, promised };
  }

  #payload(random: SimRandom): Uint8Array {
    const { world } = this.#life;
    const { large, largeMaxBytes, payloadMaxBytes } = world.plan;
    const bytes = random.chance(large)
      ? random.skewed(largeMaxBytes >> 4, largeMaxBytes)
      : random.skewed(4, payloadMaxBytes);
    const payload = new Uint8Array(bytes).fill(random.between(0, 255), 4);
    world.lastAppend += 1;
    putU32(payload, 0, world.lastAppend);
    return payload;
  }

  #checkpoint({ index, term, digest }: LogPosition): Uint8Array {
    const { group } = this.#model;
    const fold = this.#stamps.before(index);
    must(fold !== undefined, `group ${group}: a checkpoint comes at ${index}, where the state is not known`);
    return checkpointPayload(term, digest, checkpointState(fold, group, index));
  }

  #append(batch: VerifiedBatch, of: Fed): void {
    const model = this.#model;
    const { disk } = this.#life.world;
    const { index } = batch.batch;
    const [changes, refusals, isMisplaced] = [model.changes, this.#refusals, this.#isMisplaced];
    const ownRefusals = this.#ownRefusals;
    if (of.submission) model.appends.submit(of.submission);
    const work = this.#log.appendStored(batch, of.promised.note ? { note: of.promised.note } : {});
    const watched = work.then(
      (appended) => {
        const mayFit = !isMisplaced || ownRefusals !== this.#ownRefusals;
        must(mayFit, `group ${model.group}: batch ${index} is taken though another comes there`);
        return appended;
      },
      (error: unknown) => {
        const isExpected = isMisplaced || changes !== model.changes || refusals !== this.#refusals;
        if (error instanceof BatchRefusedError) {
          must(isExpected, `group ${model.group}: batch ${index} is refused for no reason: ${error.why}`);
          disk.count("feed refused: another place");
        }
        this.#refusals += 1;
        throw error;
      },
    );
    this.#settle(watched, of);
  }
}
