/**
 * Ways to steer a run towards what most runs meet seldom. What a profile leaves alone is drawn as always.
 * @module
 */
import type { LogPlan, Trouble } from "./log-plan.ts";
import type { SimRandom } from "./random.ts";

/** Each by what it is full of. */
export type Profile = "cuts" | "ring" | "kept" | "full";

interface Steering {
  readonly trouble: Trouble;
  /** What is other than in the plan that was drawn. */
  readonly steer: (random: SimRandom, plan: LogPlan) => Partial<LogPlan>;
}

const kibibyte = 1 << 10;
const mebibyte = 1 << 20;

/** What each of them does. */
export const profiles: Readonly<Record<Profile, Steering>> = {
  cuts: { trouble: "sync", steer: cuts },
  ring: { trouble: "none", steer: ring },
  kept: { trouble: "sync", steer: kept },
  full: { trouble: "room", steer: full },
};

/** @throws {RangeError} There is none of that name. */
export function profileNamed(name: string): Profile {
  const found = profileNames.find((known) => known === name);
  if (!found) throw new RangeError(`"${name}" is no profile: there are ${profileNames.join(", ")}`);
  return found;
}

/** Their names. */
export const profileNames: readonly Profile[] = ["cuts", "ring", "kept", "full"];

/** Many cuts into small segments, in many short lives, some of which fail. */
function cuts(random: SimRandom, { settings, endings }: LogPlan): Partial<LogPlan> {
  return {
    lives: random.between(5, 9),
    stepsMin: 8,
    stepsMax: 40,
    settings: { ...settings, journalFileBytes: 64 * kibibyte, tailMaxBytes: random.pick([200, 2 * kibibyte]) },
    rolling: { maxBytes: random.pick([600, 3 * kibibyte, 20 * kibibyte]), maxAgeMicros: 1e12 },
    groupsMax: random.pick([1, 2]),
    syncFails: 0.01,
    changeSyncFails: random.pick([0.02, 0.25, 0.25]),
    writeBackFails: random.pick([0, 0.003]),
    // A batch of one sector or two comes back whole, if at all.
    payloadMaxBytes: random.pick([50, 50, 400]),
    large: random.pick([0.1, 0.5]),
    largeMaxBytes: 8 * kibibyte,
    changes: random.pick([0.3, 0.5]),
    changeKinds: ["cut"],
    followers: 1,
    pauseMaxMs: random.pick([5, 40]),
    endings: {
      ...endings,
      kinds: ["kill", "power cut", "power cut"],
      ...{ countsSome: 0.5, soon: 0.4, soonMax: 200, lateFrom: 100, lateMax: 500 },
      // What a start left undone shows when the power goes before anything is written over it.
      ...{ powerCuts: 0.1, idle: 0.4, afterWork: 0.1 },
    },
  };
}

/** Many laps of a tiny ring that is freed in haste, ended while it is written. */
function ring(random: SimRandom, { settings, endings }: LogPlan): Partial<LogPlan> {
  return {
    lives: random.between(2, 4),
    stepsMin: 30,
    stepsMax: 90,
    settings: {
      ...settings,
      journalFileBytes: 64 * kibibyte,
      journalFiles: 2,
      tailMaxBytes: 2 * mebibyte,
      // Where all tails are flushed, and logs are new, freeing takes longer than the ring has room for.
      carryMaxBytes: random.pick([0, 0, 4 * kibibyte]),
      markDelayMs: random.pick([1, 20]),
    },
    rolling: { maxBytes: 64 * mebibyte, maxAgeMicros: 1e12 },
    groupsMax: random.pick([8, 16]),
    creations: 0.4,
    payloadMaxBytes: random.pick([300, 2000]),
    large: 0,
    changes: 0,
    pauseMaxMs: random.pick([2, 5]),
    endings: {
      ...endings,
      kinds: ["kill", "power cut", "power cut", "power cut", "power cut"],
      ...{ countedOnly: "turns", countsSome: 0.9, soonFrom: 1, soonMax: 6, powerCuts: 0.5, afterWork: 0.1 },
    },
  };
}

/** Large rounds whose syncs fail, and a power cut not in that life but after the next start. */
function kept(random: SimRandom, { settings, endings }: LogPlan): Partial<LogPlan> {
  return {
    lives: random.between(4, 9),
    stepsMax: random.pick([8, 15, 30]),
    settings: { ...settings, journalFileBytes: 64 * kibibyte },
    rolling: { maxBytes: random.pick([20 * kibibyte, 64 * mebibyte]), maxAgeMicros: 1e12 },
    groupsMax: random.pick([1, 2]),
    syncFails: random.pick([0.01, 0.05]),
    writeBackFails: random.pick([0, 0.003, 0.01]),
    large: random.pick([0.6, 0.9]),
    largeMaxBytes: random.pick([8, 16]) * kibibyte,
    changes: 0,
    pauseMaxMs: random.pick([5, 40]),
    endings: {
      ...endings,
      kinds: ["kill", "kill", "power cut"],
      // The page cache must outlive the failed life, and not the next one.
      ...{ countsSome: 0.5, soon: 0.6, lateMax: 200, powerCuts: 0.1, idle: 0.3 },
    },
  };
}

/** Cuts on a disk that is full again and again, and where overwriting takes room. */
function full(random: SimRandom, { settings, endings }: LogPlan): Partial<LogPlan> {
  return {
    stepsMin: 20,
    stepsMax: 120,
    settings: { ...settings, tailMaxBytes: 200 },
    rolling: { maxBytes: random.pick([20 * kibibyte, 64 * mebibyte]), maxAgeMicros: 1e12 },
    groupsMax: random.pick([1, 2]),
    // Else a record finds room where the frame before it did: the ring's files are there already.
    copyOnWrite: true,
    fills: random.pick([0.1, 0.4]),
    payloadMaxBytes: 300,
    large: random.pick([0.3, 0.8]),
    largeMaxBytes: 8 * kibibyte,
    changes: random.pick([0.2, 0.5]),
    changeKinds: ["cut"],
    followers: 1,
    pauseMaxMs: random.pick([0, 5]),
    endings: {
      ...endings,
      kinds: ["kill", "kill", "power cut"],
      countsSome: 0,
      soon: 0,
      lateFrom: 100,
      lateMax: 1000,
      powerCuts: 0.1,
      afterWork: 0.6,
    },
  };
}
