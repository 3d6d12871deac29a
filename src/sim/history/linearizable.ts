/**
 * Linearizability without knowing the order of anything: all orders that real time allows are tried, one operation
 * after the other, until one is found in which the sequential log gives every answer. For small histories only.
 * After Wing and Gong, "Testing and verifying concurrent objects" (1993); that the same operations done with the same
 * state need no second try is Lowe's, "Testing for linearizability" (2017).
 * @module
 */
import { assert } from "../../base/assert.ts";
import { isSameStamp, type LogBatch, type Operation } from "./history.ts";
import { endOf, type State, step } from "./model.ts";

/** More than this could take for ever, and would not fit the bits of a number. */
const operationsMax = 24;

/** Something that takes effect once. */
interface Item {
  /** Its bit. */
  readonly bit: number;
  readonly invoked: number;
  /** Infinite: it may still take effect, or never. */
  readonly returned: number;
  readonly step: (state: State) => State | undefined;
}

/**
 * Whether a history of one stream is linearizable.
 * @param finalLog What the log must be in the end; control batches that no client asked for may come at any time.
 */
export function linearizable(operations: readonly Operation[], finalLog?: readonly LogBatch[]): boolean {
  const items = itemsOf(operations, finalLog ?? []);
  const tried = new Set<string>();
  return canGoOn(0, []);

  function canGoOn(done: number, state: State): boolean {
    if (finalLog && !isBeginning(state, finalLog)) return false;
    const key = `${done} ${JSON.stringify(state)}`;
    if (tried.has(key)) return false;
    tried.add(key);
    const left = items.filter(({ bit }) => (done & bit) === 0);
    const firstReturn = Math.min(...left.map(({ returned }) => returned));
    if (firstReturn === Infinity && (!finalLog || state.length === finalLog.length)) return true;
    return left.some((item) => {
      if (item.invoked > firstReturn) return false;
      const next = item.step(state);
      return next !== undefined && canGoOn(done | item.bit, next);
    });
  }
}

function itemsOf(operations: readonly Operation[], finalLog: readonly LogBatch[]): Item[] {
  const effective = operations.filter(({ outcome }) => outcome.kind !== "failed");
  const steps = [
    ...effective.map((operation) => {
      const { invoked, outcome } = operation;
      const returned = outcome.kind === "unknown" ? Infinity : outcome.returned.order;
      return { invoked: invoked.order, returned, step: (state: State) => step(state, operation) };
    }),
    ...finalLog.filter(isControl).map(({ index, fence }) => ({
      invoked: Number.NEGATIVE_INFINITY,
      returned: Infinity,
      step: (state: State) => (state.length === index ? withControl(state, fence) : undefined),
    })),
  ];
  assert(steps.length <= operationsMax, `${steps.length} operations are too many to try all their orders`);
  return steps.map((item, i) => ({ ...item, bit: 2 ** i }));
}

/** A control batch that no client asked for. */
function isControl({ value, count }: LogBatch): boolean {
  return value === undefined && count === 0;
}

function withControl(state: State, fence: string | undefined): State {
  const batch = { index: state.length, baseOffset: endOf(state), count: 0 };
  return [...state, { ...batch, ...(fence !== undefined && { fence }) }];
}

/** The log only grows: a state that is not the beginning of the final one can't become it. */
function isBeginning(state: State, finalLog: readonly LogBatch[]): boolean {
  return state.every((batch, i) => {
    const last = finalLog[i];
    const isSamePlace = batch.index === last?.index && batch.baseOffset === last.baseOffset;
    const isSameBatch = batch.count === last?.count && batch.value === last.value && batch.fence === last.fence;
    return isSamePlace && isSameBatch && isSameStamp(batch.producer, last.producer);
  });
}
