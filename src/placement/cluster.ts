/**
 * What placing replicas knows of the cluster, and how its candidates are compared.
 * @module
 */
import type { NodeId } from "../raft/types.ts";

/** Nodes that may hold voters of groups. */
export interface Voters {
  /** The nodes of `_meta`'s voters, and no others. */
  readonly voters: readonly NodeId[];
  /** Where they are. Nodes that are not named, or all when it is left out, are in one region. */
  readonly regions?: ReadonlyMap<NodeId, string>;
  /** Whether a node is up, as far as is known; left out: all are. A dead one is named only where there are no others. */
  readonly alive?: (node: NodeId) => boolean;
}

/** What a node is to hold. */
export interface Load {
  /** Groups whose placement names it. */
  readonly replicas: number;
  /** Groups whose placement names it first. */
  readonly leaders: number;
}

/** Replicas of a group where nobody said how many; with fewer voters all of them. */
const factorDefault = 3;

/** How many nodes a group is on. @param factor Its setting; 0: by default. */
export function replicaCount(factor: number, voters: number): number {
  return Math.min(factor === 0 ? factorDefault : factor, voters);
}

/** Whether a node is up. */
export function isAlive({ alive }: Voters, node: NodeId): boolean {
  return alive?.(node) ?? true;
}

/** How many of `nodes` are in a node's region. */
export function crowd({ regions }: Pick<Voters, "regions">, nodes: readonly NodeId[], node: NodeId): number {
  const region = regions?.get(node);
  return nodes.filter((other) => regions?.get(other) === region).length;
}

/**
 * The candidate whose rank is the least, its numbers compared one after the other; of equal ones the lowest id, so that all
 * who look choose the same.
 */
export function least(candidates: readonly NodeId[], rank: (node: NodeId) => readonly number[]): NodeId | undefined {
  const ranked = candidates.map((node) => ({ node, rank: rank(node) }));
  ranked.sort((a, b) => difference(a.rank, b.rank) || (a.node < b.node ? -1 : 1));
  return ranked[0]?.node;
}

function difference(a: readonly number[], b: readonly number[]): number {
  for (const [at, value] of a.entries()) {
    const other = b[at] ?? 0;
    if (value !== other) return value - other;
  }
  return 0;
}
