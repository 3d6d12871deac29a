/**
 * A part of the cluster's own log is damaged on a node: it fetches that log anew from the others, and says so.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";
import { withCluster } from "./support/cluster.ts";
import { flipByte } from "./support/spoil.ts";
import { smallJournal as args, fill, spoilMeta } from "./support/spoil-meta.ts";

test("the cluster's own log is cut short on one node, and has a flipped byte on another: each fetches it anew", {
  timeout: 120_000,
}, async () => {
  await withCluster({ nodes: 3, args }, async (cluster) => {
    const [first, second, third] = cluster.nodes;
    assert.ok(first && second && third);
    await fill(first);
    await spoilMeta(cluster, third, (file) => fs.truncateSync(file, fs.statSync(file).size / 2));
    await spoilMeta(cluster, second, (file) => flipByte(file, Math.floor(fs.statSync(file).size / 2)));
  });
});
