import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runGossipSeeds } from "./gossip-campaign.ts";
import { agreeMaxMs, runGossip } from "./gossip-run.ts";
import { troubles } from "./gossip-troubles.ts";

const seeds = 400;

/** What the runs must meet, or they show nothing. */
const mustHappen = [
  ...Object.keys(troubles).map((name) => `trouble: ${name}`),
  ...["join", "update", "leave", "fail"].map((kind) => `event ${kind}`),
  "living member declared dead",
  "twin displaced",
  "conflict said, name held by self",
  "conflict said, name held by other",
];

describe("gossip in random runs", () => {
  test(`comes to one view after each trouble, in the seeds 1 to ${seeds}`, { timeout: 300_000 }, () => {
    const { failed, tally, agreedMs, seconds } = runGossipSeeds({ from: 1, seeds });
    console.log(`${seeds} runs in ${seconds.toFixed(1)} s; agreed after ${agreedMs} ms at most, of ${agreeMaxMs}`);
    assert.deepEqual(
      failed.map(({ message, command }) => `${message}; replay it: ${command}`),
      [],
    );
    assert.deepEqual(
      mustHappen.filter((what) => !tally.has(what)),
      [],
      "these never happened",
    );
  });

  test("is the same for the same seed", () => {
    for (const seed of [1, 2, 3]) assert.equal(runGossip(seed).history, runGossip(seed).history);
    assert.notEqual(runGossip(1).history, runGossip(2).history);
  });
});
