/**
 * What one group's log must hold: everything that was acknowledged or seen, as it was, and nothing that was refused or
 * cut off.
 * @module
 */
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { sameBytes } from "../base/bytes.ts";
import type { Hash } from "../host/hash.ts";
import { digestFollows } from "../log/batch-reader.ts";
import { checkpointPayload } from "../log/batch-writer.ts";
import { digestBytes } from "../log/format.ts";
import type { AppendedBatch, LogReadRequest, NewGroup } from "../log/types.ts";
import { GroupAppends, type Submission } from "./group-appends.ts";
import { GroupPromises } from "./group-promises.ts";
import { must } from "./must.ts";
import { checkpointState, type Fold, foldIn, foldOver, noFold, sameFold } from "./state-fold.ts";

/** A change of a log that was asked for and is not over. */
export type Change =
  | { readonly kind: "cut"; readonly index: number }
  | { readonly kind: "drop"; readonly checkpointIndex: number }
  | { readonly kind: "install"; readonly checkpoint: StoredBatch }
  | { readonly kind: "renew"; readonly group: NewGroup; readonly checkpoint: StoredBatch; readonly life: number };

/** Where a group is in its life. */
export type Stage = "making" | "made" | "refused" | "removing" | "gone";

/** A batch that was read as durable, and the state after it. */
interface KnownBatch {
  readonly batch: StoredBatch;
  readonly after: Fold;
}

/** Bytes of a stored batch. */
export function storedBytes(batch: StoredBatch): number {
  return batch.header.length + batch.payload.length;
}

/** One group. */
export class GroupModel {
  readonly group: number;
  readonly startOffset: number;
  readonly checkpointState: Uint8Array;
  readonly promises: GroupPromises;
  readonly appends: GroupAppends;
  /** Its commit index lags, and what is above it may be cut off. */
  readonly isFollower: boolean;
  stage: Stage = "making";
  /** It was to be removed, whatever became of that: who read it then may have been told so. */
  wasRemoved = false;
  /** Files of it were spoiled: what is damaged there is not to be read. */
  isSpoiled = false;
  /** All below was said to be committed. */
  commit = 0;
  /** How often its log was lost. */
  life = 0;
  /** A change that is on its way, or was when its process died. */
  change: Change | undefined;
  /** How often a change began or was over: what was read across that shows nothing. */
  changes = 0;
  /** The largest term that any of its batches had, those that were cut off too. */
  termSeen = 0;
  /** What comes next must begin a term: the log is another than the one before. */
  mustBegin = false;
  /** Batches from the base on that were read as durable: they stay. */
  #known: KnownBatch[] = [];
  #base = 0;
  readonly #hash: Hash;
  /** No durable end may be below. */
  #leastEnd = 0;
  /** States that somebody worked out for places that are not known yet. */
  readonly #expectedFolds = new Map<number, Fold>();

  constructor(
    group: number,
    options: {
      startOffset: number;
      checkpointState: Uint8Array;
      hash: Hash;
      isFollower: boolean;
      note: Uint8Array;
    },
  ) {
    this.group = group;
    this.startOffset = options.startOffset;
    this.checkpointState = options.checkpointState;
    this.isFollower = options.isFollower;
    this.promises = new GroupPromises(group, options.note);
    this.appends = new GroupAppends(group);
    this.#hash = options.hash;
  }

  /** Index of the first batch. */
  get base(): number {
    return this.#base;
  }

  /** Index after the last batch that was read. */
  get end(): number {
    return this.#base + this.#known.length;
  }

  /** Batches that are known, in order. */
  get batches(): readonly StoredBatch[] {
    return this.#known.map(({ batch }) => batch);
  }

  /** How many are known. */
  get count(): number {
    return this.#known.length;
  }

  /** The batch at an index, if it is known. */
  batchAt(index: number): StoredBatch | undefined {
    return this.#known[index - this.#base]?.batch;
  }

