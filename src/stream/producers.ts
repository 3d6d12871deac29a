/**
 * What a stream's log says of its producers: which of their batches it has, so that a repeated append is known.
 * Determined by the log alone: each change is of a batch at its index, and is taken back when that index is given again.
 * - A producer counts its batches from 0, by one; a higher epoch begins at 0 and shuts the lower ones out.
 * - Of each the last batch is kept, and as many before it as `recentMax` and `recentMaxAll` allow: an older one is known as
 *   a duplicate, and no more of it.
 * - Producers are forgotten at checkpoints only: those whose last batch is `forgetAfterMicros` older than the batch before
 *   the checkpoint, and the least recently used beyond `producersMax`. Should twice as many come between two checkpoints,
 *   the least recently used go then. So the state that a checkpoint holds is the state that the log gives without it.
 * @module
 */
import { assert } from "../base/assert.ts";
import type { ProducerStamp } from "../base/batch.ts";
import type { StoredProducer } from "../wire/checkpoint.ts";

/** A batch of a producer, as its append was answered. Times are microseconds. */
export interface ProducedBatch {
  readonly sequence: number;
  readonly index: number;
  readonly startOffset: number;
  readonly recordCount: number;
  readonly appendTimeMicros: number;
  readonly digest: Uint8Array;
}

/** Numbers of producers, and a time. */
export interface ProducerLimits {
  readonly producersMax: number;
  readonly forgetAfterMicros: number;
  /** Batches kept of one producer. */
  readonly recentMax: number;
  /** And of all together, the last ones not counted. */
  readonly recentMaxAll: number;
}

/** The defaults of design.md. */
export const producerLimits: ProducerLimits = {
  producersMax: 10_000,
  forgetAfterMicros: 7 * 86_400 * 1e6,
  recentMax: 64,
  recentMaxAll: 16_384,
};

/** What becomes of a batch that a producer sends. */
export type Verdict =
  /** It is the next one. */
  | { readonly kind: "next" }
  /** It was here; `first` is absent where it is older than what is kept. */
  | { readonly kind: "duplicate"; readonly first: ProducedBatch | undefined }
  /** A higher epoch is known. `expected`: what would be taken of it. */
  | { readonly kind: "stale_epoch"; readonly expected: Next }
  | { readonly kind: "sequence_gap"; readonly expected: Next }
  /** It is not known, and this is not its first batch. */
  | { readonly kind: "unknown_producer"; readonly expected: Next };

/** The batch that would be taken. */
export interface Next {
  readonly epoch: number;
  readonly sequence: number;
}

interface Known {
  readonly id: Uint8Array;
  readonly epoch: number;
  /** Oldest first, without a gap; never empty. */
  readonly batches: ProducedBatch[];
}

/** A change that may be taken back. */
interface Change {
  readonly index: number;
  readonly undo: () => void;
}

/** The producers of one stream. */
export class Producers {
  readonly #limits: ProducerLimits;
  #known = new Map<string, Known>();
  /** Batches kept beyond each one's last. */
  #recent = 0;
  /** Not committed yet, in order. */
  #changes: Change[] = [];

  constructor(limits: ProducerLimits = producerLimits) {
    this.#limits = limits;
  }

  /** How many are known. */
  get count(): number {
    return this.#known.size;
  }

  /** Batches that are kept, of all. */
  get batchCount(): number {
    return this.#known.size + this.#recent;
  }

  /** Forgets all, and takes what a checkpoint says. */
  restore(producers: Iterable<StoredProducer>): void {
    this.#known = new Map();
    this.#recent = 0;
    this.#changes = [];
    for (const { id, epoch, ...last } of producers) this.#known.set(keyOf(id), { id, epoch, batches: [last] });
  }

  /** What becomes of a batch that would be placed next. */
  judge({ id, epoch, sequence }: ProducerStamp): Verdict {
    const known = this.#known.get(keyOf(id));
    if (!known)
      return sequence === 0 ? { kind: "next" } : { kind: "unknown_producer", expected: { epoch, sequence: 0 } };
    const next = lastOf(known).sequence + 1;
    if (epoch < known.epoch) return { kind: "stale_epoch", expected: { epoch: known.epoch, sequence: next } };
    if (epoch > known.epoch) {
      return sequence === 0 ? { kind: "next" } : { kind: "sequence_gap", expected: { epoch, sequence: 0 } };
    }
    if (sequence === next) return { kind: "next" };
    if (sequence > next) return { kind: "sequence_gap", expected: { epoch, sequence: next } };
    return { kind: "duplicate", first: known.batches[known.batches.length - (next - sequence)] };
  }

