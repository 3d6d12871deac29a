/**
 * Voters are added and removed while clients go on.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runCli } from "../support/cli.ts";
import type { Cluster } from "./support/cluster.ts";
import { caughtUp } from "./support/judge.ts";
import type { ClusterNode } from "./support/node-process.ts";
import { lead, untilSaid } from "./support/servers.ts";
import { backMaxMs, passed, underLoad } from "./support/under-load.ts";

const timeout = 180_000;
const changeMaxMs = 30_000;

describe("voters are", () => {
  test("added and removed by hand: of three nodes all are replaced, and appends go on", { timeout }, async () => {
    // The clients know all nodes from the beginning on, also those that are not there yet.
    const followAt = ({ nodes }: Cluster) => nodes.slice(3);
    await underLoad(
      "voters replaced",
      { nodes: 6, start: 3, voters: 3, followAt },
      async ({ cluster, load, stream }) => {
        for (const [i, old] of cluster.nodes.slice(0, 3).entries()) {
          const fresh = cluster.nodes[i + 3];
          assert.ok(fresh);
          fresh.start();
          await fresh.ready();
          await change(fresh, "add", fresh);
          await change(fresh, "remove", old);
          await untilSaid(fresh, `${old.id} holds nothing`, ({ servers }) =>
            servers.some(({ id, holds, isVoter }) => id === old.id && holds === 0n && !isVoter),
          );
          await caughtUp(
            fresh,
            cluster.others(fresh).filter(({ isUp }) => isUp),
            stream,
          );
          assert.equal(await old.end("SIGTERM"), 0);
          await load.nextAck(backMaxMs);
        }
      },
    );
  });

  test("added by themselves: one node grows to three while it serves, and then it dies", { timeout }, async () => {
    const followAt = ({ nodes }: Cluster) => nodes.slice(1);
    await underLoad("one grows", { nodes: 3, start: 1, voters: 1, followAt }, async ({ cluster, load, stream }) => {
      const [first, ...others] = cluster.nodes;
      assert.ok(first);
      for (const node of others) node.start();
      for (const node of others) await node.ready();
      await untilSaid(first, "all three vote", ({ cluster }) => cluster?.voters.length === 3);
      // The stream's voters come one after the other: who does not vote yet can't lead.
      for (const node of others) await lead(node, stream);
      await first.end("SIGKILL");
      await load.nextAck(backMaxMs);
      first.start();
      await first.ready();
    });
  });
});

/** Whoever has just begun may not know yet whom to ask. */
async function change(asked: ClusterNode, what: "add" | "remove", node: ClusterNode): Promise<void> {
  const begin = performance.now();
  for (;;) {
    const { code, stderr } = await runCli(asked.url, ["cluster", what, node.id]);
    if (code === 0) return;
    assert.match(stderr, /Try again/);
    assert.ok(performance.now() - begin < changeMaxMs, stderr);
    await passed(500);
  }
}
