/**
 * In which states of the log an operation may have been answered as it was.
 * - A batch that was written is the change from the state of its place to the next one.
 * - All else leaves the log as it is, and shows something of it: each answer fits a run of states, or none.
 * - Nothing that is not committed is shown: a local read may lag, and proves that what it shows is there.
 * @module
 */
import type { Authors } from "./authors.ts";
import { type FinalLog, inBoth, type States } from "./final-log.ts";
import type {
  AppendOperation,
  BatchPlace,
  LogBatch,
  Operation,
  ReadOperation,
  ReadOutcome,
  SeenBatch,
  Shown,
} from "./history.ts";
import { nameOf, type Report } from "./violations.ts";

/** When an operation took effect, in states of the log. */
export type Effect =
  | { readonly kind: "written"; readonly place: number }
  | {
      readonly kind: "shown";
      readonly states: States;
      /** Only those with this token in force. */
      readonly fence?: string;
      /** What the client was told. */
      readonly says: string;
    };

/** The effect of an operation; `undefined`: it had none that anything follows from, or what is wrong was reported. */
export function effectOf(log: FinalLog, operation: Operation, authors: Authors, report: Report): Effect | undefined {
  const place = authors.get(operation);
  const written: Effect | undefined = place === undefined ? undefined : { kind: "written", place };
  switch (operation.kind) {
    case "fence":
      return written;
    case "read":
      return operation.outcome.kind === "ok" ? readShows(log, operation, operation.outcome, report) : undefined;
    case "append": {
      const { outcome } = operation;
      if (outcome.kind === "refused") return refusalShows(log, operation, outcome.shown, report);
      if (outcome.kind !== "duplicate") return written;
      const shown = duplicateShows(log, operation, outcome.first, report);
      return written ?? shown;
    }
  }
}

function readShows(
  log: FinalLog,
  read: ReadOperation,
  { batches, highWatermark, isLimited }: ReadOutcome,
  report: Report,
): Effect | undefined {
  const { from, consistency } = read;
  const states = log.ending(highWatermark);
  if (!states) {
    report("invariant 7", `${nameOf(read)} says that ${highWatermark} is the high watermark, and no batch ends there`);
    return undefined;
  }
  const expected = log.records(from, highWatermark);
  for (const [i, seen] of batches.entries()) {
    const batch = expected[i];
    if (batch && isSeenAs(batch, seen)) continue;
    const has = batch ? `the log has ${described(batch)}` : `the log has no more below ${highWatermark}`;
    report("invariant 7", `${nameOf(read)} gives ${described(seen)}, where ${has}`);
    return undefined;
  }
  const missing = expected[batches.length];
  if (missing && (!isLimited || batches.length === 0)) {
    report("invariant 7", `${nameOf(read)} leaves out ${described(missing)}, below the high watermark that it says`);
  }
  if (consistency.kind === "atLeast" && highWatermark < consistency.offset) {
    report(
      "invariant 7",
      `${nameOf(read)} is answered by a replica that knows no more than what is below ${highWatermark}`,
    );
  }
  const to = consistency.kind === "linearizable" ? states.to : log.states.to;
  return { kind: "shown", states: { from: states.from, to }, says: `ends at offset ${highWatermark}` };
}

function isSeenAs(batch: LogBatch, seen: SeenBatch): boolean {
  return (
    batch.index === seen.index &&
    batch.baseOffset === seen.baseOffset &&
    batch.count === seen.count &&
    batch.value === seen.value &&
    batch.digest === seen.digest
  );
}

function described({ index, baseOffset, count, value, digest }: SeenBatch | LogBatch): string {
  return `batch ${index} "${value}" (offsets ${baseOffset} to ${baseOffset + count}, digest ${digest})`;
}

function duplicateShows(
  log: FinalLog,
  append: AppendOperation,
  first: BatchPlace | undefined,
  report: Report,
): Effect | undefined {
  const { producer } = append;
  const states = producer && log.knowing(producer);
  const batch = states && log.batches[states.from - 1];
  if (!batch) {
    report("invariant 9", `${nameOf(append)} was told that it was there before, and it is not in the log`);
    return undefined;
  }
  if (first && (first.index !== batch.index || first.baseOffset !== batch.baseOffset)) {
    const told = `index ${first.index} and offset ${first.baseOffset}`;
    report("invariant 9", `${nameOf(append)} was told that the first has ${told}, and that is ${described(batch)}`);
    return undefined;
  }
  return { kind: "shown", states, says: `was told that batch ${batch.index} is the first` };
}

/** Checked in this order: producer, fence, expected offset. So a refusal says too that what comes before it was right. */
function refusalShows(log: FinalLog, append: AppendOperation, shown: Shown, report: Report): Effect | undefined {
  const { producer, fence = "", expectedOffset } = append;
  const says = `was told that ${wordsOf(shown)}`;
  const isTaken = producer ? log.taking(producer) : log.states;
  const refused = (states: States | undefined, inForce?: string): Effect | undefined => {
    const isSomeFenced = states && (inForce === undefined || log.firstFenced(states, inForce) !== undefined);
    if (isSomeFenced) return { kind: "shown", states, says, ...(inForce !== undefined && { fence: inForce }) };
    report("invariant 8", `${nameOf(append)} ${says}, which was never so`);
    return undefined;
  };
  const pointless = (why: string): undefined => {
    report("condition", `${nameOf(append)} ${says}, and ${why}`);
  };
  switch (shown.kind) {
    case "producer": {
      const { epoch, sequence } = shown;
      if (!producer) return pointless("it has no producer");
      const isStale = epoch > producer.epoch && sequence > 0;
      const isGap = epoch === producer.epoch && sequence < producer.sequence;
      if (!isStale && !isGap) return pointless("that is no reason to refuse it");
      return refused(log.taking({ id: producer.id, epoch, sequence }));
    }
    case "fence":
      return shown.token === fence ? pointless("that is the one that it names") : refused(isTaken, shown.token);
    case "offset": {
      const { nextOffset } = shown;
      if (expectedOffset === undefined || expectedOffset === nextOffset) return pointless("it asks for no other");
      return refused(inBoth(log.ending(nextOffset), isTaken), fence);
    }
  }
}

function wordsOf(shown: Shown): string {
  switch (shown.kind) {
    case "offset":
      return `the next offset is ${shown.nextOffset}`;
    case "producer":
      return `${shown.epoch}/${shown.sequence} is the producer's next batch`;
    case "fence":
      return shown.token === "" ? "no fence is in force" : `fence "${shown.token}" is in force`;
  }
}
