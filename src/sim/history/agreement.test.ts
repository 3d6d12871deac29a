/** Both checkers judge random histories alike: right ones, and such with a lie or two. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { chooseSeed } from "../../../test/support/seeded.ts";
import { checkHistory } from "./check.ts";
import { linearizable } from "./linearizable.ts";
import { lies } from "./testdata/lies.ts";
import { type Story, stories } from "./testdata/random-history.ts";

const timeout = 120_000;

function violations({ history, log }: Story): string[] {
  return checkHistory(history, new Map([["s", log]])).map(({ sentence }) => sentence);
}

const told = fc.array(fc.tuple(fc.constantFrom(...Object.values(lies)), fc.nat(11), fc.nat(23)), {
  minLength: 1,
  maxLength: 2,
});

const lied = (controls: boolean) =>
  fc
    .tuple(stories({ controls }), told)
    .map(([story, all]) => all.reduce((changed, [lie, which, how]) => lie(changed, which, how), story));

describe("the two checkers", () => {
  test("find nothing wrong with a history that is right", { timeout }, () => {
    const seed = chooseSeed("right histories");
    fc.assert(
      fc.property(stories({ controls: true }), (story) => {
        assert.deepEqual(violations(story), []);
        assert.equal(linearizable(story.history, story.log), true);
      }),
      { seed, numRuns: 1500 },
    );
  });

  test("agree on whether a history with a lie in it is right", { timeout }, () => {
    const seed = chooseSeed("histories with lies");
    const found = { right: 0, wrong: 0 };
    fc.assert(
      fc.property(lied(true), (story) => {
        const sentences = violations(story);
        const isRight = linearizable(story.history, story.log);
        found[isRight ? "right" : "wrong"] += 1;
        assert.equal(sentences.length === 0, isRight, sentences.join("\n"));
      }),
      { seed, numRuns: 4000 },
    );
    assert.ok(found.right > 400 && found.wrong > 400, `${found.right} were right, ${found.wrong} wrong`);
  });

  test("agree without the final log too, but for what only that can tell", { timeout }, () => {
    const seed = chooseSeed("histories without their log");
    const found = { right: 0, wrong: 0, wrongByLogOnly: 0 };
    fc.assert(
      fc.property(lied(false), (story) => {
        const isRight = violations(story).length === 0;
        const isExplained = linearizable(story.history);
        found[isRight ? "right" : isExplained ? "wrongByLogOnly" : "wrong"] += 1;
        assert.ok(isExplained || !isRight, "no order explains what is right by the log");
      }),
      { seed, numRuns: 2000 },
    );
    assert.ok(Math.min(...Object.values(found)) > 100, JSON.stringify(found));
  });
});
