/**
 * What the leader of a group does next, so that its voters come to be those that the placement names. One replica at a time,
 * as Raft allows (Ongaro's thesis, section 4.1). What is lost is how many more nodes may fail; so:
 *
 * - Replacing is adding, then removing: a group has one voter more than the placement for a while, never one less.
 * - Only a replica that follows and has caught up is added: one that is down would be needed for a majority and not be there.
 * - A replica that is down is removed before one that is up.
 * - One that is up is removed only if all that are left are up too, or if it costs nothing: of an even number of voters one
 *   may go, and as many may fail as before. Where another voter is down, it stays until that one is back or replaced.
 * - Nothing is removed when what is left has no majority that is up.
 * - A leader does not remove itself: it hands over to a replica that stays, and that one removes it.
 * - Leadership goes to the preferred leader once that has been caught up for some seconds, so that a node which comes
 *   and goes does not take it each time; and not before this leader has led for as long. While the preferred leader is down,
 *   who is first in rank to be elected stands in for it: what one dead node led is led by all that are left, though one of
 *   them may have been so much faster that it was elected everywhere.
 *
 * A replica stands for its node's disk (`types.ts`): a wiped node comes back as another one. That one is added as any other,
 * and the one that it was before is removed, since the placement's node has a voter that is up.
 * @module
 */
import { lotIn } from "../raft/lot.ts";
import { type NodeId, nodeOf, type ReplicaId } from "../raft/types.ts";

/** A replica that fetches from this leader. */
export interface FollowerView {
  readonly replica: ReplicaId;
  /** Its fetch stands, and its node is heard. */
  readonly standing: boolean;
  /** It holds nearly all: a change of voters would count it. */
  readonly caughtUp: boolean;
  /** For how long both are true, milliseconds; 0 where one is not. */
  readonly steadyMs: number;
}

/** A group that this node leads, as its leader sees it. */
export interface GroupView {
  readonly group: number;
  readonly self: ReplicaId;
  /** The newest set, committed or not. */
  readonly voters: readonly ReplicaId[];
  /** A change of voters is under way, or leadership is being handed over. */
  readonly isChanging: boolean;
  /** Where it is to be, the preferred leader first. */
  readonly placement: readonly NodeId[];
  readonly followers: readonly FollowerView[];
  /** Whether a node is up, as gossip says. */
  readonly alive: (node: NodeId) => boolean;
  readonly leadingForMs: number;
  /** It is being deleted: nobody moves what goes anyway. */
  readonly deleting: boolean;
}

/** What to do. It may be refused, or fail: who does it looks again, after a pause. */
export type Step =
  | { readonly kind: "add"; readonly replica: ReplicaId }
  | { readonly kind: "remove"; readonly replica: ReplicaId }
  | { readonly kind: "transfer"; readonly to: ReplicaId };

/** So long the preferred leader must have been caught up, and this one have led, before leadership goes there. */
export const settleMs = 5000;

/** The next step; undefined: all is as it should be, or nothing can be done now. */
export function nextStep(view: GroupView): Step | undefined {
  if (view.deleting || view.isChanging || view.placement.length === 0) return undefined;
  const add = nextAdded(view);
  // With one voter too many already, what can go goes before the next one comes.
  const mayGrow = view.voters.length <= view.placement.length;
  return (mayGrow ? add : undefined) ?? nextRemoved(view) ?? add ?? nextLeader(view);
}

/** A replica of a node of the placement that is no voter yet. */
function nextAdded(view: GroupView): Step | undefined {
  const { voters, placement, followers, alive } = view;
  const isCandidate = ({ replica, standing, caughtUp }: FollowerView) =>
    standing && caughtUp && !voters.includes(replica) && alive(nodeOf(replica));
  for (const node of placement) {
    if (voters.some((voter) => nodeOf(voter) === node && isUp(view, voter))) continue;
    const found = followers.find((follower) => nodeOf(follower.replica) === node && isCandidate(follower));
    if (found) return { kind: "add", replica: found.replica };
  }
  return undefined;
}

/** A voter that is not to be one, and may go now. */
function nextRemoved(view: GroupView): Step | undefined {
  const { voters, self } = view;
  const surplus = voters.filter((voter) => voter !== self && !belongs(view, voter));
  const down = surplus.filter((voter) => !isUp(view, voter));
  const replica = [...down, ...surplus.filter((voter) => isUp(view, voter))].find((voter) => mayGo(view, voter));
  return replica === undefined ? undefined : { kind: "remove", replica };
}

/** Whether the placement names its node, and no newer replica of that node has taken its place. */
function belongs(view: GroupView, voter: ReplicaId): boolean {
  const { voters, placement } = view;
  const node = nodeOf(voter);
  if (!placement.includes(node)) return false;
  return isUp(view, voter) || !voters.some((other) => other !== voter && nodeOf(other) === node && isUp(view, other));
}

function mayGo(view: GroupView, voter: ReplicaId): boolean {
  const left = view.voters.filter((other) => other !== voter);
  const up = left.filter((other) => isUp(view, other)).length;
  if (2 * up <= left.length) return false;
  return !isUp(view, voter) || up === left.length || view.voters.length % 2 === 0;
}

/** Who is to lead instead. */
function nextLeader(view: GroupView): Step | undefined {
  const { self, voters, placement, followers, alive, leadingForMs } = view;
  const isReady = ({ replica, standing, caughtUp }: FollowerView) =>
    standing && caughtUp && voters.includes(replica) && alive(nodeOf(replica));
  if (!placement.includes(nodeOf(self))) {
    for (const node of placement) {
      const heir = followers.find((follower) => nodeOf(follower.replica) === node && isReady(follower));
      if (heir) return { kind: "transfer", to: heir.replica };
    }
    return undefined;
  }
  const preferred = preferredOf(view);
  if (nodeOf(self) === preferred || leadingForMs < settleMs) return undefined;
  const heir = followers.find((follower) => nodeOf(follower.replica) === preferred && isReady(follower));
  return heir && heir.steadyMs >= settleMs ? { kind: "transfer", to: heir.replica } : undefined;
}

/** The first of the placement, or who stands in for it. */
function preferredOf({ group, self, voters, placement, alive }: GroupView): NodeId | undefined {
  const [first] = placement;
  if (first === undefined || first === nodeOf(self) || alive(first)) return first;
  const left = voters.filter((voter) => placement.includes(nodeOf(voter)));
  const up = left.filter((voter) => voter === self || alive(nodeOf(voter)));
  const [standIn] = up.sort((a, b) => lotIn(group, a) - lotIn(group, b));
  return standIn === undefined ? undefined : nodeOf(standIn);
}

function isUp({ self, followers }: GroupView, replica: ReplicaId): boolean {
  return replica === self || followers.some((follower) => follower.replica === replica && follower.standing);
}
