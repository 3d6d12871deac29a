import assert from "node:assert/strict";
import { test } from "node:test";
import { runSeeds } from "../../../src/sim/campaign.ts";
import { mustHappen } from "../../../src/sim/coverage.ts";

/** A test of so many runs, which must all hold, and have met all that can happen. */
export function randomRuns({ from, seeds }: { from: number; seeds: number }): void {
  test(`keeps what it promises, in the random runs ${from} to ${from + seeds - 1}`, {
    timeout: 850_000,
  }, async () => {
    const { counts, failed, seconds } = await runSeeds({ from, seeds });
    const { user, system } = process.cpuUsage();
    const cpuSeconds = (user + system) / 1e6;
    console.log(`${seeds} runs from seed ${from} on in ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU`);
    for (const what of mustHappen) console.log(`${String(counts.get(what) ?? 0).padStart(9)}  ${what}`);
    assert.deepEqual(
      failed.map(({ message, command }) => `${message}; replay it: ${command}`),
      [],
    );
    assert.deepEqual(
      mustHappen.filter((what) => !counts.has(what)),
      [],
      "these never happened",
    );
  });
}
