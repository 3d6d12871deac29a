/**
 * The sequential log: what each operation is answered when they come one after the other, with nothing lost or late.
 * It is as naive as can be: a state is the list of all batches, and all else is found by looking through it.
 * - Checked in this order: producer, fence, expected offset.
 * - A local read shows any earlier state.
 * - An append that is called a duplicate may be its own first: nodes sent it on twice, and one answer was lost.
 * Digests are not known here: they follow from the batches, which are compared.
 * @module
 */
import type {
  AppendOperation,
  FenceOperation,
  LogBatch,
  Operation,
  ReadOperation,
  ReadOutcome,
  SeenBatch,
  Shown,
  Stamp,
} from "./history.ts";

/** A batch in the sequential log. */
export type ModelBatch = Omit<LogBatch, "digest">;

/** The whole log. */
export type State = readonly ModelBatch[];

/** What becomes of an append. */
export type Verdict =
  | { readonly kind: "taken" }
  | { readonly kind: "duplicate"; readonly first: ModelBatch }
  | { readonly kind: "refused"; readonly shown: Shown };

/**
 * The state after an operation that takes effect now; `undefined`: it can't have been answered as it was. One of
 * unknown fate takes effect by being written.
 */
export function step(state: State, operation: Operation): State | undefined {
  switch (operation.kind) {
    case "append":
      return stepAppend(state, operation);
    case "fence": {
      const { outcome } = operation;
      if (outcome.kind === "failed") return state;
      return outcome.kind === "unknown" || outcome.nextOffset === endOf(state) ? written(state, operation) : undefined;
    }
    case "read": {
      const { outcome } = operation;
      return outcome.kind !== "ok" || isShown(state, operation, outcome) ? state : undefined;
    }
  }
}

/** What becomes of an append that comes now. */
export function judge(state: State, { producer, fence = "", expectedOffset }: AppendOperation): Verdict {
  const verdict = producer && judgeProducer(state, producer);
  if (verdict && verdict.kind !== "taken") return verdict;
  const token = state.findLast((batch) => batch.fence !== undefined)?.fence ?? "";
  if (token !== fence) return { kind: "refused", shown: { kind: "fence", token } };
  const nextOffset = endOf(state);
  if (expectedOffset !== undefined && expectedOffset !== nextOffset) {
    return { kind: "refused", shown: { kind: "offset", nextOffset } };
  }
  return { kind: "taken" };
}

/** The state after a batch was written. */
export function written(state: State, write: AppendOperation | FenceOperation): State {
  const place = { index: state.length, baseOffset: endOf(state), value: write.value };
  if (write.kind === "fence") return [...state, { ...place, count: 0, fence: write.token }];
  const { count, producer } = write;
  return [...state, { ...place, count, ...(producer && { producer }) }];
}

/** Next offset. */
export function endOf(state: State): number {
  return state.reduce((end, { count }) => end + count, 0);
}

/** Batches of records that a read from an offset on gives, up to the end. */
export function recordsOf(state: State, from: number): State {
  return state.filter(({ baseOffset, count }) => count > 0 && baseOffset + count > from);
}

function stepAppend(state: State, append: AppendOperation): State | undefined {
  const { outcome } = append;
  const verdict = judge(state, append);
  const index = state.length;
  const baseOffset = endOf(state);
  switch (outcome.kind) {
    case "ok": {
      const isHere = outcome.index === index && outcome.baseOffset === baseOffset;
      const isTaken = verdict.kind === "taken" && isHere && outcome.nextOffset === baseOffset + append.count;
      return isTaken ? written(state, append) : undefined;
    }
    case "duplicate": {
      if (verdict.kind === "refused" || !append.producer) return undefined;
      const first = verdict.kind === "duplicate" ? verdict.first : { index, baseOffset };
      const told = outcome.first ?? first;
      if (told.index !== first.index || told.baseOffset !== first.baseOffset) return undefined;
      return verdict.kind === "duplicate" ? state : written(state, append);
    }
    case "refused":
      return verdict.kind === "refused" && isSame(verdict.shown, outcome.shown) ? state : undefined;
    case "failed":
      return state;
    case "unknown":
      return verdict.kind === "taken" ? written(state, append) : undefined;
  }
}

function judgeProducer(state: State, { id, epoch, sequence }: Stamp): Verdict {
  const last = state.findLast(({ producer }) => producer?.id === id)?.producer;
  const shows = (due: Omit<Stamp, "id">): Verdict => ({ kind: "refused", shown: { kind: "producer", ...due } });
  if (!last || epoch > last.epoch) return sequence === 0 ? { kind: "taken" } : shows({ epoch, sequence: 0 });
  const next = last.sequence + 1;
  if (epoch < last.epoch || sequence > next) return shows({ epoch: last.epoch, sequence: next });
  if (sequence === next) return { kind: "taken" };
  const first = state.find(
    ({ producer }) => producer?.id === id && producer.epoch === epoch && producer.sequence === sequence,
  );
  return first ? { kind: "duplicate", first } : shows({ epoch, sequence: next });
}

function isSame(one: Shown, other: Shown): boolean {
  switch (one.kind) {
    case "offset":
      return other.kind === "offset" && one.nextOffset === other.nextOffset;
    case "producer":
      return other.kind === "producer" && one.epoch === other.epoch && one.sequence === other.sequence;
    case "fence":
      return other.kind === "fence" && one.token === other.token;
  }
}

/** Whether a read may be answered so now. */
function isShown(state: State, { from, consistency }: ReadOperation, outcome: ReadOutcome): boolean {
  const { highWatermark } = outcome;
  if (consistency.kind === "linearizable") return isAnswer(state, from, outcome);
  if (consistency.kind === "atLeast" && highWatermark < consistency.offset) return false;
  return [state.length, ...state.keys()].some((length) => isAnswer(state.slice(0, length), from, outcome));
}

function isAnswer(state: State, from: number, { batches, highWatermark, isLimited }: ReadOutcome): boolean {
  if (highWatermark !== endOf(state)) return false;
  const all = recordsOf(state, from);
  const isWhole = batches.length === all.length || (isLimited && batches.length > 0);
  return isWhole === true && batches.every((seen, i) => isBatch(seen, all[i]));
}

function isBatch(seen: SeenBatch, batch: ModelBatch | undefined): boolean {
  const { index, baseOffset, count, value } = seen;
  return index === batch?.index && baseOffset === batch.baseOffset && count === batch.count && value === batch.value;
}
