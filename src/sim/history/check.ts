/**
 * Whether what clients saw of streams fits the logs that came out of it: linearizability (Herlihy and Wing 1990), with the
 * order of writes known. That makes it cheap: sorting is all that takes longer than going through a history once.
 * - Nothing is found if and only if there is an order of all operations that fits real time, in which the sequential log
 *   of `model.ts` gives each answer and becomes the final log. So it agrees with `linearizable.ts` where that is given
 *   the final log too, but for digests: only here they are compared.
 * - Without the final log a history may still be explained. What only the log can tell: an acknowledged batch is not
 *   there any more, or moved; one of unknown fate was written where it may not be, or that failed was written at all, or
 *   twice; it has what nobody appended; what was read is not there, or in another order than its batches have.
 * - Reads at a replica may lag, but show committed batches: who looks later, linearizably, sees no fewer.
 * - Not known here: producers that were forgotten, and batches below log start. A run keeps within those limits, and
 *   collects batches before they are dropped.
 * @module
 */
import { effectOf } from "./answers.ts";
import { findAuthors } from "./authors.ts";
import { FinalLog } from "./final-log.ts";
import type { LogBatch, Operation } from "./history.ts";
import { checkRealTime } from "./real-time.ts";
import type { Report, Violation } from "./violations.ts";

/**
 * All that is wrong with a history, stream by stream; empty: nothing.
 * @param finalLogs All batches of each stream, by its name, from index 0 on; of one that is not named there are none.
 */
export function checkHistory(
  history: readonly Operation[],
  finalLogs: ReadonlyMap<string, readonly LogBatch[]>,
): Violation[] {
  const streams = new Map<string, Operation[]>([...finalLogs.keys()].map((stream) => [stream, []]));
  for (const operation of history) {
    const operations = streams.get(operation.stream);
    if (operations) operations.push(operation);
    else streams.set(operation.stream, [operation]);
  }
  // Streams share nothing: a history is linearizable if it is so of each.
  return [...streams].flatMap(([stream, operations]) =>
    checkStream(new FinalLog(stream, finalLogs.get(stream) ?? []), operations),
  );
}

function checkStream(log: FinalLog, operations: readonly Operation[]): Violation[] {
  const violations: Violation[] = [];
  const report: Report = (rule, sentence) => {
    violations.push({ rule, sentence: `${rule}: ${sentence}` });
  };
  const authors = findAuthors(log, operations, report);
  const effective = operations.flatMap((operation) => {
    const effect = effectOf(log, operation, authors, report);
    return effect ? [{ operation, effect }] : [];
  });
  checkRealTime(log, effective, report);
  return violations;
}
