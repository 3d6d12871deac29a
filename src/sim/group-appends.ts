/**
 * The appends of one group: what was acknowledged is there as it was, in the order of the calls, and nothing that was
 * refused or cut off.
 * @module
 */
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { sameBytes, viewOf } from "../base/bytes.ts";
import type { AppendedBatch, Vote } from "../log/types.ts";
import { must } from "./must.ts";

/** An append that was made. Its id stands at the start of its payload. */
export interface Submission {
  readonly id: number;
  readonly kind: BatchKind;
  readonly payload: Uint8Array;
  readonly recordCount: number;
  readonly begins: Vote | undefined;
  outcome: "pending" | "acknowledged" | "refused" | "cut off";
}

/** All of one group. */
export class GroupAppends {
  readonly #group: number;
  readonly #submissions = new Map<number, Submission>();
  readonly #acknowledged = new Map<number, { appended: AppendedBatch; submission: Submission }>();
  /** Id of the newest batch that was read: they come in the order of the calls. */
  #lastId = 0;

  constructor(group: number) {
    this.#group = group;
  }

  submit(submission: Submission): void {
    this.#submissions.set(submission.id, submission);
  }

  acknowledge(submission: Submission, appended: AppendedBatch): void {
    const { index } = appended;
    const name = `group ${this.#group}`;
    must(submission.outcome === "pending", `${name}: append ${submission.id} is answered twice`);
    must(!this.#acknowledged.has(index), `${name}: index ${index} is given twice`);
    must(appended.nextOffset === appended.baseOffset + submission.recordCount, `${name}: next offset of ${index}`);
    submission.outcome = "acknowledged";
    this.#acknowledged.set(index, { appended, submission });
  }

  /** A batch that is no checkpoint was read for the first time. */
  take(batch: StoredBatch): void {
    const name = `group ${this.#group}: batch ${batch.index}`;
    const submission = this.#submissionOf(batch);
    must(submission !== undefined, `${name} was never appended`);
    const { id, kind, payload, recordCount, begins, outcome } = submission;
    must(outcome !== "refused" && outcome !== "cut off", `${name} holds append ${id}, which was ${outcome}`);
    must(sameBytes(batch.payload, payload), `${name} has another payload than append ${id}`);
    must(batch.kind === kind && batch.recordCount === recordCount, `${name} has another kind or count`);
    must(begins === undefined || begins.term === batch.term, `${name} is of term ${batch.term}`);
    must(id > this.#lastId, `${name} holds append ${id}, after ${this.#lastId}`);
    this.#lastId = id;
  }

  /** A batch that was acknowledged is the one that was answered with. */
  checkReceipt(batch: StoredBatch): void {
    const receipt = this.#acknowledged.get(batch.index);
    if (!receipt) return;
    const { appended, submission } = receipt;
    const same =
      appended.baseOffset === batch.baseOffset &&
      appended.appendTimeMicros === batch.appendTimeMicros &&
      appended.term === batch.term &&
      sameBytes(appended.digest, batch.digest) &&
      sameBytes(submission.payload, batch.payload);
    must(same, `group ${this.#group}: batch ${batch.index} is not the one that its receipt names`);
  }

  /** What was acknowledged from `index` on is cut off, and these batches, which were read: none may come back. */
  cutFrom(index: number, read: readonly StoredBatch[]): void {
    for (const [at, { submission }] of this.#acknowledged) {
      if (at < index) continue;
      submission.outcome = "cut off";
      this.#acknowledged.delete(at);
    }
    for (const batch of read) {
      const submission = batch.kind === BatchKind.checkpoint ? undefined : this.#submissionOf(batch);
      if (submission) submission.outcome = "cut off";
    }
  }

  #submissionOf({ payload }: StoredBatch): Submission | undefined {
    return payload.length < 4 ? undefined : this.#submissions.get(viewOf(payload).getUint32(0, true));
  }
}
