/**
 * What rumors and entries change: an order of claims that all members keep, so that all come to the same view.
 * - A higher incarnation counts more than a lower one, whichever process it is of.
 * - Within one incarnation alive < suspect < dead < left. Only the member itself takes a higher one.
 * - What changed a view is passed on; what did not ends here.
 * @module
 */
import { bury } from "./gone.ts";
import { infoBytes } from "./message-size.ts";
import { probeInTurn } from "./probe.ts";
import { claimedAlive, claimedGone, claimedSuspect } from "./self.ts";
import { broadcast, type Gossip, refuse } from "./state.ts";
import { suspect } from "./suspicion.ts";
import type { Claim, Effect, Entry, MemberInfo, NodeId, Rumor } from "./types.ts";
import type { Tombstone } from "./view.ts";

interface Heard {
  readonly info: MemberInfo;
  readonly incarnation: number;
}

/** Takes up rumors, in order. */
export function hear(g: Gossip, out: Effect[], rumors: readonly Rumor[]): void {
  for (const rumor of rumors) {
    switch (rumor.kind) {
      case "alive":
        hearAlive(g, out, rumor, true);
        break;
      case "suspect":
        if (rumor.id === g.self.id) claimedSuspect(g, out, rumor);
        else suspect(g, out, rumor, rumor.by);
        break;
      case "dead":
        hearGone(g, out, rumor, { how: "dead", by: rumor.by });
        break;
      case "left":
        hearGone(g, out, rumor, { how: "left", by: rumor.id });
        break;
    }
  }
}

/**
 * Takes up what another's view has.
 * @param how.from Whose.
 * @param how.passOn Whether what is new here may be new to others too.
 */
export function merge(
  g: Gossip,
  out: Effect[],
  entries: readonly Entry[],
  how: { from: NodeId; passOn: boolean },
): void {
  const { from, passOn } = how;
  for (const { info, incarnation, is, ageMs } of entries) {
    const claim = { id: info.id, instance: info.instance, incarnation };
    switch (is) {
      case "alive":
        hearAlive(g, out, { info, incarnation }, passOn);
        break;
      case "suspect":
        hearAlive(g, out, { info, incarnation }, passOn);
        hear(g, out, [{ kind: "suspect", ...claim, by: from }]);
        break;
      case "dead":
        // Views differ where the network was cut. Who is dead there and alive here gets the time to refute it.
        if (g.view.members.get(info.id)?.info.instance === info.instance) suspect(g, out, claim, from);
        else hearTombstone(g, out, { info, incarnation, how: "dead", ageMs }, { by: from, passOn });
        break;
      case "left":
        hearTombstone(g, out, { info, incarnation, how: "left", ageMs }, { by: info.id, passOn });
        break;
    }
  }
}

function hearAlive(g: Gossip, out: Effect[], heard: Heard, passOn: boolean): void {
  const { info, incarnation } = heard;
  if (info.id === g.self.id) {
    claimedAlive(g, out, heard);
    return;
  }
  const member = g.view.members.get(info.id);
  const known = member ?? g.view.tombstones.get(info.id);
  if (known && incarnation <= known.incarnation) return;
  if (isTooLarge(g, out, info)) return;
  if (member) {
    const before = member.info;
    g.view.renew(info, incarnation);
    if (!isSame(info, before))
      out.push({ kind: "event", event: { kind: "update", member: info, incarnation, before } });
  } else {
    const { membersMax } = g.settings;
    if (g.view.size >= membersMax) {
      refuse(g, out, { limit: "membersMax", value: membersMax, what: info.id });
      return;
    }
    g.view.add(info, incarnation);
    probeInTurn(g, info.id);
    out.push({ kind: "event", event: { kind: "join", member: info, incarnation } });
  }
  if (passOn) broadcast(g, out, { kind: "alive", info, incarnation });
}

function hearGone(g: Gossip, out: Effect[], claim: Claim, { how, by }: { how: "dead" | "left"; by: NodeId }): void {
  if (claim.id === g.self.id) {
    claimedGone(g, out, claim);
    return;
  }
  const known = g.view.members.get(claim.id) ?? g.view.tombstones.get(claim.id);
  if (!known || !isNews(g, claim, how)) return;
  bury(
    g,
    out,
    { info: { ...known.info, instance: claim.instance }, incarnation: claim.incarnation, how, sinceMs: g.nowMs },
    { by, passOn: true },
  );
}

function hearTombstone(
  g: Gossip,
  out: Effect[],
  { info, incarnation, how, ageMs }: Omit<Tombstone, "sinceMs"> & { readonly ageMs: number },
  by: { by: NodeId; passOn: boolean },
): void {
  const { id, instance } = info;
  if (id === g.self.id) {
    claimedGone(g, out, { id, instance, incarnation });
    return;
  }
  // With its age, or it would live for ever by going from one view to the other.
  if (ageMs >= g.settings.tombstoneMs || !isNews(g, { id, instance, incarnation }, how)) return;
  if (isTooLarge(g, out, info)) return;
  bury(g, out, { info, incarnation, how, sinceMs: g.nowMs - ageMs }, by);
}

/** One that no page has room for would keep a sync from ending: what is behind it would be asked for again and again. */
function isTooLarge(g: Gossip, out: Effect[], info: MemberInfo): boolean {
  const { tagsMaxBytes: value } = g.settings;
  if (infoBytes(info) <= value) return false;
  refuse(g, out, { limit: "tagsMaxBytes", value, what: info.id });
  return true;
}

/** Whether it is more than what is known of that id. Of an id not known, everything is. */
function isNews(g: Gossip, { id, incarnation }: Claim, how: "dead" | "left"): boolean {
  const member = g.view.members.get(id);
  if (member) return incarnation >= member.incarnation;
  const tombstone = g.view.tombstones.get(id);
  if (!tombstone || incarnation > tombstone.incarnation) return true;
  return incarnation === tombstone.incarnation && how === "left" && tombstone.how === "dead";
}

function isSame(a: MemberInfo, b: MemberInfo): boolean {
  return (
    a.instance === b.instance &&
    a.peerAddress === b.peerAddress &&
    a.apiAddress === b.apiAddress &&
    a.region === b.region &&
    a.role === b.role &&
    a.version === b.version
  );
}
