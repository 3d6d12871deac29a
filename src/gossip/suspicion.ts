/**
 * Suspected members: from the first who had no answer, through others who confirm it, to the death or the refutation.
 * @module
 */
import { bury } from "./gone.ts";
import { broadcast, clusterSize, type Gossip } from "./state.ts";
import type { Claim, Effect, NodeId } from "./types.ts";
import type { Member, Suspicion } from "./view.ts";

/** Someone, perhaps this member itself, had no answer. What is about an older incarnation counts no more. */
export function suspect(g: Gossip, out: Effect[], claim: Claim, by: NodeId): void {
  const { id, instance, incarnation } = claim;
  const member = g.view.members.get(id);
  // What is known of an id comes with its address, so a suspicion of a process not heard of says nothing that helps.
  if (!member || member.info.instance !== instance || incarnation < member.incarnation) return;
  const { standing } = member;
  if (standing.kind === "suspect" && incarnation === member.incarnation) {
    if (!confirm(standing, by)) return;
    g.suspicionsEndMs = Math.min(g.suspicionsEndMs, standing.deadlineMs);
  } else {
    const suspicion = newSuspicion(g, by);
    g.view.suspect(id, incarnation, suspicion);
    g.suspicionsEndMs = Math.min(g.suspicionsEndMs, suspicion.deadlineMs);
  }
  broadcast(g, out, { kind: "suspect", id, instance, incarnation, by });
}

/** Declares dead whose time is over. */
export function endSuspicions(g: Gossip, out: Effect[]): void {
  if (g.nowMs < g.suspicionsEndMs) return;
  for (const member of suspected(g)) {
    if (g.nowMs < deadlineOf(member)) continue;
    const { info, incarnation } = member;
    bury(g, out, { info, incarnation, how: "dead", sinceMs: g.nowMs }, { by: g.self.id, passOn: true });
  }
  g.suspicionsEndMs = Math.min(Number.POSITIVE_INFINITY, ...suspected(g).map(deadlineOf));
}

/** This process stood still for a while: what would have refuted suspicions meanwhile may still wait to be read. */
export function prolongSuspicions(g: Gossip, byMs: number): void {
  for (const { standing } of suspected(g)) if (standing.kind === "suspect") standing.deadlineMs += byMs;
  g.suspicionsEndMs += byMs;
}

/** From the longest to the shortest with the logarithm of those who confirmed it (Lifeguard, LHA-Suspicion). */
function suspicionMs(of: Pick<Suspicion, "minMs" | "maxMs" | "confirmationsMax">, confirmations: number): number {
  const { minMs, maxMs, confirmationsMax } = of;
  if (confirmationsMax < 1) return minMs;
  const part = Math.log(confirmations + 1) / Math.log(confirmationsMax + 1);
  return Math.max(minMs, maxMs - (maxMs - minMs) * part);
}

function newSuspicion(g: Gossip, by: NodeId): Suspicion {
  const { suspicionMult, suspicionMaxMult, suspicionConfirmations, probeIntervalMs } = g.settings;
  const minMs = suspicionMult * Math.max(1, Math.log10(clusterSize(g))) * probeIntervalMs;
  // Neither the suspected one nor the first who suspects can confirm it.
  const confirmationsMax = Math.min(suspicionConfirmations, clusterSize(g) - 2);
  const times = { minMs, maxMs: suspicionMaxMult * minMs, confirmationsMax };
  const deadlineMs = g.nowMs + suspicionMs(times, 0);
  return { kind: "suspect", sinceMs: g.nowMs, ...times, by: new Set([by]), deadlineMs };
}

/** Whether `by` is new, and still counts. */
function confirm(suspicion: Suspicion, by: NodeId): boolean {
  if (suspicion.by.has(by) || suspicion.by.size > suspicion.confirmationsMax) return false;
  suspicion.by.add(by);
  const shortened = suspicion.sinceMs + suspicionMs(suspicion, suspicion.by.size - 1);
  suspicion.deadlineMs = Math.min(suspicion.deadlineMs, shortened);
  return true;
}

function suspected(g: Gossip): Readonly<Member>[] {
  return [...g.view.suspects].flatMap((id) => g.view.members.get(id) ?? []);
}

function deadlineOf({ standing }: Readonly<Member>): number {
  switch (standing.kind) {
    case "alive":
      return Number.POSITIVE_INFINITY;
    case "suspect":
      return standing.deadlineMs;
  }
}
