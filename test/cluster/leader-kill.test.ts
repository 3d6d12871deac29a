/**
 * kill -9 of the leader, again and again, while clients of all protocols append and read.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Machine } from "./support/figures.ts";
import { caughtUp } from "./support/judge.ts";
import { backMaxMs, underLoad } from "./support/under-load.ts";

const kills = 20;

test(`${kills} times the leader is killed: appends go on well within a second, and all that was said stays true`, {
  timeout: 240_000,
}, async () => {
  const machine = await Machine.look();
  const timesMs: number[] = [];
  await underLoad("leader kill", { nodes: 3 }, async ({ cluster, load, stream }) => {
    for (let kill = 0; kill < kills; kill++) {
      const leader = await cluster.leaderOf(stream);
      const ended = leader.end("SIGKILL");
      timesMs.push(await load.nextAck(backMaxMs));
      await ended;
      leader.start();
      await leader.ready();
      await caughtUp(leader, cluster.others(leader), stream);
    }
  });
  const { medianMs, maxMs } = machine.tell("from kill -9 of the leader to the next acknowledged append", timesMs);
  assert.ok(medianMs < 500 * machine.factor, `median ${medianMs} ms`);
  assert.ok(maxMs < 2_000 * machine.factor, `max ${maxMs} ms`);
});
