/**
 * Where a new group goes.
 * @module
 */
import type { NodeId } from "../raft/types.ts";
import { crowd, isAlive, type Load, least, replicaCount, type Voters } from "./cluster.ts";

/** A group that is to be placed. */
export interface PlaceRequest extends Voters {
  /** Replicas that are wanted; 0: three. With fewer voters it is all of them. */
  readonly factor: number;
  /** What nodes hold already; a node that is not named holds nothing. */
  readonly load: ReadonlyMap<NodeId, Load>;
}

/**
 * The nodes of a new group, its preferred leader first: the live node that leads the least, then such as are in regions
 * where it has the fewest replicas, and of these the ones that hold the least.
 * Nodes that are down come last: counted in, they change nothing for who is needed, and are there when they come back.
 */
export function place(request: PlaceRequest): readonly NodeId[] {
  const { factor, voters, load } = request;
  const replicas = (node: NodeId) => load.get(node)?.replicas ?? 0;
  const leaders = (node: NodeId) => load.get(node)?.leaders ?? 0;
  const leader = least(voters, (node) => [isAlive(request, node) ? 0 : 1, leaders(node), replicas(node)]);
  if (leader === undefined) return [];
  const nodes = [leader];
  while (nodes.length < replicaCount(factor, voters.length)) {
    const next = nextReplica(request, nodes, replicas);
    if (next === undefined) break;
    nodes.push(next);
  }
  return nodes;
}

/** The node that a group which is on `nodes` takes next; undefined: it is on all. */
export function nextReplica(
  cluster: Voters,
  nodes: readonly NodeId[],
  replicas: (node: NodeId) => number,
): NodeId | undefined {
  const others = cluster.voters.filter((node) => !nodes.includes(node));
  return least(others, (node) => [isAlive(cluster, node) ? 0 : 1, crowd(cluster, nodes, node), replicas(node)]);
}
