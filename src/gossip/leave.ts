/**
 * A graceful leave: it is said before the member is gone, so that nobody suspects it.
 * @module
 */
import { broadcast, type Gossip } from "./state.ts";
import type { Effect } from "./types.ts";

/** Begins to leave. */
export function leave(g: Gossip, out: Effect[]): void {
  switch (g.standing.kind) {
    case "member": {
      if (g.view.size === 0) {
        beGone(g, out);
        return;
      }
      const { id, instance } = g.self;
      g.standing = { kind: "leaving", deadlineMs: g.nowMs + g.settings.leaveMs };
      broadcast(g, out, { kind: "left", id, instance, incarnation: g.incarnation });
      return;
    }
    // The name is another's, or may be: it must not be said to have left.
    case "contending":
    case "displaced":
      beGone(g, out);
      return;
    case "leaving":
    case "gone":
      return;
  }
}

/** Ends it, once the word was sent as often as any rumor, or there is no more time. */
export function endLeave(g: Gossip, out: Effect[]): void {
  if (g.standing.kind !== "leaving") return;
  if (!g.broadcasts.has(g.self.id) || g.nowMs >= g.standing.deadlineMs) beGone(g, out);
}

function beGone(g: Gossip, out: Effect[]): void {
  g.standing = { kind: "gone" };
  out.push({ kind: "gone" });
}
