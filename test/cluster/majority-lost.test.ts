/**
 * A majority of the disks is lost for good: what is left goes on in a cluster of its own, which others join, and which those
 * that come back after all are not of.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runCli } from "../support/cli.ts";
import { until } from "../support/until.ts";
import { withCluster } from "./support/cluster.ts";
import type { ClusterNode } from "./support/node-process.ts";

test("the one that is left goes on with what it has, and grows", { timeout: 120_000 }, async () => {
  await withCluster({ nodes: 4, voters: 3, start: 3 }, async (cluster) => {
    const [left, lost, fresh] = [cluster.node("a"), cluster.node("b"), cluster.node("d")];
    const lines = Array.from({ length: 500 }, (_, i) => `line ${i}\n`);
    await done(lost, ["append", "s", "--quiet"], lines.join(""));
    // So it is not only a majority that has them.
    assert.equal(await done(left, ["read", "s", "--at-least-offset", "500"]), lines.join(""));
    await Promise.all(cluster.nodes.map((node) => node.end("SIGKILL")));

    const { code, stderr } = await runCli("", ["repair", left.data, "--alone"]);
    assert.deepEqual([code, stderr], [0, ""]);
    left.start();
    await left.ready();
    await done(left, ["append", "s", "--quiet"], "more\n");

    fresh.start();
    await fresh.ready();
    const all = `${lines.join("")}more\n`;
    assert.equal(await done(fresh, ["read", "s", "--consistency", "linearizable"]), all);
    await until(async () => (await done(left, ["cluster", "status"])).includes(" 2 voters,"));

    lost.start();
    await until(() => lost.output.includes("they refuse each other"));
    assert.match(await done(left, ["cluster", "status"]), / 2 nodes, 2 voters,/);
    assert.equal(await done(left, ["read", "s", "--consistency", "linearizable"]), all);
  });
});

async function done({ url }: ClusterNode, args: readonly string[], input = ""): Promise<string> {
  const { code, stdout, stderr } = await runCli(url, args, Buffer.from(input));
  assert.equal(code, 0, stderr);
  return stdout.toString();
}
