/**
 * What nodes say of each other.
 * @module
 */
import { connectTo } from "../../../src/cli/connection.ts";
import { type GetServersResponse, ServerState } from "../../../src/wire/gen/tailrace/v1/cluster_pb.ts";
import type { ClusterNode } from "./node-process.ts";

const answerMaxMs = 2_000;
const transferMaxMs = 10_000;
const waitMaxMs = 60_000;

/** The cluster as a node knows it; undefined: it does not answer. */
export async function serversAt(node: ClusterNode): Promise<GetServersResponse | undefined> {
  const connection = connectTo(node.url);
  try {
    return await connection.client.cluster.getServers({}, { timeoutMs: answerMaxMs });
  } catch {
    return undefined;
  } finally {
    connection.close();
  }
}

/** Resolves when a node says of its cluster what is wanted. */
export async function untilSaid(
  node: ClusterNode,
  what: string,
  isSaid: (answer: GetServersResponse) => boolean,
): Promise<void> {
  const begin = performance.now();
  for (;;) {
    const answer = await serversAt(node);
    if (answer && isSaid(answer)) return;
    if (performance.now() - begin > waitMaxMs) {
      const told = answer ? answer.servers.map(({ id, state, isVoter }) => ({ id, state, isVoter })) : "nothing";
      throw new Error(`node ${node.id} does not say that ${what} within ${waitMaxMs} ms, but ${JSON.stringify(told)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Whether a node's replica of a stream votes, and so has all that the others have: it answers for itself. */
export async function votesIn({ url }: ClusterNode, stream: string): Promise<boolean> {
  const told = await (await fetch(`${url}/metrics`)).text();
  const roles = [...told.matchAll(/^tailrace_group_role\{(.*)\} 1$/gm)].map(([, labels = ""]) => labels);
  const isOfIt = (labels: string) => labels.includes(`stream="${stream}"`);
  return roles.some((labels) => isOfIt(labels) && /role="(leader|follower|candidate)"/.test(labels));
}

/** Resolves when a node leads a stream: it is asked to until it does, since who does not vote yet can't. */
export async function lead(node: ClusterNode, stream: string): Promise<void> {
  const begin = performance.now();
  for (;;) {
    const why = await transfer(node, stream);
    if (why === undefined) return;
    if (performance.now() - begin > waitMaxMs) {
      throw new Error(`node ${node.id} does not come to lead ${stream} within ${waitMaxMs} ms: ${why}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Why it does not lead; undefined: it does. */
async function transfer(node: ClusterNode, stream: string): Promise<string | undefined> {
  const connection = connectTo(node.url);
  try {
    const request = { what: { case: "stream", value: stream }, to: node.id } as const;
    const { failed, failure } = await connection.client.cluster.transferLeadership(request, {
      timeoutMs: transferMaxMs,
    });
    return failed === 0n ? undefined : failure;
  } catch (error) {
    return String(error);
  } finally {
    connection.close();
  }
}

/** Resolves with the time until a node says that another is dead, milliseconds; it tells of each change at once. */
export async function untilDead(node: ClusterNode, id: string): Promise<number> {
  const begin = performance.now();
  const connection = connectTo(node.url);
  const signal = AbortSignal.timeout(waitMaxMs);
  try {
    for await (const { servers } of connection.client.cluster.watchServers({}, { signal })) {
      if (servers.some((server) => server.id === id && server.state === ServerState.DEAD)) {
        return performance.now() - begin;
      }
    }
    throw new Error(`node ${node.id} ended what it tells of the cluster`);
  } finally {
    connection.close();
  }
}
