/**
 * What a replica keeps in memory of its log: where its terms begin, who votes, and the digests that can still matter.
 * - `end` moves when a batch is stamped or given to the disk; `durable` follows when the disk has it.
 * - Each change that takes something back begins a generation: what the disk says of an older one proves nothing.
 * @module
 */
import { assert, present } from "../base/assert.ts";
import { sameBytes } from "../base/bytes.ts";
import type { BatchInfo, Before, LogEnd, ReplicaId } from "./types.ts";

/** A term's first batch. */
export interface TermStart {
  readonly term: number;
  readonly index: number;
}

/** Who counts from a batch on. */
export interface VoterSet {
  readonly index: number;
  readonly voters: readonly ReplicaId[];
}

/** What a log is opened with. */
export interface OpenedLog {
  /** The checkpoint that the files begin with, and the batch before it. */
  readonly base: { readonly index: number; readonly before: Before };
  /** Terms from the base on: the base's own first. */
  readonly terms: readonly TermStart[];
  /** All of it is on the disk. */
  readonly end: number;
  /** Digests of the batches from the one before `commit` to the end. */
  readonly digests: readonly Uint8Array[];
  /** The kept commit index: at least the base. */
  readonly commit: number;
  /** Sets in force from the last one at or below the commit index on, in order. */
  readonly voterSets: readonly VoterSet[];
}

/** A replica's view of its log. */
export class LogView {
  base: OpenedLog["base"];
  #terms: TermStart[];
  #sets: VoterSet[];
  end: number;
  durable: number;
  commit: number;
  generation = 0;
  /** Digests of the batches from `#digestsFrom` to the end: those from the one before the commit index on. */
  #digests: Uint8Array[];
  #digestsFrom: number;

  constructor({ base, terms, end, digests, commit, voterSets }: OpenedLog) {
    this.base = base;
    this.#terms = [...terms];
    this.#sets = [...voterSets];
    this.end = end;
    this.durable = end;
    this.commit = commit;
    this.#digests = [...digests];
    this.#digestsFrom = commit - 1;
    assert(commit <= end && commit > base.index, `a log from ${base.index} to ${end} is committed to ${commit}`);
    assert(digests.length === end - commit + 1, `${digests.length} digests from ${commit - 1} to ${end}`);
  }

