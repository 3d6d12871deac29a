import assert from "node:assert/strict";
import { test } from "node:test";
import { runClusters } from "../../../src/sim/cluster/campaign.ts";
import type { ClusterProfile } from "../../../src/sim/cluster/profiles.ts";

/** Which runs. `mustMeet`: what they must meet, all together, or they show nothing. */
export interface ClusterRuns {
  readonly parts: readonly { readonly from: number; readonly seeds: number; readonly profile?: ClusterProfile }[];
  readonly mustMeet: readonly string[];
}

/** A test of so many runs of clusters, which must all hold, and have met all that can happen. */
export function clusterRuns({ parts, mustMeet }: ClusterRuns): void {
  const counts = new Map<string, number>();
  for (const { from, seeds, profile } of parts) {
    const steered = profile === undefined ? "" : ` of the profile ${profile}`;
    test(`keep what raft.md promises, in the random runs ${from} to ${from + seeds - 1}${steered}`, {
      timeout: 600_000,
    }, async () => {
      const report = await runClusters({ from, seeds, ...(profile === undefined ? {} : { profile }) });
      for (const [what, count] of report.counts) counts.set(what, (counts.get(what) ?? 0) + count);
      console.log(
        `${seeds} runs${steered} from seed ${from} on, ${report.operations} operations, in ${report.seconds.toFixed(1)} s`,
      );
      assert.deepEqual(
        report.failed.map(({ message, command }) => `${message}; replay it: ${command}`),
        [],
      );
    });
  }
  test("meet each role change, message and rule, each fault, each answer and each kind of start", () => {
    for (const what of mustMeet) console.log(`${String(counts.get(what) ?? 0).padStart(9)}  ${what}`);
    assert.deepEqual(
      mustMeet.filter((what) => !counts.has(what)),
      [],
      "these never happened",
    );
  });
}
