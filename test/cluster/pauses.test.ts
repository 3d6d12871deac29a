/**
 * Processes that are held still, and go on as if nothing had been.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { backMaxMs, passed, underLoad } from "./support/under-load.ts";

const timeout = 120_000;
const pauseMs = 4_000;

describe("a process that is held still (SIGSTOP) and let go", () => {
  test("as the leader is replaced, and learns so when it goes on", { timeout }, async () => {
    await underLoad("leader paused", { nodes: 3 }, async ({ cluster, load, stream }) => {
      // What is asked of it while it is held waits for it: it answers before it knows that another leads.
      for (const node of cluster.nodes) load.readAt(node);
      for (let time = 0; time < 3; time++) {
        const leader = await cluster.leaderOf(stream);
        leader.pause();
        const tookMs = await load.nextAck(backMaxMs);
        console.log(`from SIGSTOP of the leader to the next acknowledged append: ${tookMs.toFixed(0)} ms`);
        await passed(pauseMs - tookMs);
        leader.resume();
        await passed(1_000);
      }
    });
  });

  test("as a follower holds nobody up, and has all soon after it goes on", { timeout }, async () => {
    await underLoad("follower paused", { nodes: 3 }, async ({ cluster, load, stream }) => {
      const leader = await cluster.leaderOf(stream);
      for (const follower of cluster.others(leader)) {
        const before = load.acks;
        follower.pause();
        await passed(pauseMs);
        follower.resume();
        assert.ok(load.acks - before > 20, `${load.acks - before} appends were acknowledged in ${pauseMs} ms`);
      }
    });
  });

  test("all of them at once, as when a machine sleeps", { timeout }, async () => {
    await underLoad("all paused", { nodes: 3 }, async ({ cluster }) => {
      for (const node of cluster.nodes) node.pause();
      await passed(pauseMs);
      for (const node of cluster.nodes) node.resume();
    });
  });
});
