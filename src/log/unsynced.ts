/**
 * Batches that have their place and are not durable: they can be read while they are on their way to the disk.
 * @module
 */
import { batchHeaderBytes } from "../base/batch.ts";
import type { Pending } from "./pending.ts";

/** Where one stands. */
export interface UnsyncedBatch {
  readonly index: number;
  readonly baseOffset: number;
  readonly recordCount: number;
  readonly appendTimeMicros: number;
  readonly term: number;
  readonly digest: Uint8Array;
  /** Its length, header included. */
  readonly bytes: number;
  /** A copy of the whole: what it is made from is given back when it is durable. */
  copy(): Uint8Array;
}

/** Where batches come from that have their places and are not durable: those from an index on, now, in order. */
export type Unsynced = (fromIndex: number) => Iterable<UnsyncedBatch>;

/** An append as it can be read; `undefined`: it has no place yet, or one below `fromIndex`. */
export function unsyncedOf(pending: Pending, fromIndex: number): UnsyncedBatch | undefined {
  const { stored, appended, bytes } = pending;
  const header = pending.header ?? stored?.batch.header;
  const place = stored?.batch ?? appended;
  if (!header || !place || place.index < fromIndex) return undefined;
  const { recordCount, payload } = pending.batch;
  const { index, baseOffset, appendTimeMicros, term, digest } = place;
  const copy = () => {
    const whole = new Uint8Array(bytes);
    whole.set(header);
    whole.set(payload, batchHeaderBytes);
    return whole;
  };
  return { index, baseOffset, recordCount, appendTimeMicros, term, digest, bytes, copy };
}
