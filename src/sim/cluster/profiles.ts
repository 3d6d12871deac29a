/**
 * Ways to steer runs of clusters towards what most runs meet seldom. What a profile leaves alone is drawn as always.
 * @module
 */
import type { SimRandom } from "../random.ts";
import type { ClusterPlan, FaultWeights } from "./plan.ts";

/** Each by what it is full of. */
export type ClusterProfile = "partitions" | "disks" | "voters" | "crashes" | "slow" | "calm" | "long";

interface Steering {
  /** In place of the usual ones. */
  readonly weights: Partial<FaultWeights>;
  /** A fault about so often, milliseconds. */
  readonly faultGapMs: number;
  /** What is other than in the plan that was drawn. */
  readonly steer: (random: SimRandom, plan: ClusterPlan) => Partial<ClusterPlan>;
}

/** What each of them does, and why. */
export const profiles: Readonly<Record<ClusterProfile, Steering>> = {
  // Two who believe that they lead, logs that part and come together, stale reads: each needs links that are cut while
  // something is written, and again before what came of it is healed.
  partitions: {
    weights: {
      ...{ "cut off": 10, "cut one way": 10, "cut a link": 10, "flapping link": 6, "break sessions": 6, transfer: 4 },
      ...{ pause: 3, kill: 1, "power cut": 1 },
    },
    faultGapMs: 250,
    steer: (random, { network }) => ({
      network: { ...network, lost: random.pick([0, 0.05, 0.3]), doubled: random.pick([0, 0.2]) },
      thinkMaxMs: random.pick([10, 40]),
      strayAsks: random.pick([0, 0.5]),
    }),
  },
  // What is durable and what only looks so: syncs that fail, disks that are full, slow, lost, or an old copy. Little credit
  // and small segments, so that followers are often told to begin anew.
  disks: {
    weights: {
      ...{
        "power cut": 8,
        "full disk": 8,
        "slow disk": 6,
        wipe: 4,
        "put back": 6,
        "crash loop": 3,
        kill: 2,
        "bit flip": 16,
      },
      ...{ "change voters": 4 },
    },
    faultGapMs: 350,
    steer: (random) => ({ syncFails: random.pick([0, 0.001, 0.003]), segmentBytes: random.pick([1200, 2000, 8000]) }),
  },
  // Sets of voters that overlap, members that join from nothing, leaders that leave: with votes and cuts between.
  voters: {
    weights: {
      ...{
        "change voters": 16,
        transfer: 6,
        wipe: 6,
        create: 2,
        delete: 2,
        "cut off": 4,
        kill: 3,
        "power cut": 2,
        "clean stop": 2,
      },
    },
    faultGapMs: 250,
    steer: (random) => ({ segmentBytes: random.pick([1200, 8000, 1 << 20]) }),
  },
  // Starts: what a vote, a term or a batch is worth that was or was not synced, and starts that end in the middle.
  crashes: {
    weights: {
      ...{
        kill: 8,
        "power cut": 8,
        "power cut of all": 5,
        "crash loop": 8,
        "clean stop": 3,
        "cut off": 2,
        transfer: 2,
      },
    },
    faultGapMs: 250,
    steer: (random) => ({ thinkMaxMs: random.pick([5, 20]) }),
  },
  // Answers that come long after they were asked for: timers, old messages, processes that stand still for seconds.
  slow: {
    weights: { pause: 12, "slow disk": 6, "clock jump": 4, "break sessions": 4, "cut a link": 4, kill: 1, transfer: 2 },
    faultGapMs: 400,
    steer: (random, { network }) => ({
      network: { ...network, delayMaxMs: random.pick([150, 400, 900]), late: 0.5 },
      clockRates: [0.8, 1.25],
    }),
  },
  // Nothing goes wrong: nobody is elected twice, and what is slow or wasteful shows.
  calm: { weights: {}, faultGapMs: Number.POSITIVE_INFINITY, steer: () => ({ syncFails: 0 }) },
  // As usual, for longer: segments that fill, and checkpoints far behind.
  long: { weights: {}, faultGapMs: 500, steer: (random) => ({ busyMs: random.between(8000, 30_000) }) },
};

/** @throws {RangeError} There is none of that name. */
export function profileNamed(name: string): ClusterProfile {
  const found = profileNames.find((known) => known === name);
  if (!found) throw new RangeError(`"${name}" is no profile: there are ${profileNames.join(", ")}`);
  return found;
}

/** Their names. */
export const profileNames: readonly ClusterProfile[] = [
  ...(["partitions", "disks", "voters", "crashes", "slow", "calm", "long"] as const),
];
