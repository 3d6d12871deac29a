/**
 * How large a message may be on the wire. It is an estimate from above, and pure: whatever protobuf or JSON-like encoding
 * the driver uses, a field costs at most its UTF-8 bytes or a number's nine, and three for its tag and length.
 * @module
 */
import type { Entry, MemberInfo, Message, Rumor, Sender } from "./types.ts";

const fieldBytes = 3;
const numberBytes = 9 + fieldBytes;

/** Bytes of a message, at most. */
export function messageBytes(message: Message): number {
  return headBytes(message.sender) + bodyBytes(message);
}

function headBytes({ cluster, id, instance, address }: Sender): number {
  return texts(cluster, id, instance, address) + numberBytes + fieldBytes + emptyBodyBytes;
}

/** What no body without rumors and entries exceeds, two ids and an address excepted. */
const emptyBodyBytes = 4 * numberBytes;

function bodyBytes(message: Message): number {
  switch (message.kind) {
    case "ping":
      return texts(message.target) + sum(message.rumors, rumorBytes);
    case "pingRequest":
      return texts(message.target, message.address) + sum(message.rumors, rumorBytes);
    case "ack":
    case "gossip":
      return sum(message.rumors, rumorBytes);
    case "nack":
    case "who":
    case "syncSame":
      return 0;
    case "syncAsk":
    case "syncRest":
      return sum(message.entries, entryBytes);
    case "syncPage":
      return texts(message.after, message.upTo ?? "") + sum(message.entries, entryBytes);
    case "syncNext":
      return texts(message.after) + sum(message.entries, entryBytes);
  }
}

/** Bytes that a rumor adds to a message, at most. */
export function rumorBytes(rumor: Rumor): number {
  switch (rumor.kind) {
    case "alive":
      return fieldBytes + infoBytes(rumor.info) + numberBytes;
    case "suspect":
    case "dead":
      return fieldBytes + texts(rumor.id, rumor.instance, rumor.by) + numberBytes;
    case "left":
      return fieldBytes + texts(rumor.id, rumor.instance) + numberBytes;
  }
}

/** Bytes that an entry adds to a message, at most. */
export function entryBytes({ info }: Entry): number {
  return fieldBytes + infoBytes(info) + 2 * numberBytes + fieldBytes;
}

/** Bytes of what a member says of itself, at most: what `tagsMaxBytes` limits. */
export function infoBytes(info: MemberInfo): number {
  const { id, instance, peerAddress, apiAddress, region, role, version } = info;
  return texts(id, instance, peerAddress, apiAddress, region, role, version) + fieldBytes;
}

function texts(...parts: readonly string[]): number {
  return sum(parts, (text) => fieldBytes + textBytes(text));
}

/** UTF-8 bytes of a text, at most. */
export function textBytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // Half of a pair counts three where it needs two: from above is enough.
    if (code >= 0x800) bytes += 2;
    else if (code >= 0x80) bytes += 1;
  }
  return bytes;
}

function sum<T>(items: readonly T[], bytesOf: (item: T) => number): number {
  return items.reduce((total, item) => total + bytesOf(item), 0);
}
