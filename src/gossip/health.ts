/**
 * Local health: a member that is slow itself, or badly connected, doubts itself before others (Lifeguard, LHA-Probe).
 * Its score goes up by what a healthy member would not meet: probes that fail, nacks that do not come, suspicions about
 * itself that it must refute, wake-ups that come late. It goes down by probes that succeed.
 * @module
 */
import type { Gossip } from "./state.ts";

/** Something went wrong, perhaps here. */
export function worsenHealth(g: Gossip, points: number): void {
  g.health = Math.min(g.settings.healthMax, g.health + points);
}

/** A probe went well. */
export function improveHealth(g: Gossip): void {
  g.health = Math.max(0, g.health - 1);
}

/** An interval or a timeout of probes, as this member's health has it. */
export function patientMs(g: Gossip, ms: number): number {
  return ms * (g.health + 1);
}
