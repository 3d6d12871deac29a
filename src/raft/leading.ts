/**
 * Leading: telling the voters, the own log, whether a majority still stands, and handing over.
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import { advanceCommit, heldBy } from "./commit.ts";
import { progressOf, pumpAll } from "./feeding.ts";
import { type Group, isMajority, type LeaderRole } from "./group.ts";
import { stepDown } from "./leaving.ts";
import { event, say, type Turn } from "./turn.ts";
import { type BatchInfo, type NodeId, nodeOf, type ReplicaId } from "./types.ts";
import { continueChange } from "./voters.ts";

/**
 * A candidate won. Its leader change is written at once if its log may hold what is not known to be committed, or with the
 * first append: with nothing beyond the commit index nothing acknowledged can be missing, and thousands of writes are saved.
 */
export function becomeLeader(g: Group, turn: Turn): void {
  const confirmed = g.log.end === g.log.commit;
  const role: LeaderRole = {
    ...{ kind: "leader", progress: new Map(), confirmed, leaderChange: "none", sentEnd: 0, reads: [] },
    ...{ announceAtMs: 0, announceGapMs: turn.settings.beatMs, aloneSinceMs: undefined },
    ...{ handover: undefined, change: undefined },
  };
  g.role = role;
  g.leaderHint = g.self;
  event(g, turn, confirmed ? "became leader without a batch" : "became leader");
  announce(g, role, turn);
  checkQuorum(g, role, turn);
  if (!confirmed) wantLeaderChange(g, role, turn);
}

/** Something waits to be appended, or a voter to be changed: the term needs its first batch. */
export function wantLeaderChange(g: Group, role: LeaderRole, turn: Turn): void {
  if (role.leaderChange !== "none") return;
  role.leaderChange = "asked";
  const { group, term } = g;
  turn.effect({ kind: "append", group, term, batch: { kind: "leaderChange", term } });
}

/** Whether it takes appends now: it leads, and does not hand over. */
export function takesAppends({ role }: Group): boolean {
  return role.kind === "leader" && role.handover === undefined;
}

/** A batch was stamped: it goes out while the disk syncs it. */
export function appended(g: Group, role: LeaderRole, batch: BatchInfo, turn: Turn): void {
  g.log.append(batch);
  if (batch.kind === BatchKind.leaderChange) role.leaderChange = batch.index;
  if (batch.kind === BatchKind.voters && role.change) role.change.index = batch.index;
  if (batch.voters) checkQuorum(g, role, turn);
  pumpAll(g, turn);
}

/** What was stamped from `end` on is not there after all: the disk has no room. */
export function takenBack(g: Group, role: LeaderRole, end: number, turn: Turn): void {
  if (end < g.log.end) g.log.cut(end);
  if (typeof role.leaderChange !== "number" || role.leaderChange >= end) role.leaderChange = "none";
  const { change } = role;
  const isTakenBack = change?.index !== undefined && change.index >= end;
  // One that has its place below that stays under way, as one whose batch is still to get its place.
  if (change && (isTakenBack || !change.asked)) {
    role.change = undefined;
    const fateUnknown = isTakenBack && role.sentEnd > end;
    turn.effect({ kind: "changed", group: g.group, refusal: "the disk has no room for it", fateUnknown });
  }
  // Another batch of this term must not stand where one was already sent, be it to one that is gone.
  if (role.sentEnd > end) stepDown(g, "stepped down: cannot write", turn);
  // Who is to lead next may have all that is left.
  else checkHandover(g, role, turn);
}

/** The own disk has more. */
export function leaderSynced(g: Group, role: LeaderRole, turn: Turn): void {
  advanceCommit(g, role, turn);
  checkHandover(g, role, turn);
}

/** Calls `lead` on each voter whose fetch does not stand, less often the longer that takes. */
function announce(g: Group, role: LeaderRole, turn: Turn): void {
  const { group, term, self } = g;
  let missing = 0;
  for (const voter of g.log.voters) {
    if (voter === self || g.feeds.has(voter)) continue;
    missing += 1;
    say(g, turn, { lane: "call", node: nodeOf(voter), message: { kind: "lead", group, term, from: self, to: voter } });
  }
  role.announceAtMs = missing > 0 ? turn.nowMs + role.announceGapMs : Number.POSITIVE_INFINITY;
  role.announceGapMs = Math.min(role.announceGapMs * 2, turn.settings.electionMinMs);
}

/** Whether a voter follows: its fetch stands, and its node is heard. */
export function isStanding(g: Group, voter: ReplicaId, turn: Turn): boolean {
  return voter === g.self || (g.feeds.has(voter) && turn.isHeard(nodeOf(voter)));
}

/** Looks whether a majority follows; `sinceMs`: since when not, if what is new is that it does not. */
export function checkQuorum(g: Group, role: LeaderRole, turn: Turn, sinceMs = turn.nowMs): void {
  const stands = isMajority(g.log.voters, (voter) => isStanding(g, voter, turn));
  if (stands) role.aloneSinceMs = undefined;
  else role.aloneSinceMs ??= sinceMs;
  const isMissing = g.log.voters.some((voter) => voter !== g.self && !g.feeds.has(voter));
  if (isMissing && role.announceAtMs === Number.POSITIVE_INFINITY) {
    role.announceGapMs = turn.settings.beatMs;
    role.announceAtMs = turn.nowMs + role.announceGapMs;
  }
}

