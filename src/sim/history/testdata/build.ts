/**
 * Short words to write histories and logs with. Moments are small numbers: the place in the order, and hundreds of
 * milliseconds.
 * @module
 */
import { present } from "../../../base/assert.ts";
import type {
  AppendOperation,
  Consistency,
  FenceOperation,
  LogBatch,
  Moment,
  ReadOperation,
  SeenBatch,
  Shown,
  Stamp,
} from "../history.ts";

/** When something was called, and when its client was told or gave up. */
export type Times = readonly [invoked: number, returned: number];

/** What a client was told, given when. */
type Told<Outcome> = (returned: Moment) => Outcome;

/** A batch is given as its value, if it has one record and nothing else. */
type Entry = string | (Pick<LogBatch, "value" | "producer" | "fence"> & { readonly count?: number });

/** A control batch that no client asked for. */
export const control: Entry = { count: 0 };

/** A log of these batches. */
export function logOf(...entries: readonly Entry[]): LogBatch[] {
  let [baseOffset, digest] = [0, ""];
  return entries.map((entry, index) => {
    const { count = 1, ...rest } = typeof entry === "string" ? { value: entry } : entry;
    digest += `/${rest.value ?? "-"}`;
    const batch: LogBatch = { index, baseOffset, count, digest, ...rest };
    baseOffset += count;
    return batch;
  });
}

export function moment(order: number): Moment {
  return { order, ms: order * 100 };
}

/** `epoch/sequence` of a producer. */
export function stamp(id: string, epoch: number, sequence: number): Stamp {
  return { id, epoch, sequence };
}

export function append(
  value: string,
  [invoked, returned]: Times,
  told: Told<AppendOperation["outcome"]>,
  request: Partial<Pick<AppendOperation, "count" | "producer" | "expectedOffset" | "fence" | "client" | "stream">> = {},
): AppendOperation {
  const called = { stream: "s", client: 1, invoked: moment(invoked) };
  return { kind: "append", ...called, value, count: 1, ...request, outcome: told(moment(returned)) };
}

export function fence(
  token: string,
  [invoked, returned]: Times,
  told: Told<FenceOperation["outcome"]>,
): FenceOperation {
  const called = { stream: "s", client: 2, invoked: moment(invoked) };
  return { kind: "fence", ...called, value: `fence ${token}`, token, outcome: told(moment(returned)) };
}

export function read(
  [invoked, returned]: Times,
  told: Told<ReadOperation["outcome"]>,
  request: Partial<Pick<ReadOperation, "from" | "consistency" | "stream">> = {},
): ReadOperation {
  const consistency: Consistency = { kind: "linearizable" };
  const called = { stream: "s", client: 3, invoked: moment(invoked) };
  return { kind: "read", ...called, from: 0, consistency, ...request, outcome: told(moment(returned)) };
}

export const failed = (returned: Moment) => ({ kind: "failed", returned }) as const;

export const unknown = (returned: Moment) => ({ kind: "unknown", returned }) as const;

/** Acknowledged as the batch of this log at `index`. */
export function at(log: readonly LogBatch[], index: number) {
  const { baseOffset, count, digest } = batchAt(log, index);
  return (returned: Moment) =>
    ({ kind: "ok", returned, index, baseOffset, nextOffset: baseOffset + count, digest }) as const;
}

/** A fence that was set, with the next offset as of then. */
export function set(nextOffset: number) {
  return (returned: Moment) => ({ kind: "ok", returned, nextOffset }) as const;
}

/** A duplicate of the batch of this log at `index`. */
export function duplicateOf(log: readonly LogBatch[], index: number) {
  const { baseOffset } = batchAt(log, index);
  return (returned: Moment) => ({ kind: "duplicate", returned, first: { index, baseOffset } }) as const;
}

/** A duplicate of a batch whose place is forgotten. */
export const oldDuplicate = (returned: Moment) => ({ kind: "duplicate", returned }) as const;

/** Refused, because of what is shown. */
export function refused(shown: Shown) {
  return (returned: Moment) => ({ kind: "refused", returned, shown }) as const;
}

/** All of this log from offset `from` on up to the high watermark. */
export function sees(log: readonly LogBatch[], highWatermark: number, from = 0) {
  const batches = log
    .filter(({ baseOffset, count }) => count > 0 && baseOffset < highWatermark && baseOffset + count > from)
    .map(seen);
  return (returned: Moment) => ({ kind: "ok", returned, batches, highWatermark }) as const;
}

/** A batch as it is read. */
export function seen({ index, baseOffset, count, value = "", digest }: LogBatch): SeenBatch {
  return { index, baseOffset, count, value, digest };
}

function batchAt(log: readonly LogBatch[], index: number): LogBatch {
  return present(log[index], `the log has a batch ${index}`);
}
