/**
 * How a node is, seen from the others: one whose disk is full, and one that is up and not ready.
 */
import assert from "node:assert/strict";
import * as path from "node:path";
import { describe, test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import { type Server, ServerHealth, ServerState } from "../../src/wire/gen/tailrace/v1/cluster_pb.ts";
import { SmallVolume } from "../durability/support/small-volume.ts";
import { runCli } from "../support/cli.ts";
import { unless } from "../support/skip.ts";
import { withCluster } from "./support/cluster.ts";
import type { ClusterNode } from "./support/node-process.ts";
import { untilSaid } from "./support/servers.ts";

const timeout = 120_000;
const mounted = SmallVolume.mount(64 << 20);
const skip = unless(mounted instanceof SmallVolume, `no tmpfs can be mounted: ${mounted}`);

describe("any node tells how another one is", () => {
  test("whose disk is full: that it takes no appends, and why, until there is room", { ...skip, timeout }, async () => {
    assert.ok(mounted instanceof SmallVolume);
    const volume = mounted;
    volume.clear();
    const dataOf = (id: string) => (id === "c" ? path.join(volume.folder, "data") : undefined);
    await withCluster({ nodes: 3, dataOf }, async (cluster) => {
      const full = cluster.node("c");
      for (const asked of cluster.nodes) await untilAll(asked, 3, isWell);
      volume.fill();
      // What has no room is known from when something is to be written.
      await append(full);
      for (const asked of cluster.others(full)) {
        await untilHealth(asked, "c", ({ health, healthReason: why }) => {
          return health === ServerHealth.DEGRADED && /^it takes no appends: /.test(why);
        });
      }
      const { code, stdout } = await runCli(cluster.node("a").url, ["cluster", "status"]);
      assert.match(stdout.toString(), /Node c can't do all: it takes no appends: /);
      assert.equal(code, 1);
      volume.empty();
      for (const asked of cluster.others(full)) await untilHealth(asked, "c", isWell);
    });
  });

  test("that waits for a leader: that it is not ready, and what for", { timeout }, async () => {
    await withCluster({ nodes: 4, start: 3, voters: 3 }, async (cluster) => {
      const [a, b, asked] = cluster.nodes;
      const waiting = cluster.node("d");
      assert.ok(a && b && asked);
      for (const node of [a, b]) await node.end("SIGKILL");
      waiting.start();
      await untilHealth(asked, "d", ({ state, health, healthReason: why }) => {
        const isUp = state === ServerState.ALIVE && health === ServerHealth.DEGRADED;
        return isUp && why === "it is not ready: waiting for a leader of the cluster";
      });
      const { stdout } = await runCli(asked.url, ["cluster", "status"]);
      assert.match(stdout.toString(), /Node d can't do all: it is not ready: waiting for a leader of the cluster/);
      for (const node of [a, b]) node.start();
      await waiting.ready();
      for (const node of cluster.nodes) await untilAll(node, 4, isWell);
    });
  });
});

const isWell = ({ health }: Server) => health === ServerHealth.SERVING;

async function untilHealth(asked: ClusterNode, id: string, holds: (server: Server) => boolean): Promise<void> {
  await untilSaid(asked, `${id} is so`, ({ servers }) => servers.some((server) => server.id === id && holds(server)));
}

async function untilAll(asked: ClusterNode, count: number, holds: (server: Server) => boolean): Promise<void> {
  await untilSaid(asked, "all are well", ({ servers }) => servers.length === count && servers.every(holds));
}

/** It may be refused: the disk is to be met. */
async function append({ url }: ClusterNode): Promise<void> {
  const { client, close } = connectTo(url);
  try {
    await client.log.append({ stream: "s", records: [{ value: new Uint8Array(100) }] }).catch(() => {});
  } finally {
    close();
  }
}
