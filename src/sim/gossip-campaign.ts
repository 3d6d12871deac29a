/**
 * Many runs of gossip, one seed after the other.
 * @module
 */
import { type GossipRunOptions, runGossip } from "./gossip-run.ts";
import type { Tally } from "./gossip-world.ts";

/** A seed that failed, and the command that replays it. */
export interface FailedGossipSeed {
  readonly message: string;
  readonly command: string;
}

/** What came of them. */
export interface GossipCampaignReport {
  readonly tally: Tally;
  readonly failed: readonly FailedGossipSeed[];
  /** The longest time that a cluster took to agree. */
  readonly agreedMs: number;
  readonly seconds: number;
}

/** Runs them, and tells of each that fails. */
export function runGossipSeeds(of: GossipRunOptions & { from: number; seeds: number }): GossipCampaignReport {
  const { from, seeds, ...options } = of;
  const tally: Tally = new Map();
  const failed: FailedGossipSeed[] = [];
  const since = performance.now();
  let agreedMs = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    const report = runGossip(seed, options);
    agreedMs = Math.max(agreedMs, report.agreedMs);
    for (const [what, count] of report.tally) tally.set(what, (tally.get(what) ?? 0) + count);
    if (!report.failure) continue;
    const nodes = options.nodes === undefined ? "" : ` --nodes ${options.nodes}`;
    const command = `npm run -s sim:gossip -- --seeds 1 --from ${seed}${nodes} --trace`;
    failed.push({ message: `seed ${seed}: ${report.failure.message}`, command });
    console.log(`seed ${seed}: ${report.failure.message}\n  replay it: ${command}`);
  }
  return { tally, failed, agreedMs, seconds: (performance.now() - since) / 1000 };
}
