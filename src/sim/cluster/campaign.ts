/**
 * Many runs of clusters, one seed after the other: what they met, which failed, and how to replay those.
 * @module
 */
import { appendFileSync } from "node:fs";
import type { Tally } from "../disk.ts";
import { shrink } from "../shrink.ts";
import type { PlanOptions } from "./plan.ts";
import { type ClusterReport, runCluster } from "./run.ts";
import { scriptText, shorterScripts } from "./run-word.ts";

/** Which seeds, and how. */
export interface ClusterCampaign extends PlanOptions {
  readonly from: number;
  readonly seeds: number;
  /** Real milliseconds after which no more are begun. */
  readonly withinMs?: number;
  /** A file to which each seed that fails is added, with the command that replays it. */
  readonly keep?: string;
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
  readonly runs: number;
  readonly operations: number;
  readonly seconds: number;
}

/** Shrinking one takes as long as some hundred runs: the first ones tell enough. */
const shrunkMax = 5;

/** Runs them, and tells of each that fails. */
export async function runClusters(campaign: ClusterCampaign): Promise<CampaignReport> {
  const { from, seeds, withinMs = Number.POSITIVE_INFINITY, keep, ...options } = campaign;
  const counts: Tally = new Map();
  const failed: FailedSeed[] = [];
  let [runs, operations] = [0, 0];
  const since = performance.now();
  for (let seed = from; seed < from + seeds && performance.now() - since < withinMs; seed++) {
    const report = await runCluster(seed, options);
    runs += 1;
    operations += report.operations;
    for (const [what, count] of report.tally) counts.set(what, (counts.get(what) ?? 0) + count);
    if (!report.failure) continue;
    const short = failed.length < shrunkMax ? await shortened(report, options) : report;
    const found = { seed, message: short.failure?.message ?? "", command: commandOf(short, options) };
    failed.push(found);
    const told = `seed ${seed}: ${found.message}\n  replay it: ${found.command}\n`;
    console.log(told.trimEnd());
    if (keep !== undefined) appendFileSync(keep, told);
  }
  return { counts, failed, runs, operations, seconds: (performance.now() - since) / 1000 };
}

/** The shortest run that fails in the same way. */
export function shortened(report: ClusterReport, options: PlanOptions): Promise<ClusterReport> {
  return shrink(report, (script) => runCluster(report.seed, { ...options, script }), shorterScripts);
}

/** The command that runs it again, and tells what happens. */
export function commandOf({ seed, script }: ClusterReport, { nodes, profile }: PlanOptions): string {
  const steered = `${nodes === undefined ? "" : `--nodes ${nodes} `}${profile === undefined ? "" : `--profile ${profile} `}`;
  return `npm run -s sim -- ${steered}--from ${seed} --run ${scriptText(script)} --trace`;
}
