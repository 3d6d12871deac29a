/**
 * It is proven that the simulated cluster and the scripts of its core can fail: each rule of replication is undone in a
 * copy of the source, one at a time, and then something must break and say which invariant. Two copies run at once.
 */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { runCluster } from "../../src/sim/cluster/run.ts";
import type { ClusterRule } from "./cluster-rules/rule.ts";
import { rules } from "./cluster-rules/rules.ts";
import { allRuns, runNamed } from "./cluster-rules/runs.ts";
import { lineOf, type Outcome, tryWithout } from "./cluster-rules/undo.ts";

const atOnce = 2;
const timeoutMs = 600_000;

/** Of each kind of run, with all rules in force. */
const seedsInForce = 5;

async function failureOf(run: string, seed: number): Promise<Error | undefined> {
  const { plan, direct } = runNamed(run);
  return (await runCluster(seed, { plan: plan(seed), direct })).failure;
}

/** Outcomes as they come, in the order of the rules. */
function tryAll(): Map<ClusterRule, Promise<Outcome>> {
  const outcomes = new Map<ClusterRule, Promise<Outcome>>();
  const running: Promise<unknown>[] = Array.from({ length: atOnce }, () => Promise.resolve());
  rules.forEach((rule, i) => {
    const outcome = (running[i % atOnce] ?? Promise.resolve()).then(() => tryWithout(rule));
    running[i % atOnce] = outcome.catch(() => {});
    outcomes.set(rule, outcome);
  });
  return outcomes;
}

/** Directed runs that are executions of the stream layer, which the core's scripts can't show: by the numbers of those. */
const executions: Readonly<Record<string, string>> = {
  "uncommitted duplicate": "9. a retry is answered when its first copy is committed",
  "refused by an old leader": "13. a refusal that shows state is a read",
};

describe("with all rules in force nothing breaks", () => {
  for (const name of Object.keys(allRuns)) {
    test(executions[name] ?? name, { timeout: timeoutMs }, async () => {
      for (let seed = 1; seed <= seedsInForce; seed++) {
        const failure = await failureOf(name, seed);
        assert.equal(failure, undefined, `seed ${seed}: ${failure?.message}`);
      }
    });
  }
});

describe("a rule that is undone is missed", () => {
  let outcomes: Map<ClusterRule, Promise<Outcome>> | undefined;
  const lines: string[] = [];

  for (const rule of rules) {
    test(rule.undone, { timeout: timeoutMs }, async () => {
      outcomes ??= tryAll();
      const outcome = await outcomes.get(rule);
      assert.ok(outcome);
      lines.push(lineOf(rule, outcome));
      assert.deepEqual(outcome.missed, [], `nothing breaks without it:\n${outcome.output}`);
      if (!rule.cluster || !outcome.failed) return;
      const failure = await failureOf(rule.cluster.run, outcome.failed.seed);
      assert.equal(failure, undefined, `with all rules in force it breaks too: ${failure?.message}`);
    });
  }

  test("each is there once, and something is to miss it", () => {
    assert.equal(new Set(rules.map(({ undone }) => undone)).size, rules.length);
    for (const { undone, cluster, script } of rules) assert.ok(cluster ?? script, undone);
  });

  after(() => {
    console.log(`${rules.length} rules, each undone:`);
    for (const line of lines) console.log(`  ${line}`);
  });
});
