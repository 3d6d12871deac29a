/**
 * What is promised to producers, tried by luck: several of them, retries, reorderings, epochs, conditions, fences, trims,
 * checkpoints, want of room, and a node that is stopped, killed and left without power at any call of its disk. Whatever
 * was answered is compared with what a naive reader makes of the log.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runProducers } from "./support/producer-run.ts";

const seeds = 300;

/** What a campaign must have met to say anything. */
const mustHappen = [
  ...["taken", "duplicate", "old duplicate", "sequence_gap", "stale_epoch", "unknown_producer", "forgotten"],
  ...["fenced", "offset_taken", "fence", "trim", "disk_full", "caught up"],
  ...["life ended by close", "life ended by kill", "life ended by power cut", "power cut that lost sectors"],
];

describe("producers' appends", () => {
  test(`are stored once, in order, and answered with the truth, in ${seeds} runs on the simulated disk`, {
    timeout: 300_000,
  }, async () => {
    const asked = process.env["TAILRACE_TEST_SEED"];
    const trace = asked === undefined ? undefined : (line: string) => console.log(line);
    const from = Number(asked ?? 1);
    const counts = new Map<string, number>();
    const failed: string[] = [];
    const sinceMs = performance.now();
    for (let seed = from; seed < from + (asked === undefined ? seeds : 1); seed++) {
      const { failure, tally } = await runProducers(seed, trace);
      for (const [what, count] of tally) counts.set(what, (counts.get(what) ?? 0) + count);
      if (failure === undefined) continue;
      const replay = `TAILRACE_TEST_SEED=${seed} npx bun test ./test/promises/producers.test.ts`;
      failed.push(`seed ${seed}: ${failure.message}; replay it: ${replay}`);
    }
    console.log(`runs from seed ${from} on, in ${((performance.now() - sinceMs) / 1000).toFixed(1)} s`);
    for (const what of mustHappen) console.log(`${String(counts.get(what) ?? 0).padStart(9)}  ${what}`);
    assert.deepEqual(failed, []);
    if (asked !== undefined) return;
    assert.deepEqual(
      mustHappen.filter((what) => !counts.has(what)),
      [],
      "these never happened",
    );
  });
});
