/**
 * A node loses its disk, or has no room on it.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { SmallVolume } from "../durability/support/small-volume.ts";
import { Metrics } from "../support/metrics.ts";
import { unless } from "../support/skip.ts";
import { until } from "../support/until.ts";
import type { Cluster } from "./support/cluster.ts";
import { caughtUp } from "./support/judge.ts";
import { lead } from "./support/servers.ts";
import { backMaxMs, passed, underLoad } from "./support/under-load.ts";

const timeout = 120_000;
const fullMs = 4_000;

const mounted = SmallVolume.mount(64 << 20);
const skip = unless(mounted instanceof SmallVolume, `no tmpfs can be mounted: ${mounted}`);

describe("a node's disk", () => {
  for (const which of ["a follower", "the leader"]) {
    test(`is wiped: ${which} comes back as a new replica, and has all again`, { timeout }, async () => {
      await underLoad(`${which} wiped`, { nodes: 3 }, async ({ cluster, load, stream }) => {
        const leader = await cluster.leaderOf(stream);
        const node = which === "the leader" ? leader : cluster.others(leader)[0];
        assert.ok(node);
        await node.end("SIGKILL");
        fs.rmSync(node.data, { recursive: true });
        await load.nextAck(backMaxMs);
        node.start();
        await node.ready();
        await caughtUp(node, cluster.others(node), stream);
        // It has a vote again: else it could not lead.
        await lead(node, stream);
        await load.nextAck(backMaxMs);
        assert.match(
          node.output,
          /has a vote in this cluster, by another disk than this empty one: it is a new replica/,
        );
        // One line and one count for each log that it voted in: of the stream, and of the cluster itself.
        for (const of of ["the cluster", "the stream with id \\d+"]) {
          await untilLogged(cluster, `${node.id} came back as a new replica, .+: that one is a voter of ${of} now`);
          await untilLogged(cluster, `The replica that ${node.id} was before .+ is no voter of ${of} any more`);
        }
        await until(async () => (await replaced(cluster)) === 2);
      });
    });
  }

  for (const which of ["a follower's", "the leader's"]) {
    test(`is full, and it is ${which}: what is said stays true, and the node has all when there is room`, {
      ...skip,
      timeout,
    }, async () => {
      assert.ok(mounted instanceof SmallVolume);
      const volume = mounted;
      volume.clear();
      const dataOf = (id: string) => (id === "a" ? path.join(volume.folder, "data") : undefined);
      await underLoad(`${which} disk is full`, { nodes: 3, dataOf }, async ({ cluster, load, stream }) => {
        const [full, other] = cluster.nodes;
        assert.ok(full && other);
        await lead(which === "the leader's" ? full : other, stream);
        volume.fill();
        const until = passed(fullMs);
        const before = load.acks;
        if (which === "a follower's") await load.nextAck(backMaxMs);
        await until;
        console.log(`${load.acks - before} appends were acknowledged in ${fullMs} ms`);
        assert.ok(full.isUp, "a full disk ends no process");
        volume.empty();
        await load.nextAck(backMaxMs);
        await caughtUp(full, cluster.others(full), stream);
      });
    });
  }
});

/** Resolves when a node's log has such a line. */
async function untilLogged({ nodes }: Cluster, line: string): Promise<void> {
  await until(() => nodes.some(({ output }) => new RegExp(line).test(output)));
}

/** Voters whose place a new replica took, over all groups and nodes. */
async function replaced({ nodes }: Cluster): Promise<number> {
  const counts = await Promise.all(
    nodes.map(async ({ url }) => (await Metrics.of(url)).get("tailrace_replicas_replaced_total")),
  );
  return counts.reduce((sum, count) => sum + count);
}
