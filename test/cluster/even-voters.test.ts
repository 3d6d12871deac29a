/**
 * An even number of voters that stays is warned of while the cluster runs.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runCli } from "../support/cli.ts";
import { until } from "../support/until.ts";
import { withCluster } from "./support/cluster.ts";
import { lead, untilSaid } from "./support/servers.ts";

const warning =
  /"voters":\["a","b"\],"msg":"The cluster has two voters, a, b: while either is down nothing is appended\. /g;

test("when one of three voters is removed, the leader's log and the status say that two are no better than one", {
  timeout: 120_000,
}, async () => {
  await withCluster({ nodes: 3 }, async ({ nodes }) => {
    const [a, b, c] = nodes;
    assert.ok(a && b && c);
    await lead(a, "_meta");
    const { code, stderr } = await runCli(b.url, ["cluster", "remove", c.id]);
    assert.equal(code, 0, stderr);
    await untilSaid(a, "two vote", ({ cluster }) => cluster?.voters.length === 2);
    const { stdout } = await runCli(c.url, ["cluster", "status"]);
    assert.match(stdout.toString(), /There are two voters: while either is down nothing is appended/);
    // Whoever leads by then: under load leadership may have moved.
    const said = () => nodes.map(({ output }) => output.match(warning)?.length ?? 0).sort();
    await until(() => said().at(-1) !== 0);
    assert.deepEqual(said(), [0, 0, 1]);
  });
});
