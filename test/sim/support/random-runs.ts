import assert from "node:assert/strict";
import { test } from "node:test";
import { runSeeds } from "../../../src/sim/campaign.ts";
import { mustHappen } from "../../../src/sim/coverage.ts";
import type { Profile } from "../../../src/sim/log-profiles.ts";

/** Which runs. `profile`: how they are steered; `mustMeet`: what they must meet, or they show nothing. */
export interface RandomRuns {
  readonly from: number;
  readonly seeds: number;
  readonly profile?: Profile;
  readonly mustMeet?: readonly string[];
}

/** A test of so many runs, which must all hold, and have met all that can happen. */
export function randomRuns({ from, seeds, profile, mustMeet = mustHappen }: RandomRuns): void {
  const steered = profile ? ` of the profile ${profile}` : "";
  test(`keeps what it promises, in the random runs ${from} to ${from + seeds - 1}${steered}`, {
    timeout: 850_000,
  }, async () => {
    const { counts, failed, seconds } = await runSeeds({ from, seeds, profile });
    const { user, system } = process.cpuUsage();
    const cpuSeconds = (user + system) / 1e6;
    console.log(
      `${seeds} runs${steered} from seed ${from} on in ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU`,
    );
    for (const what of mustMeet) console.log(`${String(counts.get(what) ?? 0).padStart(9)}  ${what}`);
    assert.deepEqual(
      failed.map(({ message, command }) => `${message}; replay it: ${command}`),
      [],
    );
    assert.deepEqual(
      mustMeet.filter((what) => !counts.has(what)),
      [],
      "these never happened",
    );
  });
}
