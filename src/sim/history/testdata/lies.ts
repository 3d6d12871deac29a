/**
 * Small lies: each makes another history, or another log, out of one that was right. Some of what comes out is still right.
 * @module
 */
import type { AppendOperation, AppendOutcome, LogBatch, Moment, Operation, ReadOperation, Shown } from "../history.ts";
import { failed, moment, seen, sees, unknown } from "./build.ts";
import type { Story } from "./random-history.ts";

/** A lie about one thing of a story; both numbers are small, and from 0 on. */
type Lie = (story: Story, which: number, how: number) => Story;

/** All of them, by what they say. */
export const lies: Readonly<Record<string, Lie>> = {
  "two batches changed places": aboutLog((log, place) => [
    ...log.slice(0, place),
    ...log.slice(place, place + 2).reverse(),
    ...log.slice(place + 2),
  ]),
  "a batch was lost": aboutLog((log, place) => log.toSpliced(place, 1)),
  "a batch was written twice": aboutLog((log, place, how) =>
    log.toSpliced(how % (log.length + 1), 0, ...log.slice(place, place + 1)),
  ),
  "a batch was written otherwise": aboutLog((log, place, how) =>
    log.map((batch, i) => (i === place ? changedBatch(batch, how) : batch)),
  ),
  "a call came at another time": aboutOperation((operation, which, how) => {
    const { returned } = operation.outcome;
    const latest = Math.floor(returned?.order ?? how + 1);
    return { ...operation, invoked: moment((how % latest) + 0.5 + which / 100) };
  }),
  "a return came at another time": aboutOperation((operation, which, how) =>
    withReturn(operation, moment(Math.floor(operation.invoked.order) + how + 0.8 + which / 100)),
  ),
  "an operation was over at another time": aboutOperation((operation, which, how) => ({
    ...withReturn(operation, moment(how + 0.9 + which / 1000)),
    invoked: moment(how + 0.6 + which / 1000),
  })),
  "an answer was lost": aboutOperation((operation) => ({ ...operation, outcome: unknown(returnOf(operation)) })),
  "an operation failed": aboutOperation((operation) => ({ ...operation, outcome: failed(returnOf(operation)) })),
  "a number was another": aboutOperation((operation, _which, how) => withNumbers(operation, how)),
  "a read saw another state of the log": aboutReads((read, log, how) => {
    const last = log[how % Math.max(log.length, 1)];
    const highWatermark = last ? last.baseOffset + last.count : 0;
    return { ...read, outcome: sees(log, highWatermark, read.from)(returnOf(read)) };
  }),
  "a read left one out": aboutReads((read, _log, how) => {
    const { outcome } = read;
    if (outcome.kind !== "ok") return read;
    return { ...read, outcome: { ...outcome, batches: outcome.batches.toSpliced(how % 3, 1) } };
  }),
  "a read saw a batch otherwise": aboutReads((read, log, how) => {
    const { outcome } = read;
    const other = log[how % Math.max(log.length, 1)];
    if (outcome.kind !== "ok" || !other) return read;
    const { index, baseOffset, count, value } = seen(other);
    const changed = [{ index }, { baseOffset }, { count }, { value }, seen(other)][how % 5];
    return { ...read, outcome: { ...outcome, batches: outcome.batches.map((batch) => ({ ...batch, ...changed })) } };
  }),
  "a read was another kind of read": aboutReads((read, _log, how) => ({
    ...read,
    consistency: how % 3 === 0 ? { kind: "atLeast", offset: how } : { kind: "linearizable" },
  })),
  "an append was acknowledged": aboutAppends((append, log, how) => {
    const batch = log.find(({ value }) => value === append.value) ?? log[how % Math.max(log.length, 1)];
    if (!batch) return append;
    const { index, baseOffset, count, digest } = batch;
    const nextOffset = baseOffset + count;
    return { ...append, outcome: { kind: "ok", returned: returnOf(append), index, baseOffset, nextOffset, digest } };
  }),
  "an append was called a duplicate": aboutAppends((append, log, how) => {
    const batch = log.find(({ value }) => value === append.value) ?? log[how % Math.max(log.length, 1)];
    const first = batch && how % 3 > 0 ? { first: { index: batch.index, baseOffset: batch.baseOffset } } : {};
    return { ...append, outcome: { kind: "duplicate", returned: returnOf(append), ...first } };
  }),
  "an append was refused": aboutAppends((append, _log, how) => ({
    ...append,
    outcome: { kind: "refused", returned: returnOf(append), shown: shownBy(how) },
  })),
  "an append asked for something else": aboutAppends((append, _log, how) => {
    const { expectedOffset, fence, ...rest } = append;
    if (append.producer) return append;
    const condition = [{}, { fence: "x" }, { fence: "y" }, { expectedOffset: 0 }, { expectedOffset: how }];
    return { ...rest, ...condition[how % condition.length] };
  }),
};

