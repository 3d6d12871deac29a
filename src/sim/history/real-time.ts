/**
 * The order of the log against the order in which clients did things.
 * What was over before an operation began comes before it. Going through all calls and returns in the order of time,
 * each operation takes effect in the first state in which it can: not before any that was over when it was called. So
 * there is an order that fits, with the writes as the log has them, if and only if each finds a state: a later state
 * for one could only leave fewer to those behind it.
 * @module
 */
import { assert, present } from "../../base/assert.ts";
import type { Effect } from "./answers.ts";
import type { FinalLog, States } from "./final-log.ts";
import type { Operation } from "./history.ts";
import { nameOf, type Report } from "./violations.ts";

/** An operation, and when it took effect. */
export interface Effective {
  readonly operation: Operation;
  readonly effect: Effect;
}

/** A call, or a return. */
interface Event extends Effective {
  readonly order: number;
  readonly isReturn: boolean;
}

/** Who showed, and was over, that the log has come to a state. */
interface Shown extends Effective {
  readonly state: number;
}

/** Says which operations can't have taken effect between their call and their return. */
export function checkRealTime(log: FinalLog, effective: readonly Effective[], report: Report): void {
  let over: Shown | undefined;
  const tookEffect = new Map<Operation, number>();
  for (const { operation, effect, isReturn } of inOrder(effective)) {
    const least = over?.state ?? 0;
    if (isReturn) {
      const state = tookEffect.get(operation) ?? 0;
      if (state > least) over = { operation, effect, state };
      continue;
    }
    const state = firstState(log, effect, least);
    tookEffect.set(operation, state ?? least);
    if (state === undefined && over) reportLate(log, { operation, effect }, over, report);
  }
}

function inOrder(effective: readonly Effective[]): Event[] {
  const events: Event[] = [];
  for (const { operation, effect } of effective) {
    const { invoked, outcome } = operation;
    events.push({ operation, effect, order: invoked.order, isReturn: false });
    // What is of unknown fate may take effect after its client has gone.
    if (outcome.kind === "unknown" || outcome.kind === "failed") continue;
    events.push({ operation, effect, order: outcome.returned.order, isReturn: true });
  }
  events.sort((a, b) => a.order - b.order);
  for (const [i, { order }] of events.entries()) {
    assert(order !== events[i + 1]?.order, `two moments of a run have the same place in its order, ${order}`);
  }
  return events;
}

/** The state just after the operation took effect, if that was not before the state `least`. */
function firstState(log: FinalLog, effect: Effect, least: number): number | undefined {
  if (effect.kind === "written") return effect.place >= least ? effect.place + 1 : undefined;
  const { states, fence } = effect;
  const left: States = { from: Math.max(states.from, least), to: states.to };
  if (left.from > left.to) return undefined;
  return fence === undefined ? left.from : log.firstFenced(left, fence);
}

function reportLate(log: FinalLog, late: Effective, over: Effective, report: Report): void {
  const rule =
    late.effect.kind === "written" ? "real time" : over.effect.kind === "written" ? "invariant 8" : "invariant 7";
  report(rule, `${saying(log, late)}; ${saying(log, over)}, and was over before that began`);
}

function saying(log: FinalLog, { operation, effect }: Effective): string {
  if (effect.kind === "shown") return `${nameOf(operation)} ${effect.says}`;
  const { index, baseOffset, count } = present(log.batches[effect.place], "what was written is in the log");
  return `${nameOf(operation)} is at index ${index}, offsets ${baseOffset} to ${baseOffset + count}`;
}
