/**
 * Failure detection: one member is probed in each period, directly and then through others (SWIM 3.1).
 * Members are taken in a random order, all of them before any comes again (SWIM 4.3): so each is probed within one round.
 * @module
 */
import { improveHealth, patientMs, worsenHealth } from "./health.ts";
import { askNews, newsFor, suspicionOf, tellNews } from "./news.ts";
import { meetRival, rivalAnswers } from "./self.ts";
import { type Gossip, nextSequence, type Probe, refuse, senderOf, sendPacket } from "./state.ts";
import { prolongSuspicions, suspect } from "./suspicion.ts";
import type { Effect, Message, NodeId } from "./types.ts";
import type { Member } from "./view.ts";

/** Goes on with the probe of this period, or begins the next. */
export function goOnProbing(g: Gossip, out: Effect[]): void {
  const { probe } = g;
  if (g.nowMs < probeDueMs(probe)) return;
  switch (probe.kind) {
    case "idle":
      probeNext(g, out);
      return;
    case "direct":
      probeThroughOthers(g, out, probe);
      return;
    case "indirect":
      failProbe(g, out, probe);
      probeNext(g, out);
      return;
  }
}

/** Lets a new member be probed: in this round if its random place is among those still to come, or else in the next (SWIM 4.3). */
export function probeInTurn(g: Gossip, id: NodeId): void {
  // Those who are gone are skipped when their turn comes; many that come and go must not make it long.
  if (g.probeOrder.length > 2 * g.view.size) g.probeOrder = g.probeOrder.filter((other) => g.view.members.has(other));
  const place = Math.floor(g.random() * g.view.size);
  if (place <= g.probeOrder.length && !g.probeOrder.includes(id)) g.probeOrder.splice(place, 0, id);
}

/** When this member's prober must wake up at the latest. */
export function probeDueMs(probe: Probe): number {
  switch (probe.kind) {
    case "idle":
      return probe.nextMs;
    case "direct":
      return probe.indirectMs;
    case "indirect":
      return probe.endMs;
  }
}

/**
 * If this wake-up is far too late, this process stood still: a laptop's lid, a stopped container, a long collection.
 * Answers may lie unread, so nobody is blamed for what was not heard meanwhile.
 */
export function noticePause(g: Gossip): void {
  const lateMs = g.nowMs - probeDueMs(g.probe);
  if (lateMs < g.settings.pauseMs) return;
  worsenHealth(g, 1);
  g.probe = { kind: "idle", nextMs: g.nowMs };
  prolongSuspicions(g, lateMs);
}

/** A ping: answered if it is for this member, and not for one that had this address before. */
export function onPing(g: Gossip, out: Effect[], { sender, sequence, target }: MessageOf<"ping">): void {
  if (target !== g.self.id) {
    g.counters.misdirected += 1;
    return;
  }
  if (sender.id === g.self.id) meetRival(g, out, sender.address);
  const upMs = g.nowMs - g.startedMs;
  const rumors = newsFor(g, sender);
  sendPacket(g, out, sender.address, { kind: "ack", sender: senderOf(g), sequence, upMs, rumors });
  askNews(g, out, sender);
}

/** An ack: of the probed member, of one that was pinged for another, or of one with this member's id. */
export function onAck(g: Gossip, out: Effect[], ack: MessageOf<"ack">): void {
  const { probe } = g;
  const relay = g.relays.get(ack.sequence);
  if (probe.kind !== "idle" && probe.sequence === ack.sequence) {
    improveHealth(g);
    g.probe = { kind: "idle", nextMs: probe.endMs };
  } else if (relay) {
    g.relays.delete(ack.sequence);
    const { upMs } = ack;
    const { sequence } = relay;
    sendPacket(g, out, relay.to, { kind: "ack", sender: senderOf(g), sequence, upMs, rumors: [] });
  } else if (!rivalAnswers(g, out, ack)) {
    g.counters.stray += 1;
    return;
  }
  tellNews(g, out, ack.sender);
  askNews(g, out, ack.sender);
}

