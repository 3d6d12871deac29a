/**
 * Same index, same term, another digest: a replica's bytes changed, or the protocol is broken. Each side recomputes its own
 * chain. Who fails the check repairs the range in place, with another replica's bytes that fit its own chain on both sides
 * (a leader hands over first), so that nothing is forgotten and no vote is in doubt. If both pass, both stop the group, and
 * neither deletes anything. (Alagappan et al., Protocol-Aware Recovery, FAST 2018.)
 * @module
 */
import { electionTimeout } from "./election.ts";
import { dropFeed, pumpAll } from "./feeding.ts";
import { type Group, type Suspect, sourceOf } from "./group.ts";
import type { GroupInput } from "./inputs.ts";
import { onTransfer } from "./leading.ts";
import { dropFeeds, stepDown, stop } from "./leaving.ts";
import { adoptTerm, unfetch } from "./term.ts";
import { event, say, type Turn } from "./turn.ts";
import { type FollowerMessage, type LeaderMessage, type NodeId, nodeOf } from "./types.ts";

/** What a leader sent does not fit the own log: nothing of it is written, and the own chain is looked at first. */
export function foundBadBatch(g: Group, index: number, turn: Turn): void {
  const source = sourceOf(g);
  if (!source) return;
  source.answered = false;
  // If nothing comes of it in time, another is asked.
  if (g.role.kind === "follower") g.role.campaignAtMs = turn.nowMs + electionTimeout(turn);
  suspect(g, { kind: "source", node: source.node, index, otherPassed: false }, turn);
}

/** A read met bytes of the own log that are not what they were. */
export function foundDamage(g: Group, turn: Turn): void {
  suspect(g, { kind: "self", node: nodeOf(g.self), index: g.log.end, otherPassed: false }, turn);
}

/** A follower's log says something else of a batch that both have. */
export function contradicted(g: Group, node: NodeId, index: number, turn: Turn): void {
  suspect(g, { kind: "follower", node, index, otherPassed: false }, turn);
}

/** One that fetches here, from a leader or not, found what it was sent bad, and its own chain right. */
export function onBadBatch(
  g: Group,
  bad: Extract<FollowerMessage, { kind: "badBatch" }>,
  node: NodeId,
  turn: Turn,
): void {
  adoptTerm(g, bad.term, turn);
  if (g.role.kind === "stopped" || bad.term !== g.term) return;
  // It takes nothing more by this fetch, and is to ask again in any case.
  dropFeed(g, node, turn);
  suspect(g, { kind: "follower", node, index: bad.index, otherPassed: true }, turn);
}

/** The chain of the one that is followed is right, and it says that ours is not. */
export function onDisagree(
  g: Group,
  said: Extract<LeaderMessage, { kind: "disagree" }>,
  from: NodeId,
  turn: Turn,
): void {
  adoptTerm(g, said.term, turn);
  const source = sourceOf(g);
  if (source?.node !== from || said.term !== g.term) return;
  if (source.passed) stop(g, "stopped: nobody can tell who is wrong", turn);
  else suspect(g, { kind: "leader", node: source.node, index: said.index, otherPassed: true }, turn);
}

/** The own chain was recomputed: `badAt` is its first batch that does not fit. */
export function onChecked(g: Group, badAt: number | undefined, turn: Turn): void {
  const { suspect: found, group, term } = g;
  g.suspect = undefined;
  if (!found || g.role.kind === "stopped") return;
  if (badAt !== undefined) {
    event(g, turn, "found its log damaged");
    if (g.role.kind === "leader") giveAway(g, turn);
    else dropFeeds(g, turn);
    unfetch(g, turn);
    g.repairing = true;
    g.role = { kind: "follower", source: undefined, campaignAtMs: turn.nowMs + electionTimeout(turn) };
    turn.effect({ kind: "repair", group, index: badAt });
    return;
  }
  const { node, index } = found;
  switch (found.kind) {
    case "self":
      // What a read met has passed: who waits for what was to be read gets it.
      pumpAll(g, turn);
      return;
    case "source":
    case "leader":
      foundWhole(g, node, turn);
      say(g, turn, { lane: "leader", node, message: { kind: "badBatch", group, term, index } });
      return;
    case "follower":
      say(g, turn, { lane: "follower", node, message: { kind: "disagree", group, term, index } });
      if (found.otherPassed) stop(g, "stopped: nobody can tell who is wrong", turn);
      return;
  }
}

/** The own chain is right, so what was sent is not. An observer finds the same elsewhere: who sent it may take long to mend. */
function foundWhole({ role }: Group, node: NodeId, turn: Turn): void {
  if ((role.kind !== "follower" && role.kind !== "prospective") || role.source?.node !== node) return;
  role.source.passed = true;
  if (role.kind === "follower" && !role.source.asVoter) role.campaignAtMs = turn.nowMs + electionTimeout(turn);
}

/** The damaged range is whole again, or of no use to anybody: the replica looks for its leader, or asks for votes if there is none. */
export function onRepaired(g: Group, repaired: Extract<GroupInput, { kind: "repaired" }>, turn: Turn): void {
  const { isWhole, from, digests } = repaired;
  g.repairing = false;
  g.log.repaired(from, digests);
  event(g, turn, isWhole ? "repaired" : "left its damage to a trim");
  if (g.role.kind === "follower") g.role.campaignAtMs = turn.nowMs + electionTimeout(turn);
}

function suspect(g: Group, found: Suspect, turn: Turn): void {
  if (g.suspect || g.repairing) return;
  event(g, turn, "found a bad batch");
  g.suspect = found;
  turn.effect({ kind: "selfCheck", group: g.group });
}

/** A damaged leader hands over to one that has all, and leads no more in any case. */
function giveAway(g: Group, turn: Turn): void {
  if (g.role.kind === "leader" && !g.role.handover) onTransfer(g, undefined, turn);
  stepDown(g, "stepped down: damaged", turn);
}
