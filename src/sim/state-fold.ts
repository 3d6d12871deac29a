/**
 * What stands for a log's state in the runs: a count of all batches before a place, and a running checksum of them. A
 * checkpoint holds it, so that what any checkpoint says can be compared with what the batches before it give.
 * @module
 */
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { putU32, viewOf } from "../base/bytes.ts";
import type { Hash } from "../host/hash.ts";
import { checkpointPrefixBytes } from "../log/format.ts";

/** The state of a log at a place. */
export interface Fold {
  readonly count: number;
  readonly sum: number;
}

export const noFold: Fold = { count: 0, sum: 0 };

/** The state after one more batch with this payload. */
function foldOn({ count, sum }: Fold, payload: Uint8Array, hash: Hash): Fold {
  return { count: count + 1, sum: hash.crc32(payload, sum) };
}

/** The same, whatever the batch is: checkpoints change no state. */
export function foldOver(fold: Fold, batch: StoredBatch, hash: Hash): Fold {
  return batch.kind === BatchKind.checkpoint ? fold : foldOn(fold, batch.payload, hash);
}

const foldBytes = 8;

/** What a checkpoint says after its first 40 bytes: the state, and some bytes that its place determines. */
export function checkpointState(fold: Fold, group: number, index: number): Uint8Array {
  const state = new Uint8Array(foldBytes + ((group * 131 + index * 977) % 1500));
  state.fill((group + index) & 0xff);
  putU32(state, 0, fold.count);
  putU32(state, 4, fold.sum);
  return state;
}

/** The state that a checkpoint's payload holds. */
export function foldIn(payload: Uint8Array): Fold {
  const view = viewOf(payload);
  return {
    count: view.getUint32(checkpointPrefixBytes, true),
    sum: view.getUint32(checkpointPrefixBytes + 4, true),
  };
}

export function sameFold(a: Fold, b: Fold): boolean {
  return a.count === b.count && a.sum === b.sum;
}

/** The state of a log that is being appended to: known from what was stamped since it was read. */
export class FoldedStamps {
  readonly #hash: Hash;
  readonly #known: (index: number) => Fold | undefined;
  /** State after each stamped batch, in order. */
  #stamps: { index: number; fold: Fold }[] = [];

  /** `known`: the state before an index that is below all that was stamped, as after a cut. */
  constructor(hash: Hash, known: (index: number) => Fold | undefined) {
    this.#hash = hash;
    this.#known = known;
  }

  /** The state before `index` is this, and what was known of what comes after is forgotten. */
  begin(index: number, fold: Fold): void {
    this.#stamps = [{ index: index - 1, fold }];
  }

  /** A batch was stamped; those at or above its index, if any, were refused or cut off. */
  stamped(index: number, payload: Uint8Array): void {
    const before = this.before(index);
    if (before) this.#stamps.push({ index, fold: foldOn(before, payload, this.#hash) });
  }

  /** The state before `index`; `undefined`: it is not known here. */
  before(index: number): Fold | undefined {
    while ((this.#stamps.at(-1)?.index ?? -1) >= index) this.#stamps.pop();
    const last = this.#stamps.at(-1)?.fold;
    const known = last ?? this.#known(index);
    if (!last && known) this.#stamps.push({ index: index - 1, fold: known });
    return known;
  }
}
