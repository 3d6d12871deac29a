/**
 * What clients call in random histories: mostly what may succeed, and often enough what may not.
 * @module
 */
import fc from "fast-check";
import type { AppendOperation, Consistency, FenceOperation, Moment, ReadOperation, Stamp } from "../history.ts";
import { endOf, type State } from "../model.ts";

/** Small numbers that decide what is asked for, and which of several right answers is given. */
export interface Choice {
  readonly condition: number;
  readonly producer: number;
  readonly fence: number;
  readonly size: number;
  readonly answer: number;
}

export const choices: fc.Arbitrary<Choice> = fc.record({
  condition: fc.nat(7),
  producer: fc.nat(11),
  fence: fc.nat(11),
  size: fc.nat(11),
  answer: fc.nat(11),
});

/** Who calls, and when. */
export interface Caller {
  readonly client: number;
  readonly invoked: Moment;
  /** Number of the call. */
  readonly call: number;
}

/** An append of a batch with one to three records, perhaps under conditions. */
export function appendCall(state: State, caller: Caller, choice: Choice): AppendOperation {
  const producer = stampOf(state, choice.producer);
  const expectedOffset = expectedOf(endOf(state), choice.condition);
  const fence = choice.fence < 9 ? inForce(state) : ["x", "y", ""][choice.fence % 3];
  return {
    kind: "append",
    ...calledBy(caller),
    value: producer ? `${producer.id} ${producer.epoch}/${producer.sequence}` : `${caller.call}`,
    count: 1 + (choice.size % 3),
    ...(producer && { producer }),
    ...(expectedOffset !== undefined && { expectedOffset }),
    ...(fence && { fence }),
  };
}

/** A token is set, or taken away. */
export function fenceCall(caller: Caller, choice: Choice): FenceOperation {
  const token = ["x", "y", ""][choice.fence % 3] ?? "";
  return { kind: "fence", ...calledBy(caller), value: `fence ${caller.call}`, token };
}

/** A read from the beginning, or from somewhere up to beyond the end. */
export function readCall(state: State, caller: Caller, choice: Choice): ReadOperation {
  const end = endOf(state);
  const consistencies: readonly Consistency[] = [
    { kind: "linearizable" },
    { kind: "linearizable" },
    { kind: "local" },
    { kind: "atLeast", offset: choice.condition % (end + 1) },
  ];
  const consistency = consistencies[choice.producer % 4] ?? { kind: "linearizable" };
  return { kind: "read", ...calledBy(caller), from: choice.size < 6 ? 0 : choice.size % (end + 2), consistency };
}

function calledBy({ client, invoked }: Caller) {
  return { stream: "s", client, invoked, outcome: { kind: "unknown" } } as const;
}

/** The next batch of a producer, the last one again, one too early, a new epoch or an old one. */
function stampOf(state: State, choice: number): Stamp | undefined {
  if (choice < 5) return undefined;
  const id = choice % 2 === 0 ? "p" : "q";
  const last = state.findLast(({ producer }) => producer?.id === id)?.producer ?? { epoch: 0, sequence: -1 };
  const { epoch, sequence } = last;
  switch (choice) {
    case 11:
      return { id, epoch: epoch + 1, sequence: 0 };
    case 10:
      return { id, epoch, sequence: sequence + 2 };
    case 9:
      return { id, epoch: Math.max(epoch - 1, 0), sequence: 0 };
    case 8:
    case 7:
      return { id, epoch, sequence: Math.max(sequence, 0) };
    default:
      return { id, epoch, sequence: sequence + 1 };
  }
}

function expectedOf(end: number, choice: number): number | undefined {
  return [undefined, undefined, undefined, undefined, end, end, end + 1, Math.max(end - 1, 0)][choice];
}

function inForce(state: State): string | undefined {
  return state.findLast(({ fence }) => fence !== undefined)?.fence;
}