  /** The newest checkpoint that is known. */
  get lastCheckpoint(): StoredBatch | undefined {
    return this.#known.findLast(({ batch }) => batch.kind === BatchKind.checkpoint)?.batch;
  }

  /** The state before `index`, if all before it is known. */
  foldBefore(index: number): Fold | undefined {
    return index === 0 ? noFold : this.#known[index - 1 - this.#base]?.after;
  }

  /** Somebody worked out the state before `index` from a checkpoint: the batches from the first one on must give it too. */
  expectFold(index: number, fold: Fold): void {
    const known = this.foldBefore(index);
    if (known) this.#checkFold(index, known, fold);
    else this.#expectedFolds.set(index, fold);
  }

  /** An append is answered. */
  acknowledge(submission: Submission, appended: AppendedBatch): void {
    this.appends.acknowledge(submission, appended);
    this.#leastEnd = Math.max(this.#leastEnd, appended.index + 1);
    const seen = this.batchAt(appended.index);
    if (seen) this.appends.checkReceipt(seen);
  }

  /** The log says that it is durable up to here. */
  endSeen(end: { index: number }): void {
    const { group } = this;
    must(
      end.index >= this.#leastEnd,
      `group ${group}: the log ends at ${end.index}, and ${this.#leastEnd} was durable`,
    );
    this.#leastEnd = end.index;
  }

  /** A change is asked for. */
  begin(change: Change): void {
    must(!this.change, `group ${this.group}: two changes at once`);
    if (change.kind === "renew") this.promises.begin({ note: change.group.note });
    this.change = change;
    this.changes += 1;
  }

  /** It was refused, or never was: all is as it was. */
  undone(): void {
    if (this.change?.kind === "renew") this.promises.refused();
    this.change = undefined;
    this.changes += 1;
  }

  /** It is done. */
  done(): void {
    const { change } = this;
    must(change !== undefined, `group ${this.group}: a change is over that never began`);
    switch (change.kind) {
      case "cut":
        this.#cutTo(change.index);
        break;
      case "drop":
        this.#known = this.#known.slice(change.checkpointIndex - this.#base);
        this.#base = change.checkpointIndex;
        break;
      case "install":
        this.#beginWith(change.checkpoint);
        break;
      case "renew":
        this.#beginWith(change.checkpoint);
        this.promises.done({ note: change.group.note });
        this.life = change.life;
        break;
    }
    this.change = undefined;
    this.changes += 1;
  }

  /** Takes batches that were read from index `from` on; those that are known must be the same. */
  take(from: number, read: readonly StoredBatch[]): void {
    for (const [i, batch] of read.entries()) {
      must(batch.index === from + i, `group ${this.group}: batch ${batch.index} was read where ${from + i} was due`);
      const known = this.batchAt(batch.index);
      if (known) this.#checkSame(known, batch);
      else this.#takeNew(batch);
    }
  }

  /** What a read must give, if all batches are known up to `belowIndex`. */
  expectedRead({ from, belowIndex, maxBytes }: LogReadRequest): StoredBatch[] {
    const isWanted = (batch: StoredBatch) =>
      "index" in from
        ? batch.index >= from.index
        : batch.baseOffset >= from.offset || batch.baseOffset + batch.recordCount > from.offset;
    const expected: StoredBatch[] = [];
    let bytes = 0;
    for (const { batch } of this.#known) {
      if (batch.index >= belowIndex) break;
      if (!isWanted(batch)) continue;
      if (expected.length > 0 && bytes + storedBytes(batch) > maxBytes) break;
      expected.push(batch);
      bytes += storedBytes(batch);
    }
    return expected;
  }

