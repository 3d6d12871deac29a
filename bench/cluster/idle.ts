/**
 * What streams cost that nobody uses: CPU and memory.
 * @module
 */
import { Code } from "@connectrpc/connect";
import { connectTo } from "../../src/cli/connection.ts";
import type { TailraceClient } from "../../src/client/client.ts";
import { toRequestError } from "../../src/client/errors.ts";
import type { BenchNode } from "./node.ts";

const creationsInFlight = 64;
const triesMax = 20;
const retryMs = 500;
/** Marks, checkpoints and elections come to rest. */
const settleMs = 10_000;
const measuredMs = 10_000;

/** With one stream, then with as many as are asked for. */
export async function measureIdle(
  nodes: readonly BenchNode[],
  streams: number,
  say: (what: string, figures: string) => void,
): Promise<void> {
  await createStreams(nodes, 1, 0);
  say("idle with 1 stream", await cpuOf(nodes));
  const beforeBytes = residentOf(nodes);
  const beginMs = performance.now();
  await createStreams(nodes, streams, 1);
  const seconds = (performance.now() - beginMs) / 1000;
  say(`${streams} streams are made`, `in ${seconds.toFixed(1)} s, ${(streams / seconds).toFixed(0)} /s`);
  say(`idle with ${streams} streams`, await cpuOf(nodes));
  const bytes = (residentOf(nodes) - beforeBytes) / (streams - 1) / nodes.length;
  say("memory of a stream", `${(bytes / 1024).toFixed(1)} KiB on each node`);
}

async function createStreams(nodes: readonly BenchNode[], end: number, start: number): Promise<void> {
  const connections = nodes.map(({ url }) => connectTo(url));
  let next = start;
  const work = async (_: unknown, i: number) => {
    const { client } = connections[i % connections.length] ?? connectTo("");
    while (next < end) await create(client, `stream-${next++}`);
  };
  await Promise.all(Array.from({ length: creationsInFlight }, work));
  for (const connection of connections) connection.close();
}

/** Again, as clients do, when nobody knows what became of it: to create what is there is no error. */
async function create({ streams }: TailraceClient, name: string): Promise<void> {
  for (let left = triesMax; ; left--) {
    try {
      await streams.createStream({ name });
      return;
    } catch (error) {
      if (left === 0 || toRequestError(error).code !== Code.Unavailable) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }
}

async function cpuOf(nodes: readonly BenchNode[]): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  const before = nodes.map((node) => node.cpuS());
  await new Promise((resolve) => setTimeout(resolve, measuredMs));
  const percents = nodes.map((node, i) => (100 * (node.cpuS() - (before[i] ?? 0))) / (measuredMs / 1000));
  return `${percents.map((percent) => percent.toFixed(1)).join(", ")} % of a core on each node`;
}

function residentOf(nodes: readonly BenchNode[]): number {
  return nodes.reduce((sum, node) => sum + node.residentBytes(), 0);
}
