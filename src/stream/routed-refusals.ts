/**
 * What is said of requests that need a stream's leader, or another node that has the stream.
 * @module
 */
import { type ErrorFacts, type NodeAddress, TailraceError } from "../base/errors.ts";
import { type Limits, limitName } from "../base/limits.ts";

/** What a request is about. */
export interface Asked {
  /** Such as `Cannot append to stream "a"`. */
  readonly what: string;
  readonly stream: string;
}

/** Soon after an election somebody leads. */
const retryAfterMs = 200;

/** Another node leads, and the request was not to be passed on. */
export function notLeader({ what, stream }: Asked, leader: NodeAddress | undefined): TailraceError {
  const who = leader === undefined ? "and does not know who does" : `${leader.nodeId} does`;
  const at = leader === undefined || leader.url === "" ? "Ask another node" : `Ask ${leader.nodeId} at ${leader.url}`;
  const words = { what, why: `this node does not lead it, ${who}`, todo: `${at}, or let this one pass it on` };
  const facts = { stream, fate: "nothing_written", ...(leader ? { leader } : { retryAfterMs }) } as const;
  return new TailraceError("not_leader", words, facts);
}

/** Nobody took it within the time that there was. */
export function noLeader({ what, stream }: Asked, limits: Limits): TailraceError {
  const why = `nobody leads it now, and the limit ${limitName("leaderMaxWaitMs")} is ${limits.leaderMaxWaitMs}`;
  const todo = "Try again; if it stays so, see whether a majority of its voters is up";
  return new TailraceError("not_ready", { what, why, todo }, { stream, retryAfterMs, fate: "nothing_written" });
}

/** No node that has the stream answered. */
export function noHolder({ what, stream }: Asked): TailraceError {
  const why = "this node does not have it, and no node that has it answers";
  const todo = "Try again; if it stays so, see which of its nodes are up";
  return new TailraceError("not_ready", { what, why, todo }, { stream, retryAfterMs, fate: "nothing_written" });
}

/** It was created, and this node has not heard of that. */
export function notKnownYet({ what, stream }: Asked, limits: Limits): TailraceError {
  const why = `it is created, but not known to this node within the limit ${limitName("leaderMaxWaitMs")}, ${limits.leaderMaxWaitMs}`;
  const todo = "Try again: what is there is not created twice";
  return new TailraceError("not_ready", { what, why, todo }, { stream, retryAfterMs, fate: "nothing_written" });
}

/** Another node, which was asked, does not know the stream yet. */
export function behindCatalogue(stream: string): TailraceError {
  const why = "a node that was asked for it has not heard that it was created";
  const words = { what: `Cannot describe stream "${stream}"`, why, todo: "Try again" };
  return new TailraceError("not_ready", words, { stream, retryAfterMs, fate: "nothing_written" });
}

/** It may have been done, or may be done yet. */
export function fateUnknown({ what, stream }: Asked): TailraceError {
  const words = {
    what,
    why: "whoever took it gave no answer, so what became of it is not known",
    todo: "Send it again if it has a producer's sequence, which stores it once; otherwise read the stream first",
  };
  return new TailraceError("fate_unknown", words, { stream, fate: "unknown" });
}

/** This node lags, and what is asked for is not here yet. */
export function notHereYet({ what, stream }: Asked, wanted: string, facts: ErrorFacts): TailraceError {
  const why = `this node has it up to offset ${facts.nextOffset ?? 0}, and not yet ${wanted}`;
  const todo = "Try again, wait longer, or ask the stream's leader";
  return new TailraceError("not_ready", { what, why, todo }, { stream, retryAfterMs, ...facts });
}

/** The same refusal, of what may have been done by an earlier try. */
export function withUnknownFate({ reason, message, why, todo, facts }: TailraceError): TailraceError {
  const what = message.slice(0, message.length - why.length - 2);
  return new TailraceError(reason, { what, why, todo }, { ...facts, fate: "unknown" });
}
