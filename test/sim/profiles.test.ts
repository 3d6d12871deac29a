/** Runs that are steered: a profile changes what they are like, and only where it is asked for. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { planOf } from "../../src/sim/log-plan.ts";
import { type Profile, profileNamed, profileNames } from "../../src/sim/log-profiles.ts";
import { runLog } from "../../src/sim/log-run.ts";
import { SimRandom } from "../../src/sim/random.ts";
import { readScript, scriptOf, scriptText } from "../../src/sim/run-script.ts";

const options = { timeout: 120_000 };

describe("a run without a profile", () => {
  // Seeds that failed once are kept by their numbers: what they draw must stay what it was.
  const words = [
    "0c+:0-5/1c:0-5/2k43:0-6/3p21:0-4/4c:0-4/5c:0-6",
    "0k11s:0-3/1k2:0-2/2k109:0-13",
    "0k23s:0-1/1c:0-1/2k58s:0-6/3k9s:0-5/4p31+:0-8/5k10s:0-13",
  ];
  for (const [i, word] of words.entries()) {
    test(`has the lives that seed ${i + 1} always had`, () => assert.equal(wordOf(i + 1), word));
  }
});

describe("a profile", () => {
  for (const profile of profileNames) {
    test(`${profile}: the same seed gives the same run, and another one than without it`, options, async () => {
      for (let seed = 1; seed <= 5; seed++) {
        const [first, second] = [await traced(seed, profile), await traced(seed, profile)];
        assert.deepEqual(first, second);
        assert.notEqual(wordOf(seed, profile), wordOf(seed));
      }
    });
  }

  test("that there is none of is refused by its name", () => {
    assert.throws(() => profileNamed("calm"), { name: "RangeError", message: /"calm" is no profile: .* cuts, ring/ });
  });
});

describe("a steered run that failed once, and the log was right", () => {
  const runs = [
    {
      name: "a log whose removal was refused is read by one reader only, which knows of its cuts",
      seed: 606,
      word: "2p14:/3p:35-36,41,43-45,48-51,53,56,58,70",
    },
    {
      name: "where the last life fails for want of room, what it had under way may be left",
      seed: 519,
      word: "0p:13-14/1k:0-2",
    },
  ];
  for (const { name, seed, word } of runs) {
    test(name, options, async () => {
      const { failure } = await runLog(seed, { profile: "full", script: readScript(word) });
      assert.equal(failure, undefined);
    });
  }
});

function wordOf(seed: number, profile?: Profile): string {
  return scriptText(scriptOf(seed, planOf(SimRandom.of(seed), { profile })));
}

async function traced(seed: number, profile: Profile): Promise<{ lines: string[]; contents: string }> {
  const lines: string[] = [];
  const report = await runLog(seed, { profile, trace: (line) => lines.push(line) });
  return { lines, contents: report.contents() };
}
