/**
 * Messages and states in a line, as the scripts show them.
 * @module
 */
import { unreachable } from "../../base/assert.ts";
import { type Group, sourceOf } from "../group.ts";
import type { Call, FollowerMessage, LeaderMessage } from "../types.ts";
import { describeBatch, leaderName, shortName } from "./batches.ts";

/** A message, without who sends it. */
export function describeMessage(message: FollowerMessage | LeaderMessage | Call): string {
  const { kind } = message;
  switch (kind) {
    case "fetch": {
      const only = message.committedOnly ? " committed only" : "";
      const { term, next, before, durable } = message;
      return `fetch term=${term} next=${next} before=${before.term} durable=${durable}${only}`;
    }
    case "ack":
      return `ack term=${message.term} durable=${message.durable}`;
    case "unfetch":
      return `unfetch term=${message.term}`;
    case "badBatch":
      return `badBatch at ${message.index}`;
    case "echo":
      return `echo ${message.n}`;
    case "following":
      return `following term=${message.term} commit=${message.commit}`;
    case "batches":
      return `batches ${message.batches.map(describeBatch).join(" ")} commit=${message.commit}`;
    case "commit":
      return `commit term=${message.term} commit=${message.commit}`;
    case "diverged":
      return `diverged term=${message.term}: at term ${message.atTerm} end=${message.end}`;
    case "restart":
      return `restart term=${message.term} at ${message.base}`;
    case "notLeader":
      return `notLeader term=${message.term}: leader is ${leaderName(message.leader)}`;
    case "notYet":
    case "gone":
      return kind;
    case "disagree":
      return `disagree at ${message.index}`;
    case "beat":
      return `beat ${message.n}`;
    case "vote": {
      const { pre, term, last } = message;
      return `${pre ? "pre-vote" : "vote"}? term=${term} last=${last.term} end=${last.end}`;
    }
    case "voted": {
      const { pre, term, granted, leader } = message;
      const hint = leader === null ? "" : `: leader is ${leaderName(leader)}`;
      return `${pre ? "pre-vote" : "vote"} ${granted ? "granted" : "refused"} term=${term}${hint}`;
    }
    case "lead":
      return `lead term=${message.term}`;
    case "stepUp":
      return `stepUp term=${message.term}`;
    case "outdated":
      return `outdated term=${message.term}`;
    default:
      return unreachable(kind);
  }
}

/** What a replica is. */
export function describeState(g: Group): string {
  const { term, log, self, floor } = g;
  const below = floor.index > 0 ? ` floor=${floor.term}:${floor.index}` : "";
  const durable = log.durable === log.end ? "" : ` durable=${log.durable}`;
  const base = log.base.index === 0 ? "" : ` base=${log.base.index}`;
  return `${shortName(self)} ${describeRole(g)} term=${term} end=${log.end}${durable}${base} commit=${log.commit}${below}`;
}

function describeRole(g: Group): string {
  const { role } = g;
  switch (role.kind) {
    case "follower":
    case "prospective": {
      const source = sourceOf(g);
      if (!source) return role.kind;
      return `${role.kind} ${source.answered ? "of" : "asking"} ${source.node}`;
    }
    case "candidate":
      return role.kind;
    case "leader":
      return role.handover ? "leader handing over" : role.kind;
    case "stopped":
      return role.why;
    default:
      return unreachable(role);
  }
}
