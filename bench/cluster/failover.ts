/**
 * How long until all streams are led again: after the death of a node that led a third of them, and after that of all nodes.
 * @module
 */
import { type Connection, connectTo } from "../../src/cli/connection.ts";
import type { BenchNode } from "./node.ts";

const pollMs = 20;
const waitMaxMs = 120_000;
/** Leaders move to where they are to be after a cluster's start. */
const settleMaxMs = 60_000;

/** Kills the last node. */
export async function measureFailover(
  nodes: readonly BenchNode[],
  say: (what: string, figures: string) => void,
): Promise<void> {
  const killed = nodes.at(-1);
  const others = nodes.slice(0, -1).map(({ url }) => connectTo(url));
  if (killed === undefined) return;
  const led = await settledLead(connectTo(killed.url), killed.name);
  await killed.end("SIGKILL");
  const beginMs = performance.now();
  // First they must have noticed, or there would be nothing to wait for.
  await until(async () => (await leaderless(others)) > 0, "nobody missed the killed node's streams");
  await until(async () => (await leaderless(others)) === 0, "not all streams were led again");
  const seconds = (performance.now() - beginMs) / 1000;
  say("a node is killed that leads", `${led} streams: all have another leader after ${seconds.toFixed(2)} s`);
  for (const connection of others) connection.close();
}

/** Kills all that are up, and starts them. */
export async function measureRestart(
  nodes: readonly BenchNode[],
  say: (what: string, figures: string) => void,
): Promise<void> {
  await Promise.all(nodes.map((node) => node.end("SIGKILL")));
  const beginMs = performance.now();
  const seconds = () => ((performance.now() - beginMs) / 1000).toFixed(2);
  for (const node of nodes) node.start();
  await Promise.all(nodes.map((node) => node.ready()));
  const ready = seconds();
  const connections = nodes.map(({ url }) => connectTo(url));
  await until(async () => (await leaderless(connections)) === 0, "not all streams were led again");
  say("all nodes are killed and started", `they serve after ${ready} s, all streams are led after ${seconds()} s`);
  for (const connection of connections) connection.close();
}

/** How many streams a node leads, once that does not change any more. */
async function settledLead({ client, close }: Connection, name: string): Promise<number> {
  let before = -1;
  for (const sinceMs = performance.now(); performance.now() - sinceMs < settleMaxMs; ) {
    const { servers } = await client.cluster.getServers({});
    const leads = Number(servers.find(({ id }) => id === name)?.leads ?? 0n);
    if (leads === before) break;
    before = leads;
    await new Promise((resolve) => setTimeout(resolve, 3_000));
  }
  close();
  return before;
}

/** Streams without a leader that is alive, as the one node says that knows of the most. */
async function leaderless(connections: readonly Connection[]): Promise<number> {
  const counts = connections.map(async ({ client }) => {
    const { cluster } = await client.cluster.getServers({});
    return Number(cluster?.leaderless ?? 0n);
  });
  return Math.max(...(await Promise.all(counts)));
}

async function until(holds: () => Promise<boolean>, otherwise: string): Promise<void> {
  const beginMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - beginMs > waitMaxMs) throw new Error(otherwise);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
