/**
 * What is told to the one whom it is about, so that it can object as soon as it can be spoken with.
 * @module
 */
import { goneRumor } from "./gone.ts";
import { type Gossip, senderOf } from "./state.ts";
import type { Effect, NodeId, Rumor, Sender } from "./types.ts";

/** What a sender must know of what is held of its id: nothing, if it is thought alive as the process that it is. */
export function newsFor(g: Gossip, { id, instance, incarnation }: Sender): readonly Rumor[] {
  const member = g.view.members.get(id);
  if (member) {
    const { info, standing } = member;
    if (member.incarnation < incarnation) return [];
    // Another process: it learns where the one is that it must contend with.
    if (info.instance !== instance) return [{ kind: "alive", info, incarnation: member.incarnation }];
    switch (standing.kind) {
      case "alive":
        return [];
      case "suspect":
        return [{ kind: "suspect", id, instance, incarnation: member.incarnation, by: g.self.id }];
    }
  }
  const tombstone = g.view.tombstones.get(id);
  return tombstone && tombstone.incarnation >= incarnation ? [goneRumor(tombstone, g.self.id)] : [];
}

/** Tells it in a message of its own. */
export function tellNews(g: Gossip, out: Effect[], sender: Sender): void {
  const rumors = newsFor(g, sender);
  if (rumors.length === 0) return;
  out.push({ kind: "send", to: sender.address, message: { kind: "gossip", sender: senderOf(g), rumors } });
}

/** The other way round: a sender of whom this member has missed something is asked for it. No rumor reaches everyone. */
export function askNews(g: Gossip, out: Effect[], { id, incarnation, address }: Sender): void {
  const known = g.view.members.get(id) ?? g.view.tombstones.get(id);
  if (id === g.self.id || (known && known.incarnation >= incarnation)) return;
  out.push({ kind: "send", to: address, message: { kind: "who", sender: senderOf(g) } });
}

/** Begins a ping to a suspected member (Lifeguard, Buddy System). */
export function suspicionOf(g: Gossip, id: NodeId): readonly Rumor[] {
  const member = g.view.members.get(id);
  if (!member || member.standing.kind === "alive" || !g.settings.tellsSuspects) return [];
  const { info, incarnation } = member;
  return [{ kind: "suspect", id, instance: info.instance, incarnation, by: g.self.id }];
}
