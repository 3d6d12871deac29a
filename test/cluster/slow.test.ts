/**
 * Followers that do not keep up: they hold nobody back, and neither they nor who leads keeps in memory what they lack.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withCluster } from "./support/cluster.ts";
import { Machine } from "./support/figures.ts";
import { agreed } from "./support/judge.ts";
import { appendLarge, memoryOptions, Peaks } from "./support/memory.ts";
import type { ClusterNode } from "./support/node-process.ts";
import { lead } from "./support/servers.ts";
import { passed } from "./support/under-load.ts";

const stream = "slow";
/** Records, of about so many MiB. */
const warmUp = 48;
const behind = 160;
/** A follower that is held still so long, and goes on for so long, again and again, is heard, and keeps up with little. */
const [stillMs, onMs] = [180, 20];
/** Nobody waits for a slow follower: it would be as long as that one is slow. */
const appendMaxMs = 3_000;

test(
  "a follower that does not keep up holds nobody back, and costs no node the memory of what it lacks, nor itself when it goes on",
  memoryOptions,
  async () => {
    const { factor } = await Machine.look();
    await withCluster({ nodes: 3 }, async ({ nodes }) => {
      const [first, second, slow] = nodes;
      assert.ok(first && second && slow);
      await appendLarge(first, [stream], warmUp);
      await lead(first, stream);
      await appendLarge(first, [stream], warmUp);
      await agreed(nodes, stream);
      const peaks = new Peaks(nodes);

      const slowMs = await braked(slow, appendLarge(first, [stream], behind / 2));
      slow.pause();
      const pausedMs = await appendLarge(first, [stream], behind);
      console.log(
        `the longest append took ${slowMs.toFixed(0)} ms beside a slow one, ${pausedMs.toFixed(0)} beside one that is still`,
      );
      assert.ok(Math.max(slowMs, pausedMs) < factor * appendMaxMs);
      slow.resume();
      await agreed(nodes, stream);
      peaks.check();
    });
  },
);

/** Holds a node still most of the time, until something is done; resolves with that. */
async function braked<T>(node: ClusterNode, work: Promise<T>): Promise<T> {
  let isDone = false;
  const end = () => {
    isDone = true;
  };
  work.then(end, end);
  while (!isDone) {
    node.pause();
    await passed(stillMs);
    node.resume();
    await passed(onMs);
  }
  return await work;
}