  /** A read must have given these. */
  checkSameBatches(read: readonly StoredBatch[], expected: readonly StoredBatch[], what: string): void {
    const indexes = (batches: readonly StoredBatch[]) => batches.map(({ index }) => index).join(" ");
    must(
      read.length === expected.length,
      `group ${this.group}: ${what} gives ${indexes(read)}, not ${indexes(expected)}`,
    );
    for (const [i, batch] of read.entries()) {
      const other = expected[i];
      if (other) this.#checkSame(other, batch);
    }
  }

  /** What is cut off is never to come back. */
  #cutTo(end: number): void {
    const cutOff = this.#known.splice(Math.max(end - this.#base, 0));
    this.appends.cutFrom(
      end,
      cutOff.map(({ batch }) => batch),
    );
    this.#expectedFolds.clear();
    this.#leastEnd = Math.min(this.#leastEnd, end);
    this.mustBegin = true;
  }

  #beginWith(checkpoint: StoredBatch): void {
    this.#cutTo(0);
    this.#base = checkpoint.index;
    this.termSeen = Math.max(this.termSeen, checkpoint.term);
    this.#known = [{ batch: checkpoint, after: foldIn(checkpoint.payload) }];
    this.#leastEnd = checkpoint.index + 1;
    this.commit = checkpoint.index + 1;
    this.isSpoiled = false;
  }

  #checkSame(known: StoredBatch, batch: StoredBatch): void {
    const same =
      known.index === batch.index && sameBytes(known.header, batch.header) && sameBytes(known.payload, batch.payload);
    must(same, `group ${this.group}: batch ${batch.index} is not what it was`);
  }

  #takeNew(batch: StoredBatch): void {
    const { group } = this;
    const before = this.#known.at(-1)?.batch;
    const name = `group ${group}: batch ${batch.index}`;
    must(batch.index === this.end, `${name} leaves a gap after ${this.end - 1}`);
    const offset = before ? before.baseOffset + before.recordCount : this.startOffset;
    must(batch.baseOffset === offset, `${name} is at offset ${batch.baseOffset}, not ${offset}`);
    must(batch.term >= (before?.term ?? 0), `${name} goes back in terms`);
    must(batch.appendTimeMicros >= (before?.appendTimeMicros ?? 0), `${name} goes back in time`);
    const digest = before?.digest ?? new Uint8Array(digestBytes);
    must(digestFollows(batch, digest, this.#hash), `${name} breaks the chain of digests`);
    const fold = this.foldBefore(batch.index);
    must(fold !== undefined, `${name} is read before the one before it`);
    if (batch.kind === BatchKind.checkpoint) this.#checkCheckpoint(batch, before, fold);
    else this.appends.take(batch);
    const after = foldOver(fold, batch, this.#hash);
    this.#known.push({ batch: copyOf(batch), after });
    this.termSeen = Math.max(this.termSeen, batch.term);
    const expected = this.#expectedFolds.get(batch.index + 1);
    if (expected) this.#checkFold(batch.index + 1, after, expected);
    this.#leastEnd = Math.max(this.#leastEnd, batch.index + 1);
    this.appends.checkReceipt(batch);
  }

  #checkFold(index: number, known: Fold, worked: Fold): void {
    const [a, b] = [`${known.count} batches (${known.sum})`, `${worked.count} (${worked.sum})`];
    must(
      sameFold(known, worked),
      `group ${this.group}: before ${index} the first batch on gives ${a}, the last checkpoint ${b}`,
    );
  }

  #checkCheckpoint(batch: StoredBatch, before: StoredBatch | undefined, fold: Fold): void {
    const state = before ? checkpointState(fold, this.group, batch.index) : this.checkpointState;
    const payload = checkpointPayload(before?.term ?? 0, before?.digest ?? new Uint8Array(digestBytes), state);
    must(sameBytes(batch.payload, payload), `group ${this.group}: checkpoint ${batch.index} says something else`);
  }
}

function copyOf(batch: StoredBatch): StoredBatch {
  const header = batch.header.slice();
  return { ...batch, header, digest: batch.digest.slice(), payload: batch.payload.slice() };
}
