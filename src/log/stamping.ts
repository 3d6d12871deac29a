import type { Clock } from "../host/clock.ts";
import type { Hash } from "../host/hash.ts";
import { stampHeader } from "./batch-writer.ts";
import { batchHeader, digestBytes } from "./format.ts";
import type { LogState } from "./log-state.ts";
import type { Pending } from "./pending.ts";

/**
 * Gives a batch the next place in its log, its time and its digest: writes its header.
 * @param whole Header and payload in one, where they stand so.
 */
export function stamp(
  state: LogState,
  pending: Pending,
  bytes: { header: Uint8Array; payload: Uint8Array; whole?: Uint8Array },
  on: { clock: Clock; hash: Hash },
): void {
  const { stamped } = state;
  const { batch } = pending;
  // A clock that went back does not take the log with it.
  const nowMicros = pending.made?.appendTimeMicros ?? on.clock.nowMicros();
  const appendTimeMicros = Math.max(nowMicros, stamped.appendTimeMicros);
  const term = batch.begins?.term ?? stamped.term;
  const { index, offset: baseOffset } = stamped;
  const { kind, recordCount, producer } = batch;
  const place = { group: state.group, index, baseOffset, term, appendTimeMicros };
  const fields = { kind, recordCount, ...place, ...(producer ? { producer } : {}) };
  stampHeader(bytes.header, bytes.payload, fields, stamped.digest, on.hash, bytes.whole);
  const digest = bytes.header.slice(batchHeader.digestAt, batchHeader.digestAt + digestBytes);
  const nextOffset = baseOffset + recordCount;
  pending.appended = { index, baseOffset, nextOffset, appendTimeMicros, term, digest };
  state.stamped = { index: index + 1, offset: nextOffset, appendTimeMicros, term, digest };
}
