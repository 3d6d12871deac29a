/**
 * What is committed: the highest end that a majority of the newest voters hold durably, if the batch before it is of the
 * leader's own term (Raft, section 5.4.2).
 * @module
 */

import { tellFeeds } from "./feeding.ts";
import { type Group, type LeaderRole, majorityValue } from "./group.ts";
import { answerReads } from "./reads.ts";
import { event, type Turn } from "./turn.ts";
import type { ReplicaId } from "./types.ts";
import { committedVoters } from "./voters.ts";

/** Commits what a majority holds. */
export function advanceCommit(g: Group, role: LeaderRole, turn: Turn): void {
  const { log } = g;
  const end = Math.min(
    majorityValue(log.voters, (voter) => heldBy(g, role, voter)),
    log.durable,
  );
  if (end <= log.commit || log.termAt(end - 1) !== g.term) return;
  log.commitTo(end);
  event(g, turn, "committed");
  tellCommit(g, turn);
  tellFeeds(g, turn);
  role.confirmed = true;
  committedVoters(g, role, turn);
  answerReads(g, role, turn);
}

/** What a replica holds durably of this leader's log, as far as it counts. */
export function heldBy(g: Group, role: LeaderRole, voter: ReplicaId): number {
  if (voter === g.self) return g.log.durable;
  const progress = role.progress.get(voter);
  return progress && !progress.distrusted ? progress.durable : 0;
}

/** Tells the driver what is committed. */
export function tellCommit(g: Group, turn: Turn): void {
  turn.effect({ kind: "commit", group: g.group, index: g.log.commit });
}
