/**
 * What a node can say of its groups: who leads, and how far those that follow here are behind.
 * @module
 */
import { heldBy } from "../raft/commit.ts";
import { type Group, sourceOf } from "../raft/group.ts";
import { type NodeId, nodeOf, type ReplicaId } from "../raft/types.ts";

/** A replica of a group that is led here: a voter, or one that fetches. */
export interface FollowerFacts {
  readonly replica: ReplicaId;
  readonly node: NodeId;
  /** Its fetch stands here. */
  readonly isStanding: boolean;
  /** What it holds durably ends here; undefined: it has not said so to this leader. */
  readonly held: number | undefined;
  /** All that it may be sent at once is on its way. */
  readonly isFull: boolean;
}

/** Who leads a group, as far as its replica here knows; undefined: nobody it has heard of. */
export function leaderOf(g: Group): NodeId | undefined {
  if (g.role.kind === "leader" || isAlone(g)) return nodeOf(g.self);
  const source = sourceOf(g);
  if (!source?.answered) return undefined;
  if (source.asVoter) return source.node;
  return g.leaderHint === null ? undefined : nodeOf(g.leaderHint);
}

/** Whether somebody leads it. One that is no voter may follow another than the leader, and not know who that is. */
export function isLed(g: Group): boolean {
  return leaderOf(g) !== undefined || sourceOf(g)?.answered === true;
}

/** Who votes alone stands for election when something is to be appended, and is elected by that. */
function isAlone({ role, self, log }: Group): boolean {
  return role.kind !== "stopped" && log.voters.every((voter) => voter === self);
}

/** The others of a group that is led here: none where it is not. */
export function followersOf(g: Group): readonly FollowerFacts[] {
  const { role, self, log, feeds } = g;
  if (role.kind !== "leader") return [];
  const replicas = new Set([...log.voters, ...feeds.keys()]);
  replicas.delete(self);
  return [...replicas].map((replica) => {
    const feed = feeds.get(replica);
    return {
      ...{ replica, node: nodeOf(replica), isStanding: feed !== undefined },
      held: role.progress.has(replica) ? heldBy(g, role, replica) : undefined,
      isFull: feed !== undefined && feed.inFlight.length > 0 && feed.inFlightBytes >= feed.credit,
    };
  });
}

/** Batches below `end` that one does not hold; undefined: nobody knows. */
export function behind({ held }: FollowerFacts, end: number): number | undefined {
  return held === undefined ? undefined : Math.max(end - held, 0);
}
