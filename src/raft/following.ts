/**
 * Following: the fetch that stands at another replica, what comes of it, and what the own log does then.
 * Nothing is taken that does not answer the newest fetch, and only the leader of the term says that a log diverged.
 * @module
 */
import { assert, present } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import { tellCommit } from "./commit.ts";
import { foundBadBatch } from "./damage.ts";
import { electionTimeout, rank } from "./election.ts";
import { tellFeeds } from "./feeding.ts";
import { type Group, type Source, sourceOf } from "./group.ts";
import { dropFeeds, stop } from "./leaving.ts";
import { adoptTerm, unfetch } from "./term.ts";
import { between, event, save, say, type Turn } from "./turn.ts";
import {
  type Batch,
  type BatchInfo,
  type Before,
  type Call,
  type LeaderMessage,
  type NodeId,
  nodeOf,
  type ReplicaId,
} from "./types.ts";

type Of<K extends LeaderMessage["kind"]> = Extract<LeaderMessage, { kind: K }>;

/** Fetches from the node of another replica from now on. */
export function seek(g: Group, from: ReplicaId, turn: Turn): void {
  const { role } = g;
  const node = nodeOf(from);
  if ((role.kind !== "follower" && role.kind !== "prospective") || node === nodeOf(g.self)) return;
  if (role.source?.node === node || g.repairing) return;
  unfetch(g, turn);
  const unasked = { id: 0, asVoter: false, answered: false, matched: 0, saidCommit: 0, retryAtMs: 0 };
  const since = { restartAt: undefined, askedAtMs: 0, askedDurable: 0, awaitsLog: false, passed: false };
  role.source = { node, replica: from, ...unasked, ...since, behindSinceMs: undefined };
  if (turn.follow(g.group, node)) sendFetch(g, role.source, turn);
}

/** A winner tells of itself. */
export function onLead(g: Group, call: Extract<Call, { kind: "lead" }>, turn: Turn): void {
  if (call.to !== g.self || g.role.kind === "stopped") return;
  if (call.term < g.term) {
    const message = { kind: "outdated", group: g.group, term: g.term, from: g.self, to: call.from } as const;
    say(g, turn, { lane: "call", node: nodeOf(call.from), message });
    return;
  }
  adoptTerm(g, call.term, turn);
  if (g.role.kind === "leader") {
    if (call.from !== g.self) stop(g, "stopped: two leaders of a term", turn);
    return;
  }
  g.leaderHint = call.from;
  if (g.role.kind === "candidate") {
    g.role = { kind: "follower", source: undefined, campaignAtMs: turn.nowMs + electionTimeout(turn) };
  }
  const source = sourceOf(g);
  // It calls those whose fetch does not stand there: one that was sent a while ago was not answered.
  if (source?.node !== nodeOf(call.from)) seek(g, call.from, turn);
  else if (turn.nowMs >= source.askedAtMs + turn.settings.electionMinMs) retryFetch(g, turn);
}

/** Whom to fetch from, for one that is no voter; it stays where it follows the leader, or is in the middle of a restart. */
export function onHint(g: Group, from: ReplicaId, turn: Turn): void {
  const source = sourceOf(g);
  const isThere = source !== undefined && g.leaderHint !== null && nodeOf(g.leaderHint) === source.node;
  if (g.log.voters.includes(g.self) || (isThere && source.answered) || source?.restartAt !== undefined) return;
  seek(g, from, turn);
}

/** The session to a node is open. */
export function sessionOpened(g: Group, node: NodeId, turn: Turn): void {
  const source = sourceOf(g);
  if (source?.node === node) sendFetch(g, source, turn);
}

/** It broke: it is opened again at once, and a leader that is alive is found there before the time is over. */
export function sessionClosed(g: Group, node: NodeId): void {
  const source = sourceOf(g);
  if (source?.node !== node) return;
  source.id = 0;
  source.answered = false;
  source.restartAt = undefined;
}

