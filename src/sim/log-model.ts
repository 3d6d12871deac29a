/**
 * What one group's log must hold: everything that was acknowledged or seen, as it was, and nothing that was refused.
 * @module
 */
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { sameBytes, viewOf } from "../base/bytes.ts";
import type { Hash } from "../host/hash.ts";
import { digestFollows } from "../log/batch-reader.ts";
import { checkpointPayload } from "../log/batch-writer.ts";
import type { AppendedBatch, LogReadRequest, Vote } from "../log/types.ts";

/** What the run says when something does not hold. */
export class Broken extends Error {
  override readonly name = "Broken";
}

/** Fails the run. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Broken(what);
}

/** An append that was made. Its id stands at the start of its payload. */
export interface Submission {
  readonly id: number;
  readonly kind: BatchKind;
  readonly payload: Uint8Array;
  readonly recordCount: number;
  readonly begins: Vote | undefined;
  outcome: "pending" | "acknowledged" | "refused" | "cut off";
}

/** A change of a log that was asked for and is not over. */
export type Change =
  | { readonly kind: "cut"; readonly index: number }
  | { readonly kind: "drop"; readonly checkpointIndex: number }
  | { readonly kind: "install"; readonly checkpoint: StoredBatch };

/** Where a group is in its life. */
export type Stage = "making" | "made" | "refused" | "removing" | "gone";

/** Bytes of a stored batch. */
export function storedBytes(batch: StoredBatch): number {
  return batch.header.length + batch.payload.length;
}

/** One group. */
export class GroupModel {
  readonly group: number;
  readonly startOffset: number;
  readonly checkpointState: Uint8Array;
  stage: Stage = "making";
  /** Its suffix may be cut off: then its commit index moves only now and then. */
  readonly isCuttable: boolean;
  /** Batches from the base on that were read as durable: they stay. */
  batches: StoredBatch[] = [];
  /** A change that is on its way, or was when its process died. */
  change: Change | undefined;
  /** How often a change began or was over: what was read across that shows nothing. */
  changes = 0;
  readonly #hash: Hash;
  readonly #submissions = new Map<number, Submission>();
  readonly #acknowledged = new Map<number, { appended: AppendedBatch; submission: Submission }>();
  /** Id of the newest batch among `batches` that was submitted: they come in the order of the calls. */
  #lastId = 0;
  /** No durable end may be below. */
  #leastEnd = 0;
  #vote: Vote = { term: 0 };

  constructor(
    group: number,
    options: { startOffset: number; checkpointState: Uint8Array; hash: Hash; isCuttable: boolean },
  ) {
    this.group = group;
    this.startOffset = options.startOffset;
    this.checkpointState = options.checkpointState;
    this.isCuttable = options.isCuttable;
    this.#hash = options.hash;
  }

  /** Index of the first batch. */
  get base(): number {
    return this.batches[0]?.index ?? 0;
  }

  /** Index after the last batch that was read. */
  get end(): number {
    return this.base + this.batches.length;
  }

  /** A change is asked for. */
  begin(change: Change): void {
    must(!this.change, `group ${this.group}: two changes at once`);
    this.change = change;
    this.changes += 1;
  }