/** Another had no answer: the target is pinged for it. */
export function onPingRequest(g: Gossip, out: Effect[], request: MessageOf<"pingRequest">): void {
  const { sender, target, address } = request;
  const { relaysMax, probeIntervalMs, probeTimeoutMs } = g.settings;
  if (g.relays.size >= relaysMax) {
    refuse(g, out, { limit: "relaysMax", value: relaysMax, what: sender.id });
    return;
  }
  const sequence = nextSequence(g);
  // So that the nack is there before the one who asked gives up (Lifeguard, LHA-Probe: at 80 % of the time).
  const nackMs = g.nowMs + 0.8 * (probeIntervalMs - probeTimeoutMs);
  g.relays.set(sequence, { to: sender.address, sequence: request.sequence, endMs: g.nowMs + probeIntervalMs, nackMs });
  const rumors = suspicionOf(g, target);
  sendPacket(g, out, address, { kind: "ping", sender: senderOf(g), sequence, target, rumors });
}

/** One of those who were asked to ping tried, and is well: so this member's own connection is. */
export function onNack(g: Gossip, { sender, sequence }: MessageOf<"nack">): void {
  const { probe } = g;
  if (probe.kind === "indirect" && probe.sequence === sequence) probe.nacks.add(sender.id);
  else g.counters.stray += 1;
}

/** Says what was not answered in time, and forgets what nobody waits for. */
export function endRelays(g: Gossip, out: Effect[]): void {
  for (const [own, relay] of g.relays) {
    const { to, sequence } = relay;
    if (g.nowMs >= relay.nackMs) {
      relay.nackMs = Number.POSITIVE_INFINITY;
      out.push({ kind: "send", to, message: { kind: "nack", sender: senderOf(g), sequence } });
    }
    if (g.nowMs >= relay.endMs) g.relays.delete(own);
  }
}

type MessageOf<Kind extends Message["kind"]> = Extract<Message, { readonly kind: Kind }>;

function probeNext(g: Gossip, out: Effect[]): void {
  const { probeIntervalMs, probeTimeoutMs } = g.settings;
  const member = nextInOrder(g);
  const endMs = g.nowMs + patientMs(g, probeIntervalMs);
  if (!member) {
    g.probe = { kind: "idle", nextMs: endMs };
    return;
  }
  const { id, peerAddress } = member.info;
  const sequence = nextSequence(g);
  g.probe = { kind: "direct", target: id, sequence, indirectMs: g.nowMs + patientMs(g, probeTimeoutMs), endMs };
  const rumors = suspicionOf(g, id);
  sendPacket(g, out, peerAddress, { kind: "ping", sender: senderOf(g), sequence, target: id, rumors });
}

function probeThroughOthers(g: Gossip, out: Effect[], { target, sequence, endMs }: Probe & { kind: "direct" }): void {
  const member = g.view.members.get(target);
  const isHelper = ({ info, standing }: Readonly<Member>) => info.id !== target && standing.kind === "alive";
  const helpers = member ? g.view.pick(g.settings.indirectProbes, isHelper) : [];
  for (const { info } of helpers) {
    const address = member?.info.peerAddress ?? "";
    const request = { kind: "pingRequest", sender: senderOf(g), sequence, target, address, rumors: [] } as const;
    sendPacket(g, out, info.peerAddress, request);
  }
  g.probe = { kind: "indirect", target, sequence, endMs, asked: helpers.length, nacks: new Set() };
}

function failProbe(g: Gossip, out: Effect[], { target, asked, nacks }: Probe & { kind: "indirect" }): void {
  // Nacks say that this member is heard and hears; without anybody to ask, it may as well be its own fault.
  worsenHealth(g, asked > 0 ? asked - nacks.size : 1);
  const member = g.view.members.get(target);
  if (!member) return;
  const { info, incarnation } = member;
  suspect(g, out, { id: target, instance: info.instance, incarnation }, g.self.id);
}

function nextInOrder(g: Gossip): Readonly<Member> | undefined {
  if (g.probeOrder.length === 0) g.probeOrder = g.view.pick(g.view.size, () => true).map(({ info }) => info.id);
  for (let id: NodeId | undefined = g.probeOrder.pop(); id !== undefined; id = g.probeOrder.pop()) {
    const member = g.view.members.get(id);
    if (member) return member;
  }
  return undefined;
}