/** Nothing is heard of the node that is followed: after `delayMs` and the own rank a leader is wanted. */
export function sourceLost(g: Group, delayMs: number, turn: Turn): void {
  const { role } = g;
  if (role.kind !== "follower" && role.kind !== "prospective") return;
  if (!role.source) return;
  const lost = g.leaderHint;
  unfetch(g, turn);
  g.leaderHint = null;
  event(g, turn, "lost its leader");
  if (role.kind === "follower") role.campaignAtMs = turn.nowMs + delayMs + rank(g, lost) * turn.settings.rankMs;
}

/** No leader was found in time: who may not campaign asks the next voter where one is. */
export function lookAround(g: Group, turn: Turn): void {
  if (g.role.kind !== "follower") return;
  g.role.campaignAtMs = turn.nowMs + electionTimeout(turn);
  const others = g.log.voters.filter((voter) => nodeOf(voter) !== nodeOf(g.self));
  const at = others.findIndex((voter) => nodeOf(voter) === sourceOf(g)?.node);
  const isTried = g.leaderHint !== null && nodeOf(g.leaderHint) === sourceOf(g)?.node;
  const other = others[(at < 0 ? Math.floor(turn.random() * others.length) : at + 1) % others.length];
  const next = isTried ? other : (g.leaderHint ?? other);
  unfetch(g, turn);
  g.leaderHint = null;
  if (next !== undefined) seek(g, next, turn);
}

/** Asks again where that was to wait. */
export function retryFetch(g: Group, turn: Turn): void {
  const source = sourceOf(g);
  if (!source) return;
  // Where the session is not open yet, its opening asks.
  source.retryAtMs = 0;
  source.awaitsLog = false;
  if (turn.follow(g.group, source.node)) sendFetch(g, source, turn);
}

/** The fetch stands: the own log is the other's, up to its end. */
export function onFollowing(g: Group, said: Of<"following">, turn: Turn): void {
  adoptTerm(g, said.term, turn);
  const source = sourceOf(g);
  if (!source || source.id !== said.id || said.term !== g.term) return;
  source.answered = true;
  if (source.asVoter) g.leaderHint = source.replica;
  source.passed = false;
  source.matched = source.restartAt ?? g.log.end;
  source.saidCommit = 0;
  g.role = { kind: "follower", source, campaignAtMs: Number.POSITIVE_INFINITY };
  event(
    g,
    turn,
    g.leaderHint && nodeOf(g.leaderHint) === source.node ? "follows" : "fetched from another than the leader",
  );
  hearCommit(g, source, said.commit, turn);
  // What was synced since it was asked is not in the question, and may be all that a commit waits for.
  if (g.log.durable > source.askedDurable) acknowledge(g, source, turn);
}

/** Batches of the node that is followed, in order. */
export function onBatches(g: Group, said: Of<"batches">, turn: Turn): void {
  adoptTerm(g, said.term, turn);
  const source = sourceOf(g);
  if (!source?.answered || source.id !== said.id || said.term !== g.term) return;
  const [first] = said.batches;
  if (first && source.restartAt !== undefined) {
    restartWith(g, first, source, turn);
    return;
  }
  if (first && first.index !== g.log.end) {
    // That is no answer to what was asked: a peer's mistake ends nothing here.
    fetchLater(g, source, turn);
    return;
  }
  write(g, said.batches, turn);
  source.matched = g.log.end;
  hearCommit(g, source, said.commit, turn);
  if (said.bad !== undefined) foundBadBatch(g, said.bad, turn);
}

/** What is committed, as the node says that is followed. */
export function onCommit(g: Group, said: Of<"commit">, turn: Turn): void {
  adoptTerm(g, said.term, turn);
  const source = sourceOf(g);
  if (source?.answered && said.term === g.term) hearCommit(g, source, said.commit, turn);
}

