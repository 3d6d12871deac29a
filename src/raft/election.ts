/**
 * Elections: pre-votes, votes, and who may ask for them. Raft (Ongaro and Ousterhout 2014, section 5.2; Ongaro's thesis,
 * sections 4.2.3 and 9.6).
 * @module
 */

import { lookAround, seek } from "./following.ts";
import { type Group, isMajority, sourceOf } from "./group.ts";
import { becomeLeader } from "./leading.ts";
import { lotIn } from "./lot.ts";
import { adoptTerm, raiseTerm } from "./term.ts";
import { between, event, type RaftEvent, save, say, type Turn } from "./turn.ts";
import { type Call, type LogEnd, nodeOf, type ReplicaId } from "./types.ts";

type Vote = Extract<Call, { kind: "vote" }>;
type Voted = Extract<Call, { kind: "voted" }>;

/**
 * Whether a replica may ask for votes: it is in its newest or its last committed set of voters, and its log is not below
 * the floor.
 */
export function mayCampaign(g: Group): boolean {
  const { log, self, repairing } = g;
  return !repairing && (log.voters.includes(self) || log.committedVoters.includes(self)) && isAtFloor(g, log.last);
}

/** Asks for pre-votes: no term is spent before a majority would give its votes. */
export function campaign(g: Group, turn: Turn): void {
  const againAtMs = turn.nowMs + electionTimeout(turn);
  g.role = { kind: "prospective", source: sourceOf(g), granted: new Set([g.self]), againAtMs };
  event(g, turn, "asked for pre-votes");
  if (isMajority(g.log.voters, (voter) => voter === g.self)) stand(g, turn);
  else askForVotes(g, true, turn);
}

/**
 * Asks for pre-votes, or waits while as many groups of this node ask as may: one that asked in vain, too, since it may be that
 * nobody can give it votes.
 */
export function campaignInTurn(g: Group, turn: Turn): void {
  if (turn.mayAsk) {
    campaign(g, turn);
    return;
  }
  const { electionMinMs } = turn.settings;
  const campaignAtMs = turn.nowMs + between(turn, electionMinMs / 4, electionMinMs / 2);
  g.role = { kind: "follower", source: sourceOf(g), campaignAtMs };
}

/** It may not campaign any more: what it asked for is over, and it looks for a leader. */
export function giveUp(g: Group, turn: Turn): void {
  g.role = { kind: "follower", source: sourceOf(g), campaignAtMs: turn.nowMs };
  lookAround(g, turn);
}

/** Stands for election in a new term. */
export function stand(g: Group, turn: Turn): void {
  raiseTerm(g, g.term + 1, g.self, turn);
  g.role = { kind: "candidate", granted: new Set([g.self]), againAtMs: turn.nowMs + electionTimeout(turn) };
  event(g, turn, "stood for election");
  if (!countVotes(g, turn)) askForVotes(g, false, turn);
}

/** Somebody asks for a vote. */
export function onVote(g: Group, asked: Vote, turn: Turn): void {
  if (asked.to !== g.self) {
    // Another replica was on this disk, or this one began a new life: what it promised is not known here.
    event(g, turn, "refused a vote: meant for another replica");
    return;
  }
  adoptTerm(g, asked.term, turn);
  const refusal = asked.pre ? preVoteRefusal(g, asked) : voteRefusal(g, asked);
  if (!refusal && !asked.pre && g.votedFor === null) giveVote(g, asked.from, turn);
  if (!refusal && asked.pre) letGoFirst(g, asked.from, turn);
  event(g, turn, refusal ?? (asked.pre ? "granted a pre-vote" : "granted a vote"));
  const { group, term, self } = g;
  const { pre, from } = asked;
  const to = { group, term, from: self, to: from };
  // An observer knows no leader, but an address: who asks may have been away while all that it knows were replaced.
  const source = sourceOf(g);
  const leader = g.leaderHint ?? (source?.answered === true ? source.replica : null);
  const message: Voted = { kind: "voted", ...to, pre, asked: asked.term, granted: !refusal, leader };
  say(g, turn, { lane: "call", node: nodeOf(from), message });
}

/** Somebody gave a vote, or refused it. */
export function onVoted(g: Group, voted: Voted, turn: Turn): void {
  if (voted.to !== g.self) return;
  adoptTerm(g, voted.term, turn);
  const { role } = g;
  if (voted.asked !== g.term) return;
  if (voted.granted) {
    if (voted.pre && role.kind === "prospective" && mayCampaign(g)) {
      role.granted.add(voted.from);
      if (isMajority(g.log.voters, (voter) => role.granted.has(voter))) stand(g, turn);
    } else if (!voted.pre && role.kind === "candidate") {
      role.granted.add(voted.from);
      countVotes(g, turn);
    }
    return;
  }
  // Hearsay is an address to fetch from. It resets no timer.
  const { leader } = voted;
  if (leader === null || leader === g.self || nodeOf(leader) === nodeOf(g.self)) return;
  if (role.kind === "prospective" && role.source === undefined) seek(g, leader, turn);
}

