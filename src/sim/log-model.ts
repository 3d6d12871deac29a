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
  outcome: "pending" | "acknowledged" | "refused";
}

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
  /** It was to be removed, whatever became of that: who read it then may have been told so. */
  wasRemoved = false;
  /** Batches that were read as durable: they stay. */
  readonly batches: StoredBatch[] = [];
  readonly #hash: Hash;
  readonly #submissions = new Map<number, Submission>();
  readonly #acknowledged = new Map<number, { appended: AppendedBatch; submission: Submission }>();
  /** Id of the newest batch among `batches` that was submitted: they come in the order of the calls. */
  #lastId = 0;
  /** No durable end may be below. */
  #leastEnd = 0;
  #vote: Vote = { term: 0 };

  constructor(group: number, options: { startOffset: number; checkpointState: Uint8Array; hash: Hash }) {
    this.group = group;
    this.startOffset = options.startOffset;
    this.checkpointState = options.checkpointState;
    this.#hash = options.hash;
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
    const seen = this.batches[index];
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
      const known = this.batches[batch.index];
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
    for (const batch of this.batches.slice(0, belowIndex)) {
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
    must(batch.index === this.batches.length, `${name} leaves a gap after ${this.batches.length - 1}`);
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
    must(outcome !== "refused", `${name} holds append ${id}, which was refused`);
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
