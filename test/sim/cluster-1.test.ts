/** The first half of the random runs of clusters: two files, so that two of them run at once. */
import { describe } from "node:test";
import { mustHappen, seldom } from "../../src/sim/cluster/coverage.ts";
import { clusterRuns } from "./support/cluster-runs.ts";

describe("clusters of simulated nodes", () => {
  clusterRuns({
    parts: [
      { from: 1, seeds: 500 },
      // One that was paused wins its term when later ones have committed.
      { from: 9089, seeds: 1 },
      { from: 1, seeds: 80, profile: "partitions" },
      { from: 1, seeds: 160, profile: "disks" },
      { from: 1, seeds: 100, profile: "voters" },
      { from: 1, seeds: 80, profile: "crashes" },
      { from: 1, seeds: 60, profile: "slow" },
      { from: 1, seeds: 20, profile: "calm" },
    ],
    mustMeet: [...mustHappen, seldom.leader],
  });
});
