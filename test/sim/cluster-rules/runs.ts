/**
 * How runs of the cluster are steered: some towards what random runs meet seldom, some by a director that lets an execution
 * happen step by step. All are short: elections are ten times as quick as in a real cluster, so that many fit.
 * @module
 */
import { type ClusterPlan, type Fault, type FaultKind, planOf } from "../../../src/sim/cluster/plan.ts";
import type { ClusterRunOptions } from "../../../src/sim/cluster/run.ts";
import { SimRandom } from "../../../src/sim/random.ts";
import {
  brokenSessions,
  changeBeforeCommit,
  cutOffLeader,
  lackingTerm,
  leaderWithoutRoom,
  newLeader,
  olderTerms,
  refusedByOldLeader,
  removedVoter,
  restartedLeader,
  staleLeader,
  twoCandidates,
  twoChanges,
  uncommittedBase,
  uncommittedDuplicate,
  wipedVoter,
} from "./executions.ts";

/** A way to run a seed. */
export interface SteeredRun {
  /** What it is good for. */
  readonly why: string;
  readonly plan: (seed: number) => ClusterPlan;
  readonly direct?: ClusterRunOptions["direct"];
}

const quickRaft = { electionMinMs: 150, electionMaxMs: 300, refusedMinMs: 5, refusedMaxMs: 30, rankMs: 20 };

/** How often faults come, and which: one named twice comes twice as often. */
interface Steering
  extends Partial<Pick<ClusterPlan, "nodes" | "voters" | "clients" | "groups" | "segmentBytes" | "network">> {
  readonly busyMs?: number;
  readonly faultEveryMs?: number;
  readonly faults: readonly FaultKind[];
  readonly creditBytes?: number;
  /** A full disk is tried again at each beat: too often, if those are quick. */
  readonly beatMs?: number;
  readonly thinkMaxMs?: number;
}

function steered(seed: number, options: Steering): ClusterPlan {
  const random = SimRandom.of(seed, 7);
  const { faults, faultEveryMs = 150, creditBytes = random.pick([1, 500, 1 << 20]), beatMs = 20, ...rest } = options;
  const usual = planOf(seed, { nodes: options.nodes ?? 3 });
  const busyMs = options.busyMs ?? 1500;
  return {
    ...usual,
    ...{ voters: usual.nodes, groups: 1, clients: 2, progressMs: 8000, thinkMaxMs: 20, learnLateMs: 1, syncFails: 0 },
    ...{
      network: { delayMinMs: 0.1, delayMaxMs: random.pick([2, 10]), lost: 0, doubled: 0, late: 0 },
      clockRates: [1, 1],
    },
    ...rest,
    raft: { ...usual.raft, ...quickRaft, beatMs, creditBytes },
    busyMs,
    faults: faultsOf(random, busyMs, faultEveryMs, faults),
  };
}

/** Nothing happens but what is directed. */
function quiet(seed: number, options: Partial<Steering> = {}): ClusterPlan {
  return steered(seed, { busyMs: 2500, faults: [], ...options });
}

function faultsOf(random: SimRandom, busyMs: number, everyMs: number, kinds: readonly FaultKind[]): Fault[] {
  const [first, ...others] = kinds;
  if (first === undefined) return [];
  return Array.from({ length: Math.floor(busyMs / everyMs) }, (_, number) => ({
    number,
    atMs: Math.floor((number + random.fraction()) * everyMs) + 100,
    kind: random.pick([first, ...others]),
  }));
}

