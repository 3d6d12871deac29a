/**
 * Ways out of leadership. Each begins with `not leader` to all whose fetch stands: the node's beats go on for its other
 * groups, and would keep this one's leadership alive in the eyes of those who follow.
 * @module
 */
import type { Feed, Group, LeaderRole } from "./group.ts";
import { between, event, type RaftEvent, say, type Turn } from "./turn.ts";

/** Ends what only a leader does. The role is for the caller to set. */
export function leaveLeadership(g: Group, why: RaftEvent, turn: Turn): void {
  if (g.role.kind !== "leader") return;
  g.leaderHint = null;
  dropFeeds(g, turn);
  event(g, turn, why);
  refuseWaiting(g, g.role, turn);
}

/** Leads no more, in the same term. */
export function stepDown(g: Group, why: RaftEvent, turn: Turn): void {
  if (g.role.kind !== "leader") return;
  leaveLeadership(g, why, turn);
  const { electionMinMs, electionMaxMs } = turn.settings;
  const campaignAtMs = turn.nowMs + between(turn, electionMinMs, electionMaxMs);
  g.role = { kind: "follower", source: undefined, campaignAtMs };
}

/** An invariant does not hold: the group stops here, and its data stays as it is. */
export function stop(g: Group, why: RaftEvent, turn: Turn): void {
  if (g.role.kind === "stopped") return;
  if (g.role.kind === "leader") leaveLeadership(g, why, turn);
  else {
    dropFeeds(g, turn);
    event(g, turn, why);
  }
  if ((g.role.kind === "follower" || g.role.kind === "prospective") && g.role.source) {
    const { node, id } = g.role.source;
    if (id > 0) say(g, turn, { lane: "leader", node, message: { kind: "unfetch", group: g.group, term: g.term } });
    turn.unfollow(g.group, node);
  }
  g.role = { kind: "stopped", why };
}

/** Tells all whose fetch stands here that it does no more. */
export function dropFeeds(g: Group, turn: Turn): void {
  for (const feed of g.feeds.values()) {
    const { node } = feed;
    release(feed, turn);
    const message = { kind: "notLeader", group: g.group, term: g.term, leader: g.leaderHint } as const;
    say(g, turn, { lane: "follower", node, message });
    turn.unserve(g.group, node);
  }
  g.feeds.clear();
}

/** Nothing is on its way any more to one that fetched. */
export function release({ node, inFlightBytes, readingBytes }: Feed, turn: Turn): void {
  turn.onTheWay(node, -(inFlightBytes + readingBytes));
}

function refuseWaiting(g: Group, role: LeaderRole, turn: Turn): void {
  const { group } = g;
  for (const { read } of role.reads.splice(0)) {
    event(g, turn, "refused a read");
    turn.effect({ kind: "refuseRead", group, read, why: "this replica leads no more" });
  }
  if (role.change) {
    const fateUnknown = role.change.asked;
    turn.effect({ kind: "changed", group, refusal: "this replica leads no more", fateUnknown });
  }
  if (role.handover && !role.handover.asked) {
    turn.effect({ kind: "transferred", group, refusal: "this replica leads no more" });
  } else if (role.handover) {
    event(g, turn, "handed over");
    turn.effect({ kind: "transferred", group, refusal: undefined });
  }
}
