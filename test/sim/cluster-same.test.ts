/** A run of a cluster is determined by its seed, whatever ran before in the same process. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { profileNames } from "../../src/sim/cluster/profiles.ts";
import { runCluster } from "../../src/sim/cluster/run.ts";

describe("a run of a cluster", () => {
  for (const profile of [undefined, ...profileNames]) {
    test(`tells the same, and leaves the same disks, byte for byte, from the same seed: ${profile ?? "as usual"}`, {
      timeout: 120_000,
    }, async () => {
      const seeds = profile === undefined ? [1, 2, 3, 4, 5, 6] : [1, 2];
      const first = await Promise.all(seeds.map((seed) => run(seed)));
      for (const [i, seed] of seeds.entries()) {
        const again = await run(seed);
        // The first line that differs says more than two whole traces.
        const at = again.lines.findIndex((line, n) => line !== first[i]?.lines[n]);
        assert.equal(again.lines[at], first[i]?.lines[at], `seed ${seed}, line ${at + 1}`);
        assert.deepEqual(again, first[i], `seed ${seed}`);
      }
      assert.equal(new Set(first.map(({ disks }) => disks)).size, seeds.length, "other seeds, other disks");

      async function run(seed: number) {
        const lines: string[] = [];
        const options = profile === undefined ? {} : { profile };
        const report = await runCluster(seed, { ...options, trace: (line) => lines.push(line) });
        return { lines, disks: report.fingerprint(), failure: report.failure?.message };
      }
    });
  }
});
