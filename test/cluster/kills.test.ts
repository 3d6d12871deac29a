/**
 * More nodes are killed than may be, and come back.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { otherFamily } from "./support/hosts.ts";
import { caughtUp } from "./support/judge.ts";
import { serversAt } from "./support/servers.ts";
import { backMaxMs, passed, underLoad } from "./support/under-load.ts";

const timeout = 120_000;
/** Longer than any election takes. */
const waitMs = 3_000;

describe("with more nodes killed than may be", () => {
  test("nothing is acknowledged while a majority is dead, and appends go on when it is back", { timeout }, async () => {
    await underLoad("majority killed", { nodes: 3 }, async ({ cluster, load, stream }) => {
      const leader = await cluster.leaderOf(stream);
      const [other] = cluster.others(leader);
      assert.ok(other);
      await Promise.all([leader.end("SIGKILL"), other.end("SIGKILL")]);
      await assert.rejects(load.nextAck(waitMs), "an append was acknowledged by a minority");
      for (const node of [leader, other]) node.start();
      await load.nextAck(backMaxMs);
    });
  });

  test("all are killed at once, and all that was acknowledged is there when they start", { timeout }, async () => {
    await underLoad("all killed", { nodes: 3 }, async ({ cluster, load }) => {
      for (let time = 0; time < 3; time++) {
        await Promise.all(cluster.nodes.map((node) => node.end("SIGKILL")));
        for (const node of cluster.nodes) node.start();
        console.log(
          `an append was acknowledged ${(await load.nextAck(backMaxMs)).toFixed(0)} ms after all were started`,
        );
        await passed(500);
      }
    });
  });

  test("five replicas go on without the leader and another", { timeout }, async () => {
    const options = { nodes: 5, replicationFactor: 5 };
    await underLoad("two of five replicas killed", options, async ({ cluster, load, stream }) => {
      for (let time = 0; time < 2; time++) {
        const leader = await cluster.leaderOf(stream);
        const other = cluster.others(leader)[time];
        assert.ok(other);
        await Promise.all([leader.end("SIGKILL"), other.end("SIGKILL")]);
        await load.nextAck(backMaxMs);
        for (const node of [leader, other]) node.start();
        for (const node of [leader, other]) await caughtUp(node, cluster.others(node), stream);
      }
    });
  });

  test("five nodes, over IPv6, go on without a stream's leader and one that does not hold it", {
    timeout,
  }, async () => {
    await underLoad("two of five killed", { nodes: 5, family: otherFamily }, async ({ cluster, load, stream }) => {
      for (let time = 0; time < 2; time++) {
        const leader = await cluster.leaderOf(stream);
        const answer = await serversAt(leader);
        const idle = answer?.servers.find(({ holds }) => holds === 0n);
        assert.ok(idle, "a stream has three replicas by default");
        const other = cluster.node(idle.id);
        await Promise.all([leader.end("SIGKILL"), other.end("SIGKILL")]);
        await load.nextAck(backMaxMs);
        for (const node of [leader, other]) node.start();
        await Promise.all([leader.ready(), other.ready()]);
      }
    });
  });
});
