/**
 * Gossip's messages and effects as words, for the scripts beside. A process is written `ID:INCARNATION`; `ID.2:INCARNATION`
 * is the second process of that id, and `@ADDRESS` follows where it is not the id itself.
 * @module
 */
import type { Digest, Effect, Entry, MemberInfo, Message, Rumor, Sender } from "../types.ts";

/** Whom a script speaks of. */
interface Who {
  readonly info: MemberInfo;
  readonly incarnation: number;
}

/** The instance of an id's process, as scripts count them. */
export function instanceOf(id: string, life: string): string {
  return `${id}.${life}`;
}

/** Reads `ID[.LIFE]:INCARNATION[@ADDRESS]`. */
function readWho(text: string): Who {
  const [, id = "", life = "1", incarnation, address = id] = /^(\w+)(?:\.(\d+))?:(-?\d+)(?:@(\S+))?$/.exec(text) ?? [];
  if (incarnation === undefined) throw new RangeError(`"${text}" is no process`);
  const tags = { apiAddress: `${address}-api`, region: "r", role: "voter", version: "1" };
  const info = { id, instance: instanceOf(id, life), peerAddress: address, ...tags };
  return { info, incarnation: Number(incarnation) };
}

/** Reads a message: what comes before `|`, and behind it rumors or entries with `,` between. */
export function readMessage(from: string, text: string, ownDigest: Digest): Message {
  const { info, incarnation } = readWho(from);
  const [head = "", tail = ""] = text.split("|").map((part) => part.trim());
  const [kind, ...words] = head.split(" ");
  const parts = tail === "" ? [] : tail.split(",").map((part) => part.trim());
  const sender = { cluster: "c", id: info.id, instance: info.instance, incarnation, address: info.peerAddress };
  const sequence = Number(words.find((word) => word.startsWith("#"))?.slice(1));
  const value = (name: string) => words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
  const after = value("after") ?? "";
  switch (kind) {
    case "ping":
      return { kind, sender, sequence, target: value("to") ?? "", rumors: parts.map(readRumor) };
    case "pingRequest": {
      const target = readWho(`${value("to")}:0`).info;
      return { kind, sender, sequence, target: target.id, address: target.peerAddress, rumors: parts.map(readRumor) };
    }
    case "ack":
      return { kind, sender, sequence, upMs: Number(value("up") ?? 0), rumors: parts.map(readRumor) };
    case "gossip":
      return { kind, sender, rumors: parts.map(readRumor) };
    case "nack":
    case "syncSame":
      return { kind, sender, sequence };
    case "who":
      return { kind, sender };
    case "foreign":
      return { kind: "gossip", sender: { ...sender, cluster: "another" }, rumors: parts.map(readRumor) };
    case "syncAsk": {
      const digest = words.includes("same") ? ownDigest : { high: 0, low: 0 };
      return { kind, sender, sequence, digest, entries: parts.map(readEntry) };
    }
    case "syncPage":
      return { kind, sender, sequence, after, upTo: value("upTo"), entries: parts.map(readEntry) };
    case "syncNext":
      return { kind, sender, sequence, after, entries: parts.map(readEntry) };
    case "syncRest":
      return { kind, sender, entries: parts.map(readEntry) };
    default:
      throw new RangeError(`"${text}" is no message`);
  }
}

/** Writes an effect. */
export function effectText(effect: Effect): string {
  switch (effect.kind) {
    case "send":
      return `-> ${effect.to} ${messageText(effect.message)}`;
    case "event": {
      const { event } = effect;
      const before = event.kind === "update" ? ` (was ${infoText(event.before)})` : "";
      return `${event.kind} ${infoText(event.member)} ${event.incarnation}${before}`;
    }
    case "conflict": {
      const { id, ownAddress, otherAddress, heldBy } = effect.conflict;
      return `conflict ${id}: own ${ownAddress}, other ${otherAddress}, held by ${heldBy}`;
    }
    case "refused":
      return `refused ${effect.refusal.what}: ${effect.refusal.limit} is ${effect.refusal.value}`;
    case "gone":
      return "gone";
  }
}

function messageText(message: Message): string {
  switch (message.kind) {
    case "ping":
      return `ping #${message.sequence} to=${message.target}${tailText(message.rumors.map(rumorText))}`;
    case "pingRequest": {
      const target = `to=${message.target}@${message.address}`;
      return `pingRequest #${message.sequence} ${target}${tailText(message.rumors.map(rumorText))}`;
    }
    case "ack":
      return `ack #${message.sequence} up=${message.upMs}${tailText(message.rumors.map(rumorText))}`;
    case "gossip":
      return `gossip${tailText(message.rumors.map(rumorText))}`;
    case "nack":
    case "syncSame":
      return `${message.kind} #${message.sequence}`;
    case "who":
      return "who";
    case "syncAsk":
      return `syncAsk #${message.sequence}${tailText(message.entries.map(entryText))}`;
    case "syncPage": {
      const upTo = message.upTo === undefined ? "" : ` upTo=${message.upTo}`;
      return `syncPage #${message.sequence} after=${message.after}${upTo}${tailText(message.entries.map(entryText))}`;
    }
    case "syncNext":
      return `syncNext #${message.sequence} after=${message.after}${tailText(message.entries.map(entryText))}`;
    case "syncRest":
      return `syncRest${tailText(message.entries.map(entryText))}`;
  }
}

/** Writes who it is: as `readWho()` reads it, without the incarnation. */
export function infoText({ id, instance, peerAddress }: MemberInfo): string {
  return `${processText({ id, instance })}@${peerAddress}`;
}

function processText({ id, instance }: Pick<Sender, "id" | "instance">): string {
  return instance === instanceOf(id, "1") ? id : instance;
}

function rumorText(rumor: Rumor): string {
  switch (rumor.kind) {
    case "alive":
      return `alive ${processText(rumor.info)}:${rumor.incarnation}@${rumor.info.peerAddress}`;
    case "suspect":
    case "dead":
      return `${rumor.kind} ${processText(rumor)}:${rumor.incarnation} by ${rumor.by}`;
    case "left":
      return `left ${processText(rumor)}:${rumor.incarnation}`;
  }
}

function entryText({ info, incarnation, is, ageMs }: Entry): string {
  const age = ageMs > 0 ? ` age ${Math.round(ageMs)}` : "";
  return `${is} ${processText(info)}:${incarnation}@${info.peerAddress}${age}`;
}

function tailText(parts: readonly string[]): string {
  return parts.length === 0 ? "" : ` | ${parts.join(", ")}`;
}

function readRumor(text: string): Rumor {
  const [kind, process = "", , by = ""] = text.split(" ");
  const { info, incarnation } = readWho(process);
  const claim = { id: info.id, instance: info.instance, incarnation };
  switch (kind) {
    case "alive":
      return { kind, info, incarnation };
    case "suspect":
    case "dead":
      return { kind, ...claim, by };
    case "left":
      return { kind, ...claim };
    default:
      throw new RangeError(`"${text}" is no rumor`);
  }
}

function readEntry(text: string): Entry {
  const [is, process = "", , age = "0"] = text.split(" ");
  const { info, incarnation } = readWho(process);
  switch (is) {
    case "alive":
    case "suspect":
    case "dead":
    case "left":
      return { info, incarnation, is, ageMs: Number(age) };
    default:
      throw new RangeError(`"${text}" is no entry`);
  }
}
