/** Runs of the log on the simulated disk: the same again from the same seed, and lives that die at each of their calls in turn. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runLog } from "../../src/sim/log-run.ts";
import { numbersTo } from "../../src/sim/number-ranges.ts";
import type { LifeScript } from "../../src/sim/run-script.ts";

describe("a run of the log on the simulated disk", () => {
  test("the same seed gives the same run, call by call and byte by byte", { timeout: 120_000 }, async () => {
    for (let seed = 3; seed < 40; seed++) {
      const [first, second] = [await traced(seed), await traced(seed)];
      assert.ok(first.lines.length > 10, `seed ${seed} does nothing`);
      assert.deepEqual(first, second);
    }
  });
});

const closed: LifeScript = {
  ...{ number: 1, kind: "close", atCall: Number.POSITIVE_INFINITY },
  ...{ counts: "all", powerCutAfter: true, steps: numbersTo(4) },
};

describe("one life dies at each of its calls", () => {
  const deaths = [
    { name: "killed, and the power goes", script: (atCall: number) => [died(0, "kill", atCall, true)] },
    { name: "the power goes", script: (atCall: number) => [died(0, "power cut", atCall)] },
    {
      name: "killed, opened and closed, and the power goes",
      script: (atCall: number) => [died(0, "kill", atCall), closed],
    },
    {
      name: "killed in the recovery from a power cut, and the power goes",
      script: (atCall: number) => [died(0, "power cut", 170), died(1, "kill", atCall, true)],
    },
  ];
  for (const { name, script } of deaths) {
    test(name, { timeout: 120_000 }, async () => {
      // Each seed is another load; the first start is among the calls.
      for (const seed of [11, 12]) {
        for (let atCall = 1; atCall <= 120; atCall++) {
          const { failure } = await runLog(seed, { script: script(atCall), trouble: "none" });
          assert.equal(failure, undefined, `seed ${seed}, call ${atCall}: ${failure?.message}`);
        }
      }
    });
  }
});

async function traced(seed: number): Promise<{ lines: string[]; contents: string }> {
  const lines: string[] = [];
  const report = await runLog(seed, { trace: (line) => lines.push(line) });
  return { lines, contents: report.contents() };
}

function died(number: number, kind: "kill" | "power cut", atCall: number, powerCutAfter = false): LifeScript {
  return { number, kind, atCall, counts: "all", powerCutAfter, steps: numbersTo(12) };
}
