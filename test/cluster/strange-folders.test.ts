/**
 * A node is started on a data folder that is not its own to have: one of another cluster, and a copy of another node's.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import { seeded } from "../support/seeded.ts";
import { until } from "../support/until.ts";
import { withCluster } from "./support/cluster.ts";
import { agreed, finalLog, judge } from "./support/judge.ts";
import { Load } from "./support/load.ts";
import type { ClusterNode } from "./support/node-process.ts";
import { lead, serversAt } from "./support/servers.ts";
import { backMaxMs } from "./support/under-load.ts";

const timeout = 120_000;

describe("a node on a data folder", () => {
  test("of another cluster: each side names the other, once, and keeps what it has", { timeout }, async () => {
    await withCluster({ nodes: 4, start: 3, voters: 3 }, async (cluster) => {
      const nodes = cluster.nodes.slice(0, 3);
      const [first, , moved] = nodes;
      const alone = cluster.node("d");
      assert.ok(first && moved);
      alone.start({ seeds: [], bootstrapExpect: 1 });
      await alone.ready();
      const stream = "shared";
      await append(first, stream, "ours");
      await append(alone, stream, "theirs");
      await agreed(nodes, stream);
      const before = { ours: await finalLog(first, stream), theirs: await finalLog(alone, stream) };
      const ids = { ours: await clusterIdAt(first), theirs: await clusterIdAt(alone) };

      await moved.end("SIGTERM");
      moved.start({ seeds: [alone.peerAddress] });
      const names = (node: ClusterNode, theirs: string, ours: string) =>
        new RegExp(
          `"The node ."${node.id}." at ${node.peerAddress} is of cluster ${theirs}, this one is of ${ours}: they refuse each ` +
            "other\\. Correct --seeds where they are wrong; or give the node that is to change its cluster an empty data folder",
          "g",
        );
      // Greeted once a second at the least until its own nodes have found it.
      await until(() => names(alone, ids.theirs, ids.ours).test(moved.output));
      await until(() => names(moved, ids.ours, ids.theirs).test(alone.output));
      await moved.ready();
      await append(moved, stream, "ours");
      await append(alone, stream, "theirs");
      await agreed(nodes, stream);
      assert.equal(moved.output.match(names(alone, ids.theirs, ids.ours))?.length, 1);
      assert.equal(alone.output.match(names(moved, ids.ours, ids.theirs))?.length, 1);
      assert.deepEqual((await finalLog(moved, stream)).slice(0, before.ours.length), before.ours);
      assert.deepEqual((await finalLog(alone, stream)).slice(0, before.theirs.length), before.theirs);
      assert.deepEqual(await idsAt(alone), ["d"]);
      assert.deepEqual(await idsAt(first), ["a", "b", "c"]);
    });
  });

  test("that is a copy of a running node's: it takes no part, both say so, and nothing acknowledged is lost", {
    timeout,
  }, async () => {
    await withCluster({ nodes: 4, start: 3, voters: 3 }, async (cluster) => {
      const nodes = cluster.nodes.slice(0, 3);
      const copied = cluster.node("c");
      const copy = cluster.node("d");
      const stream = "history";
      const load = await Load.start({ nodes, stream, random: seeded(1, 16) });
      try {
        await load.nextAck(backMaxMs);
        fs.cpSync(copied.data, copy.data, { recursive: true });
        copy.start({ id: "c" });
        const two =
          /Two nodes are called ."c.": one at \S+, another at \S+\. Stop one, or give it a name and a data folder of its own/;
        await until(() => two.test(copy.output) && two.test(copied.output));
        assert.match(copy.output, /Takes no part in the cluster: the node .* refuses this one/);
        assert.doesNotMatch(copied.output, /Takes no part/);
        await until(async () => /Takes no part/.test(await readiness(copy)));
        // The majority is now the one that was copied and another: what it has is needed.
        await lead(copied, stream);
        await load.nextAck(backMaxMs);
        await cluster.node("a").end("SIGKILL");
        await load.nextAck(backMaxMs);
        cluster.node("a").start();
        await cluster.node("a").ready();
        assert.equal(await copy.end("SIGTERM"), 0);
        await judge(load, nodes, stream);
      } finally {
        load.abandon();
      }
    });
  });
});

async function append({ url }: ClusterNode, stream: string, value: string): Promise<void> {
  const { client, close } = connectTo(url);
  try {
    await client.log.append({ stream, records: [{ value: new TextEncoder().encode(value) }] });
  } finally {
    close();
  }
}

async function clusterIdAt(node: ClusterNode): Promise<string> {
  return (await serversAt(node))?.cluster?.id ?? "";
}

async function idsAt(node: ClusterNode): Promise<string[] | undefined> {
  return (await serversAt(node))?.servers.map(({ id }) => id);
}

/** What it says of being ready. */
async function readiness({ url }: ClusterNode): Promise<string> {
  return await (await fetch(`${url}/readyz`)).text();
}
