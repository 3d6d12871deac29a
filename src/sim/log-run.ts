/**
 * One run of the log on the simulated disk: some lives of one data folder, from a seed.
 * @module
 */
import { systemHash } from "../host/hash.ts";
import { SimDisk, type Tally } from "./disk.ts";
import { type LifeEnd, LogLife, type LogWorld } from "./log-life.ts";
import { Broken } from "./log-model.ts";
import { type Ending, endingOf, planOf } from "./log-plan.ts";
import { SimRandom } from "./random.ts";
import { quiet, Timeline } from "./timeline.ts";

/** What became of a run. */
export interface RunReport {
  readonly seed: number;
  /** Why it failed; `undefined`: all held. */
  readonly failure: Error | undefined;
  /** What happened and how often. */
  readonly tally: Tally;
}

/** Runs one seed. The same seed gives the same run. `trace` is told of everything, line by line. */
export async function runLog(seed: number, trace?: (line: string) => void): Promise<RunReport> {
  const random = new SimRandom(seed);
  const timeline = new Timeline();
  const tally: Tally = new Map();
  const tell = trace ? (line: string) => trace(`${timeline.nowMs.toFixed(3).padStart(10)} ms  ${line}`) : () => {};
  const plan = planOf(random.fork());
  const disk = new SimDisk({ timeline, random: random.fork(), totalBytes: plan.volumeBytes, tally });
  disk.trace = tell;
  disk.faults = plan;
  const world: LogWorld = {
    ...{ disk, random: random.fork(), plan, hash: systemHash, groups: new Map(), trace: tell },
    ...{ lastGroup: 0, lastAppend: 0, isMade: false },
  };
  tell(`seed ${seed}: ${JSON.stringify(plan)}`);
  try {
    for (let life = 1; life <= plan.lives; life++) {
      const ending = endingOf(world.random);
      tell(`=== life ${life} of ${plan.lives}: ${JSON.stringify(ending)}`);
      const end = await liveOnce(timeline, world, ending);
      tell(`=== life ${life} ended: ${end}`);
      if (world.random.chance(0.2)) disk.powerCut();
    }
    // A last one without trouble, in which all that was acknowledged is read once more.
    disk.faults = { syncFails: 0, writeBackFails: 0, copyOnWrite: plan.copyOnWrite };
    disk.totalBytes = plan.volumeBytes * 4;
    tell("=== last life");
    await liveOnce(timeline, world, { kind: "close", atCall: Number.POSITIVE_INFINITY, steps: 3 });
    return { seed, failure: undefined, tally };
  } catch (error) {
    tell(`failed: ${error instanceof Error ? error.stack : error}`);
    return { seed, failure: error instanceof Error ? error : new Broken(String(error)), tally };
  }
}

/** Lets time pass until the life is over. */
async function liveOnce(timeline: Timeline, world: LogWorld, ending: Ending): Promise<LifeEnd> {
  let over = false;
  const life = new LogLife(world, ending).run().finally(() => {
    over = true;
  });
  life.catch(() => {});
  await quiet();
  while (!over) {
    if (!timeline.step()) throw new Broken("nothing happens any more, and something is still waited for");
    await quiet();
  }
  return await life;
}