/**
 * The own log is not the leader's. It is cut to the smaller of what the leader says and the own end of the own largest term
 * not above the leader's; never below what is committed (as `truncateToEndOffset` of Kafka's KRaft, KIP-595).
 */
export function onDiverged(g: Group, said: Of<"diverged">, turn: Turn): void {
  adoptTerm(g, said.term, turn);
  const source = sourceOf(g);
  if (!source || source.id !== said.id || said.term !== g.term) return;
  event(g, turn, "diverged");
  const own = g.log.endOfTermAtOrBelow(said.atTerm);
  const end = Math.min(said.end, own?.end ?? g.log.base.index);
  if (end < g.log.commit || end >= g.log.end) {
    stop(g, "stopped: a committed batch was to be cut", turn);
    return;
  }
  cut(g, end, turn);
  sendFetch(g, source, turn);
}

/** The leader's log begins above what both have: the own one begins anew with its base. */
export function onRestart(g: Group, said: Of<"restart">, turn: Turn): void {
  adoptTerm(g, said.term, turn);
  const source = sourceOf(g);
  if (!source || source.id !== said.id || said.term !== g.term) return;
  event(g, turn, "told to restart");
  if (said.base + 1 < g.log.commit) {
    stop(g, "stopped: a committed batch was to be cut", turn);
    return;
  }
  // The checkpoint alone: what follows is asked for when that is in place.
  sendFetch(g, source, turn, { next: said.base, before: said.before, credit: 1 });
}

/** Who was followed leads no more. */
export function onNotLeader(g: Group, said: Of<"notLeader">, from: NodeId, turn: Turn): void {
  const isSource = sourceOf(g)?.node === from;
  adoptTerm(g, said.term, turn);
  if (!isSource || said.term < g.term) return;
  const { refusedMinMs, refusedMaxMs } = turn.settings;
  // It said so itself: there is nothing to wait for but another one that was faster.
  sourceLost(g, between(turn, refusedMinMs, refusedMaxMs), turn);
  if (said.leader !== null) seek(g, said.leader, turn);
}

/** The other node does not have the group yet: it is asked again. */
export function onNotYet(g: Group, from: NodeId, turn: Turn): void {
  const source = sourceOf(g);
  if (source?.node === from) askAgain(source, turn);
}

/** A batch was stamped while this replica led, and is in its log, though it leads no more: a fetch that was sent since says less. */
export function appendedLate(g: Group, batch: BatchInfo, turn: Turn): void {
  g.log.append(batch);
  const source = sourceOf(g);
  if (source && source.id > 0) sendFetch(g, source, turn);
}

/** The disk has all below `end` of what was written in a generation. */
export function followerSynced(g: Group, turn: Turn): void {
  const source = sourceOf(g);
  if (source?.awaitsLog) retryFetch(g, turn);
  if (!source?.answered) return;
  hearCommit(g, source, 0, turn);
  acknowledge(g, source, turn);
}

function acknowledge(g: Group, source: Source, turn: Turn): void {
  const ack = {
    kind: "ack",
    group: g.group,
    term: g.term,
    durable: g.log.durable,
    credit: turn.settings.creditBytes,
  } as const;
  say(g, turn, { lane: "leader", node: source.node, message: ack });
}

/** The disk refused what was written: the log ends where it is durable, and asks for the rest a little later. */
export function writeRefused(g: Group, turn: Turn): void {
  const { log } = g;
  if (log.durable > log.base.index) {
    log.cut(log.durable);
    // Some of what followed may be there all the same.
    tellCut(g, turn);
  }
  const source = sourceOf(g);
  if (source && source.id > 0) fetchLater(g, source, turn);
}

/** What answers the last fetch is dropped: it begins where the log ends no more. */
function fetchLater(g: Group, source: Source, turn: Turn): void {
  g.fetchId += 1;
  source.id = g.fetchId;
  source.answered = false;
  askAgain(source, turn);
}

