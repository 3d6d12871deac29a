/**
 * What is said of this member's own id: by others who did not hear from it, of an earlier process that had the id, or of
 * another one that has it now.
 * - What is said of this process is refuted by a higher incarnation (SWIM 4.2).
 * - What is said of another process may be of one long dead: this one takes the name over when it is known to be gone,
 *   when it was at this very address, or when it does not answer there.
 * - If it does answer, two nodes were given one id. The one that has run longer keeps it, and both say so. The other one
 *   is *displaced*: it refutes nothing, and asks again after `conflictIntervalMs`. So no name is passed to and fro.
 * @module
 */
import { worsenHealth } from "./health.ts";
import { broadcast, type Gossip, mayBeSaid, nextSequence, type Rival, senderOf } from "./state.ts";
import type { Claim, Conflict, Effect, Message, Sender } from "./types.ts";

/** How often a rival is pinged before it counts as gone. */
const triesMax = 3;

/** A rumor says that this process is suspected. */
export function claimedSuspect(g: Gossip, out: Effect[], { instance, incarnation }: Claim): void {
  if (instance === g.self.instance && incarnation >= g.incarnation) refute(g, out, incarnation);
}

/** A rumor says that a process with this id is dead, or left. */
export function claimedGone(g: Gossip, out: Effect[], { instance, incarnation }: Claim): void {
  if (incarnation < g.incarnation) return;
  if (instance === g.self.instance) {
    refute(g, out, incarnation);
    return;
  }
  switch (g.standing.kind) {
    case "member":
      takeOver(g, out, { instance, incarnation });
      return;
    case "contending":
    case "displaced":
      if (incarnation >= g.standing.rival.incarnation) takeOver(g, out, { instance, incarnation });
      return;
    case "leaving":
    case "gone":
      return;
  }
}

/** A rumor says that a process with this id is alive. */
export function claimedAlive(g: Gossip, out: Effect[], rival: Rival): void {
  const { info, incarnation } = rival;
  if (info.instance === g.self.instance || incarnation < g.incarnation) return;
  const { standing } = g;
  switch (standing.kind) {
    case "member":
      beOverridden(g, out, rival);
      return;
    case "contending":
      if (incarnation <= standing.rival.incarnation) return;
      if (info.instance === standing.rival.info.instance) g.standing = { ...standing, rival };
      else contend(g, out, rival, triesMax);
      return;
    case "displaced":
      if (incarnation > standing.rival.incarnation) g.standing = { ...standing, rival };
      return;
    case "leaving":
    case "gone":
      return;
  }
}

/** Another process with this id speaks to this one. */
export function meetRival(g: Gossip, out: Effect[], address: string): void {
  if (g.standing.kind === "member") sayConflict(g, out, address, "self");
}

/** An ack that may be the rival's; false: it answers something else. */
export function rivalAnswers(g: Gossip, out: Effect[], ack: Extract<Message, { readonly kind: "ack" }>): boolean {
  const { standing } = g;
  if (standing.kind !== "contending" || ack.sequence !== standing.sequence) return false;
  const { sender } = ack;
  const incarnation = Math.max(standing.rival.incarnation, sender.incarnation);
  const upMs = g.nowMs - g.startedMs;
  const isElder = upMs > ack.upMs || (upMs === ack.upMs && g.self.instance > sender.instance);
  sayConflict(g, out, sender.address, isElder ? "self" : "other");
  if (isElder) takeOver(g, out, { instance: sender.instance, incarnation });
  else g.standing = displacedBy(g, standing.rival);
  return true;
}

/** Pings the rival again, or counts it as gone; asks a displaced member's rival again. */
export function contestName(g: Gossip, out: Effect[]): void {
  const { standing } = g;
  switch (standing.kind) {
    case "contending": {
      if (g.nowMs < standing.deadlineMs) return;
      const { rival, triesLeft } = standing;
      if (triesLeft > 0) contend(g, out, rival, triesLeft);
      else takeOver(g, out, { instance: rival.info.instance, incarnation: rival.incarnation });
      return;
    }
    case "displaced":
      if (g.nowMs >= standing.againMs) contend(g, out, standing.rival, triesMax);
      return;
    case "member":
    case "leaving":
    case "gone":
      return;
  }
}

/** Says of itself what is true now, in a higher incarnation than all that was said of it. */
export function assertSelf(g: Gossip, out: Effect[], above: number): void {
  g.incarnation = above + 1;
  broadcast(g, out, { kind: "alive", info: g.self, incarnation: g.incarnation });
}

/** Another has missed what this member said of itself. */
export function sayWho(g: Gossip, out: Effect[], { address }: Sender): void {
  switch (g.standing.kind) {
    case "member": {
      const rumors = [{ kind: "alive", info: g.self, incarnation: g.incarnation }] as const;
      out.push({ kind: "send", to: address, message: { kind: "gossip", sender: senderOf(g), rumors } });
      return;
    }
    case "contending":
    case "displaced":
    case "leaving":
    case "gone":
      return;
  }
}

function refute(g: Gossip, out: Effect[], incarnation: number): void {
  switch (g.standing.kind) {
    case "member":
      worsenHealth(g, 1);
      assertSelf(g, out, incarnation);
      return;
    // Another process is known under the name, with a higher incarnation: nobody would listen.
    case "contending":
    case "displaced":
    case "leaving":
    case "gone":
      return;
  }
}

function beOverridden(g: Gossip, out: Effect[], rival: Rival): void {
  const { info, incarnation } = rival;
  const { overridden } = g;
  if (overridden?.instance === info.instance && incarnation > overridden.incarnation) {
    // It was overridden, and answered by a higher incarnation: it lives, whoever can reach it.
    g.standing = displacedBy(g, rival);
    sayConflict(g, out, info.peerAddress, "other");
  } else if (info.peerAddress === g.self.peerAddress) {
    // An address has one process at a time, and now it has this one.
    takeOver(g, out, { instance: info.instance, incarnation });
  } else contend(g, out, rival, triesMax);
}

function takeOver(
  g: Gossip,
  out: Effect[],
  { instance, incarnation }: { instance: string; incarnation: number },
): void {
  g.standing = { kind: "member" };
  assertSelf(g, out, incarnation);
  g.overridden = { instance, incarnation: g.incarnation };
}

function contend(g: Gossip, out: Effect[], rival: Rival, tries: number): void {
  const sequence = nextSequence(g);
  const deadlineMs = g.nowMs + g.settings.probeTimeoutMs;
  g.standing = { kind: "contending", rival, sequence, triesLeft: tries - 1, deadlineMs };
  out.push({
    kind: "send",
    to: rival.info.peerAddress,
    message: { kind: "ping", sender: senderOf(g), sequence, target: g.self.id, rumors: [] },
  });
}

function displacedBy(g: Gossip, rival: Rival): Gossip["standing"] {
  return { kind: "displaced", rival, againMs: g.nowMs + g.settings.conflictIntervalMs };
}

function sayConflict(g: Gossip, out: Effect[], otherAddress: string, heldBy: Conflict["heldBy"]): void {
  if (!mayBeSaid(g, "conflict", g.settings.conflictIntervalMs)) return;
  const { id, peerAddress } = g.self;
  out.push({ kind: "conflict", conflict: { id, ownAddress: peerAddress, otherAddress, heldBy } });
}
