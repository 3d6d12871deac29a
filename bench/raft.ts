/**
 * What the replication core costs by itself: three nodes in one thread, with disks and links that take no time.
 * @module
 */
import { QuickCluster } from "../src/raft/testdata/quick-cluster.ts";

const appends = 50_000;
const groups = 5000;

/** Prints a line for each case. */
export async function benchRaft(): Promise<void> {
  for (const count of [1, 1000]) {
    const cluster = new QuickCluster();
    cluster.open(1, count);
    cluster.lead();
    for (let i = 0; i < appends / 5; i++) cluster.append(1 + (i % count));
    const { steps } = cluster;
    const startMs = performance.now();
    for (let i = 0; i < appends; i++) cluster.append(1 + (i % count));
    const seconds = (performance.now() - startMs) / 1000;
    const rate = (value: number) => Math.round(value / seconds).toLocaleString("en");
    console.log(
      `raft, ${count} groups: ${rate(appends)} appends a second through leader and two followers, ` +
        `${rate(cluster.steps - steps)} steps a second`,
    );
  }
  await printMemory("nobody leads", () => undefined);
  await printMemory("a leader, two that follow", (cluster) => cluster.lead());
}

async function printMemory(name: string, use: (cluster: QuickCluster) => void): Promise<void> {
  const before = await usedBytes();
  const cluster = new QuickCluster();
  cluster.open(1, groups);
  const startMs = performance.now();
  use(cluster);
  const ms = Math.round(performance.now() - startMs);
  const bytes = Math.round(((await usedBytes()) - before) / groups / 3);
  console.log(`raft, ${groups} idle groups (${name}): ${bytes} bytes a replica, ${cluster.steps} steps in ${ms} ms`);
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
