/**
 * A node comes back somewhere else.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { caughtUp } from "./support/judge.ts";
import { backMaxMs, underLoad } from "./support/under-load.ts";

test("nodes that return with other addresses, one after the other, are found there", { timeout: 180_000 }, async () => {
  const followAt = ({ nodes }: { nodes: readonly import("./support/node-process.ts").ClusterNode[] }) => nodes.slice(2);
  await underLoad("other addresses", { nodes: 3, followAt }, async ({ cluster, load, stream }) => {
    for (const node of cluster.nodes.slice(0, 2)) {
      await node.end("SIGKILL");
      node.start({ host: await cluster.hosts.add(`${node.id}2`) });
      await node.ready();
      await caughtUp(node, cluster.others(node), stream);
      await load.nextAck(backMaxMs);
    }
    assert.equal(new Set(cluster.nodes.map(({ url }) => url)).size, 3);
  });
});
