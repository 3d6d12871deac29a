/**
 * Disks that are lost, and old copies of disks that come back: only where others hold all that the lost one may have
 * promised. More than that is lost data, whatever one does.
 * @module
 */
import type { Group } from "../../raft/group.ts";
import { type NodeId, nodeOf, type ReplicaId } from "../../raft/types.ts";
import type { Counted } from "./invariants.ts";
import type { NodeImage, SimNode } from "./node.ts";
import { count, type World } from "./world.ts";

/** When something more happens, and when it is over at the latest. Milliseconds, at most. */
interface Times {
  after(ms: number, work: () => void): void;
  heal(ms: number, work: () => void): void;
}

/** Term and vote of a group, as a copy has them, and which replica's they are. */
interface Promised {
  readonly self: ReplicaId;
  readonly term: number;
  readonly votedFor: string | null;
}

/** A disk may be lost while all other voters of each group are whole, and hold what is committed. */
export function mayWipe(world: World, nodes: readonly SimNode[], node: SimNode): boolean {
  return [...world.groups.keys()].every((group) => {
    const leader = leadingAt(nodes, group);
    return leader && nodeOf(leader.self) !== node.id && othersAreWhole(world, nodes, node, group);
  });
}

/** Whether a majority of a group's voters is without a node, and whole: it holds what is committed. */
export function othersAreWhole(
  { invariants, spoiled }: World,
  nodes: readonly SimNode[],
  node: SimNode,
  group: number,
): boolean {
  const log = leadingAt(nodes, group)?.log;
  if (!log?.votersAreCommitted) return false;
  const whole = log.voters.filter((voter) => {
    const g = groupAt(nodes, nodeOf(voter), group);
    const isWhole = nodeOf(voter) !== node.id && g?.self === voter && spoiled.get(group) !== nodeOf(voter);
    return isWhole && g.log.durable >= invariants.committedEnd(group);
  });
  return 2 * whole.length > log.voters.length;
}

/**
 * Copies a disk, and puts the copy back after a while. A vote that it forgets may be given twice, and what it said to hold
 * may be counted by who is elected next: nothing helps against that. So it comes back only in the term of the copy, while
 * the leader leads on and all other voters hold what it ever said to hold; then the leader must see that it forgot.
 */
export function putBackLater(world: World, nodes: readonly SimNode[], node: SimNode, times: Times): void {
  if (!node.process) return;
  const promised = promisesOf(world, nodes, node);
  if (!promised) return;
  const image = node.image();
  times.after(2000, () => {
    if (!node.process || !isUnchanged(world, nodes, node, promised)) return;
    node.kill();
    times.heal(2000, () => putBack(world, nodes, node, { image, promised }));
  });
}

function putBack(
  world: World,
  nodes: readonly SimNode[],
  node: SimNode,
  old: { readonly image: NodeImage; readonly promised: ReadonlyMap<number, Promised> },
): void {
  if (!node.isUp && othersHold(world, nodes, node, old.promised)) {
    count(world, "an old disk was put back");
    node.putBack(old.image, countedOf(world, nodes, node));
  }
  node.start();
}

/** What it promised in each group; undefined: some of that is not on its disk yet. */
function promisesOf({ groups }: World, nodes: readonly SimNode[], node: SimNode): Map<number, Promised> | undefined {
  const promised = new Map<number, Promised>();
  for (const group of groups.keys()) {
    const g = groupAt(nodes, node.id, group);
    const vote = node.process?.folder.log(group)?.vote;
    if (!g || g.saving > 0 || vote?.term !== g.term || g.role.kind !== "follower") return undefined;
    promised.set(group, { self: g.self, term: g.term, votedFor: g.votedFor });
  }
  return promised;
}

function isUnchanged(
  { groups }: World,
  nodes: readonly SimNode[],
  node: SimNode,
  promised: ReadonlyMap<number, Promised>,
): boolean {
  return [...groups.keys()].every((group) => {
    const g = groupAt(nodes, node.id, group);
    const old = promised.get(group);
    const isSame = g !== undefined && g.self === old?.self && g.term === old.term && g.votedFor === old.votedFor;
    return isSame && g.saving === 0;
  });
}

/** The leader of the same term leads on, no session of the old process is left, and all others hold what it had. */
function othersHold(
  { groups, invariants }: World,
  nodes: readonly SimNode[],
  node: SimNode,
  promised: ReadonlyMap<number, Promised>,
): boolean {
  return [...groups.keys()].every((group) => {
    const leader = leadingAt(nodes, group);
    const term = promised.get(group)?.term;
    if (!leader || leader.term !== term || !leader.log.votersAreCommitted) return false;
    if ([...leader.feeds.values()].some((feed) => feed.node === node.id)) return false;
    const self = leader.log.voters.find((voter) => nodeOf(voter) === node.id);
    const needed = Math.max(invariants.committedEnd(group), self ? invariants.promisesOf(group).durableEnd(self) : 0);
    return leader.log.voters.every((voter) => {
      if (voter === self) return true;
      const g = groupAt(nodes, nodeOf(voter), group);
      return g?.self === voter && g.term === term && g.log.durable >= needed;
    });
  });
}

/** What the leaders count a node for. */
function countedOf({ groups }: World, nodes: readonly SimNode[], node: SimNode): Counted[] {
  return [...groups.keys()].flatMap((group) => {
    const leader = leadingAt(nodes, group);
    const replica = leader?.log.voters.find((voter) => nodeOf(voter) === node.id);
    if (leader?.role.kind !== "leader" || replica === undefined) return [];
    return [{ group, replica, term: leader.term, end: leader.role.progress.get(replica)?.durable ?? 0 }];
  });
}

function leadingAt(nodes: readonly SimNode[], group: number): Group | undefined {
  for (const { process } of nodes) {
    const g = process?.driver.core.group(group);
    if (g?.role.kind === "leader") return g;
  }
  return undefined;
}

function groupAt(nodes: readonly SimNode[], node: NodeId, group: number): Group | undefined {
  return nodes.find(({ id }) => id === node)?.process?.driver.core.group(group);
}