  /** Term of the last batch, and the end. */
  get last(): LogEnd {
    return { term: this.#lastTerm.term, end: this.end };
  }

  /** Where terms begin, from the base on. */
  get termStarts(): readonly TermStart[] {
    return this.#terms;
  }

  /** The batch before the end. */
  get before(): Before {
    return { term: this.#lastTerm.term, digest: present(this.#digests.at(-1), "the last digest is known") };
  }

  /** Who counts: the newest set, committed or not. */
  get voters(): readonly ReplicaId[] {
    return present(this.#sets.at(-1), "a log has voters").voters;
  }

  /** The newest set that is committed. */
  get committedVoters(): readonly ReplicaId[] {
    return (this.#sets.findLast(({ index }) => index < this.commit) ?? present(this.#sets[0], "a log has voters"))
      .voters;
  }

  /** Whether the newest set is committed. */
  get votersAreCommitted(): boolean {
    return present(this.#sets.at(-1), "a log has voters").index < this.commit;
  }

  /** Term of a batch; of the one before the base too. Undefined: it is not here. */
  termAt(index: number): number | undefined {
    if (index === this.base.index - 1) return this.base.before.term;
    if (index < this.base.index || index >= this.end) return undefined;
    return this.#terms.findLast((start) => start.index <= index)?.term;
  }

  /** Whether the batch before `next` is this one, as far as is known: digests of old batches are left to who reads them. */
  holds(next: number, before: Before): boolean {
    if (this.termAt(next - 1) !== before.term) return false;
    const digest = next === this.base.index ? this.base.before.digest : this.#digestAt(next - 1);
    return digest === undefined || sameBytes(digest, before.digest);
  }

  /** Whether another batch of the same index and term is here. */
  contradicts(next: number, before: Before): boolean {
    return this.termAt(next - 1) === before.term && !this.holds(next, before);
  }

  /** The largest term at or below this one, and its end. Undefined: there is none so low. */
  endOfTermAtOrBelow(term: number): { readonly term: number; readonly end: number } | undefined {
    const at = this.#terms.findLastIndex((start) => start.term <= term);
    const found = this.#terms[at];
    return found && { term: found.term, end: this.#terms[at + 1]?.index ?? this.end };
  }

  /** One more batch. */
  append(batch: BatchInfo): void {
    assert(batch.index === this.end, `batch ${batch.index} comes at ${this.end}`);
    const { term } = this.#lastTerm;
    assert(batch.term >= term, `batch ${batch.index} is of term ${batch.term}, after ${term}`);
    if (batch.term > term) this.#terms.push({ term: batch.term, index: batch.index });
    if (batch.voters) this.#sets.push({ index: batch.index, voters: batch.voters });
    this.#digests.push(batch.digest);
    this.end += 1;
  }

  /** The disk has all below `end`, as of a generation. False: that one is over. */
  synced(generation: number, end: number): boolean {
    if (generation !== this.generation) return false;
    this.durable = Math.max(this.durable, Math.min(end, this.end));
    return true;
  }

  /** All below `index` is committed, and on this disk: what the disk refuses later was never counted. */
  commitTo(index: number): void {
    assert(
      index >= this.commit && index <= this.durable,
      `commit goes from ${this.commit} to ${index}, of ${this.durable}`,
    );
    this.commit = index;
    while (this.#sets.length > 1 && present(this.#sets[1], "a second set").index < index) this.#sets.shift();
    const known = index - 1 - this.#digestsFrom;
    // Not one by one while many are under way: the array moves.
    if (known >= 64 || index === this.end) {
      this.#digests.splice(0, known);
      this.#digestsFrom += known;
    }
  }

  /** Takes back all from `index` on. */
  cut(index: number): void {
    assert(index > this.base.index && index >= this.commit, `cut to ${index}, committed to ${this.commit}`);
    this.end = index;
    this.durable = Math.min(this.durable, index);
    this.generation += 1;
    this.#terms = this.#terms.filter((start) => start.index < index);
    this.#sets = this.#sets.filter((set) => set.index < index);
    this.#digests.length = index - this.#digestsFrom;
  }

  /** The digests from `from` to the end are these: others were there by damage. */
  repaired(from: number, digests: readonly Uint8Array[]): void {
    assert(from + digests.length === this.end, `digests of ${from} to ${from + digests.length}, of ${this.end}`);
    const first = Math.max(from, this.#digestsFrom);
    this.#digests.splice(first - this.#digestsFrom, this.end - first, ...digests.slice(first - from));
  }

  /** Begins the log anew with a committed checkpoint. */
  restart(checkpoint: BatchInfo): void {
    const { index, term, digest } = checkpoint;
    this.base = { index, before: present(checkpoint.before, "a checkpoint says what is before it") };
    this.#terms = [{ term, index }];
    this.#sets = [{ index, voters: present(checkpoint.voters, "a checkpoint says who votes") }];
    this.#digests = [digest];
    this.#digestsFrom = index;
    this.end = index + 1;
    this.durable = 0;
    this.commit = index + 1;
    this.generation += 1;
  }

  /** The base is this committed checkpoint from now on. */
  moveBase(index: number, before: Before): void {
    if (index <= this.base.index) return;
    assert(index < this.commit, `the base moves to ${index}, committed to ${this.commit}`);
    const term = present(this.termAt(index), "the base has a term");
    this.base = { index, before };
    this.#terms = [{ term, index }, ...this.#terms.filter((start) => start.index > index && start.term > term)];
  }

  get #lastTerm(): TermStart {
    return present(this.#terms.at(-1), "a log has a term");
  }

  #digestAt(index: number): Uint8Array | undefined {
    return this.#digests[index - this.#digestsFrom];
  }
}
