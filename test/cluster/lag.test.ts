/**
 * A leader that is cut off leads for a while in its own eyes: what it reads then says how old that may be.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import { unless } from "../support/skip.ts";
import { withCluster } from "./support/cluster.ts";
import { whyNoCuts } from "./support/hosts.ts";

const options = { ...unless(whyNoCuts === undefined, whyNoCuts ?? ""), timeout: 120_000 };
const stream = "s";
/** Packets that were on their way arrive so late at the most, milliseconds. */
const underWayMs = 200;
const stepsDownMaxMs = 20_000;

test(
  "a leader that hears from no other node says with each local read for how long, until it leads no more",
  options,
  async () => {
    await withCluster({ nodes: 3 }, async (cluster) => {
      const [first] = cluster.nodes;
      assert.ok(first);
      const { client, close } = connectTo(first.url);
      await client.log.append({ stream, records: [{}] });
      close();
      const leader = await cluster.leaderOf(stream);
      const there = connectTo(leader.url);
      try {
        const read = async () => (await there.client.log.read({ stream })).lagMs;
        assert.ok((await read()) !== undefined);
        await cluster.hosts.cut(cluster.linksBetween([leader], cluster.others(leader)));
        const cutAtMs = performance.now();
        const seen: { readonly afterMs: number; readonly lagMs: number }[] = [];
        for (;;) {
          const afterMs = performance.now() - cutAtMs;
          const lagMs = await read();
          if (lagMs === undefined) break;
          assert.ok(afterMs < stepsDownMaxMs, `it still leads ${afterMs} ms after it was cut off`);
          seen.push({ afterMs, lagMs });
        }
        for (const { afterMs, lagMs } of seen) {
          assert.ok(lagMs >= afterMs - underWayMs, `it says ${lagMs} ms, ${afterMs} ms after it was cut off`);
        }
        const last = seen.at(-1);
        assert.ok(last !== undefined && last.lagMs > 500, `it said ${last?.lagMs} ms at last`);
      } finally {
        there.close();
      }
    });
  },
);
