/**
 * What a run of the log is like, drawn from its seed: sizes, loads and what goes wrong.
 * @module
 */
import type { LogOptions } from "../log/settings.ts";
import type { SegmentLimits } from "../log/types.ts";
import type { SimRandom } from "./random.ts";

/** A whole run. */
export interface LogPlan {
  readonly lives: number;
  readonly settings: LogOptions;
  readonly volumeBytes: number;
  readonly rolling: SegmentLimits;
  readonly groupsMax: number;
  /** Likelihoods by call of the disk. */
  readonly syncFails: number;
  readonly writeBackFails: number;
  readonly copyOnWrite: boolean;
  /** How often the volume fills up, by step. */
  readonly fills: number;
  /** Largest payloads; most are smaller. */
  readonly payloadMaxBytes: number;
  /** How often an append is large enough to go to its segment at once. */
  readonly large: number;
  /** Longest pause between two steps, milliseconds. */
  readonly pauseMaxMs: number;
}

/** How a life ends. */
export interface Ending {
  readonly kind: "close" | "kill" | "power cut";
  /** After so many calls of the disk; a life that has nothing more to do before is closed. */
  readonly atCall: number;
  readonly steps: number;
}

const kibibyte = 1 << 10;
const mebibyte = 1 << 20;

export function planOf(random: SimRandom): LogPlan {
  const trouble = random.pick(["none", "none", "none", "sync", "room", "room"]);
  const journalFileBytes = random.pick([mebibyte, mebibyte, mebibyte, 2 * mebibyte]);
  const journalFiles = random.between(2, 4);
  const room = trouble === "room";
  return {
    lives: random.between(2, 6),
    settings: {
      journalFileBytes,
      journalFiles,
      tailMaxBytes: random.pick([4 * kibibyte, 64 * kibibyte, 2 * mebibyte]),
      arenaBytes: random.pick([0, 3 * mebibyte]),
      markDelayMs: random.pick([1, 20, 100]),
      segmentHandles: random.pick([1, 3, 100]),
      indexMemoryBytes: random.pick([0, 500, mebibyte]),
      appendQueueMaxBytes: random.pick([300 * kibibyte, 64 * mebibyte, 64 * mebibyte]),
      freeSpaceReserve: random.pick([0, 0, 0.01]),
    },
    volumeBytes: room ? random.between(6, 24) * mebibyte : 1024 * mebibyte,
    rolling: {
      maxBytes: random.pick([600, 20 * kibibyte, 300 * kibibyte, 64 * mebibyte]),
      maxAgeMicros: random.pick([20_000, 2_000_000, 1e12]),
    },
    groupsMax: random.pick([1, 3, 8]),
    syncFails: trouble === "sync" ? random.pick([0.002, 0.02]) : 0,
    writeBackFails: trouble === "sync" ? random.pick([0, 0.003]) : 0,
    copyOnWrite: room && random.chance(0.2),
    fills: room ? random.pick([0, 0.01, 0.03]) : 0,
    payloadMaxBytes: random.pick([300, 8 * kibibyte, 60 * kibibyte]),
    large: random.pick([0, 0.03, 0.2]),
    pauseMaxMs: random.pick([0, 5, 150]),
  };
}

export function endingOf(random: SimRandom): Ending {
  const kind = random.pick<Ending["kind"]>(["close", "kill", "kill", "power cut", "power cut"]);
  const soon = random.chance(0.3);
  const atCall = kind === "close" ? Number.POSITIVE_INFINITY : random.skewed(1, soon ? 40 : 2500);
  return { kind, atCall, steps: random.skewed(1, 250) };
}
