/**
 * Terms: how a replica comes into a higher one, and what it says before it does.
 * @module
 */
import { type Group, sourceOf } from "./group.ts";
import { dropFeeds, leaveLeadership } from "./leaving.ts";
import { between, event, save, say, type Turn } from "./turn.ts";
import type { ReplicaId } from "./types.ts";

/** Adopts a term that a message carries, if it is higher: as a follower that knows no leader. */
export function adoptTerm(g: Group, term: number, turn: Turn): void {
  if (term <= g.term || g.role.kind === "stopped") return;
  const { role } = g;
  const { electionMinMs, electionMaxMs, refusedMinMs, refusedMaxMs } = turn.settings;
  // Who asked for pre-votes in an old term asks again soon: its log may be the only one that can win.
  const isSoon = role.kind === "prospective";
  const delayMs = isSoon ? between(turn, refusedMinMs, refusedMaxMs) : between(turn, electionMinMs, electionMaxMs);
  raiseTerm(g, term, null, turn);
  g.role = { kind: "follower", source: undefined, campaignAtMs: turn.nowMs + delayMs };
  event(g, turn, "adopted a term");
}

/**
 * Raises the term. Whoever counts this replica in the old one is told first: an echo that follows must not count for it.
 * The role is for the caller to set.
 */
export function raiseTerm(g: Group, term: number, votedFor: ReplicaId | null, turn: Turn): void {
  if (g.role.kind === "leader") leaveLeadership(g, "stepped down: higher term", turn);
  else dropFeeds(g, turn);
  unfetch(g, turn);
  g.term = term;
  g.votedFor = votedFor;
  g.leaderHint = null;
  save(g, turn);
}

/** Ends the own fetch, and says so to who serves it. */
export function unfetch(g: Group, turn: Turn): void {
  const source = sourceOf(g);
  if (!source) return;
  if (source.id > 0) {
    say(g, turn, { lane: "leader", node: source.node, message: { kind: "unfetch", group: g.group, term: g.term } });
  }
  turn.unfollow(g.group, source.node);
  if (g.role.kind === "follower" || g.role.kind === "prospective") g.role.source = undefined;
}
