/**
 * The log on the simulated disk. Random runs, and one life that dies at each of its calls in turn; a run that fails says
 * which command replays it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Ending } from "../../src/sim/log-plan.ts";
import { type RunReport, runLog } from "../../src/sim/log-run.ts";

const seeds = 1000;
const firstSeed = 1;

/** What a set of runs must have met, or it shows nothing. */
const mustHappen = [
  "append",
  "append after room came back",
  "append refused",
  "bytes above a mark kept",
  "death at work",
  "death in recovery",
  "failed sync",
  "group removed",
  "making refused",
  "power cut that lost sectors",
  "read by index",
  "read by offset",
  "read by time",
  "start: clean",
  "start: created",
  "start: recovered",
  "torn bytes cut",
  "volume full",
  "write without room",
  "writing back failed",
  "writing back failed with nobody to tell",
];

function checkReport({ seed, failure }: RunReport): void {
  assert.equal(failure, undefined, `seed ${seed}; replay it: npm run -s sim:disk -- --seeds 1 --from ${seed} --trace`);
}

describe("the log on the simulated disk", () => {
  test(`keeps what it acknowledged, in ${seeds} random runs`, { timeout: 600_000 }, async () => {
    const tally = new Map<string, number>();
    const since = performance.now();
    for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
      const report = await runLog(seed);
      checkReport(report);
      for (const [what, count] of report.tally) tally.set(what, (tally.get(what) ?? 0) + count);
    }
    console.log(`${seeds} runs in ${((performance.now() - since) / 1000).toFixed(1)} s`);
    for (const what of mustHappen) console.log(`${String(tally.get(what) ?? 0).padStart(9)}  ${what}`);
    assert.deepEqual(
      mustHappen.filter((what) => !tally.has(what)),
      [],
      "these never happened",
    );
  });

  test("the same seed gives the same run, call by call and byte by byte", async () => {
    for (let seed = 3; seed < 40; seed++) {
      const [first, second] = [await traced(seed), await traced(seed)];
      assert.ok(first.lines.length > 10, `seed ${seed} does nothing`);
      assert.deepEqual(first, second);
    }
  });
});

const closed: Ending = { kind: "close", atCall: Number.POSITIVE_INFINITY, steps: 4 };

describe("one life dies at each of its calls", () => {
  const deaths = [
    { name: "killed, and the power goes", endings: (atCall: number) => [died("kill", atCall, true)] },
    { name: "the power goes", endings: (atCall: number) => [died("power cut", atCall)] },
    {
      name: "killed, opened and closed, and the power goes",
      endings: (atCall: number) => [died("kill", atCall), { ...closed, powerCutAfter: true }],
    },
    {
      name: "killed in the recovery from a power cut, and the power goes",
      endings: (atCall: number) => [died("power cut", 170), died("kill", atCall, true)],
    },
  ];
  for (const { name, endings } of deaths) {
    test(name, { timeout: 120_000 }, async () => {
      // Each seed is another load; the first start is among the calls.
      for (const seed of [11, 12]) {
        for (let atCall = 1; atCall <= 120; atCall++) {
          const { failure } = await runLog(seed, { endings: endings(atCall), withoutTrouble: true });
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

function died(kind: "kill" | "power cut", atCall: number, powerCutAfter = false): Ending {
  return { kind, atCall, steps: 12, powerCutAfter };
}
