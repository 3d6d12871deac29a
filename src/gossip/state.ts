/**
 * All that one member of the gossip is, and the few things that every part of it does.
 * @module
 */
import { Broadcasts } from "./broadcasts.ts";
import { infoBytes, messageBytes, textBytes } from "./message-size.ts";
import type { GossipSettings } from "./settings.ts";
import type { Effect, MemberInfo, Message, NodeId, Refusal, Rumor, Sender, Tags } from "./types.ts";
import { View } from "./view.ts";

/** What this process is to its name. */
export type Standing =
  | { readonly kind: "member" }
  /** Another process is known under the name. Does it live? It is pinged, `triesLeft` times more. */
  | {
      readonly kind: "contending";
      readonly rival: Rival;
      readonly sequence: number;
      readonly triesLeft: number;
      readonly deadlineMs: number;
    }
  /** It lives, and has the name. Asked again at `againMs`. */
  | { readonly kind: "displaced"; readonly rival: Rival; readonly againMs: number }
  | { readonly kind: "leaving"; readonly deadlineMs: number }
  | { readonly kind: "gone" };

/** Another process with this member's id, as it was heard of. */
export interface Rival {
  readonly info: MemberInfo;
  readonly incarnation: number;
}

/** The probe of the present period. */
export type Probe =
  | { readonly kind: "idle"; readonly nextMs: number }
  | {
      readonly kind: "direct";
      readonly target: NodeId;
      readonly sequence: number;
      readonly indirectMs: number;
      readonly endMs: number;
    }
  | {
      readonly kind: "indirect";
      readonly target: NodeId;
      readonly sequence: number;
      readonly endMs: number;
      readonly asked: number;
      /** Who said that it tried, and heard nothing so far. */
      readonly nacks: Set<NodeId>;
    };

/** An indirect probe that is done for another. It waits for the target's ack, and says so when there is none in time. */
export interface Relay {
  readonly to: string;
  readonly sequence: number;
  readonly endMs: number;
  nackMs: number;
}

/** A sync that this member began. */
export type Sync =
  | { readonly kind: "idle" }
  | {
      readonly kind: "asking";
      readonly sequence: number;
      /** The next page begins behind this id. */
      readonly after: NodeId;
      /** Whether what is learned may be new to others too. */
      readonly passOn: boolean;
      readonly deadlineMs: number;
    };

/** What came in and could not be used, since the start. */
export interface Counters {
  /** Malformed: values that no member sends. */
  junk: number;
  /** Of another cluster. */
  foreign: number;
  /** For another id than this one's: an address that has changed hands. */
  misdirected: number;
  /** Answers to nothing that was asked, or too late. */
  stray: number;
}

/** A message that carries rumors. */
type Packet = Extract<Message, { readonly rumors: readonly Rumor[] }>;

/** One member. */
export interface Gossip {
  readonly settings: GossipSettings;
  readonly cluster: string;
  readonly random: () => number;
  readonly startedMs: number;
  /** Of the newest input. */
  nowMs: number;
  self: MemberInfo;
  incarnation: number;
  standing: Standing;
  /** The last process whose name this one took over, and the incarnation that it took. */
  overridden: { readonly instance: string; readonly incarnation: number } | undefined;
  seeds: readonly string[];
  readonly view: View;
  readonly broadcasts: Broadcasts;
  /** 0: well; each point makes probes slower by one interval, and more patient by one timeout (Lifeguard, LHA-Probe). */
  health: number;
  probe: Probe;
  /** Members in the order in which they will be probed; ids of those who are gone are skipped. */
  probeOrder: NodeId[];
  readonly relays: Map<number, Relay>;
  sync: Sync;
  nextGossipMs: number;
  nextSyncMs: number;
  /** So many of the first syncs come soon after each other: what was said just before this member came, nobody tells it. */
  earlySyncs: number;
  nextJoinMs: number;
  nextContactMs: number;
  nextReapMs: number;
  /** No suspicion ends before this. */
  suspicionsEndMs: number;
  lastSequence: number;
  readonly counters: Counters;
  /** When a conflict, or the meeting of a limit, was last said. */
  readonly saidMs: Map<"conflict" | Refusal["limit"], number>;
}

/** What a member is made of. */
export interface GossipOptions {
  readonly settings: GossipSettings;
  /** Only members with the same are spoken with. */
  readonly cluster: string;
  readonly id: NodeId;
  readonly peerAddress: string;
  readonly tags: Tags;
  /** At or above 0, below 1. */
  readonly random: () => number;
  readonly nowMs: number;
}

