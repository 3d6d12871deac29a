/**
 * Serving those that fetch: where their log fits, what is sent to them, and what they hold.
 * A leader sends all to members of its newest set of voters, and committed batches to the rest; another replica serves
 * committed batches only, up to its own commit index, and never says that a log diverged.
 * @module
 */
import { advanceCommit } from "./commit.ts";
import { contradicted } from "./damage.ts";
import type { Feed, Group, LeaderRole, Progress } from "./group.ts";
import type { GroupInput } from "./inputs.ts";
import { checkHandover, checkQuorum, leftBy, wantLeaderChange } from "./leading.ts";
import { release, stop } from "./leaving.ts";
import { adoptTerm } from "./term.ts";
import { event, say, type Turn } from "./turn.ts";
import type { FollowerMessage, LeaderMessage, NodeId, ReplicaId } from "./types.ts";

type Of<K extends FollowerMessage["kind"]> = Extract<FollowerMessage, { kind: K }>;

/** Somebody fetches here. It is answered at once. */
export function onFetch(g: Group, fetch: Of<"fetch">, node: NodeId, turn: Turn): void {
  adoptTerm(g, fetch.term, turn);
  const { role, log } = g;
  const { id, next, before, replica } = fetch;
  const isLeader = role.kind === "leader";
  // An observer serves nobody: two of them that fetched from each other would never hear of a leader.
  const serves = isLeader || (fetch.committedOnly && log.voters.includes(g.self));
  if (fetch.term < g.term || role.kind === "stopped" || g.repairing || !serves) {
    refuseFetch(g, node, turn);
    return;
  }
  const known = feedOf(g, node);
  if (known && known.replica !== replica) endFeed(g, known.replica, turn);
  drop(g, replica, node, turn);
  if (!isLeader) {
    // What this replica's log begins with is committed, so that is for everyone.
    if (next < log.base.index) say(g, turn, { lane: "follower", node, message: restartFor(g, id) });
    else serve(g, fetch, node, turn);
    return;
  }
  if (next > log.end && before.term === g.term) {
    // It has a batch of this leader's own term that this leader does not: the leader forgot.
    stop(g, "stopped: the leader forgot", turn);
    return;
  }
  if (next <= log.end && log.contradicts(next, before)) {
    contradicted(g, node, next - 1, turn);
    return;
  }
  if (next < log.base.index || next > log.end || !log.holds(next, before)) {
    const { group, term } = g;
    const below = next < log.base.index ? undefined : log.endOfTermAtOrBelow(before.term);
    // What is sent is above the base: the base itself is where a log begins, and stands for all before it.
    const message: LeaderMessage =
      below && below.end > log.base.index
        ? { kind: "diverged", group, term, id, atTerm: below.term, end: below.end }
        : restartFor(g, id);
    // Who waits there for what is cut off is told of its fate once a batch of this term is committed in its place.
    if (message.kind === "diverged") wantLeaderChange(g, role, turn);
    say(g, turn, { lane: "follower", node, message });
    return;
  }
  serve(g, fetch, node, turn);
  const progress = progressOf(role, replica);
  progress.unfetched = false;
  hold(g, progress, Math.min(fetch.durable, next), turn);
  checkQuorum(g, role, turn);
  advanceCommit(g, role, turn);
  checkHandover(g, role, turn);
}

/** One that fetches holds more. */
export function onAck(g: Group, ack: Of<"ack">, node: NodeId, turn: Turn): void {
  adoptTerm(g, ack.term, turn);
  const found = feedOf(g, node);
  if (!found || ack.term !== g.term) return;
  const { feed, replica } = found;
  while (feed.inFlight[0] && feed.inFlight[0].end <= ack.durable) {
    const bytes = feed.inFlight.shift()?.bytes ?? 0;
    feed.inFlightBytes -= bytes;
    turn.onTheWay(node, -bytes);
  }
  feed.credit = ack.credit;
  const { role } = g;
  if (role.kind === "leader") {
    hold(g, progressOf(role, replica), Math.min(ack.durable, feed.next), turn);
    advanceCommit(g, role, turn);
    checkHandover(g, role, turn);
  }
  pump(g, replica, feed, turn);
}

