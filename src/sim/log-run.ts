/**
 * One run of the log on the simulated disk: some lives of one data folder, from a seed.
 * @module
 */
import { systemHash } from "../host/hash.ts";
import { Coverage } from "./coverage.ts";
import { SimDisk, type Tally } from "./disk.ts";
import { checkFiles } from "./left-files.ts";
import { type LifeEnd, LogLife } from "./log-life.ts";
import { type LogPlan, type PlanChoice, planOf } from "./log-plan.ts";
import type { LogWorld } from "./log-world.ts";
import { Broken } from "./must.ts";
import { numbersTo } from "./number-ranges.ts";
import { plantDamage } from "./planted-damage.ts";
import { SimRandom } from "./random.ts";
import { type LifeScript, type RunScript, scriptOf, scriptText } from "./run-script.ts";
import { passTime, Timeline } from "./timeline.ts";

/** What became of a run. */
export interface RunReport {
  readonly seed: number;
  /** What it did. */
  readonly script: RunScript;
  /** Why it failed; `undefined`: all held. */
  readonly failure: Error | undefined;
  /** What happened and how often. */
  readonly tally: Tally;
  /** Stands for all that is on the disk at its end. */
  readonly contents: () => string;
}

/** How to run. */
export interface RunOptions extends PlanChoice {
  /** Told of everything, line by line. */
  readonly trace?: (line: string) => void;
  /** What it does, where that is not to be drawn. */
  readonly script?: RunScript;
  /** Makes another disk of the one that the run would have. */
  readonly spoilDisk?: (disk: SimDisk) => void;
}

/** Runs one seed. The same seed gives the same run. */
export async function runLog(seed: number, options: RunOptions = {}): Promise<RunReport> {
  const timeline = new Timeline();
  const tally: Tally = new Map();
  const { trace } = options;
  const tell = trace && ((line: string) => trace(`${timeline.nowMs.toFixed(3).padStart(10)} ms  ${line}`));
  const plan = planOf(SimRandom.of(seed), options);
  const disk = new SimDisk({ timeline, random: SimRandom.of(seed, 0), totalBytes: plan.volumeBytes, tally });
  const world = worldOn(disk, { seed, plan, trace: tell });
  options.spoilDisk?.(disk);
  const script = options.script ?? scriptOf(seed, plan);
  tell?.(`seed ${seed}: ${JSON.stringify(plan)}`);
  tell?.(`lives ${scriptText(script)}`);
  const report = { seed, script, tally, contents: () => disk.fingerprint(systemHash) };
  try {
    for (const life of script) await live(world, life);
    await liveLast(world);
    return { ...report, failure: undefined };
  } catch (error) {
    tell?.(`failed: ${error instanceof Error ? error.stack : error}`);
    if (tell) for (const { path, node } of disk.files()) tell(`left: ${path}, ${node.size} bytes`);
    return { ...report, failure: error instanceof Error ? error : new Broken(String(error)) };
  }
}

function worldOn(disk: SimDisk, of: { seed: number; plan: LogPlan; trace: LogWorld["trace"] }): LogWorld {
  const { seed, plan, trace } = of;
  const coverage = new Coverage(disk.tally);
  const { journalFileBytes, journalFiles } = plan.settings;
  disk.trace = trace;
  disk.onWrite = (path, parts, at) => {
    coverage.written(path, parts, at);
    const slot = /^\/data\/journal\/(\d+)$/.exec(path)?.[1];
    if (slot === undefined) return;
    const end = parts.reduce((sum, { length }) => sum + length, at);
    const fits = Number(slot) < journalFiles && end <= journalFileBytes;
    if (!fits) throw new Broken(`the ring has ${journalFiles} files of ${journalFileBytes}, and ${path} gets ${end}`);
  };
  return {
    ...{ seed, disk, plan, coverage, trace, hash: systemHash, groups: new Map() },
    ...{ lastGroup: 0, lastAppend: 0, planted: undefined, isMade: false },
  };
}

async function live(world: LogWorld, life: LifeScript): Promise<LifeEnd> {
  const { disk, trace, seed, plan } = world;
  disk.faults = plan;
  trace?.(`=== life ${life.number}: ${life.kind} at call ${life.atCall}, ${life.steps.length} steps`);
  const end = await passTime(disk.timeline, new LogLife(world, life).run());
  trace?.(`=== life ${life.number} ended: ${end}`);
  if (end === "damage refused") disk.count("damage: start refused");
  // What a refused start met is as it was; what it did meanwhile must have spoiled nothing.
  if (world.planted?.refusesStart) {
    world.planted.undo();
    world.planted = undefined;
  }
  if (life.powerCutAfter) disk.powerCut();
  const random = SimRandom.of(seed, life.number, 5);
  // Behind the last life nobody would notice.
  const isBetween = life.number < plan.lives;
  if (plan.trouble === "damage" && isBetween && world.isMade && random.chance(0.6)) {
    world.planted = await plantDamage(world, random);
  }
  return end;
}

/** A last life without trouble, in which all that was acknowledged is read once more. */
async function liveLast(world: LogWorld): Promise<void> {
  const { disk, plan } = world;
  disk.totalBytes = plan.volumeBytes * 4;
  const ending = { kind: "close", atCall: Number.POSITIVE_INFINITY } as const;
  const life = { ...ending, counts: "all" as const, powerCutAfter: false, number: plan.lives, steps: numbersTo(3) };
  let end: LifeEnd;
  const calm = { ...world, plan: { ...plan, syncFails: 0, writeBackFails: 0, changeSyncFails: undefined } };
  do end = await live(calm, life);
  while (end === "damage refused");
  if (end === "closed" && plan.trouble !== "damage") checkFiles(world);
}
