/**
 * One step of one group: which input goes where, and when it has something to do by the clock.
 * @module
 */

import { foundDamage, onBadBatch, onChecked, onDisagree, onRepaired } from "./damage.ts";
import { campaign, campaignInTurn, giveUp, mayCampaign, onStepUp, onVote, onVoted } from "./election.ts";
import { baseMoved, onAck, onFetch, onRead, onUnfetch } from "./feeding.ts";
import {
  appendedLate,
  followerSynced,
  lookAround,
  onBatches,
  onCommit,
  onDiverged,
  onFollowing,
  onHint,
  onLead,
  onNotLeader,
  onNotYet,
  onRestart,
  retryFetch,
  writeRefused,
} from "./following.ts";
import { type Group, sourceOf } from "./group.ts";
import type { GroupInput } from "./inputs.ts";
import {
  appended,
  leaderDeadline,
  leaderSynced,
  onLeaderWake,
  onTransfer,
  takenBack,
  wantLeaderChange,
} from "./leading.ts";
import { stepDown } from "./leaving.ts";
import { onLinearize } from "./reads.ts";
import { adoptTerm } from "./term.ts";
import { saved, type Turn } from "./turn.ts";
import type { Call, FollowerMessage, LeaderMessage, NodeId } from "./types.ts";
import { onChange } from "./voters.ts";

/** An answer of the driver, or a wish of a client. */
export function stepInput(g: Group, input: GroupInput, turn: Turn): void {
  const { role } = g;
  switch (input.kind) {
    case "saved":
      saved(g, turn);
      return;
    case "appended":
      if (role.kind === "leader" && input.batch.term === g.term) appended(g, role, input.batch, turn);
      else appendedLate(g, input.batch, turn);
      return;
    case "synced":
      if (!g.log.synced(input.generation, input.end)) return;
      if (role.kind === "leader") leaderSynced(g, role, turn);
      else followerSynced(g, turn);
      return;
    case "takenBack":
      if (role.kind === "leader") takenBack(g, role, input.end, turn);
      else writeRefused(g, turn);
      return;
    case "refused":
      if (input.generation === g.log.generation) writeRefused(g, turn);
      return;
    case "read":
      onRead(g, input, turn);
      return;
    case "wanted":
      wake(g, turn);
      if (g.role.kind === "leader") wantLeaderChange(g, g.role, turn);
      return;
    case "linearize":
      wake(g, turn);
      onLinearize(g, input.read, turn);
      return;
    case "change":
      wake(g, turn);
      onChange(g, input.voters, input.force, turn);
      return;
    case "transfer":
      onTransfer(g, input.to, turn);
      return;
    case "hint":
      onHint(g, input.from, turn);
      return;
    case "cannotWrite":
      stepDown(g, "stepped down: cannot write", turn);
      return;
    case "baseMoved":
      g.log.moveBase(input.index, input.before);
      baseMoved(g, turn);
      return;
    case "damaged":
      foundDamage(g, turn);
      return;
    case "checked":
      onChecked(g, input.badAt, turn);
      return;
    case "repaired":
      onRepaired(g, input, turn);
      return;
  }
}

/** A message of one that follows here. */
export function stepFollowerMessage(
  g: Group,
  message: Exclude<FollowerMessage, { kind: "echo" }>,
  node: NodeId,
  turn: Turn,
): void {
  switch (message.kind) {
    case "fetch":
      wake(g, turn);
      onFetch(g, message, node, turn);
      return;
    case "ack":
      onAck(g, message, node, turn);
      return;
    case "unfetch":
      onUnfetch(g, message, node, turn);
      return;
    case "badBatch":
      onBadBatch(g, message, node, turn);
      return;
  }
}

/** A message of one that is followed. */
export function stepLeaderMessage(
  g: Group,
  message: Exclude<LeaderMessage, { kind: "beat" }>,
  node: NodeId,
  turn: Turn,
): void {
  switch (message.kind) {
    case "following":
      onFollowing(g, message, turn);
      return;
    case "batches":
      onBatches(g, message, turn);
      return;
    case "commit":
      onCommit(g, message, turn);
      return;
    case "diverged":
      onDiverged(g, message, turn);
      return;
    case "restart":
      onRestart(g, message, turn);
      return;
    case "notLeader":
      onNotLeader(g, message, node, turn);
      return;
    case "notYet":
    case "gone":
      onNotYet(g, node, turn);
      return;
    case "disagree":
      onDisagree(g, message, node, turn);
      return;
  }
}

/** A call of another node. */
export function stepCall(g: Group, call: Call, turn: Turn): void {
  switch (call.kind) {
    case "vote":
      wake(g, turn);
      onVote(g, call, turn);
      return;
    case "voted":
      onVoted(g, call, turn);
      return;
    case "lead":
      onLead(g, call, turn);
      return;
    case "stepUp":
      onStepUp(g, call, turn);
      return;
    case "outdated":
      if (call.to === g.self) adoptTerm(g, call.term, turn);
      return;
  }
}

/** Its time has come. */
export function stepTime(g: Group, turn: Turn): void {
  const { role } = g;
  const { nowMs } = turn;
  const source = sourceOf(g);
  if (source && source.retryAtMs > 0 && nowMs >= source.retryAtMs) retryFetch(g, turn);
  switch (role.kind) {
    case "follower":
      if (nowMs < role.campaignAtMs) return;
      if (mayCampaign(g)) campaignInTurn(g, turn);
      else lookAround(g, turn);
      return;
    case "prospective":
    case "candidate":
      if (nowMs < role.againAtMs) return;
      if (mayCampaign(g)) campaignInTurn(g, turn);
      else giveUp(g, turn);
      return;
    case "leader":
      onLeaderWake(g, role, turn);
      return;
    case "stopped":
      return;
  }
}

/** When it has something to do by the clock; Infinity: never. */
export function deadlineOf(g: Group, electionMaxMs: number): number {
  const { role } = g;
  const retryAtMs = sourceOf(g)?.retryAtMs;
  const retry = retryAtMs ? retryAtMs : Number.POSITIVE_INFINITY;
  switch (role.kind) {
    case "follower":
      return Math.min(role.campaignAtMs, retry);
    case "prospective":
    case "candidate":
      return Math.min(role.againAtMs, retry);
    case "leader":
      return leaderDeadline(role, electionMaxMs);
    case "stopped":
      return Number.POSITIVE_INFINITY;
  }
}

/** A lone voter leads when something is wanted of it, or somebody asks, and not before: thousands of idle groups cost a start nothing. */
function wake(g: Group, turn: Turn): void {
  const { role, log, self } = g;
  if (role.kind === "follower" && log.voters.every((voter) => voter === self) && mayCampaign(g)) campaign(g, turn);
}
