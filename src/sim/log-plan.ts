/**
 * What a run of the log is like, drawn from its seed: sizes, loads and what goes wrong.
 * @module
 */
import type { LogOptions } from "../log/settings.ts";
import type { SegmentLimits } from "../log/types.ts";
import type { Change } from "./log-model.ts";
import { type Profile, profiles } from "./log-profiles.ts";
import type { SimRandom } from "./random.ts";

/** What goes wrong in a run, beside kills and power cuts. */
export type Trouble = "none" | "sync" | "room" | "damage";

/** A whole run. */
export interface LogPlan {
  readonly trouble: Trouble;
  readonly lives: number;
  /** Least and most steps of a life; most lives have few. */
  readonly stepsMin: number;
  readonly stepsMax: number;
  readonly settings: LogOptions & { readonly journalFileBytes: number; readonly journalFiles: number };
  readonly volumeBytes: number;
  readonly rolling: SegmentLimits;
  readonly groupsMax: number;
  /** Likelihoods by call of the disk. */
  readonly syncFails: number;
  readonly writeBackFails: number;
  /** The same as `syncFails`, while a log is cut, trimmed or begun anew; absent: no other than at other times. */
  readonly changeSyncFails: number | undefined;
  readonly copyOnWrite: boolean;
  /** How often the volume fills up, by step. */
  readonly fills: number;
  /** Largest payloads; most are smaller. */
  readonly payloadMaxBytes: number;
  /** How often an append is large enough to go to its segment at once. */
  readonly large: number;
  readonly largeMaxBytes: number;
  /** How often logs are cut, trimmed or begun anew, by step. */
  readonly changes: number;
  /** What those changes are. */
  readonly changeKinds: readonly [Change["kind"], ...Change["kind"][]];
  /** How often a new log is a follower's, where there are changes: it may be cut and begun anew. */
  readonly followers: number;
  /** How often a step makes one more log, while there are fewer than `groupsMax`. */
  readonly creations: number;
  /** Longest pause between two steps, milliseconds. */
  readonly pauseMaxMs: number;
  readonly endings: EndingPlan;
  /** How often what is appended was stamped by a leader elsewhere. */
  readonly feeds: number;
}

/** How lives end. */
export interface EndingPlan {
  readonly kinds: readonly [Ending["kind"], ...Ending["kind"][]];
  /** What is counted by those lives that count some calls only, and how often that is. */
  readonly countedOnly: Exclude<Counted, "all">;
  readonly countsSome: number;
  /** How often a life that counts all calls ends soon. */
  readonly soon: number;
  /** Least and most calls of a life that ends soon, and of another. */
  readonly soonFrom: number;
  readonly soonMax: number;
  readonly lateFrom: number;
  readonly lateMax: number;
  /** How often the power goes between two lives. */
  readonly powerCuts: number;
  /** How often a life does nothing but start, and is not closed. */
  readonly idle: number;
  /** How often a life that works is not closed either, and ends when all is done. */
  readonly afterWork: number;
}

/**
 * Calls of the disk that count for the end of a life: those about segments and their folders, or turns of the ring, which
 * are first writes to another file of the journal than before.
 */
export type Counted = "all" | "segments" | "turns";

/** How a life ends. */
export interface Ending {
  readonly kind: "close" | "kill" | "power cut";
  /** After so many calls of the disk; a life that is done before is closed. Infinite: when all is done. */
  readonly atCall: number;
  /** So that many lives end while something is written there. */
  readonly counts: Counted;
  /** The power goes before the next life. */
  readonly powerCutAfter: boolean;
}

const kibibyte = 1 << 10;
const mebibyte = 1 << 20;

/** What of a plan is not to be drawn. */
export interface PlanChoice {
  readonly trouble?: Trouble | undefined;
  readonly profile?: Profile | undefined;
}

/** The plan of a run. */
export function planOf(random: SimRandom, { trouble, profile }: PlanChoice = {}): LogPlan {
  if (!profile) return drawnPlan(random, trouble);
  const plan = drawnPlan(random, trouble ?? profiles[profile].trouble);
  return { ...plan, ...profiles[profile].steer(random, plan) };
}

