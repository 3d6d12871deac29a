/**
 * Gossip: who is in the cluster, agreed on by rumor. SWIM (Das, Gupta, Motivala 2002) with Lifeguard (Dadgar, Phillips,
 * Currey 2017), as a pure machine: an input in, effects out. docs/gossip.md has its rules in words.
 * - Time comes with each input, random numbers from a function given at the start; messages go out as effects.
 * - It advises. Nothing durable hangs on it, and it may forget all at a restart.
 * - Messages may be lost, doubled, late and in any order.
 * @module
 */
import { contactLost, join, setSeeds } from "./contact.ts";
import { reap } from "./gone.ts";
import { hear } from "./hear.ts";
import { endLeave, leave } from "./leave.ts";
import { endRelays, goOnProbing, noticePause, onAck, onNack, onPing, onPingRequest, probeDueMs } from "./probe.ts";
import { assertSelf, contestName, sayWho } from "./self.ts";
import { isSound } from "./sound.ts";
import { spread } from "./spread.ts";
import { type Gossip, refuseLarge } from "./state.ts";
import { endSuspicions } from "./suspicion.ts";
import { onSyncAsk, onSyncNext, onSyncPage, onSyncRest, onSyncSame, syncSometimes } from "./sync.ts";
import type { Effect, Input, Message } from "./types.ts";

/**
 * Advances one member by one input. Changes `g` and nothing else; the driver runs the effects in order.
 * @throws {RangeError} A `change` to tags that pass `tagsMaxBytes`; nothing is changed then.
 */
export function step(g: Gossip, input: Input): Effect[] {
  if (g.standing.kind === "gone") return [];
  g.nowMs = Math.max(g.nowMs, input.nowMs);
  noticePause(g);
  const out: Effect[] = [];
  switch (input.kind) {
    case "tick":
      onTick(g, out);
      break;
    case "message":
      onMessage(g, out, input.message);
      break;
    case "seeds":
      setSeeds(g, out, input.addresses);
      break;
    case "change": {
      const changed = { ...g.self, ...input.tags, peerAddress: input.peerAddress };
      refuseLarge(changed, g.cluster, g.settings);
      g.self = changed;
      if (g.standing.kind === "member") assertSelf(g, out, g.incarnation);
      break;
    }
    case "leave":
      leave(g, out);
      break;
  }
  return out;
}

/** When a tick is due, if nothing comes in before. An earlier one does no harm. */
export function wakeAtMs(g: Gossip): number {
  if (g.standing.kind === "gone") return Number.POSITIVE_INFINITY;
  const relays = [...g.relays.values()].map(({ nackMs, endMs }) => Math.min(nackMs, endMs));
  return Math.min(
    probeDueMs(g.probe),
    g.suspicionsEndMs,
    g.nextSyncMs,
    g.nextContactMs,
    g.nextReapMs,
    g.broadcasts.size > 0 && g.view.size > 0 ? g.nextGossipMs : Number.POSITIVE_INFINITY,
    g.view.size === 0 && g.seeds.length > 0 ? g.nextJoinMs : Number.POSITIVE_INFINITY,
    g.sync.kind === "asking" ? g.sync.deadlineMs : Number.POSITIVE_INFINITY,
    standingDueMs(g),
    ...relays,
  );
}

function standingDueMs({ standing }: Gossip): number {
  switch (standing.kind) {
    case "member":
    case "gone":
      return Number.POSITIVE_INFINITY;
    case "contending":
    case "leaving":
      return standing.deadlineMs;
    case "displaced":
      return standing.againMs;
  }
}

function onTick(g: Gossip, out: Effect[]): void {
  endRelays(g, out);
  contestName(g, out);
  goOnProbing(g, out);
  // A probe that failed may have confirmed a suspicion, and so ended it.
  endSuspicions(g, out);
  syncSometimes(g, out);
  join(g, out);
  contactLost(g, out);
  spread(g, out);
  reap(g);
  endLeave(g, out);
}

function onMessage(g: Gossip, out: Effect[], message: Message): void {
  const { sender } = message;
  if (!isSound(message, g.settings)) {
    g.counters.junk += 1;
    return;
  }
  if (sender.cluster !== g.cluster) {
    g.counters.foreign += 1;
    return;
  }
  if (sender.id === g.self.id && sender.instance === g.self.instance) {
    g.counters.stray += 1;
    return;
  }
  switch (message.kind) {
    case "ping":
      hear(g, out, message.rumors);
      onPing(g, out, message);
      break;
    case "pingRequest":
      hear(g, out, message.rumors);
      onPingRequest(g, out, message);
      break;
    case "ack":
      hear(g, out, message.rumors);
      onAck(g, out, message);
      break;
    case "nack":
      onNack(g, message);
      break;
    case "gossip":
      hear(g, out, message.rumors);
      break;
    case "who":
      sayWho(g, out, sender);
      break;
    case "syncAsk":
      onSyncAsk(g, out, message);
      break;
    case "syncSame":
      onSyncSame(g, message);
      break;
    case "syncPage":
      onSyncPage(g, out, message);
      break;
    case "syncNext":
      onSyncNext(g, out, message);
      break;
    case "syncRest":
      onSyncRest(g, out, message);
      break;
  }
}
