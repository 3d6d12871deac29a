/**
 * A follower that comes back to many streams, all of which went on without it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withCluster } from "./support/cluster.ts";
import { agreed } from "./support/judge.ts";
import { appendLarge, memoryOptions, Peaks } from "./support/memory.ts";

const streams = Array.from({ length: 100 }, (_, i) => `stream-${i}`);

test(
  "a follower that is behind in a hundred streams costs who leads them no more memory than in one",
  memoryOptions,
  async () => {
    await withCluster({ nodes: 3 }, async ({ nodes }) => {
      const [first, second, slow] = nodes;
      assert.ok(first && second && slow);
      await appendLarge(first, streams, streams.length);
      await Promise.all(streams.map((name) => agreed(nodes, name)));
      assert.equal(await slow.end("SIGTERM"), 0);
      await appendLarge(first, streams, 1.5 * streams.length);
      const peaks = new Peaks([first, second]);
      slow.start();
      await slow.ready();
      for (const name of streams) await agreed(nodes, name);
      peaks.check();
    });
  },
);
