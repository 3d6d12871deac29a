/**
 * Members that are gone: how they are remembered, said, and forgotten after the tombstone time.
 * @module
 */
import { broadcast, type Gossip, reapIntervalMs, refuse } from "./state.ts";
import type { Effect, NodeId, Rumor } from "./types.ts";
import type { Tombstone } from "./view.ts";

/** Someone is gone: it is remembered, and said if it was there. `by`: who declared it. `passOn`: others may not know. */
export function bury(
  g: Gossip,
  out: Effect[],
  tombstone: Tombstone,
  { by, passOn }: { by: NodeId; passOn: boolean },
): void {
  const { info, incarnation, how } = tombstone;
  const member = g.view.members.get(info.id);
  g.view.bury(tombstone);
  if (member)
    out.push({ kind: "event", event: { kind: how === "dead" ? "fail" : "leave", member: member.info, incarnation } });
  if (passOn) broadcast(g, out, goneRumor(tombstone, by));
  const { tombstonesMax } = g.settings;
  if (g.view.tombstones.size <= tombstonesMax) return;
  const oldest = [...g.view.tombstones.values()].reduce((a, b) => (b.sinceMs < a.sinceMs ? b : a), tombstone);
  g.view.forget(oldest.info.id);
  refuse(g, out, { limit: "tombstonesMax", value: tombstonesMax, what: oldest.info.id });
}

/** Forgets those whose time is over: a late word of them would be taken for news now. */
export function reap(g: Gossip): void {
  if (g.nowMs < g.nextReapMs) return;
  g.nextReapMs = g.nowMs + reapIntervalMs(g.settings);
  for (const [id, { sinceMs }] of g.view.tombstones) {
    if (g.nowMs - sinceMs >= g.settings.tombstoneMs) g.view.forget(id);
  }
}

/** How it is told. */
export function goneRumor({ info: { id, instance }, incarnation, how }: Tombstone, by: NodeId): Rumor {
  switch (how) {
    case "dead":
      return { kind: "dead", id, instance, incarnation, by };
    case "left":
      return { kind: "left", id, instance, incarnation };
  }
}