const runs = {
  elections: {
    why: "leaders fall and links are cut all the time: terms rise fast, and logs part",
    plan: (seed) =>
      steered(seed, { faults: ["kill", "power cut", "cut off", "cut a link", "cut one way", "transfer"] }),
  },
  "four voters": {
    why: "a majority of four is three: one too many is counted where three voters would not show it",
    plan: (seed) => steered(seed, { nodes: 4, voters: 4, faults: ["kill", "cut off", "cut a link", "power cut"] }),
  },
  voters: {
    why: "voters change all the time, from an even set, and links are cut meanwhile",
    plan: (seed) =>
      steered(seed, {
        ...{ nodes: 4, voters: 2, faultEveryMs: 60 },
        faults: ["change voters", "change voters", "change voters", "cut a link", "cut off", "kill", "transfer"],
      }),
  },
  observers: {
    why: "one that does not vote fetches from whom it finds, while leaders change",
    plan: (seed) => steered(seed, { nodes: 4, voters: 3, faults: ["kill", "cut off", "cut a link", "transfer"] }),
  },
  "full disks": {
    why: "a leader that has no room leads no more, and leads other groups on",
    plan: (seed) =>
      steered(seed, { groups: 3, beatMs: 50, faults: ["full disk", "full disk", "slow disk", "cut a link"] }),
  },
  trims: {
    why: "segments are small, and files go all the time",
    plan: (seed) => steered(seed, { segmentBytes: 600, faults: ["kill", "cut off", "transfer"] }),
  },
  "wiped voter": { why: "raft-why 1", plan: quiet, direct: wipedVoter },
  "removed voter": {
    why: "an observer is nobody's voter",
    plan: (seed) => quiet(seed, { nodes: 4 }),
    direct: removedVoter,
  },
  "two changes": {
    why: "two sets that are not neighbours",
    plan: (seed) => quiet(seed, { nodes: 5, voters: 3 }),
    direct: twoChanges,
  },
  "change before a commit": {
    why: "Ongaro's correction of 2015, which starts from an even set",
    plan: (seed) => quiet(seed, { nodes: 5, voters: 4, clients: 0 }),
    direct: changeBeforeCommit,
  },
  "older terms": { why: "Raft, figure 8", plan: (seed) => quiet(seed, { creditBytes: 1 }), direct: olderTerms },
  "two candidates": { why: "one vote a term", plan: quiet, direct: twoCandidates },
  "stale leader": { why: "raft-why 2", plan: quiet, direct: staleLeader },
  "broken sessions": { why: "raft-why 11", plan: (seed) => quiet(seed, { groups: 2 }), direct: brokenSessions },
  "cut-off leader": { why: "two lead at once for a while, in two terms", plan: quiet, direct: cutOffLeader },
  "a leader without room": {
    why: "raft-why 17",
    plan: (seed) => quiet(seed, { groups: 2, busyMs: 1500 }),
    direct: leaderWithoutRoom,
  },
  "refused by an old leader": {
    why: "raft-why 13",
    plan: (seed) => quiet(seed, { clients: 0 }),
    direct: refusedByOldLeader,
  },
  "new leader": { why: "raft-why 30", plan: quiet, direct: newLeader },
  "restarted leader": { why: "raft-why 10", plan: quiet, direct: restartedLeader },
  "uncommitted duplicate": {
    why: "raft-why 9",
    plan: (seed) => quiet(seed, { clients: 0, busyMs: 7000 }),
    direct: uncommittedDuplicate,
  },
  "uncommitted base": {
    why: "raft-why 5",
    plan: (seed) => quiet(seed, { clients: 0, segmentBytes: 600 }),
    direct: uncommittedBase,
  },
  "lacking term": { why: "raft-why 18", plan: (seed) => quiet(seed, { clients: 0 }), direct: lackingTerm },
} as const satisfies Record<string, SteeredRun>;

/** Which run. */
export type RunName = keyof typeof runs;

/** All of them. */
export const allRuns: Readonly<Record<string, SteeredRun>> = runs;

/** @throws {RangeError} There is none of this name. */
export function runNamed(name: string): SteeredRun {
  const run = allRuns[name];
  if (!run) throw new RangeError(`"${name}" is no run of the cluster: ${Object.keys(runs).join(", ")}`);
  return run;
}
