/**
 * It is proven that the executions and the random runs can fail: each rule of the log is undone in a copy of the source,
 * one at a time, and then something must break. Two copies run at once.
 */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { Rule } from "./rules/rule.ts";
import { rules } from "./rules/rules.ts";
import { lineOf, type Outcome, tryWithout } from "./rules/undo.ts";

const atOnce = 2;
const timeoutMs = 600_000;

/** Outcomes as they come, in the order of the rules. */
function tryAll(): Map<Rule, Promise<Outcome>> {
  const outcomes = new Map<Rule, Promise<Outcome>>();
  const running: Promise<unknown>[] = Array.from({ length: atOnce }, () => Promise.resolve());
  rules.forEach((rule, i) => {
    const outcome = (running[i % atOnce] ?? Promise.resolve()).then(() => tryWithout(rule));
    running[i % atOnce] = outcome.catch(() => {});
    outcomes.set(rule, outcome);
  });
  return outcomes;
}

describe("a rule that is undone is missed", () => {
  let outcomes: Map<Rule, Promise<Outcome>> | undefined;
  const lines: string[] = [];

  for (const rule of rules) {
    test(rule.undone, { timeout: timeoutMs }, async () => {
      outcomes ??= tryAll();
      const outcome = await outcomes.get(rule);
      assert.ok(outcome);
      lines.push(lineOf(rule, outcome));
      assert.ok(outcome.execution, `"${rule.execution}" does not fail without it:\n${outcome.output}`);
      const isCaught = rule.seeds === undefined || outcome.seed !== undefined;
      assert.ok(isCaught, `no seed up to ${rule.seeds} fails without it`);
    });
  }

  test("no rule is there twice", () => {
    assert.equal(new Set(rules.map(({ undone }) => undone)).size, rules.length);
  });

  after(() => {
    console.log(`${rules.length} rules, each undone:`);
    for (const line of lines) console.log(`  ${line}`);
  });
});
