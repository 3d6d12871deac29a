/**
 * A node's disk has lost even which cluster it is of: the seeds tell, and it fetches the cluster's own log anew.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { withCluster } from "./support/cluster.ts";
import { untilSaid } from "./support/servers.ts";
import { flipByte } from "./support/spoil.ts";
import { smallJournal as args, fill, spoilMeta } from "./support/spoil-meta.ts";

const timeout = 120_000;
/** In the first batch, which names the cluster. */
const firstBatchAt = 200;

describe("the beginning of the cluster's own log is lost", () => {
  test("on a node that began the cluster: it is of the same one again, and all nodes have the same", {
    timeout,
  }, async () => {
    await withCluster({ nodes: 3, args }, async (cluster) => {
      const [first] = cluster.nodes;
      assert.ok(first);
      await fill(first);
      await spoilMeta(cluster, first, (file) => flipByte(file, firstBatchAt));
    });
  });

  test("on a node that had joined: it is of the same one again, and all nodes have the same", { timeout }, async () => {
    await withCluster({ nodes: 3, voters: 1, args }, async (cluster) => {
      const [first, , last] = cluster.nodes;
      assert.ok(first && last);
      await untilSaid(first, "all three vote", ({ cluster: told }) => told?.voters.length === 3);
      await fill(first);
      await spoilMeta(cluster, last, (file) => fs.rmSync(file));
    });
  });
});
