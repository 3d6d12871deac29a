/**
 * When a node lets go the log of a stream that was moved away from it: once the move is over, as far as the group's own log tells.
 * - No set of voters that counts has a replica of this node: what it promised as a voter nobody needs any more. Who goes by an
 *   older set asks for the replica by its name, and finds it gone, as one that is down: it never comes back under that name.
 * - Every node of the placement has a voter: none that is being made depends on this copy.
 * - It follows, and has all that was committed some seconds ago: what it knows of the voters is what was so then, and since.
 * Elsewhere: how the log goes (`replica/cluster-logs.ts`).
 * @module
 */
import { type Group, sourceOf } from "../raft/group.ts";
import { type NodeId, nodeOf, type ReplicaId } from "../raft/types.ts";

/** Whether a group is to be on the nodes of `placement`, and is, and this one is none of them. */
export function hasMovedAway({ self, log }: Group, placement: readonly NodeId[]): boolean {
  const { voters, votersAreCommitted } = log;
  if (placement.length === 0 || placement.includes(nodeOf(self))) return false;
  const isLeft = votersAreCommitted && !voters.some((voter) => isOfNode(voter, self));
  return isLeft && placement.every((node) => voters.some((voter) => nodeOf(voter) === node));
}

/** What is committed of a group, as who is followed says; undefined: nobody says. */
export function saidCommit(g: Group): number | undefined {
  const source = sourceOf(g);
  return source?.answered === true ? Math.max(source.saidCommit, g.log.commit) : undefined;
}

/** Whether a replica here follows, has all below `commit`, and promises nothing just now. */
export function mayGo(g: Group, commit: number): boolean {
  const { log, role, saving, repairing } = g;
  const source = sourceOf(g);
  const isFollowing = role.kind === "follower" && source?.answered === true && source.restartAt === undefined;
  return isFollowing && log.commit >= commit && saving === 0 && !repairing;
}

/** Whether a voter is a replica of the node that `self` is on; a node that was alone named its replica by the disk only. */
function isOfNode(voter: ReplicaId, self: ReplicaId): boolean {
  return nodeOf(voter) === nodeOf(self) || diskIdOf(voter) === diskIdOf(self);
}

function diskIdOf(replica: ReplicaId): string | undefined {
  return replica.split("/").at(-2);
}
