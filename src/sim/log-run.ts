/**
 * One run of the log on the simulated disk: some lives of one data folder, from a seed.
 * @module
 */
import { systemHash } from "../host/hash.ts";
import { SimDisk, type Tally } from "./disk.ts";
import { LogLife } from "./log-life.ts";
import { Broken } from "./log-model.ts";
import { type Ending, endingOf, planOf } from "./log-plan.ts";
import type { LogWorld } from "./log-world.ts";
import { SimRandom } from "./random.ts";
import { passTime, Timeline } from "./timeline.ts";

/** What became of a run. */
export interface RunReport {
  readonly seed: number;
  /** Why it failed; `undefined`: all held. */
  readonly failure: Error | undefined;
  /** What happened and how often. */
  readonly tally: Tally;
  /** Stands for all that is on the disk at its end. */
  readonly contents: () => string;
}

/** How to run. */
export interface RunOptions {
  /** Told of everything, line by line. */
  readonly trace?: (line: string) => void;
  /** Ends of the lives, where they are not to be drawn. */
  readonly endings?: readonly Ending[];
  /** Nothing goes wrong but that lives end. */
  readonly withoutTrouble?: boolean;
}

/** Runs one seed. The same seed gives the same run. */
export async function runLog(seed: number, options: RunOptions = {}): Promise<RunReport> {
  const random = new SimRandom(seed);
  const timeline = new Timeline();
  const tally: Tally = new Map();
  const { trace } = options;
  const tell = trace && ((line: string) => trace(`${timeline.nowMs.toFixed(3).padStart(10)} ms  ${line}`));
  const plan = planOf(random.fork(), options.withoutTrouble ? "none" : undefined);
  const disk = new SimDisk({ timeline, random: random.fork(), totalBytes: plan.volumeBytes, tally });
  disk.trace = tell;
  disk.faults = plan;
  const world: LogWorld = {
    ...{ disk, random: random.fork(), plan, hash: systemHash, groups: new Map(), trace: tell },
    ...{ lastGroup: 0, lastAppend: 0, isMade: false },
  };
  tell?.(`seed ${seed}: ${JSON.stringify(plan)}`);
  const contents = () => disk.fingerprint(systemHash);
  const endings = options.endings ?? Array.from({ length: plan.lives }, () => endingOf(world.random));
  try {
    for (const [life, ending] of endings.entries()) {
      tell?.(`=== life ${life + 1} of ${endings.length}: ${JSON.stringify(ending)}`);
      const end = await passTime(timeline, new LogLife(world, ending).run());
      tell?.(`=== life ${life + 1} ended: ${end}`);
      if (ending.powerCutAfter) disk.powerCut();
    }
    // A last one without trouble, in which all that was acknowledged is read once more.
    disk.faults = { syncFails: 0, writeBackFails: 0, copyOnWrite: plan.copyOnWrite };
    disk.totalBytes = plan.volumeBytes * 4;
    tell?.("=== last life");
    await passTime(timeline, new LogLife(world, { kind: "close", atCall: Number.POSITIVE_INFINITY, steps: 3 }).run());
    return { seed, failure: undefined, tally, contents };
  } catch (error) {
    tell?.(`failed: ${error instanceof Error ? error.stack : error}`);
    if (tell) for (const { path, node } of disk.files()) tell(`left: ${path}, ${node.size} bytes`);
    return { seed, failure: error instanceof Error ? error : new Broken(String(error)), tally, contents };
  }
}
