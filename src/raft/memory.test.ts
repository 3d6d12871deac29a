/** What the core keeps in memory of a group that has nothing to say: thousands of them are on one node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { unless } from "../../test/support/skip.ts";
import { QuickCluster } from "./testdata/quick-cluster.ts";

const mostBytes = 4096;
const [few, many] = [500, 3000];
/** All stay in memory, so that none is collected while another is measured. */
const kept: QuickCluster[] = [];

for (const { name, use } of [
  { name: "that nobody leads", use: () => undefined },
  { name: "with a leader and two that follow", use: (cluster: QuickCluster) => cluster.lead() },
]) {
  test(`an idle group ${name} takes less than 4 KiB on each node`, {
    ...unless(process.versions["bun"] !== undefined, "collecting on demand is Bun's"),
    timeout: 60_000,
  }, async () => {
    const taken: number[] = [];
    for (const count of [10, few, many]) {
      const before = await usedBytes();
      const cluster = new QuickCluster();
      kept.push(cluster);
      cluster.open(1, count);
      use(cluster);
      taken.push((await usedBytes()) - before);
    }
    const [, ofFew = 0, ofMany = 0] = taken;
    const bytesAReplica = (ofMany - ofFew) / (many - few) / 3;
    assert.ok(bytesAReplica > 100 && bytesAReplica < mostBytes, `${Math.round(bytesAReplica)} bytes a replica`);
  });
}

/** Bytes that are in use, when all that nobody holds is gone: what waits in a queue is no one's only after a turn. */
async function usedBytes(): Promise<number> {
  for (let round = 0; round < 4; round++) {
    Bun.gc(true);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}
declare const Bun: { gc(force: boolean): void };
