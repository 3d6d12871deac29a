/**
 * All batches of a run that were ever committed, read before files are dropped: what a history is compared with.
 * @module
 */
import { BatchKind } from "../../base/batch.ts";
import type { GroupLog } from "../../log/types.ts";
import { hexOf } from "../../replica/core-batch.ts";
import type { LogBatch } from "../history/history.ts";
import { valueIn } from "./stream.ts";

/** Batches by group and digest. */
export class Archive {
  readonly #groups = new Map<number, Map<string, LogBatch>>();
  /** All committed batches below are known, by group: there is one chain of them. */
  readonly #readTo = new Map<number, number>();

  /** Takes what a log holds of committed batches, up to an index, as far as nobody has read them before. */
  async readCommitted(log: GroupLog, to: number): Promise<void> {
    const known = this.#readTo.get(log.group) ?? 0;
    const from = Math.max(known, log.base.index);
    const end = await this.#read(log, from, to);
    // Below its base another log may hold what nobody has read yet.
    if (from <= (this.#readTo.get(log.group) ?? 0)) this.#readTo.set(log.group, Math.max(end, known));
  }

  /** Takes all that a log holds and that nobody has read before. */
  async readAll(log: GroupLog): Promise<void> {
    const from = Math.max(this.#readTo.get(log.group) ?? 0, log.base.index);
    await this.#read(log, from, log.durableEnd.index);
  }

  async #read(log: GroupLog, from: number, to: number): Promise<number> {
    const known = this.#batchesOf(log.group);
    let next = from;
    while (next < to) {
      const batches = await log.read({ from: { index: next }, belowIndex: to, maxBytes: 1 << 20 });
      for (const { index, baseOffset, recordCount, kind, payload, producer, digest } of batches) {
        const hex = hexOf(digest);
        const value = kind === BatchKind.records ? { value: valueIn(payload) } : {};
        const stamp = producer
          ? { producer: { id: hexOf(producer.id), epoch: producer.epoch, sequence: producer.sequence } }
          : {};
        known.set(hex, { index, baseOffset, count: recordCount, digest: hex, ...value, ...stamp });
        next = index + 1;
      }
      if (batches.length === 0) return next;
    }
    return next;
  }

  /** The batch with a digest. */
  find(group: number, digest: string): LogBatch | undefined {
    return this.#batchesOf(group).get(digest);
  }

  #batchesOf(group: number): Map<string, LogBatch> {
    const known = this.#groups.get(group);
    if (known) return known;
    const batches = new Map<string, LogBatch>();
    this.#groups.set(group, batches);
    return batches;
  }
}
