/**
 * What is left of a run when it is made shorter: which of its faults, how many clients and groups, and for how long. It is
 * written as one word, such as `b2400c2g1f0-3,7`, so that one command runs it again.
 * - What a fault does, and a client, is drawn from the seed and its number: it is the same whatever others there are.
 * @module
 */
import { numbersIn, rangesOf } from "../number-ranges.ts";
import type { ClusterPlan } from "./plan.ts";

/** A run, as a part of what its seed gives. */
export interface RunScript {
  /** How long faults and clients go on, virtual milliseconds. */
  readonly busyMs: number;
  readonly clients: number;
  readonly groups: number;
  /** Numbers of the faults that come. */
  readonly faults: readonly number[];
}

/** The whole run of a plan. */
export function scriptOf({ busyMs, clients, groups, faults }: ClusterPlan): RunScript {
  return { busyMs, clients, groups, faults: faults.map(({ number }) => number).sort((a, b) => a - b) };
}

/** The plan with no more than a script says. */
export function scripted(plan: ClusterPlan, { busyMs, clients, groups, faults }: RunScript): ClusterPlan {
  const kept = plan.faults.filter(({ number, atMs }) => faults.includes(number) && atMs < busyMs);
  return { ...plan, busyMs, clients, groups, faults: kept };
}

/** Writes a script as one word. */
export function scriptText({ busyMs, clients, groups, faults }: RunScript): string {
  return `b${busyMs}c${clients}g${groups}f${rangesOf(faults)}`;
}

/** Reads what `scriptText` wrote. @throws {RangeError} It is none. */
export function readScript(text: string): RunScript {
  const found = /^b(\d+)c(\d+)g(\d+)f((?:\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)?)$/.exec(text);
  if (!found) throw new RangeError(`"${text}" is no word of a run, such as b2400c2g1f0-3,7`);
  const [, busyMs, clients, groups, faults = ""] = found;
  return { busyMs: Number(busyMs), clients: Number(clients), groups: Number(groups), faults: numbersIn(faults) };
}

/** Scripts a little shorter than this one; those that take away most come first. */
export function* shorterScripts(script: RunScript): Generator<RunScript> {
  const { busyMs, clients, groups, faults } = script;
  for (let part = faults.length; part >= 1; part = part > 1 ? Math.ceil(part / 2) : 0) {
    for (let from = faults.length - part; from > -part; from -= part) {
      yield { ...script, faults: faults.toSpliced(Math.max(from, 0), part + Math.min(from, 0)) };
    }
  }
  if (groups > 1) yield { ...script, groups: groups - 1 };
  for (const fewer of new Set([clients >> 1, clients - 1]))
    if (fewer >= 0 && fewer < clients) yield { ...script, clients: fewer };
  for (const shorter of [busyMs >> 1, busyMs - (busyMs >> 2), busyMs - (busyMs >> 4)]) {
    if (shorter >= 50 && shorter < busyMs) yield { ...script, busyMs: shorter };
  }
}
