/**
 * Push-pull: two members compare their whole views, and each takes what the other knows better.
 * - It begins with a digest: equal views cost one short answer.
 * - Otherwise the one who was asked sends its view in pages, in the order of ids, each with a range that it is complete for.
 *   The one who asked answers with what the range lacks, and with where the next page is to begin. So no message is
 *   larger than `pageMaxBytes`, however large the cluster, and the one who was asked keeps nothing in mind.
 * - A lost message ends it. The next sync begins anew.
 * @module
 */
import { merge } from "./hear.ts";
import { entryBytes, messageBytes } from "./message-size.ts";
import { type Gossip, nextSequence, senderOf } from "./state.ts";
import type { Effect, Entry, Message, NodeId, Sender } from "./types.ts";
import { compareIds } from "./view.ts";

/** Asks whoever is at this address. `about`: an id that it should be told about, as it is probably its own. */
export function startSync(g: Gossip, out: Effect[], address: string, about?: NodeId): void {
  // What one who knows nobody learns, the others know.
  const passOn = g.view.size > 0;
  if (!passOn) syncAfter(g, g.settings.syncTimeoutMs);
  const sequence = nextSequence(g);
  const told = about === undefined ? undefined : entryOf(g, about);
  g.sync = { kind: "asking", sequence, after: "", passOn, deadlineMs: g.nowMs + g.settings.syncTimeoutMs };
  const entries = [selfEntry(g), ...(told ? [told] : [])];
  const digest = g.view.digestWith(g.self, g.incarnation);
  out.push({ kind: "send", to: address, message: { kind: "syncAsk", sender: senderOf(g), sequence, digest, entries } });
}

/** Compares with a random member, every now and then. */
export function syncSometimes(g: Gossip, out: Effect[]): void {
  if (g.sync.kind === "asking" && g.nowMs >= g.sync.deadlineMs) g.sync = { kind: "idle" };
  if (g.nowMs < g.nextSyncMs) return;
  const { syncIntervalMs, syncTimeoutMs } = g.settings;
  syncAfter(g, g.earlySyncs > 0 ? syncTimeoutMs : syncIntervalMs);
  const [member] = g.view.pick(1, () => true);
  if (!member || g.sync.kind === "asking") return;
  g.earlySyncs = Math.max(0, g.earlySyncs - 1);
  startSync(g, out, member.info.peerAddress);
}

/** Another begins a sync. */
export function onSyncAsk(g: Gossip, out: Effect[], { sender, sequence, digest, entries }: MessageOf<"syncAsk">): void {
  merge(g, out, entries, { from: sender.id, passOn: true });
  const own = g.view.digestWith(g.self, g.incarnation);
  if (own.high === digest.high && own.low === digest.low) {
    out.push({ kind: "send", to: sender.address, message: { kind: "syncSame", sender: senderOf(g), sequence } });
  } else sendPage(g, out, sender, { sequence, after: "" });
}

/** Another goes on with its sync. */
export function onSyncNext(g: Gossip, out: Effect[], message: MessageOf<"syncNext">): void {
  const { sender, sequence, after, entries } = message;
  merge(g, out, entries, { from: sender.id, passOn: true });
  sendPage(g, out, sender, { sequence, after });
}

/** The end of another's sync. */
export function onSyncRest(g: Gossip, out: Effect[], { sender, entries }: MessageOf<"syncRest">): void {
  merge(g, out, entries, { from: sender.id, passOn: true });
}

/** The views are equal. */
export function onSyncSame(g: Gossip, { sequence }: MessageOf<"syncSame">): void {
  if (g.sync.kind !== "asking" || g.sync.sequence !== sequence) {
    g.counters.stray += 1;
    return;
  }
  g.sync = { kind: "idle" };
  if (g.earlySyncs > 0) syncAfter(g, g.settings.syncIntervalMs);
  g.earlySyncs = 0;
}

