/**
 * Many nodes: how long it takes them to agree that one is dead.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ServerState } from "../../src/wire/gen/tailrace/v1/cluster_pb.ts";
import { withCluster } from "./support/cluster.ts";
import { Machine } from "./support/figures.ts";
import { untilDead, untilSaid } from "./support/servers.ts";

const nodes = 20;

test(`${nodes} nodes agree that one was killed`, { timeout: 240_000 }, async () => {
  const machine = await Machine.look();
  await withCluster({ nodes, voters: 3 }, async (cluster) => {
    for (const node of cluster.nodes) {
      await untilSaid(node, `all ${nodes} are alive`, ({ servers }) => {
        return servers.filter(({ state }) => state === ServerState.ALIVE).length === nodes;
      });
    }
    const dead = cluster.node("t");
    const others = cluster.others(dead);
    const told = others.map((node) => untilDead(node, dead.id));
    await dead.end("SIGKILL");
    const { maxMs } = machine.tell(`from kill -9 to all of ${others.length} saying so`, await Promise.all(told));
    assert.ok(maxMs < 15_000 * machine.factor, `${maxMs} ms`);
  });
});