  /** A batch has its place, and was judged to be the next one. */
  placed({ id, epoch, sequence }: ProducerStamp, place: Omit<ProducedBatch, "sequence">): void {
    const key = keyOf(id);
    const batch: ProducedBatch = { sequence, ...place };
    const known = this.#known.get(key);
    if (known?.epoch === epoch) this.#add(key, known, batch);
    else this.#replace(key, known, { id: id.slice(), epoch, batches: [batch] }, batch.index);
    if (this.#known.size >= 2 * this.#limits.producersMax) this.#forget(batch.index, 0);
  }

  /**
   * A checkpoint is placed at `index`: forgets who is to be forgotten then, and gives the rest.
   * @param logTimeMicros Append time of the batch before it.
   */
  checkpoint(index: number, logTimeMicros: number): StoredProducer[] {
    this.takeBack(index);
    this.#forget(index, logTimeMicros - this.#limits.forgetAfterMicros);
    return [...this.#known.values()].map((known) => ({ id: known.id, epoch: known.epoch, ...lastOf(known) }));
  }

  /** What was placed at `index` or above was refused. */
  takeBack(index: number): void {
    for (let last = this.#changes.at(-1); last && last.index >= index; last = this.#changes.at(-1)) {
      last.undo();
      this.#changes.pop();
    }
  }

  /** What was placed below `index` is committed. */
  committed(index: number): void {
    const kept = this.#changes.findIndex((change) => change.index >= index);
    this.#changes.splice(0, kept < 0 ? this.#changes.length : kept);
  }

  #add(key: string, known: Known, batch: ProducedBatch): void {
    const { batches } = known;
    assert(batch.sequence === lastOf(known).sequence + 1, `sequence ${batch.sequence} of a producer is not the next`);
    batches.push(batch);
    this.#recent += 1;
    const isOver = batches.length > this.#limits.recentMax || this.#recent > this.#limits.recentMaxAll;
    const dropped = isOver ? batches.shift() : undefined;
    if (dropped) this.#recent -= 1;
    this.#changed(batch.index, () => {
      // Forgotten meanwhile and back again, it is this one still.
      assert(this.#known.get(key) === known, "a producer's change is taken back out of order");
      batches.pop();
      if (dropped) batches.unshift(dropped);
      else this.#recent -= 1;
    });
  }

  #replace(key: string, before: Known | undefined, after: Known, index: number): void {
    const recentBefore = this.#recent;
    if (before) this.#recent -= before.batches.length - 1;
    this.#known.set(key, after);
    this.#changed(index, () => {
      if (before) this.#known.set(key, before);
      else this.#known.delete(key);
      this.#recent = recentBefore;
    });
  }

  /** Forgets whose last batch is from before `sinceMicros`, then the least recently used beyond the limit. */
  #forget(index: number, sinceMicros: number): void {
    const forgotten: [string, Known][] = [];
    const kept: [string, Known][] = [];
    for (const entry of this.#known) {
      (lastOf(entry[1]).appendTimeMicros < sinceMicros ? forgotten : kept).push(entry);
    }
    const over = kept.length - this.#limits.producersMax;
    if (over > 0) {
      kept.sort(([, a], [, b]) => lastOf(a).index - lastOf(b).index);
      forgotten.push(...kept.slice(0, over));
    }
    if (forgotten.length === 0) return;
    const recentBefore = this.#recent;
    for (const [key, { batches }] of forgotten) {
      this.#known.delete(key);
      this.#recent -= batches.length - 1;
    }
    this.#changed(index, () => {
      for (const [key, known] of forgotten) this.#known.set(key, known);
      this.#recent = recentBefore;
    });
  }

  #changed(index: number, undo: () => void): void {
    assert(
      (this.#changes.at(-1)?.index ?? 0) <= index,
      `batch ${index} is placed before an earlier one was taken back`,
    );
    this.#changes.push({ index, undo });
  }
}

function lastOf({ batches }: Known): ProducedBatch {
  const last = batches.at(-1);
  assert(last !== undefined, "a producer that is known has a batch");
  return last;
}

/** Map keys compare by value: 16 bytes as text. */
function keyOf(id: Uint8Array): string {
  assert(id.length === 16, "a producer's id has 16 bytes");
  let key = "";
  for (const byte of id) key += String.fromCharCode(byte);
  return key;
}
