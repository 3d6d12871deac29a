/**
 * Finding others: the first ones, by seeds; and those that were lost, when a network that was cut is whole again.
 * A member that was declared dead is asked for a sync every now and then, until its tombstone goes: if it lives, it
 * refutes its death, and the two parts of the cluster learn of each other. Seeds that are nobody's address are asked too:
 * so parts that never knew each other meet, and a cluster whose addresses have all changed.
 * @module
 */
import { clusterSize, type Gossip, refuse } from "./state.ts";
import { startSync } from "./sync.ts";
import type { Effect, NodeId } from "./types.ts";

/** Takes the seeds' addresses of now. */
export function setSeeds(g: Gossip, out: Effect[], addresses: readonly string[]): void {
  const { seedsMax } = g.settings;
  g.seeds = addresses.slice(0, seedsMax);
  const [refused] = addresses.slice(seedsMax);
  if (refused !== undefined) refuse(g, out, { limit: "seedsMax", value: seedsMax, what: refused });
}

/** While nobody is known, asks one seed after the other. */
export function join(g: Gossip, out: Effect[]): void {
  if (g.view.size > 0 || g.nowMs < g.nextJoinMs) return;
  // Many that start at once must not ask the same seed at the same moments.
  g.nextJoinMs = g.nowMs + g.settings.syncTimeoutMs * (0.5 + g.random());
  if (g.sync.kind === "asking") return;
  const seeds = g.seeds.filter((address) => address !== g.self.peerAddress);
  const seed = seeds[Math.floor(g.random() * seeds.length)];
  if (seed !== undefined) startSync(g, out, seed);
}

/** Asks one of those who are not there, now and then. */
export function contactLost(g: Gossip, out: Effect[]): void {
  if (g.nowMs < g.nextContactMs) return;
  g.nextContactMs = g.nowMs + g.settings.contactIntervalMs * (0.5 + g.random());
  if (g.sync.kind === "asking") return;
  const lost = [...lostMembers(g), ...unknownSeeds(g)];
  // All members together ask about as many times in each interval as there are lost ones, however large the cluster is.
  // One that is left with few others asks each time; so does one to whom nobody answers, and who may be the lost one.
  const isCutOff = g.health > 0 && g.health >= g.settings.healthMax / 2;
  if (!isCutOff && g.random() * clusterSize(g) >= lost.length) return;
  const chosen = lost[Math.floor(g.random() * lost.length)];
  if (chosen) startSync(g, out, chosen.address, chosen.id);
}

interface Lost {
  readonly id: NodeId | undefined;
  readonly address: string;
}

function lostMembers(g: Gossip): Lost[] {
  const lost: Lost[] = [];
  for (const [id, { info, how }] of g.view.tombstones) {
    if (how === "dead" && info.peerAddress !== g.self.peerAddress) lost.push({ id, address: info.peerAddress });
  }
  return lost;
}

function unknownSeeds(g: Gossip): Lost[] {
  if (g.seeds.length === 0) return [];
  const unknown = new Set(g.seeds);
  unknown.delete(g.self.peerAddress);
  for (const { info } of g.view.members.values()) unknown.delete(info.peerAddress);
  return [...unknown].map((address) => ({ id: undefined, address }));
}