function askAgain(source: Source, turn: Turn): void {
  source.retryAtMs = turn.nowMs + turn.settings.beatMs;
}

/** Where a fetch begins, and how much may come. */
interface FetchPlace {
  readonly next: number;
  readonly before: Before;
  readonly credit: number;
}

function sendFetch(g: Group, source: Source, turn: Turn, at?: FetchPlace): void {
  const { group, term, self, log, role } = g;
  if (log.durable <= log.base.index) {
    // The log that begins anew is not in place: what it holds can't be told yet.
    source.awaitsLog = true;
    askAgain(source, turn);
    return;
  }
  const { next, before, credit } = at ?? { next: log.end, before: log.before, credit: turn.settings.creditBytes };
  g.fetchId += 1;
  source.id = g.fetchId;
  source.answered = false;
  source.restartAt = at?.next;
  source.askedAtMs = turn.nowMs;
  source.askedDurable = log.durable;
  source.retryAtMs = 0;
  source.asVoter = log.voters.includes(self);
  const place = { next, before, durable: log.durable, credit };
  const committedOnly = !source.asVoter;
  if (committedOnly) dropFeeds(g, turn);
  const message = { kind: "fetch", group, term, id: source.id, replica: self, ...place, committedOnly } as const;
  say(g, turn, { lane: "leader", node: source.node, message });
  // It is answered in time, or another leader is looked for.
  if (role.kind === "follower") role.campaignAtMs = Math.min(role.campaignAtMs, turn.nowMs + electionTimeout(turn));
}

/** Cuts the log: who votes may be others then. */
function cut(g: Group, index: number, turn: Turn): void {
  g.log.cut(index);
  event(g, turn, "cut its log");
  tellCut(g, turn);
}

function tellCut({ group, log }: Group, turn: Turn): void {
  turn.effect({ kind: "cut", group, index: log.end, voters: log.voters });
}

function write(g: Group, batches: readonly Batch[], turn: Turn): void {
  if (batches.length === 0) return;
  for (const batch of batches) g.log.append(batch);
  turn.effect({ kind: "write", group: g.group, generation: g.log.generation, batches });
}

/** The log begins anew with the checkpoint that was asked for: what it held is remembered first. */
function restartWith(g: Group, checkpoint: Batch, source: Source, turn: Turn): void {
  const { log } = g;
  assert(
    checkpoint.index === source.restartAt && checkpoint.kind === BatchKind.checkpoint,
    "a log begins with a checkpoint",
  );
  present(checkpoint.voters, "a checkpoint says who votes");
  source.restartAt = undefined;
  const { term, end } = log.last;
  if (term > g.floor.term || (term === g.floor.term && end - 1 > g.floor.index)) g.floor = { term, index: end - 1 };
  save(g, turn);
  // What is discarded can't be served: who fetches it here goes elsewhere.
  dropFeeds(g, turn);
  log.restart(checkpoint);
  event(g, turn, "restarted at a checkpoint");
  turn.effect({ kind: "install", group: g.group, generation: log.generation, checkpoint });
  fetchLater(g, source, turn);
  source.awaitsLog = true;
}

/** The smallest of what was said to be committed, what is known to be the same as there, and what is on the disk. */
function hearCommit(g: Group, source: Source, said: number, turn: Turn): void {
  // It may have come before the batches that it is about.
  source.saidCommit = Math.max(source.saidCommit, said);
  const commit = Math.min(source.saidCommit, source.matched, g.log.durable);
  const isBehind = Math.max(commit, g.log.commit) < source.saidCommit;
  source.behindSinceMs = isBehind ? (source.behindSinceMs ?? turn.nowMs) : undefined;
  if (source.restartAt !== undefined || commit <= g.log.commit) return;
  g.log.commitTo(commit);
  event(g, turn, "committed");
  tellCommit(g, turn);
  tellFeeds(g, turn);
}
