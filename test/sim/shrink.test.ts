/** A run that fails is found, made shorter and replayed: shown on a disk that lies. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SimDisk } from "../../src/sim/disk.ts";
import { type RunReport, runLog } from "../../src/sim/log-run.ts";
import { type RunScript, readScript, scriptText } from "../../src/sim/run-script.ts";
import { shorterRuns } from "../../src/sim/shorter-runs.ts";
import { shrink } from "../../src/sim/shrink.ts";

/** Some syncs of the journal return, and have done nothing. */
function lies(disk: SimDisk): void {
  disk.script = { syncLies: (path) => path.startsWith("/data/journal/") && disk.random.chance(0.2) };
}

const seedsMax = 200;

async function firstFailure(): Promise<RunReport> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    const report = await runLog(seed, { trouble: "none", spoilDisk: lies });
    if (report.failure) {
      console.log(`a disk that lies is found by seed ${seed}: ${report.failure.message}`);
      return report;
    }
  }
  throw new Error(`${seedsMax} runs on a disk that lies, and all hold`);
}

function stepsOf(script: RunScript): number {
  return script.reduce((sum, { steps }) => sum + steps.length, 0);
}

const options = { timeout: 120_000 };

describe("a run that fails", () => {
  test(
    "is found, made shorter, and fails again in the same way when it is replayed from its word",
    options,
    async () => {
      const found = await firstFailure();
      const run = (script: RunScript) => runLog(found.seed, { trouble: "none", spoilDisk: lies, script });
      const short = await shrink(found, run, shorterRuns);
      const word = scriptText(short.script);
      console.log(`${stepsOf(found.script)} steps in ${found.script.length} lives become ${word}`);
      assert.ok(stepsOf(short.script) <= 6, `${word} is long`);
      assert.ok(short.script.length <= 2, `${word} has many lives`);

      const lines: string[] = [];
      const script = readScript(word);
      assert.deepEqual(script, short.script);
      const trace = (line: string) => lines.push(line);
      const again = await runLog(found.seed, { trouble: "none", spoilDisk: lies, script, trace });
      assert.equal(again.failure?.message, short.failure?.message);
      // It reads as a story: what was asked for, what became of it, where the power went, and what is wrong.
      assert.ok(lines.some((line) => /append \d+, \d+ bytes, to group/.test(line)));
      assert.ok(lines.some((line) => line.includes("the power goes")));
      assert.ok(lines.some((line) => line.includes("failed: ") && line.includes(again.failure?.message ?? "nothing")));
    },
  );

  test("is not there on a disk that keeps its promises", options, async () => {
    const found = await firstFailure();
    const { failure } = await runLog(found.seed, { trouble: "none", script: found.script });
    assert.equal(failure, undefined);
  });
});

describe("the word of a run", () => {
  const words = ["0c:", "2k35:0-4,7", "0p12s+:0/3c:1,3,5-6", "4c+:", "1k:0-3/2p:/3p2t:0-9"];
  for (const word of words) {
    test(`${word} says what its lives are, and is written again as it was`, () => {
      assert.equal(scriptText(readScript(word)), word);
    });
  }
  for (const word of ["", "x", "0k", "0q3:1", "0k3j:1", "0c:a"]) {
    test(`"${word}" is none`, () => assert.throws(() => readScript(word), RangeError));
  }
});