/** One that fetched does no more: it goes to a higher term, or elsewhere. */
export function onUnfetch(g: Group, unfetch: Of<"unfetch">, node: NodeId, turn: Turn): void {
  adoptTerm(g, unfetch.term, turn);
  const found = feedOf(g, node);
  if (!found || unfetch.term !== g.term) return;
  drop(g, found.replica, node, turn);
  if (g.role.kind === "leader") leftBy(g, g.role, found.replica, turn);
}

/** The session with a node is over, and all that it registered. */
export function feedsEnded(g: Group, node: NodeId, turn: Turn): void {
  const found = feedOf(g, node);
  if (found) endFeed(g, found.replica, turn);
  if (g.role.kind === "leader") checkQuorum(g, g.role, turn);
}

/** Batches that the driver read for one that fetches. None: they are not there any more, or not yet. */
export function onRead(g: Group, read: Extract<GroupInput, { kind: "read" }>, turn: Turn): void {
  const { to, id, generation, batches } = read;
  const feed = g.feeds.get(to);
  if (!feed || feed.id !== id) return;
  turn.onTheWay(feed.node, -feed.readingBytes);
  feed.readingBytes = 0;
  if (feed.next < g.log.base.index) {
    say(g, turn, { lane: "follower", node: feed.node, message: restartFor(g, id) });
    return;
  }
  if (generation !== g.log.generation) {
    // Another batch may stand there now.
    pump(g, to, feed, turn);
    return;
  }
  const [first] = batches;
  const last = batches.at(-1);
  if (!first || !last || first.index !== feed.next || last.index >= limitOf(g, to)) return;
  const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
  feed.next = last.index + 1;
  if (g.role.kind === "leader") g.role.sentEnd = Math.max(g.role.sentEnd, feed.next);
  feed.inFlight.push({ end: feed.next, bytes });
  feed.inFlightBytes += bytes;
  turn.onTheWay(feed.node, bytes);
  feed.toldCommit = g.log.commit;
  const { group, term, log } = g;
  const message: LeaderMessage = { kind: "batches", group, term, id, commit: log.commit, batches };
  say(g, turn, { lane: "follower", node: feed.node, message });
  pump(g, to, feed, turn);
}

/** The log begins elsewhere now: who has not been sent what went begins anew. */
export function baseMoved(g: Group, turn: Turn): void {
  for (const { node, id, next, readingBytes } of g.feeds.values()) {
    if (next >= g.log.base.index || readingBytes > 0) continue;
    say(g, turn, { lane: "follower", node, message: restartFor(g, id) });
  }
}

/** There is room on the way to a node again, and it is this group's turn. */
export function takeTurn(g: Group, node: NodeId, turn: Turn): void {
  const found = feedOf(g, node);
  if (found && isWanting(g, found.replica, found.feed)) read(g, found.replica, found.feed, turn);
}

/** Sends what there is to all that fetch. */
export function pumpAll(g: Group, turn: Turn): void {
  for (const [replica, feed] of g.feeds) pump(g, replica, feed, turn);
}

/** Tells those that fetch of a commit index that moved. */
export function tellFeeds(g: Group, turn: Turn): void {
  const { group, term, log } = g;
  for (const [replica, feed] of g.feeds) {
    // Batches on their way say it too; it is said again, since those may be large.
    if (feed.toldCommit < log.commit) {
      feed.toldCommit = log.commit;
      say(g, turn, { lane: "follower", node: feed.node, message: { kind: "commit", group, term, commit: log.commit } });
    }
    pump(g, replica, feed, turn);
  }
}

/** What a leader counts of a replica. */
export function progressOf(role: LeaderRole, replica: ReplicaId): Progress {
  const known = role.progress.get(replica);
  if (known) return known;
  const progress = { durable: 0, echoed: 0, distrusted: false, unfetched: false };
  role.progress.set(replica, progress);
  return progress;
}