function aboutLog(lie: (log: readonly LogBatch[], place: number, how: number) => LogBatch[]): Lie {
  return ({ history, log }, which, how) => {
    let baseOffset = 0;
    const changed = lie(log, which % Math.max(log.length, 1), how).map((batch, index) => {
      const placed = { ...batch, index, baseOffset };
      baseOffset += batch.count;
      return placed;
    });
    return { history, log: changed };
  };
}

function aboutOperation(lie: (operation: Operation, which: number, how: number) => Operation): Lie {
  return ({ history, log }, which, how) => {
    const number = which % Math.max(history.length, 1);
    return { history: history.map((operation, i) => (i === number ? lie(operation, i, how) : operation)), log };
  };
}

function aboutReads(lie: (read: ReadOperation, log: readonly LogBatch[], how: number) => ReadOperation): Lie {
  return ({ history, log }, which, how) => {
    const reads = history.filter(({ kind }) => kind === "read");
    const chosen = reads[which % Math.max(reads.length, 1)];
    const changed = (operation: Operation) => (operation.kind === "read" ? lie(operation, log, how) : operation);
    return { history: history.map((operation) => (operation === chosen ? changed(operation) : operation)), log };
  };
}

function aboutAppends(lie: (append: AppendOperation, log: readonly LogBatch[], how: number) => AppendOperation): Lie {
  return ({ history, log }, which, how) => {
    const appends = history.filter(({ kind }) => kind === "append");
    const chosen = appends[which % Math.max(appends.length, 1)];
    const changed = (operation: Operation) => (operation.kind === "append" ? lie(operation, log, how) : operation);
    return { history: history.map((operation) => (operation === chosen ? changed(operation) : operation)), log };
  };
}

/** When it returned; one that did not does now. */
function returnOf({ invoked, outcome }: Operation): Moment {
  return outcome.returned ?? moment(invoked.order + 0.3);
}

function withReturn(operation: Operation, returned: Moment): Operation {
  switch (operation.kind) {
    case "append":
      return { ...operation, outcome: { ...operation.outcome, returned } };
    case "fence":
      return { ...operation, outcome: { ...operation.outcome, returned } };
    case "read":
      return { ...operation, outcome: { ...operation.outcome, returned } };
  }
}

/** One thing of a batch is not as it was. */
function changedBatch(batch: LogBatch, how: number): LogBatch {
  const { producer, fence, ...rest } = batch;
  switch (how % 5) {
    case 0:
      return { ...batch, count: batch.count + 1 };
    case 1:
      return fence === undefined ? { ...batch, fence: "x" } : { ...batch, fence: fence === "x" ? "y" : "x" };
    case 2:
      return rest;
    case 3:
      return { ...batch, producer: { id: "p", epoch: 0, sequence: 0 } };
    default:
      return producer ? { ...batch, producer: { ...producer, sequence: producer.sequence + 1 } } : batch;
  }
}

/** Some number that the client was told is another. */
function withNumbers(operation: Operation, how: number): Operation {
  const more = how % 2 === 0 ? 1 : -1;
  switch (operation.kind) {
    case "append":
      return { ...operation, outcome: withOtherNumber(operation.outcome, more, how >> 1) };
    case "fence": {
      const { outcome } = operation;
      if (outcome.kind !== "ok") return operation;
      return { ...operation, outcome: { ...outcome, nextOffset: outcome.nextOffset + more } };
    }
    case "read": {
      const { outcome } = operation;
      if (outcome.kind !== "ok") return operation;
      return { ...operation, outcome: { ...outcome, highWatermark: outcome.highWatermark + more } };
    }
  }
}

function withOtherNumber(outcome: AppendOutcome, more: number, which: number): AppendOutcome {
  switch (outcome.kind) {
    case "ok": {
      const { index, baseOffset, nextOffset } = outcome;
      const changed = [{ index: index + more }, { baseOffset: baseOffset + more }, { nextOffset: nextOffset + more }];
      return { ...outcome, ...changed[which % 3] };
    }
    case "duplicate": {
      if (!outcome.first) return outcome;
      const { index, baseOffset } = outcome.first;
      const changed = which % 2 === 0 ? { index: index + more } : { baseOffset: baseOffset + more };
      return { ...outcome, first: { ...outcome.first, ...changed } };
    }
    case "refused":
      return { ...outcome, shown: shownWith(outcome.shown, more) };
    case "failed":
    case "unknown":
      return outcome;
  }
}

function shownWith(shown: Shown, more: number): Shown {
  switch (shown.kind) {
    case "offset":
      return { ...shown, nextOffset: shown.nextOffset + more };
    case "producer":
      return { ...shown, sequence: Math.max(shown.sequence + more, 0) };
    case "fence":
      return { ...shown, token: shown.token === "x" ? "y" : "x" };
  }
}

function shownBy(how: number): Shown {
  const some: Shown[] = [
    { kind: "offset", nextOffset: how >> 2 },
    { kind: "producer", epoch: (how >> 2) % 2, sequence: how >> 3 },
    { kind: "fence", token: how % 8 < 4 ? "x" : "" },
  ];
  return some[how % 3] ?? { kind: "offset", nextOffset: 0 };
}