function drawnPlan(random: SimRandom, given?: Trouble): LogPlan {
  const drawn = random.pick<Trouble>(["none", "none", "none", "sync", "sync", "room", "room", "damage"]);
  const trouble = given ?? drawn;
  const room = trouble === "room";
  // Of a full ring a sixteenth of a file is left for starts and stops: each takes 4 KiB.
  const journalUnitBytes = (room ? 512 : 64) * kibibyte;
  const journalFileBytes = random.pick(room ? [1, 1, 1, 2] : [1, 1, 1, 1, 1, 1, 2, 4]) * journalUnitBytes;
  const journalFiles = random.between(2, 4);
  const ringBytes = journalFileBytes * journalFiles;
  return {
    trouble,
    lives: random.between(2, room ? 4 : 6),
    stepsMin: 1,
    stepsMax: random.pick([15, 15, 30, 30, 30, 60, 60, 120]),
    settings: {
      journalFileBytes,
      journalUnitBytes,
      journalFiles,
      tailMaxBytes: random.pick([2 * kibibyte, 20 * kibibyte, 2 * mebibyte]),
      arenaBytes: random.pick([0, 3 * journalFileBytes]),
      markDelayMs: random.pick([1, 20, 100]),
      segmentHandles: random.pick([1, 3, 100]),
      indexMemoryBytes: random.pick([0, 500, mebibyte]),
      appendQueueMaxBytes: random.pick([journalFileBytes / 2, 6 * journalFileBytes, 64 * mebibyte, 64 * mebibyte]),
      freeSpaceReserve: random.pick([0, 0, 0.01]),
    },
    // The ring takes a sixteenth, the rest fills up or does not.
    volumeBytes: room ? Math.floor(ringBytes * (random.chance(0.7) ? 16 : 1 + 4 * random.fraction())) : 1024 * mebibyte,
    rolling: {
      maxBytes: random.pick([600, 3 * kibibyte, 10 * kibibyte, 100 * kibibyte, 64 * mebibyte]),
      maxAgeMicros: random.pick([20_000, 2_000_000, 1e12]),
    },
    groupsMax: random.pick([1, 3, 8]),
    syncFails: trouble === "sync" ? random.pick([0.005, 0.03]) : 0,
    writeBackFails: trouble === "sync" ? random.pick([0, 0.003]) : 0,
    changeSyncFails: undefined,
    copyOnWrite: room && random.chance(0.2),
    fills: room ? random.pick([0, 0.01, 0.03]) : 0,
    payloadMaxBytes: random.pick([300, 2 * kibibyte, Math.floor(journalFileBytes / (room ? 68 : 17))]),
    large: random.pick([0, 0.03, 0.2, 0.6]),
    // Two or more of what is flushed at once, seldom as much as the ring.
    largeMaxBytes: Math.floor(journalFileBytes / random.pick([1, 4, 8, 8, 8, 8, 8, 8]) / (room ? 4 : 1)),
    pauseMaxMs: random.pick([0, 5, 150]),
    changes: random.pick([0, 0.1, 0.3]),
    changeKinds: ["cut", "cut", "cut", "drop", "install"],
    followers: 0.6,
    creations: 0.1,
    endings: {
      kinds: ["close", "kill", "kill", "power cut", "power cut"],
      ...{ countedOnly: "segments", countsSome: 0.4, soon: 0.3, soonFrom: 1, soonMax: 60, lateFrom: 20, lateMax: 800 },
      ...{ powerCuts: 0.3, idle: 0, afterWork: 0 },
    },
    feeds: random.pick([0, 0, 0.3, 0.9]),
  };
}

/** How a life of such a run ends. */
export function endingOf(random: SimRandom, plan: EndingPlan): Ending {
  const kind = random.pick(plan.kinds);
  const counts = kind !== "close" && random.chance(plan.countsSome) ? plan.countedOnly : "all";
  const soon = counts !== "all" || random.chance(plan.soon);
  const drawnCall = () =>
    soon ? random.skewed(plan.soonFrom, plan.soonMax) : random.skewed(plan.lateFrom, plan.lateMax);
  const atCall = kind === "close" ? Number.POSITIVE_INFINITY : drawnCall();
  return { kind, atCall, counts, powerCutAfter: random.chance(plan.powerCuts) };
}