/** Makes a member that knows nobody. @throws {RangeError} Its id and tags pass `tagsMaxBytes`. */
export function createGossip(options: GossipOptions): Gossip {
  const { settings, cluster, id, peerAddress, tags, random, nowMs } = options;
  const instance = [random(), random()].map((part) => Math.floor(part * 2 ** 30).toString(36)).join("-");
  const self = { id, instance, peerAddress, ...tags };
  refuseLarge(self, cluster, settings);
  // Members that start together must not act together.
  const within = (ms: number) => nowMs + random() * ms;
  return {
    ...{ settings, cluster, random, startedMs: nowMs, nowMs, self, incarnation: 0 },
    standing: { kind: "member" },
    ...{ overridden: undefined, seeds: [], view: new View(random), broadcasts: new Broadcasts(), health: 0 },
    probe: { kind: "idle", nextMs: within(settings.probeIntervalMs) },
    ...{ probeOrder: [], relays: new Map(), sync: { kind: "idle" } },
    nextGossipMs: within(settings.gossipIntervalMs),
    nextSyncMs: within(settings.syncIntervalMs),
    earlySyncs: 3,
    nextJoinMs: nowMs,
    nextContactMs: within(settings.contactIntervalMs),
    nextReapMs: within(reapIntervalMs(settings)),
    suspicionsEndMs: Number.POSITIVE_INFINITY,
    // Answers to an earlier process at this address must not pass for answers to this one.
    lastSequence: Math.floor(random() * 2 ** 32),
    counters: { junk: 0, foreign: 0, misdirected: 0, stray: 0 },
    saidMs: new Map(),
  };
}

/** @throws {RangeError} What a member says of itself is too large to be passed on. */
export function refuseLarge(info: MemberInfo, cluster: string, { tagsMaxBytes }: GossipSettings): void {
  const bytes = infoBytes(info) + textBytes(cluster);
  if (bytes <= tagsMaxBytes) return;
  const what = `cluster, id, addresses and tags of "${info.id}" take ${bytes} bytes`;
  throw new RangeError(`${what}, the limit tagsMaxBytes is ${tagsMaxBytes}`);
}

/** How often tombstones are looked at: none stays a hundredth longer than it should. */
export function reapIntervalMs({ tombstoneMs }: GossipSettings): number {
  return tombstoneMs / 100;
}

/** All members that are thought to live, this one too. */
export function clusterSize(g: Gossip): number {
  return g.view.size + 1;
}

/** What begins each message of this member. */
export function senderOf({ cluster, self, incarnation }: Gossip): Sender {
  return { cluster, id: self.id, instance: self.instance, incarnation, address: self.peerAddress };
}

/** A number that no message of this process had before. */
export function nextSequence(g: Gossip): number {
  g.lastSequence += 1;
  return g.lastSequence;
}

/** How often each rumor is sent (SWIM 4.1). */
function sendsMax(g: Gossip): number {
  return g.settings.retransmitMult * Math.ceil(Math.log10(clusterSize(g) + 1));
}

/** Sends a message, with as many of the rumors that wait behind its own as it has room for. */
export function sendPacket(g: Gossip, out: Effect[], to: string, packet: Packet): void {
  const room = g.settings.packetMaxBytes - messageBytes(packet);
  const rumors = [...packet.rumors, ...g.broadcasts.take(room, sendsMax(g))];
  out.push({ kind: "send", to, message: { ...packet, rumors } });
}

/** Lets a rumor be passed on. */
export function broadcast(g: Gossip, out: Effect[], rumor: Rumor): void {
  const id = rumor.kind === "alive" ? rumor.info.id : rumor.id;
  g.broadcasts.put(id, rumor);
  const { broadcastsMax } = g.settings;
  if (g.broadcasts.size <= broadcastsMax) return;
  const dropped = g.broadcasts.dropMostSent();
  if (dropped !== undefined) refuse(g, out, { limit: "broadcastsMax", value: broadcastsMax, what: dropped });
}

/** Says that a limit was met, unless that was said less than a minute ago. */
export function refuse(g: Gossip, out: Effect[], refusal: Refusal): void {
  if (mayBeSaid(g, refusal.limit, 60_000)) out.push({ kind: "refused", refusal });
}

/** Whether `what` was not said within the last `intervalMs`; then it counts as said now. */
export function mayBeSaid(g: Gossip, what: "conflict" | Refusal["limit"], intervalMs: number): boolean {
  const last = g.saidMs.get(what);
  if (last !== undefined && g.nowMs - last < intervalMs) return false;
  g.saidMs.set(what, g.nowMs);
  return true;
}
