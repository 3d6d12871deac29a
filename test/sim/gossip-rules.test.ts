/**
 * It is proven that the scripts and random runs of gossip can fail: each of its rules is undone in a copy of the source, one
 * at a time, and then something must break.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gossipRules } from "./gossip-rules/rules.ts";
import { tryWithout } from "./gossip-rules/undo.ts";

describe("a rule of gossip that is undone is missed", () => {
  for (const rule of gossipRules) {
    test(rule.undone, { timeout: 400_000 }, async () => {
      const { seed, output } = await tryWithout(rule);
      const isCaught = rule.seeds === undefined || seed !== undefined;
      assert.ok(isCaught, `no seed up to ${rule.seeds} fails without it:\n${output}`);
      const random = rule.seeds === undefined ? "" : `; seed ${seed} of at most ${rule.seeds} too`;
      console.log(`without "${rule.undone}": "${rule.script}" fails${random}`);
    });
  }

  test("no rule is there twice", () => {
    assert.equal(new Set(gossipRules.map(({ undone }) => undone)).size, gossipRules.length);
  });
});