  /** It was refused: all is as it was. */
  refused(): void {
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
        this.batches = this.batches.filter(({ index }) => index >= change.checkpointIndex);
        break;
      case "install":
        this.#cutTo(0);
        this.batches = [change.checkpoint];
        this.#leastEnd = change.checkpoint.index + 1;
        break;
    }
    this.change = undefined;
    this.changes += 1;
  }

  /** A start shows whether a change on whose way the process died is done: all of it, or nothing. */
  resolve(found: { base: number; end: number }): void {
    const { change } = this;
    if (change && this.#isDone(change, found)) this.done();
    else if (change) this.refused();
    must(found.base === this.base, `group ${this.group}: it begins at ${found.base}, not at ${this.base}`);
  }

  #isDone(change: Change, { base, end }: { base: number; end: number }): boolean {
    switch (change.kind) {
      case "cut":
        return end === change.index;
      case "drop":
        return base === change.checkpointIndex;
      case "install":
        return base === change.checkpoint.index && end === base + 1;
    }
  }

  /** What is cut off is never to come back. */
  #cutTo(end: number): void {
    for (const [index, { submission }] of this.#acknowledged) {
      if (index < end) continue;
      submission.outcome = "cut off";
      this.#acknowledged.delete(index);
    }
    for (const batch of this.batches) {
      const submission = batch.index >= end ? this.#submissionOf(batch) : undefined;
      if (submission) submission.outcome = "cut off";
    }
    this.batches = this.batches.filter(({ index }) => index < end);
    this.#leastEnd = Math.min(this.#leastEnd, end);
  }

  #submissionOf({ kind, payload }: StoredBatch): Submission | undefined {
    return kind === BatchKind.checkpoint ? undefined : this.#submissions.get(viewOf(payload).getUint32(0, true));
  }

  submit(submission: Submission): void {
    this.#submissions.set(submission.id, submission);
  }

  acknowledge(submission: Submission, appended: AppendedBatch): void {
    const { group } = this;
    const { index } = appended;
    must(submission.outcome === "pending", `group ${group}: append ${submission.id} is answered twice`);
    must(!this.#acknowledged.has(index), `group ${group}: index ${index} is given twice`);
    must(
      appended.nextOffset === appended.baseOffset + submission.recordCount,
      `group ${group}: next offset of ${index}`,
    );
    submission.outcome = "acknowledged";
    this.#acknowledged.set(index, { appended, submission });
    this.#leastEnd = Math.max(this.#leastEnd, index + 1);
    if (submission.begins) this.#vote = submission.begins;
    const seen = this.batches[index - this.base];
    if (seen) this.#checkReceipt(seen);
  }

  /** The log says that it is durable up to here. */
  endSeen(end: { index: number }): void {
    must(
      end.index >= this.#leastEnd,
      `group ${this.group}: the log ends at ${end.index}, and ${this.#leastEnd} was durable`,
    );
    this.#leastEnd = end.index;
  }

  voteSeen(vote: Vote): void {
    const { term, votedFor } = this.#vote;
    must(vote.term >= term, `group ${this.group}: the vote is of term ${vote.term}, and one of ${term} was durable`);
    const same = !votedFor || (vote.votedFor !== undefined && sameBytes(vote.votedFor.diskId, votedFor.diskId));
    must(vote.term > term || same, `group ${this.group}: the vote in term ${term} went to somebody else`);
    this.#vote = vote;
  }

  /** Takes batches that were read from index `from` on; those that are known must be the same. */
  take(from: number, read: readonly StoredBatch[]): void {
    read.forEach((batch, i) => {
      must(batch.index === from + i, `group ${this.group}: batch ${batch.index} was read where ${from + i} was due`);
      const known = this.batches[batch.index - this.base];
      if (known) this.#checkSame(known, batch);
      else this.#takeNew(batch);
    });
  }

  /** What a read must give, if all batches are known up to `belowIndex`. */
  expectedRead({ from, belowIndex, maxBytes }: LogReadRequest): StoredBatch[] {
    const isWanted = (batch: StoredBatch) =>
      "index" in from
        ? batch.index >= from.index
        : batch.baseOffset >= from.offset || batch.baseOffset + batch.recordCount > from.offset;
    const expected: StoredBatch[] = [];
    let bytes = 0;
    for (const batch of this.batches) {
      if (batch.index >= belowIndex) break;
      if (!isWanted(batch)) continue;
      if (expected.length > 0 && bytes + storedBytes(batch) > maxBytes) break;
      expected.push(batch);
      bytes += storedBytes(batch);
    }
    return expected;
  }

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

  #checkSame(known: StoredBatch, batch: StoredBatch): void {
    const same =
      known.index === batch.index && sameBytes(known.header, batch.header) && sameBytes(known.payload, batch.payload);
    must(same, `group ${this.group}: batch ${batch.index} is not what it was`);
  }

  #takeNew(batch: StoredBatch): void {
    const { group } = this;
    const before = this.batches.at(-1);
    const name = `group ${group}: batch ${batch.index}`;
    must(batch.index === this.end, `${name} leaves a gap after ${this.end - 1}`);
    const offset = before ? before.baseOffset + before.recordCount : this.startOffset;
    must(batch.baseOffset === offset, `${name} is at offset ${batch.baseOffset}, not ${offset}`);
    must(batch.term >= (before?.term ?? 0), `${name} goes back in terms`);
    must(batch.appendTimeMicros >= (before?.appendTimeMicros ?? 0), `${name} goes back in time`);
    must(digestFollows(batch, before?.digest ?? new Uint8Array(32), this.#hash), `${name} breaks the chain of digests`);
    if (batch.kind === BatchKind.checkpoint) this.#checkCheckpoint(batch, before);
    else this.#checkSubmitted(batch);
    this.batches.push(copyOf(batch));
    this.#leastEnd = Math.max(this.#leastEnd, batch.index + 1);
    this.#checkReceipt(batch);
  }

  #checkCheckpoint(batch: StoredBatch, before: StoredBatch | undefined): void {
    const state = before ? rolledState(this.group, batch.index) : this.checkpointState;
    const payload = checkpointPayload(before?.term ?? 0, before?.digest ?? new Uint8Array(32), state);
    must(sameBytes(batch.payload, payload), `group ${this.group}: checkpoint ${batch.index} says something else`);
  }

  #checkSubmitted(batch: StoredBatch): void {
    const name = `group ${this.group}: batch ${batch.index}`;
    must(batch.payload.length >= 4, `${name} was never appended`);
    const submission = this.#submissions.get(viewOf(batch.payload).getUint32(0, true));
    must(submission !== undefined, `${name} was never appended`);
    const { id, kind, payload, recordCount, begins, outcome } = submission;
    must(outcome !== "refused" && outcome !== "cut off", `${name} holds append ${id}, which was ${outcome}`);
    must(sameBytes(batch.payload, payload), `${name} has another payload than append ${id}`);
    must(batch.kind === kind && batch.recordCount === recordCount, `${name} has another kind or count`);
    must(begins === undefined || begins.term === batch.term, `${name} is of term ${batch.term}`);
    must(id > this.#lastId, `${name} holds append ${id}, after ${this.#lastId}`);
    this.#lastId = id;
  }

  #checkReceipt(batch: StoredBatch): void {
    const receipt = this.#acknowledged.get(batch.index);
    if (!receipt) return;
    const { appended, submission } = receipt;
    const same =
      appended.baseOffset === batch.baseOffset &&
      appended.appendTimeMicros === batch.appendTimeMicros &&
      appended.term === batch.term &&
      sameBytes(appended.digest, batch.digest) &&
      sameBytes(submission.payload, batch.payload);
    must(same, `group ${this.group}: batch ${batch.index} is not the one that its receipt names`);
  }
}

/** What a checkpoint that the log writes by itself says: determined by its place. */
export function rolledState(group: number, index: number): Uint8Array {
  const state = new Uint8Array((group * 131 + index * 977) % 1500);
  state.fill((group + index) & 0xff);
  return state;
}

function copyOf(batch: StoredBatch): StoredBatch {
  const header = batch.header.slice();
  return { ...batch, header, digest: batch.digest.slice(), payload: batch.payload.slice() };
}
