/**
 * Linearizable reads: no clock is trusted. A beat that was not sent before goes out; when a majority has echoed it, on
 * sessions where the group's fetch of this term stood at that moment, no later leader had been elected when the read began.
 * @module
 */

import { feedOf, progressOf } from "./feeding.ts";
import { type Group, isMajority, type LeaderRole } from "./group.ts";
import { event, type Turn } from "./turn.ts";
import type { NodeId } from "./types.ts";

/** A read of all that was acknowledged before it began. */
export function onLinearize(g: Group, read: number, turn: Turn): void {
  const { group, role } = g;
  const why =
    role.kind !== "leader"
      ? "this replica does not lead"
      : role.reads.length >= turn.settings.readsMax
        ? `the limit reads_max is ${turn.settings.readsMax}`
        : undefined;
  if (role.kind !== "leader" || why !== undefined) {
    event(g, turn, "refused a read");
    turn.effect({ kind: "refuseRead", group, read, why: why ?? "" });
    return;
  }
  const isAlone = g.log.voters.every((voter) => voter === g.self);
  role.reads.push({ read, index: undefined, beat: isAlone ? 0 : turn.newBeat() });
  answerReads(g, role, turn);
}

/** A node echoed a beat: it counts for the group if its fetch stands now. */
export function onEcho(g: Group, node: NodeId, n: number, turn: Turn): void {
  const { role } = g;
  const found = feedOf(g, node);
  if (role.kind !== "leader" || !found) return;
  const progress = progressOf(role, found.replica);
  progress.echoed = Math.max(progress.echoed, n);
  answerReads(g, role, turn);
}

/** Answers the reads that are sure now. */
export function answerReads(g: Group, role: LeaderRole, turn: Turn): void {
  if (!role.confirmed) return;
  const { group, log, self } = g;
  // The commit index of the moment when the read came, or of the first one that is known to be whole.
  for (const read of role.reads) read.index ??= log.commit;
  const waiting = role.reads.splice(0);
  for (const read of waiting) {
    const { beat, index } = read;
    const echoed = (voter: string) => {
      const progress = role.progress.get(voter);
      return progress !== undefined && !progress.distrusted && progress.echoed >= beat;
    };
    if (index === undefined || !isMajority(log.voters, (voter) => voter === self || echoed(voter))) {
      role.reads.push(read);
      continue;
    }
    event(g, turn, "answered a read");
    turn.effect({ kind: "answerRead", group, read: read.read, index });
  }
}
