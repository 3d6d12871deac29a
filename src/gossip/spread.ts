/**
 * Passing rumors on, beside those that ride on probes.
 * @module
 */
import { type Gossip, senderOf, sendPacket } from "./state.ts";
import type { Effect } from "./types.ts";

/** Sends what waits to a few random members. */
export function spread(g: Gossip, out: Effect[]): void {
  if (g.nowMs < g.nextGossipMs || g.broadcasts.size === 0) return;
  g.nextGossipMs = g.nowMs + g.settings.gossipIntervalMs;
  for (const { info } of g.view.pick(g.settings.gossipFanout, () => true)) {
    if (g.broadcasts.size === 0) return;
    sendPacket(g, out, info.peerAddress, { kind: "gossip", sender: senderOf(g), rumors: [] });
  }
}
