/**
 * Messages of gossip as they go over the wire, and back. What is sound is for the machine to say (`gossip/sound.ts`).
 * @module
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { invalidField } from "../../base/errors.ts";
import type { Claim, Entry, MemberInfo, Message, Rumor } from "../../gossip/types.ts";
import {
  type Accusation,
  type EntrySchema,
  type GossipRequest,
  GossipRequestSchema,
  type RumorSchema,
  Standing,
  type Claim as WireClaim,
  type Entry as WireEntry,
  type MemberInfo as WireInfo,
  type Rumor as WireRumor,
} from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
import { fromPosition, toPosition } from "../../wire/position.ts";

type Kind = NonNullable<MessageInitShape<typeof GossipRequestSchema>["kind"]>;

/** A message, as it is sent. */
export function gossipRequest(message: Message): GossipRequest {
  const { cluster, address, ...claim } = message.sender;
  return create(GossipRequestSchema, { cluster, sender: claimMessage(claim), address, kind: kindMessage(message) });
}

/** Reads one. @throws {TailraceError} `invalid_field`. */
export function readGossip({ cluster, sender, address, kind }: GossipRequest): Message {
  const from = { sender: { cluster, address, ...readClaim(sender) } };
  switch (kind.case) {
    case "ping": {
      const { sequence, target, rumors } = kind.value;
      return { ...from, kind: "ping", sequence: number(sequence), target, rumors: rumors.map(readRumor) };
    }
    case "pingRequest": {
      const { sequence, target, address: at, rumors } = kind.value;
      return {
        ...from,
        kind: "pingRequest",
        sequence: number(sequence),
        target,
        address: at,
        rumors: rumors.map(readRumor),
      };
    }
    case "ack": {
      const { sequence, upMs, rumors } = kind.value;
      return { ...from, kind: "ack", sequence: number(sequence), upMs: number(upMs), rumors: rumors.map(readRumor) };
    }
    case "nack":
      return { ...from, kind: "nack", sequence: number(kind.value) };
    case "rumors":
      return { ...from, kind: "gossip", rumors: kind.value.rumors.map(readRumor) };
    case "who":
      return { ...from, kind: "who" };
    case "syncAsk": {
      const { sequence, digestHigh: high, digestLow: low, entries } = kind.value;
      return {
        ...from,
        kind: "syncAsk",
        sequence: number(sequence),
        digest: { high, low },
        entries: entries.map(readEntry),
      };
    }
    case "syncSame":
      return { ...from, kind: "syncSame", sequence: number(kind.value) };
    case "syncPage": {
      const { sequence, after, upTo, entries } = kind.value;
      return { ...from, kind: "syncPage", sequence: number(sequence), after, upTo, entries: entries.map(readEntry) };
    }
    case "syncNext": {
      const { sequence, after, entries } = kind.value;
      return { ...from, kind: "syncNext", sequence: number(sequence), after, entries: entries.map(readEntry) };
    }
    case "syncRest":
      return { ...from, kind: "syncRest", entries: kind.value.entries.map(readEntry) };
    case undefined:
      throw invalidField("kind", "it is none that this version knows", "Upgrade this node");
  }
}

