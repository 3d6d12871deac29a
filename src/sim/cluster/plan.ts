/**
 * What a run of a cluster is like, drawn from its seed: how many nodes and groups, how its network and disks behave, what
 * its clients do, and which faults come when.
 * @module
 */
import type { LogOptions } from "../../log/settings.ts";
import { lanSettings, type RaftSettings } from "../../raft/types.ts";
import { SimRandom } from "../random.ts";
import type { NetworkPlan } from "./network.ts";
import { type ClusterProfile, profiles } from "./profiles.ts";

/** What goes wrong. */
export type FaultKind =
  | "kill"
  /** Its starts end in the middle, again and again. */
  | "crash loop"
  | "clean stop"
  | "power cut"
  | "power cut of all"
  | "pause"
  | "clock jump"
  | "cut off"
  | "cut one way"
  | "cut a link"
  | "flapping link"
  | "break sessions"
  | "wipe"
  /** An old copy of a disk comes back. */
  | "put back"
  | "slow disk"
  | "full disk"
  | "bit flip"
  | "change voters"
  | "transfer"
  | "create"
  | "delete";

/** A fault, and when. Which node or link it meets is drawn from the seed and its number. */
export interface Fault {
  readonly number: number;
  readonly atMs: number;
  readonly kind: FaultKind;
}

/** How often each fault comes, compared with the others. */
export type FaultWeights = Readonly<Record<FaultKind, number>>;

/** A run. Times are virtual milliseconds. */
export interface ClusterPlan {
  readonly nodes: number;
  /** Nodes above this number are observers at first. */
  readonly voters: number;
  readonly groups: number;
  readonly clients: number;
  /** How long faults and clients go on; then all heals. */
  readonly busyMs: number;
  /** In a healed cluster an append succeeds within this. */
  readonly progressMs: number;
  readonly network: NetworkPlan;
  readonly raft: RaftSettings;
  readonly log: LogOptions;
  /** A segment ends at so many bytes. */
  readonly segmentBytes: number;
  /** Slowest and fastest clock: a rate each. */
  readonly clockRates: readonly [number, number];
  readonly thinkMaxMs: number;
  /** How late a node hears of a group that was created or deleted. */
  readonly learnLateMs: number;
  /** How likely a client asks any node, whoever it takes for the leader: that one may lead on in a minority. */
  readonly strayAsks: number;
  readonly syncFails: number;
  readonly faults: readonly Fault[];
}

/** How a plan is drawn. */
export interface PlanOptions {
  readonly nodes?: number;
  readonly profile?: ClusterProfile;
}

/** What is common in the world comes most; what empties a disk, or ends a group, seldom. */
const usualWeights: FaultWeights = {
  ...{ kill: 4, "crash loop": 2, "clean stop": 1, "power cut": 3, "power cut of all": 1, pause: 3, "clock jump": 1 },
  ...{ "cut off": 4, "cut one way": 3, "cut a link": 3, "flapping link": 1, "break sessions": 4 },
  ...{ wipe: 1, "put back": 1, "slow disk": 1, "full disk": 1, "bit flip": 1 },
  ...{ "change voters": 3, transfer: 2, create: 1, delete: 1 },
};

const noWeights: FaultWeights = {
  ...{ kill: 0, "crash loop": 0, "clean stop": 0, "power cut": 0, "power cut of all": 0, pause: 0, "clock jump": 0 },
  ...{ "cut off": 0, "cut one way": 0, "cut a link": 0, "flapping link": 0, "break sessions": 0 },
  ...{ wipe: 0, "put back": 0, "slow disk": 0, "full disk": 0, "bit flip": 0 },
  ...{ "change voters": 0, transfer: 0, create: 0, delete: 0 },
};

/** All faults there are. */
export const faultKinds: readonly FaultKind[] = [
  ...(["kill", "crash loop", "clean stop", "power cut", "power cut of all", "pause", "clock jump"] as const),
  ...(["cut off", "cut one way", "cut a link", "flapping link", "break sessions"] as const),
  ...(["wipe", "put back", "slow disk", "full disk", "bit flip"] as const),
  ...(["change voters", "transfer", "create", "delete"] as const),
];

/** Groups are few here, and still some have to wait: of several that are behind, or have no leader. */
function crowded(creditBytes: number, askingMaxGroups: number): ClusterPlan["raft"] {
  const limits = { creditBytes, sessionCreditBytes: 2 * creditBytes, askingMaxGroups };
  return { ...lanSettings, catchUpMaxBatches: 50, ...limits };
}

/** Draws a run. */
export function planOf(seed: number, { nodes: wanted, profile }: PlanOptions = {}): ClusterPlan {
  const random = SimRandom.of(seed, 1);
  const nodes = wanted ?? random.pick([3, 3, 3, 4, 5]);
  const isSlow = random.chance(0.2);
  const drawn: Omit<ClusterPlan, "faults"> = {
    nodes,
    voters: random.chance(0.3) ? Math.max(nodes - 1, Math.min(nodes, 3)) : nodes,
    groups: random.between(1, 3),
    clients: random.between(1, 4),
    busyMs: random.between(1500, 5000),
    progressMs: 30_000,
    network: {
      delayMinMs: 0.1,
      delayMaxMs: isSlow ? 300 : random.pick([2, 10, 40]),
      lost: random.pick([0, 0, 0.02, 0.2]),
      doubled: random.pick([0, 0.05]),
      late: random.pick([0, 0.3]),
    },
    raft: crowded(random.pick([1, 500, 1 << 20]), SimRandom.of(seed, 9).pick([1, 2, lanSettings.askingMaxGroups])),
    log: { ...logOptions, tailMaxBytes: random.pick([500, 4000, 1 << 20]) },
    segmentBytes: random.pick([2000, 8000, 1 << 20]),
    clockRates: random.pick([
      [1, 1],
      [0.95, 1.05],
      [0.8, 1.25],
    ]),
    learnLateMs: 3000,
    thinkMaxMs: random.pick([20, 100, 400]),
    strayAsks: random.pick([0, 0.1]),
    syncFails: random.chance(0.1) ? 0.002 : 0,
  };
  const steering = profile === undefined ? undefined : profiles[profile];
  const steered = { ...drawn, ...steering?.steer(random, { ...drawn, faults: [] }) };
  const isOwn = steering !== undefined && Object.keys(steering.weights).length > 0;
  const weights = isOwn ? { ...noWeights, ...steering.weights } : usualWeights;
  return { ...steered, faults: faultsOf(random, steered.busyMs, steering?.faultGapMs ?? 400, weights) };
}

/** Small rings and memory: many folders are open at once. */
const logOptions: LogOptions = {
  ...{ journalFiles: 4, journalFileBytes: 256 * 1024, journalUnitBytes: 64 * 1024, arenaBytes: 256 * 1024 },
};

function faultsOf(random: SimRandom, busyMs: number, gapMs: number, weights: FaultWeights): Fault[] {
  const kinds = faultKinds.flatMap((kind) => Array.from({ length: weights[kind] }, () => kind));
  const count = random.between(0, Math.ceil(busyMs / gapMs));
  const faults = Array.from({ length: count }, (_, number) => ({
    number,
    atMs: random.between(200, busyMs - 1),
    kind: kinds[random.between(0, kinds.length - 1)] ?? "kill",
  }));
  return faults.sort((a, b) => a.atMs - b.atMs);
}