/** The feed that a session registered. A node has one replica of a group at most. */
export function feedOf(g: Group, node: NodeId): { readonly replica: ReplicaId; readonly feed: Feed } | undefined {
  for (const [replica, feed] of g.feeds) if (feed.node === node) return { replica, feed };
  return undefined;
}

/** Ends the fetch of a node; it does not know of that yet. */
export function dropFeed(g: Group, node: NodeId, turn: Turn): void {
  const found = feedOf(g, node);
  if (!found) return;
  drop(g, found.replica, node, turn);
  if (g.role.kind === "leader") checkQuorum(g, g.role, turn);
}

function restartFor({ group, term, log: { base } }: Group, id: number): LeaderMessage {
  return { kind: "restart", group, term, id, base: base.index, before: base.before };
}

function drop(g: Group, replica: ReplicaId, node: NodeId, turn: Turn): void {
  endFeed(g, replica, turn);
  turn.unserve(g.group, node);
}

/** What is known of one that does not count goes with its feed: there may have been any number of those. */
function endFeed(g: Group, replica: ReplicaId, turn: Turn): void {
  const feed = g.feeds.get(replica);
  if (feed) release(feed, turn);
  g.feeds.delete(replica);
  if (g.role.kind === "leader" && !g.log.voters.includes(replica)) g.role.progress.delete(replica);
}

function refuseFetch(g: Group, node: NodeId, turn: Turn): void {
  const { group, term, leaderHint: leader } = g;
  say(g, turn, { lane: "follower", node, message: { kind: "notLeader", group, term, leader } });
}

function serve(g: Group, fetch: Of<"fetch">, node: NodeId, turn: Turn): void {
  const { group, term, log } = g;
  const { id, replica, next, credit } = fetch;
  const sent = { inFlight: [], inFlightBytes: 0, readingBytes: 0, toldCommit: log.commit };
  const feed: Feed = { node, id, next, credit, ...sent };
  g.feeds.set(replica, feed);
  turn.serve(group, node);
  say(g, turn, { lane: "follower", node, message: { kind: "following", group, term, id, commit: log.commit } });
  pump(g, replica, feed, turn);
}

/** What a replica holds is counted; one that holds less than it said has forgotten, and counts no more. */
function hold(g: Group, progress: Progress, durable: number, turn: Turn): void {
  if (durable < progress.durable && !progress.distrusted) {
    progress.distrusted = true;
    event(g, turn, "a follower forgot what it had");
  }
  progress.durable = Math.max(progress.durable, durable);
}

/** Where what may be sent ends. */
function limitOf(g: Group, replica: ReplicaId): number {
  const getsAll = g.role.kind === "leader" && g.log.voters.includes(replica);
  return getsAll ? g.log.end : g.log.commit;
}

/** Has the next batches read, if there are some, and room for them on the way. At least one goes when none is on its way. */
function pump(g: Group, to: ReplicaId, feed: Feed, turn: Turn): void {
  if (!isWanting(g, to, feed)) return;
  if (turn.mayRead(g.group, feed.node, feed.inFlight.length > 0)) read(g, to, feed, turn);
}

function isWanting(g: Group, to: ReplicaId, { readingBytes, next, credit, inFlight, inFlightBytes }: Feed): boolean {
  if (readingBytes > 0 || next >= limitOf(g, to) || next < g.log.base.index) return false;
  return inFlight.length === 0 || inFlightBytes < credit;
}

function read(g: Group, to: ReplicaId, feed: Feed, turn: Turn): void {
  const { group, log } = g;
  const { id, node, next: from, credit, inFlightBytes } = feed;
  const { creditBytes, messageMaxBytes } = turn.settings;
  const maxBytes = Math.max(1, Math.min(credit - inFlightBytes, messageMaxBytes));
  // One batch may be larger: a few are read at a time, so that those that are do not add up.
  feed.readingBytes = Math.max(maxBytes, creditBytes);
  turn.onTheWay(node, feed.readingBytes);
  turn.effect({ kind: "read", group, to, id, generation: log.generation, from, below: limitOf(g, to), maxBytes });
}