/** A page of the other's view. */
export function onSyncPage(g: Gossip, out: Effect[], page: MessageOf<"syncPage">): void {
  const { sender, sequence, after, upTo, entries } = page;
  const { sync } = g;
  if (sync.kind !== "asking" || sync.sequence !== sequence || sync.after !== after) {
    g.counters.stray += 1;
    return;
  }
  merge(g, out, entries, { from: sender.id, passOn: sync.passOn });
  const theirs = new Map(entries.map((entry) => [entry.info.id, entry]));
  const isLacking = (own: Entry) => knowsMore(own, theirs.get(own.info.id));
  const head = { kind: "syncNext", sender: senderOf(g), sequence, after: upTo ?? "", entries: [] } as const;
  const room = g.settings.pageMaxBytes - messageBytes(head) - g.settings.tagsMaxBytes;
  const lacked = entriesWithin(g, { after, upTo, room, fits: isLacking });
  const next = lacked.upTo ?? upTo;
  if (next === undefined) {
    g.sync = { kind: "idle" };
    if (lacked.entries.length === 0) return;
    const message = { kind: "syncRest", sender: senderOf(g), entries: lacked.entries } as const;
    out.push({ kind: "send", to: sender.address, message });
  } else {
    g.sync = { ...sync, after: next, deadlineMs: g.nowMs + g.settings.syncTimeoutMs };
    out.push({ kind: "send", to: sender.address, message: { ...head, after: next, entries: lacked.entries } });
  }
}

/** The next one comes after about so long: not at the same moment as others'. */
function syncAfter(g: Gossip, ms: number): void {
  g.nextSyncMs = g.nowMs + ms * (0.5 + g.random());
}

type MessageOf<Kind extends Message["kind"]> = Extract<Message, { readonly kind: Kind }>;

function sendPage(
  g: Gossip,
  out: Effect[],
  to: Sender,
  { sequence, after }: { sequence: number; after: NodeId },
): void {
  const head = { kind: "syncPage", sender: senderOf(g), sequence, after, upTo: undefined, entries: [] } as const;
  // The id that ends the page is not known yet; no id is longer than a member's whole tags.
  const room = g.settings.pageMaxBytes - messageBytes(head) - g.settings.tagsMaxBytes;
  const { entries, upTo } = entriesWithin(g, { after, upTo: undefined, room, fits: () => true });
  out.push({ kind: "send", to: to.address, message: { ...head, upTo, entries } });
}

/** Entries behind `after`, up to `upTo`, in the order of ids, until `room` is used up. `upTo` of the answer: how far they go; `undefined`: all the way. */
function entriesWithin(
  g: Gossip,
  of: { after: NodeId; upTo: NodeId | undefined; room: number; fits: (entry: Entry) => boolean },
): { entries: Entry[]; upTo: NodeId | undefined } {
  const entries: Entry[] = [];
  let { room } = of;
  let last = of.after;
  for (const id of idsBehind(g, of.after)) {
    if (of.upTo !== undefined && compareIds(id, of.upTo) > 0) break;
    const entry = entryOf(g, id);
    if (entry && of.fits(entry)) {
      room -= entryBytes(entry);
      if (room < 0) return { entries, upTo: last };
      entries.push(entry);
    }
    last = id;
  }
  return { entries, upTo: undefined };
}

/** All ids behind one, this member's own too, in order. */
function* idsBehind(g: Gossip, after: NodeId): Generator<NodeId> {
  const ids = g.view.sortedIds();
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareIds(ids[middle] ?? "", after) > 0) high = middle;
    else low = middle + 1;
  }
  let ownIsDue = compareIds(g.self.id, after) > 0;
  for (const id of ids.slice(low)) {
    if (ownIsDue && compareIds(g.self.id, id) < 0) {
      yield g.self.id;
      ownIsDue = false;
    }
    yield id;
  }
  if (ownIsDue) yield g.self.id;
}

function entryOf(g: Gossip, id: NodeId): Entry | undefined {
  if (id === g.self.id) return selfEntry(g);
  const member = g.view.members.get(id);
  if (member) return { info: member.info, incarnation: member.incarnation, is: member.standing.kind, ageMs: 0 };
  const tombstone = g.view.tombstones.get(id);
  if (!tombstone) return undefined;
  const { info, incarnation, how, sinceMs } = tombstone;
  return { info, incarnation, is: how, ageMs: g.nowMs - sinceMs };
}

function selfEntry(g: Gossip): Entry {
  const own = { info: g.self, incarnation: g.incarnation, ageMs: 0 };
  switch (g.standing.kind) {
    case "member":
    case "contending":
    case "displaced":
      return { ...own, is: "alive" };
    case "leaving":
    case "gone":
      return { ...own, is: "left" };
  }
}

/** In the order in which all claims are. That one suspects is not passed on by a sync alone. */
function knowsMore(own: Entry, theirs: Entry | undefined): boolean {
  if (!theirs || own.incarnation !== theirs.incarnation) return !theirs || own.incarnation > theirs.incarnation;
  return rank[own.is] > rank[theirs.is];
}

const rank = { alive: 0, suspect: 0, dead: 1, left: 2 } as const satisfies Record<Entry["is"], number>;
