/**
 * Many runs, one seed after the other: what they met, which failed, and how to replay those.
 * @module
 */
import type { Tally } from "./disk.ts";
import { type RunOptions, type RunReport, runLog } from "./log-run.ts";
import { scriptText } from "./run-script.ts";
import { shorterRuns } from "./shorter-runs.ts";
import { shrink } from "./shrink.ts";

/** Which seeds, and how. */
export interface Campaign extends Omit<RunOptions, "script"> {
  readonly from: number;
  readonly seeds: number;
}

/** A seed that failed. */
export interface FailedSeed {
  readonly seed: number;
  readonly message: string;
  /** The command that replays it, in the shortest form that is known. */
  readonly command: string;
}

/** What came of it. */
export interface CampaignReport {
  readonly counts: Tally;
  readonly failed: readonly FailedSeed[];
  readonly seconds: number;
}

/** Shrinking one takes as long as some hundred runs: the first ones tell enough. */
const shrunkMax = 5;

/** Runs them, and tells of each that fails. */
export async function runSeeds({ from, seeds, ...options }: Campaign): Promise<CampaignReport> {
  const counts: Tally = new Map();
  const failed: FailedSeed[] = [];
  const since = performance.now();
  for (let seed = from; seed < from + seeds; seed++) {
    const report = await runLog(seed, options);
    for (const [what, count] of report.tally) counts.set(what, (counts.get(what) ?? 0) + count);
    if (!report.failure) continue;
    const found = failed.length < shrunkMax ? await toldShort(report, options) : told(report, options);
    failed.push(found);
    console.log(`seed ${seed}: ${found.message}\n  replay it: ${found.command}`);
  }
  return { counts, failed, seconds: (performance.now() - since) / 1000 };
}

/** Counts, one a line. */
export function countsText(counts: Tally): string {
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([what, count]) => `${String(count).padStart(9)}  ${what}`).join("\n");
}

async function toldShort(report: RunReport, { trace: _, ...options }: Omit<RunOptions, "script">): Promise<FailedSeed> {
  const { seed } = report;
  return told(await shrink(report, (script) => runLog(seed, { ...options, script }), shorterRuns), options);
}

function told({ seed, script, failure }: RunReport, { profile }: Pick<RunOptions, "profile">): FailedSeed {
  const steered = profile ? `--profile ${profile} ` : "";
  const command = `npm run -s sim:disk -- ${steered}--from ${seed} --lives ${scriptText(script)} --trace`;
  return { seed, message: failure?.message ?? "", command };
}
