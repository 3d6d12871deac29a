/**
 * Rules of the final log by itself, and who wrote each of its batches.
 * Of a batch whose append was acknowledged that call is the author. Else it is the first call of those that may be: for
 * what follows from real time no other could be a better one.
 * @module
 */
import { assert } from "../../base/assert.ts";
import type { FinalLog } from "./final-log.ts";
import {
  type AppendOperation,
  type FenceOperation,
  isSameStamp,
  type LogBatch,
  type Operation,
  type Stamp,
} from "./history.ts";
import { nameOf, type Report } from "./violations.ts";

type Write = AppendOperation | FenceOperation;

/** Who wrote what: the place in the log of each call that is an author. */
export type Authors = ReadonlyMap<Operation, number>;

/** Finds the authors, and says what is wrong with the log and with what they were told. */
export function findAuthors(log: FinalLog, operations: readonly Operation[], report: Report): Authors {
  const writes = writesByValue(operations);
  const authors = new Map<Operation, number>();
  const placeOf = new Map<string, LogBatch>();
  checkShape(log, report);
  checkProducers(log, report);
  for (const [place, batch] of log.batches.entries()) {
    const { value } = batch;
    if (value === undefined) {
      if (batch.count > 0 || batch.producer)
        report("fate", `${log.nameOf(batch)} is in the log, and nobody appended it`);
      continue;
    }
    const earlier = placeOf.get(value);
    placeOf.set(value, batch);
    if (earlier) {
      report(batch.producer ? "invariant 9" : "fate", `${log.nameOf(batch)} was in the log before, ${at(earlier)}`);
      continue;
    }
    const author = authorOf(log, batch, writes.get(value) ?? [], report);
    if (!author) continue;
    authors.set(author, place);
    checkConditions(log, place, batch, author, report);
  }
  for (const sameValue of writes.values()) {
    for (const write of sameValue) checkAcknowledged(log, write, authors.get(write), placeOf.get(write.value), report);
  }
  return authors;
}

function writesByValue(operations: readonly Operation[]): Map<string, Write[]> {
  const writes = new Map<string, Write[]>();
  for (const operation of operations) {
    if (operation.kind === "read") continue;
    const tries = writes.get(operation.value);
    const first = tries?.[0];
    if (tries && first) {
      assert(isTryOf(operation, first), `${nameOf(operation)} has the value of ${nameOf(first)}, and is no try of it`);
      tries.push(operation);
    } else writes.set(operation.value, [operation]);
  }
  return writes;
}

function isTryOf(write: Write, first: Write): boolean {
  if (write.kind !== "append" || first.kind !== "append" || !write.producer) return false;
  const isSameRequest =
    write.count === first.count && write.expectedOffset === first.expectedOffset && write.fence === first.fence;
  return isSameRequest && isSameStamp(write.producer, first.producer);
}

function checkShape(log: FinalLog, report: Report): void {
  for (const [place, batch] of log.batches.entries()) {
    if (batch.index !== place) report("log", `${log.nameOf(batch)} has place ${place} in the log`);
    const end = log.endIn(place);
    if (batch.baseOffset !== end) {
      report("log", `${log.nameOf(batch)} begins at offset ${batch.baseOffset}, and what is before it ends at ${end}`);
    }
  }
}

function checkProducers(log: FinalLog, report: Report): void {
  const last = new Map<string, Stamp>();
  for (const batch of log.batches) {
    const { producer } = batch;
    if (!producer) continue;
    const before = last.get(producer.id);
    last.set(producer.id, producer);
    const isNext = before?.epoch === producer.epoch && producer.sequence === before.sequence + 1;
    const begins = producer.sequence === 0 && (before === undefined || producer.epoch > before.epoch);
    if (isNext || begins) continue;
    const follows = before ? `follows ${before.epoch}/${before.sequence}` : "is the first";
    const which = `${producer.epoch}/${producer.sequence} of producer ${producer.id}`;
    report("invariant 9", `${log.nameOf(batch)}, ${which}, ${follows}`);
  }
}

function authorOf(log: FinalLog, batch: LogBatch, tries: readonly Write[], report: Report): Write | undefined {
  const acknowledged = tries.filter(({ outcome }) => outcome.kind === "ok");
  const [one, other] = acknowledged;
  if (one && other) report("invariant 9", `both ${nameOf(one)} and ${nameOf(other)} were told to be the first`);
  if (one) return acknowledged.find((write) => isAcknowledgedAt(write, batch));
  const possible = tries
    .filter(({ outcome }) => outcome.kind === "unknown" || outcome.kind === "duplicate")
    .sort((a, b) => a.invoked.order - b.invoked.order);
  if (possible[0]) return possible[0];
  const [last] = tries.slice(-1);
  const why = last ? `${nameOf(last)} was told that nothing was written` : "nobody appended it";
  report("fate", `${log.nameOf(batch)} is in the log, and ${why}`);
  return undefined;
}

function isAcknowledgedAt({ outcome }: Write, batch: LogBatch): boolean {
  return outcome.kind === "ok" && (!("index" in outcome) || outcome.index === batch.index);
}

/** The batch is what was asked for, and stands where that may be taken. */
function checkConditions(log: FinalLog, place: number, batch: LogBatch, author: Write, report: Report): void {
  const name = () => `${nameOf(author)} is ${at(batch)}`;
  if (!isBatchOf(batch, author)) report("invariant 6", `${name()}, and that is another batch than was asked for`);
  if (author.kind === "fence") return;
  const { expectedOffset, fence = "" } = author;
  if (expectedOffset !== undefined && expectedOffset !== batch.baseOffset) {
    report("condition", `${name()}, at offset ${batch.baseOffset}, and was to be taken at ${expectedOffset} only`);
  }
  const inForce = log.fenceIn(place);
  if (fence !== inForce) report("condition", `${name()}, where fence "${inForce}" is in force, and names "${fence}"`);
}

function isBatchOf(batch: LogBatch, write: Write): boolean {
  const { count, fence, producer } = batch;
  if (write.kind === "fence") return fence === write.token && count === 0 && producer === undefined;
  return fence === undefined && count === write.count && isSameStamp(producer, write.producer);
}

/** What an acknowledgement says of the batch is so. */
function checkAcknowledged(
  log: FinalLog,
  write: Write,
  place: number | undefined,
  found: LogBatch | undefined,
  report: Report,
): void {
  const { outcome } = write;
  if (outcome.kind !== "ok") return;
  const told = "index" in outcome ? `at index ${outcome.index}` : `at offset ${outcome.nextOffset}`;
  const name = () => `${nameOf(write)} was acknowledged ${told}`;
  const batch = place === undefined ? undefined : log.batches[place];
  if (!batch) {
    // Another call was told the same: that is reported.
    if (found && isAcknowledgedAt(write, found)) return;
    report("invariant 6", `${name()}, and is ${found ? at(found) : "not in the log"}`);
    return;
  }
  const nextOffset = batch.baseOffset + batch.count;
  const isAsTold =
    outcome.nextOffset === nextOffset &&
    (!("index" in outcome) || (outcome.baseOffset === batch.baseOffset && outcome.digest === batch.digest));
  if (isAsTold) return;
  const has = `offsets ${batch.baseOffset} to ${nextOffset} and digest ${batch.digest}`;
  const says = "index" in outcome ? `${outcome.baseOffset} to ${outcome.nextOffset} and ${outcome.digest}` : told;
  report("invariant 6", `${name()}, where it has ${has}, and was told ${says}`);
}

function at({ index }: LogBatch): string {
  return `at index ${index}`;
}
