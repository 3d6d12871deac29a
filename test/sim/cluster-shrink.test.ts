/** A run of a cluster that fails is found, made shorter and replayed: shown on disks that lie. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { commandOf, shortened } from "../../src/sim/cluster/campaign.ts";
import { type ClusterReport, runCluster } from "../../src/sim/cluster/run.ts";
import { readScript, scriptText } from "../../src/sim/cluster/run-word.ts";
import type { SimDisk } from "../../src/sim/disk.ts";
import { kindOf } from "../../src/sim/shrink.ts";

/** Some syncs of the journal return, and have done nothing. */
function spoilDisk(disk: SimDisk): void {
  disk.script = { syncLies: (path) => path.startsWith("/data/journal/") && disk.random.chance(0.3) };
}

const steered = { profile: "crashes", spoilDisk } as const;
const seedsMax = 50;

async function firstFailure(): Promise<ClusterReport> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    const report = await runCluster(seed, steered);
    if (report.failure) {
      console.log(`disks that lie are found by seed ${seed}: ${report.failure.message}`);
      return report;
    }
  }
  throw new Error(`${seedsMax} runs on disks that lie, and all hold`);
}

const options = { timeout: 120_000 };

describe("a run of a cluster that fails", () => {
  test(
    "is found, made shorter, and fails again in the same way when it is replayed from its word",
    options,
    async () => {
      const found = await firstFailure();
      const short = await shortened(found, steered);
      const word = scriptText(short.script);
      console.log(`${scriptText(found.script)} becomes ${word}`);
      assert.equal(kindOf(short.failure), kindOf(found.failure));
      assert.ok(short.script.faults.length <= 3, `${word} has many faults`);
      assert.ok(short.script.busyMs < found.script.busyMs, `${word} takes long`);
      assert.equal(
        commandOf(short, steered),
        `npm run -s sim -- --profile crashes --from ${found.seed} --run ${word} --trace`,
      );

      const lines: string[] = [];
      const script = readScript(word);
      assert.deepEqual(script, short.script);
      const again = await runCluster(found.seed, { ...steered, script, trace: (line) => lines.push(line) });
      assert.equal(again.failure?.message, short.failure?.message);
      // It reads as a story: who said what, where the power went, and what is wrong.
      assert.ok(lines.some((line) => /n\d -> n\d vote group=\d/.test(line)));
      assert.ok(lines.some((line) => /--- (the power of )?n\d (goes|is killed)/.test(line)));
      assert.ok(lines.at(-1)?.includes("failed") || lines.some((line) => line.includes("failed: ")));
    },
  );

  test(
    "is found where nothing else goes wrong: copies of the disks do not hold what was promised",
    options,
    async () => {
      const failures = await Promise.all(
        [1, 2, 3, 4].map(async (seed) => (await runCluster(seed, { profile: "calm", spoilDisk })).failure?.message),
      );
      console.log(failures.join("\n"));
      assert.ok(failures.some((message) => /^invariant 13: |^The journal is damaged/.test(message ?? "")));
    },
  );

  test("is not there on disks that keep their promises", options, async () => {
    const found = await firstFailure();
    const { failure } = await runCluster(found.seed, { profile: "crashes", script: found.script });
    assert.equal(failure, undefined);
  });
});

describe("the word of a run of a cluster", () => {
  for (const word of ["b1500c1g1f", "b2400c2g3f0-3,7", "b50c0g2f5"]) {
    test(`${word} says what is left of it, and is written again as it was`, () => {
      assert.equal(scriptText(readScript(word)), word);
    });
  }
  for (const word of ["", "b", "b1500c1g1", "b1500c1g1f0-", "b1500c1g1f,1", "b15x0c1g1f"]) {
    test(`"${word}" is none`, () => assert.throws(() => readScript(word), RangeError));
  }
});