function kindMessage(message: Message): Kind {
  switch (message.kind) {
    case "ping": {
      const { sequence, target, rumors } = message;
      return { case: "ping", value: { sequence: fromPosition(sequence), target, rumors: rumors.map(rumorMessage) } };
    }
    case "pingRequest": {
      const { sequence, target, address, rumors } = message;
      const value = { sequence: fromPosition(sequence), target, address, rumors: rumors.map(rumorMessage) };
      return { case: "pingRequest", value };
    }
    case "ack": {
      const upMs = fromPosition(Math.floor(message.upMs));
      const value = { sequence: fromPosition(message.sequence), upMs, rumors: message.rumors.map(rumorMessage) };
      return { case: "ack", value };
    }
    case "nack":
      return { case: "nack", value: fromPosition(message.sequence) };
    case "gossip":
      return { case: "rumors", value: { rumors: message.rumors.map(rumorMessage) } };
    case "who":
      return { case: "who", value: {} };
    case "syncAsk": {
      const { sequence, digest, entries } = message;
      const halves = { digestHigh: digest.high, digestLow: digest.low };
      return {
        case: "syncAsk",
        value: { sequence: fromPosition(sequence), ...halves, entries: entries.map(entryMessage) },
      };
    }
    case "syncSame":
      return { case: "syncSame", value: fromPosition(message.sequence) };
    case "syncPage": {
      const { sequence, after, upTo, entries } = message;
      const end = upTo === undefined ? {} : { upTo };
      return {
        case: "syncPage",
        value: { sequence: fromPosition(sequence), after, ...end, entries: entries.map(entryMessage) },
      };
    }
    case "syncNext": {
      const { sequence, after, entries } = message;
      return {
        case: "syncNext",
        value: { sequence: fromPosition(sequence), after, entries: entries.map(entryMessage) },
      };
    }
    case "syncRest":
      return { case: "syncRest", value: { entries: message.entries.map(entryMessage) } };
  }
}

function rumorMessage(rumor: Rumor): MessageInitShape<typeof RumorSchema> {
  switch (rumor.kind) {
    case "alive": {
      const { info, incarnation } = rumor;
      return { kind: { case: "alive", value: { info, incarnation: fromPosition(incarnation) } } };
    }
    case "suspect":
    case "dead":
      return { kind: { case: rumor.kind, value: { claim: claimMessage(rumor), by: rumor.by } } };
    case "left":
      return { kind: { case: "left", value: claimMessage(rumor) } };
  }
}

function readRumor({ kind }: WireRumor): Rumor {
  switch (kind.case) {
    case "alive":
      return { kind: "alive", info: readInfo(kind.value.info), incarnation: number(kind.value.incarnation) };
    case "suspect":
    case "dead":
      return { kind: kind.case, ...readAccusation(kind.value) };
    case "left":
      return { kind: "left", ...readClaim(kind.value) };
    case undefined:
      throw invalidField("rumors", "one is of a kind that this version does not know", "Upgrade this node");
  }
}

function readAccusation({ claim, by }: Accusation): Claim & { by: string } {
  return { ...readClaim(claim), by };
}

const standings = {
  alive: Standing.ALIVE,
  suspect: Standing.SUSPECT,
  dead: Standing.DEAD,
  left: Standing.LEFT,
} as const;

function entryMessage({ info, incarnation, is, ageMs }: Entry): MessageInitShape<typeof EntrySchema> {
  return { info, incarnation: fromPosition(incarnation), is: standings[is], ageMs: fromPosition(Math.floor(ageMs)) };
}

function readEntry({ info, incarnation, is, ageMs }: WireEntry): Entry {
  return { info: readInfo(info), incarnation: number(incarnation), is: readStanding(is), ageMs: number(ageMs) };
}

function readStanding(standing: Standing): Entry["is"] {
  switch (standing) {
    case Standing.ALIVE:
      return "alive";
    case Standing.SUSPECT:
      return "suspect";
    case Standing.DEAD:
      return "dead";
    case Standing.LEFT:
      return "left";
    default:
      throw invalidField("entries", "one says nothing of its member", "Upgrade this node");
  }
}

function readInfo(info: WireInfo | undefined): MemberInfo {
  if (!info) throw invalidField("info", "a member is not described", "Send it whole");
  const { id, instance, peerAddress, apiAddress, region, role, version } = info;
  return { id, instance, peerAddress, apiAddress, region, role, version };
}

function claimMessage({ id, instance, incarnation }: Claim): { id: string; instance: string; incarnation: bigint } {
  return { id, instance, incarnation: fromPosition(incarnation) };
}

function readClaim(claim: WireClaim | undefined): Claim {
  if (!claim) throw invalidField("sender", "it is not said", "Send it whole");
  return { id: claim.id, instance: claim.instance, incarnation: number(claim.incarnation) };
}

function number(value: bigint): number {
  return toPosition(value, "gossip");
}