/**
 * When a leader last heard from a majority, itself counted: up to then nobody else led, and it had all that was committed.
 * @param heardAtMs When a node was last heard; undefined: it is not.
 */
export function quorumHeardAtMs(
  g: Group,
  role: LeaderRole,
  nowMs: number,
  heardAtMs: (node: NodeId) => number | undefined,
): number {
  const heard = (voter: ReplicaId) => {
    if (voter === g.self) return nowMs;
    return (g.feeds.has(voter) ? heardAtMs(nodeOf(voter)) : undefined) ?? Number.NEGATIVE_INFINITY;
  };
  const latestFirst = g.log.voters.map(heard).sort((a, b) => b - a);
  const atMs = latestFirst[Math.floor(latestFirst.length / 2)] ?? nowMs;
  // Where too many have gone, it is known since when.
  return Number.isFinite(atMs) ? atMs : (role.aloneSinceMs ?? nowMs);
}

/** A voter left by itself: with too many gone there is nothing to wait for. */
export function leftBy(g: Group, role: LeaderRole, replica: ReplicaId, turn: Turn): void {
  progressOf(role, replica).unfetched = true;
  const mayStand = (voter: ReplicaId) => voter === g.self || role.progress.get(voter)?.unfetched !== true;
  if (isMajority(g.log.voters, mayStand)) checkQuorum(g, role, turn);
  else stepDown(g, "stepped down: a majority left", turn);
}

/** The leader's times. */
export function onLeaderWake(g: Group, role: LeaderRole, turn: Turn): void {
  const { nowMs, settings } = turn;
  checkQuorum(g, role, turn);
  if (role.aloneSinceMs !== undefined && nowMs >= role.aloneSinceMs + settings.electionMaxMs) {
    stepDown(g, "stepped down: no majority stands", turn);
    return;
  }
  if (nowMs >= role.announceAtMs) announce(g, role, turn);
  if (role.handover && nowMs >= role.handover.untilMs) {
    role.handover = undefined;
    event(g, turn, "handing over failed");
    turn.effect({ kind: "transferred", group: g.group, refusal: "no new leader came in time" });
    continueChange(g, role, turn);
  }
}

/** When the leader has something to do by the clock. */
export function leaderDeadline({ announceAtMs, aloneSinceMs, handover }: LeaderRole, electionMaxMs: number): number {
  const alone = aloneSinceMs === undefined ? Number.POSITIVE_INFINITY : aloneSinceMs + electionMaxMs;
  return Math.min(announceAtMs, alone, handover?.untilMs ?? Number.POSITIVE_INFINITY);
}

/** Hands over to a voter, or to the one that holds most. */
export function onTransfer(g: Group, to: ReplicaId | undefined, turn: Turn): void {
  const { role, group, log } = g;
  const chosen = role.kind === "leader" ? (to ?? bestVoter(g, role, turn)) : undefined;
  const refusal = role.kind !== "leader" ? "this replica does not lead" : transferRefusal(g, role, chosen, turn);
  if (role.kind !== "leader" || refusal !== undefined || chosen === undefined) {
    event(g, turn, "handing over failed");
    turn.effect({ kind: "transferred", group, refusal: refusal ?? "no other voter follows" });
    return;
  }
  role.handover = { to: chosen, untilMs: turn.nowMs + turn.settings.electionMaxMs, asked: false };
  if (log.end > log.commit) wantLeaderChange(g, role, turn);
  checkHandover(g, role, turn);
}

/** The chosen one has all: it may stand. */
export function checkHandover(g: Group, role: LeaderRole, turn: Turn): void {
  const { handover } = role;
  if (!handover || handover.asked || heldBy(g, role, handover.to) < g.log.end) return;
  role.handover = { ...handover, asked: true };
  const { group, term, self } = g;
  const { to } = handover;
  say(g, turn, { lane: "call", node: nodeOf(to), message: { kind: "stepUp", group, term, from: self, to } });
}

function transferRefusal(g: Group, role: LeaderRole, to: ReplicaId | undefined, turn: Turn): string | undefined {
  if (role.handover) return "leadership is being handed over already";
  if (to === undefined) return undefined;
  if (to === g.self) return "it leads already";
  if (!g.log.voters.includes(to)) return `${to} is no voter`;
  if (!isStanding(g, to, turn)) return `${to} does not follow`;
  const behind = g.log.end - heldBy(g, role, to);
  return behind > turn.settings.catchUpMaxBatches ? `${to} is ${behind} batches behind` : undefined;
}

function bestVoter(g: Group, role: LeaderRole, turn: Turn): ReplicaId | undefined {
  const others = g.log.voters.filter((voter) => voter !== g.self && isStanding(g, voter, turn));
  return others.sort((a, b) => heldBy(g, role, b) - heldBy(g, role, a))[0];
}
