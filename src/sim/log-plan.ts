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
  readonly largeMaxBytes: number;
  /** Longest pause between two steps, milliseconds. */
  readonly pauseMaxMs: number;
}

/** How a life ends. */
export interface Ending {
  readonly kind: "close" | "kill" | "power cut";
  /** After so many calls of the disk; a life that has nothing more to do before is closed. */
  readonly atCall: number;
  readonly steps: number;
  /** The power goes before the next life. */
  readonly powerCutAfter?: boolean;
}

const kibibyte = 1 << 10;
const mebibyte = 1 << 20;

/** `trouble`: what goes wrong, where it is not to be drawn. */
export function planOf(random: SimRandom, trouble = drawTrouble(random)): LogPlan {
  const room = trouble === "room";
  // Of a full ring an eighth of a file is left for starts and stops: each takes 4 KiB.
  const journalUnitBytes = (room ? 256 : 64) * kibibyte;
  const journalFileBytes = random.pick(room ? [1, 1, 1, 2] : [1, 1, 1, 1, 1, 1, 2, 4]) * journalUnitBytes;
  const journalFiles = random.between(2, 4);
  const ringBytes = journalFileBytes * journalFiles;
  return {
    lives: random.between(2, 6),
    settings: {
      journalFileBytes,
      journalUnitBytes,
      journalFiles,
      tailMaxBytes: random.pick([2 * kibibyte, 20 * kibibyte, 2 * mebibyte]),
      arenaBytes: random.pick([0, 3 * journalFileBytes]),
      markDelayMs: random.pick([1, 20, 100]),
      segmentHandles: random.pick([1, 3, 100]),
      indexMemoryBytes: random.pick([0, 500, mebibyte]),
      appendQueueMaxBytes: random.pick([6 * journalFileBytes, 64 * mebibyte, 64 * mebibyte]),
      freeSpaceReserve: random.pick([0, 0, 0.01]),
    },
    // The ring takes a sixteenth, the rest fills up or does not.
    volumeBytes: room ? Math.floor(ringBytes * (random.chance(0.7) ? 16 : 1 + 4 * random.fraction())) : 1024 * mebibyte,
    rolling: {
      maxBytes: random.pick([600, 10 * kibibyte, 100 * kibibyte, 64 * mebibyte]),
      maxAgeMicros: random.pick([20_000, 2_000_000, 1e12]),
    },
    groupsMax: random.pick([1, 3, 8]),
    syncFails: trouble === "sync" ? random.pick([0.005, 0.03]) : 0,
    writeBackFails: trouble === "sync" ? random.pick([0, 0.003]) : 0,
    copyOnWrite: room && random.chance(0.2),
    fills: room ? random.pick([0, 0.01, 0.03]) : 0,
    payloadMaxBytes: random.pick([300, 2 * kibibyte, Math.floor(journalFileBytes / 17)]),
    large: random.pick([0, 0.03, 0.2, 0.6]),
    // Two or more of what is flushed at once, seldom as much as the ring.
    largeMaxBytes: Math.floor(journalFileBytes / random.pick([1, 4, 8, 8, 8, 8, 8, 8])),
    pauseMaxMs: random.pick([0, 5, 150]),
  };
}

export function endingOf(random: SimRandom): Ending {
  const kind = random.pick<Ending["kind"]>(["close", "kill", "kill", "power cut", "power cut"]);
  const soon = random.chance(0.3);
  const atCall = kind === "close" ? Number.POSITIVE_INFINITY : random.skewed(1, soon ? 60 : 1500);
  return { kind, atCall, steps: random.skewed(1, 120), powerCutAfter: random.chance(0.3) };
}

function drawTrouble(random: SimRandom): "none" | "sync" | "room" {
  return random.pick(["none", "none", "none", "sync", "sync", "room", "room"]);
}
