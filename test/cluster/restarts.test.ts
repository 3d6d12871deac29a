/**
 * Nodes that stop in good order, one after the other, as at an upgrade.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultTriesMax } from "../../src/client/append.ts";
import { caughtUp } from "./support/judge.ts";
import { underLoad } from "./support/under-load.ts";

const rounds = 2;

test(`all nodes are restarted in turn, ${rounds} times: no append fails with ordinary retries`, {
  timeout: 180_000,
}, async () => {
  await underLoad("rolling restart", { nodes: 3 }, async ({ cluster, load, stream }) => {
    for (let round = 0; round < rounds; round++) {
      for (const node of cluster.nodes) {
        const begin = performance.now();
        assert.equal(await node.end("SIGTERM"), 0);
        console.log(`node ${node.id} ended ${(performance.now() - begin).toFixed(0)} ms after SIGTERM`);
        node.start();
        await node.ready();
        await caughtUp(node, cluster.others(node), stream);
      }
    }
    const tries = Math.max(...load.appended.map(({ tries }) => tries));
    const longestMs = Math.max(...load.appended.map(({ tookMs }) => tookMs));
    console.log(
      `${load.appended.length} appends, the longest took ${longestMs.toFixed(0)} ms and ${tries} tries at most`,
    );
    assert.ok(tries <= defaultTriesMax, `an append took ${tries} tries`);
  });
});
