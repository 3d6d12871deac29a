/**
 * Who is to vote in `_meta`, and so in the cluster: those who do, and nodes that joined, up to the number that is wanted.
 * What a person said counts more: a node that was added by hand is one whatever the number, and one that was removed
 * does not become one by itself, though it is there and fewer vote than are wanted.
 * @module
 */
import type { NodeId } from "../raft/types.ts";
import { crowd, least } from "./cluster.ts";

/** A node that gossip tells of. */
export interface Member {
  readonly node: NodeId;
  readonly role: "voter" | "observer";
  readonly region: string;
  readonly alive: boolean;
}

/** What the leader of `_meta` knows. */
export interface MetaView {
  readonly self: NodeId;
  /** Nodes of the newest voters. */
  readonly voters: readonly NodeId[];
  readonly members: readonly Member[];
  /** Up to so many are made voters by themselves. */
  readonly wanted: number;
  /** Nodes that a person made voters, and that are not to be voters any more. */
  readonly added: ReadonlySet<NodeId>;
  readonly removed: ReadonlySet<NodeId>;
}

/** The placement of `_meta`. Who leads it comes first, and so leads on: it has no preferred leader. */
export function metaPlacement(view: MetaView): readonly NodeId[] {
  const { self, voters, members, wanted, added, removed } = view;
  const nodes = [...new Set([self, ...voters, ...added])].filter((node) => !removed.has(node));
  const regions = new Map(members.map(({ node, region }) => [node, region]));
  const candidates = members
    .filter(({ node, role, alive }) => role === "voter" && alive && !removed.has(node))
    .map(({ node }) => node);
  while (nodes.length < wanted) {
    const others = candidates.filter((node) => !nodes.includes(node));
    const next = least(others, (node) => [crowd({ regions }, nodes, node)]);
    if (next === undefined) break;
    nodes.push(next);
  }
  return nodes;
}
