/**
 * Changes of voters: one replica at a time, after a commit of the own term and with the last change committed, and only if
 * a majority of the new set stands close to the end (Ongaro's thesis, section 4.1, with the correction of 2015). A leader
 * never removes itself: it hands over, and the successor does.
 * @module
 */
import { heldBy } from "./commit.ts";
import { type Group, isMajority, type LeaderRole } from "./group.ts";
import { isStanding, wantLeaderChange } from "./leading.ts";
import { event, say, type Turn } from "./turn.ts";
import { nodeOf, type ReplicaId } from "./types.ts";

/** The voters that are wanted. `force`: the ones that are removed are dead, and the new set need not stand. */
export function onChange(g: Group, voters: readonly ReplicaId[], force: boolean, turn: Turn): void {
  const { role, group } = g;
  const why =
    role.kind !== "leader"
      ? "this replica does not lead"
      : role.change
        ? "another change of voters is under way"
        : role.handover
          ? "leadership is being handed over"
          : changeRefusal(g, voters);
  if (role.kind !== "leader" || why !== undefined) {
    event(g, turn, "refused a change of voters");
    turn.effect({ kind: "changed", group, refusal: why, fateUnknown: false });
    return;
  }
  role.change = { voters, force, asked: false, index: undefined };
  wantLeaderChange(g, role, turn);
  continueChange(g, role, turn);
}

/** A batch was committed: a change that waited for that goes on, and one that was committed is told. */
export function committedVoters(g: Group, role: LeaderRole, turn: Turn): void {
  const { change } = role;
  if (change?.asked && g.log.votersAreCommitted && sameVoters(g.log.voters, change.voters)) {
    role.change = undefined;
    event(g, turn, "changed voters");
    turn.effect({ kind: "changed", group: g.group, refusal: undefined, fateUnknown: false });
    return;
  }
  continueChange(g, role, turn);
}

/** Goes on with a change that waits, if it may: not while leadership is handed over, as with all that would be appended. */
export function continueChange(g: Group, role: LeaderRole, turn: Turn): void {
  const { log, group } = g;
  const { change, leaderChange } = role;
  if (!change || change.asked || role.handover) return;
  // Without a batch of the own term committed, a change of another leader may still win over this one.
  if (typeof leaderChange !== "number" || log.commit <= leaderChange || !log.votersAreCommitted) return;
  const why = changeRefusal(g, change.voters) ?? standingRefusal(g, role, change.voters, change.force, turn);
  if (why !== undefined) {
    role.change = undefined;
    callMissing(g, change.voters, turn);
    event(g, turn, "refused a change of voters");
    turn.effect({ kind: "changed", group, refusal: why, fateUnknown: false });
    return;
  }
  change.asked = true;
  turn.effect({ kind: "append", group, term: g.term, batch: { kind: "voters", voters: change.voters } });
}

/** One that is to vote may fetch from another than the leader: it is told who leads, and is here when that is asked again. */
function callMissing(g: Group, voters: readonly ReplicaId[], turn: Turn): void {
  const { group, term, self: from, feeds } = g;
  for (const to of voters) {
    if (to === from || feeds.has(to)) continue;
    say(g, turn, { lane: "call", node: nodeOf(to), message: { kind: "lead", group, term, from, to } });
  }
}

function changeRefusal({ log, self }: Group, wanted: readonly ReplicaId[]): string | undefined {
  const added = wanted.filter((voter) => !log.voters.includes(voter));
  const removed = log.voters.filter((voter) => !wanted.includes(voter));
  if (added.length + removed.length !== 1) return "voters change one at a time";
  if (new Set(wanted).size !== wanted.length) return "a voter is named twice";
  return removed.includes(self) ? "a leader does not remove itself: hand over first" : undefined;
}

function standingRefusal(
  g: Group,
  role: LeaderRole,
  wanted: readonly ReplicaId[],
  force: boolean,
  turn: Turn,
): string | undefined {
  const isRemoval = wanted.length < g.log.voters.length;
  if (force && isRemoval) return undefined;
  const bound = g.log.end - turn.settings.catchUpMaxBatches;
  const isReady = (voter: ReplicaId) =>
    voter === g.self || (isStanding(g, voter, turn) && heldBy(g, role, voter) >= bound);
  const added = wanted.filter((voter) => !g.log.voters.includes(voter) && !isReady(voter));
  if (added.length > 0) return `${added.join(", ")} is not here, or too far behind`;
  return isMajority(wanted, isReady) ? undefined : "a majority of the new voters is not here, or too far behind";
}

function sameVoters(a: readonly ReplicaId[], b: readonly ReplicaId[]): boolean {
  return a.length === b.length && a.every((voter) => b.includes(voter));
}