/** The leader chose this replica to go on: it stands at once, without pre-votes. */
export function onStepUp(g: Group, call: Extract<Call, { kind: "stepUp" }>, turn: Turn): void {
  if (call.to !== g.self || call.term !== g.term) return;
  if ((g.role.kind !== "follower" && g.role.kind !== "prospective") || !mayCampaign(g)) return;
  event(g, turn, "stepped up");
  stand(g, turn);
}

/** How long a replica waits for an answer of an election, or for a leader. */
export function electionTimeout(turn: Turn): number {
  return between(turn, turn.settings.electionMinMs, turn.settings.electionMaxMs);
}

/**
 * Place of this replica among those that survive a leader, by a hash of group and replica: each rank waits a little
 * longer, so that the groups of one dead node get leaders on many, and votes are seldom split.
 */
export function rank(g: Group, lost: ReplicaId | null): number {
  const own = lotIn(g.group, g.self);
  const others = g.log.voters.filter((voter) => voter !== lost && voter !== g.self);
  return others.filter((voter) => lotIn(g.group, voter) < own).length;
}

/** The term stays what it is, and so does a fetch that stands in it: its leader has won already. */
function giveVote(g: Group, to: ReplicaId, turn: Turn): void {
  g.votedFor = to;
  save(g, turn);
  if (g.role.kind === "follower" && g.role.source === undefined) {
    g.role.campaignAtMs = turn.nowMs + electionTimeout(turn);
  }
}

/**
 * Another is about to stand, and may win: standing beside it would split the votes. With thousands of groups their messages take
 * longer than a rank, so two that ask at the same time go by rank, too.
 */
function letGoFirst(g: Group, first: ReplicaId, { nowMs, settings }: Turn): void {
  const { role } = g;
  const laterMs = nowMs + settings.electionMinMs / 2;
  if (role.kind === "follower" && role.source === undefined) {
    role.campaignAtMs = Math.max(role.campaignAtMs, laterMs);
  } else if (role.kind === "prospective" && lotIn(g.group, first) < lotIn(g.group, g.self)) {
    g.role = { kind: "follower", source: role.source, campaignAtMs: laterMs };
  }
}

function countVotes(g: Group, turn: Turn): boolean {
  const { role } = g;
  const isWon = role.kind === "candidate" && isMajority(g.log.voters, (voter) => role.granted.has(voter));
  if (isWon) becomeLeader(g, turn);
  return isWon;
}

function askForVotes(g: Group, pre: boolean, turn: Turn): void {
  const { group, term, self, log } = g;
  for (const to of log.voters) {
    if (to === self) continue;
    const message: Vote = { kind: "vote", group, term, from: self, to, pre, last: log.last };
    say(g, turn, { lane: "call", node: nodeOf(to), message });
  }
}

function preVoteRefusal(g: Group, { term, last }: Vote): RaftEvent | undefined {
  if (g.role.kind === "stopped" || term < g.term) return "refused a pre-vote: the term is old";
  if (!isUpToDate(g, last) || !isAtFloor(g, last)) return "refused a pre-vote: the log is behind";
  return knowsLiveLeader(g) ? "refused a pre-vote: a leader is alive" : undefined;
}

function voteRefusal(g: Group, { term, last, from }: Vote): RaftEvent | undefined {
  if (g.role.kind === "stopped" || term < g.term) return "refused a vote: the term is old";
  if (g.votedFor !== null && g.votedFor !== from) return "refused a vote: given to another";
  if (!isUpToDate(g, last)) return "refused a vote: the log is behind";
  return isAtFloor(g, last) ? undefined : "refused a vote: below the floor";
}

/** It leads, or its own fetch stands answered at one that does, on a session that beats. What others say does not count. */
function knowsLiveLeader(g: Group): boolean {
  if (g.role.kind === "leader") return true;
  const source = sourceOf(g);
  // Who fetches only what is committed is answered by others too.
  return source?.answered === true && source.asVoter && g.leaderHint !== null && nodeOf(g.leaderHint) === source.node;
}

/** Whether a log that ends there holds all that this one may have promised to keep. */
function isUpToDate({ log }: Group, last: LogEnd): boolean {
  const own = log.last;
  return last.term > own.term || (last.term === own.term && last.end >= own.end);
}

/** Whether a log that ends there reaches what this replica once held and discarded. */
function isAtFloor({ floor }: Group, last: LogEnd): boolean {
  return last.term > floor.term || (last.term === floor.term && last.end > floor.index);
}
