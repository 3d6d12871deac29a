/**
 * What no member sends, whatever the driver decoded: it is counted and dropped, for a stranger must not be able to throw.
 * How large a message may be is the driver's to limit, before it decodes.
 * @module
 */
import { textBytes } from "./message-size.ts";
import type { GossipSettings } from "./settings.ts";
import type { Claim, Entry, MemberInfo, Message, Rumor } from "./types.ts";

/** Of an incarnation beyond this nobody could refute anything any more: whole numbers end at 2^53. */
const incarnationMax = 2 ** 52;

/** Whether a message may be looked at. Tags that are only too large are refused later, by the limit's name. */
export function isSound(message: Message, { tagsMaxBytes }: GossipSettings): boolean {
  const isName = (text: string) => text !== "" && textBytes(text) <= tagsMaxBytes;
  const isClaim = ({ id, instance, incarnation }: Claim) =>
    isName(id) && isName(instance) && isIncarnation(incarnation);
  const isMember = ({ id, instance, peerAddress }: MemberInfo) => isName(id) && isName(instance) && peerAddress !== "";
  const isRumor = (rumor: Rumor) => {
    switch (rumor.kind) {
      case "alive":
        return isMember(rumor.info) && isIncarnation(rumor.incarnation);
      case "suspect":
      case "dead":
        return isClaim(rumor) && isName(rumor.by);
      case "left":
        return isClaim(rumor);
    }
  };
  const isEntry = ({ info, incarnation, ageMs }: Entry) =>
    isMember(info) && isIncarnation(incarnation) && isSpan(ageMs);

  if (!isClaim(message.sender) || !isName(message.sender.address)) return false;
  switch (message.kind) {
    case "ping":
    case "gossip":
      return message.rumors.every(isRumor);
    case "pingRequest":
      return isName(message.address) && message.rumors.every(isRumor);
    case "ack":
      return isSpan(message.upMs) && message.rumors.every(isRumor);
    case "nack":
    case "who":
    case "syncSame":
      return true;
    case "syncAsk":
    case "syncNext":
    case "syncPage":
    case "syncRest":
      return message.entries.every(isEntry);
  }
}

function isIncarnation(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= incarnationMax;
}

function isSpan(ms: number): boolean {
  return Number.isFinite(ms) && ms >= 0;
}
