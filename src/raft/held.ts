/**
 * What a group says while a promise is on its way to the disk. Without room that may take days, while timers and other nodes
 * go on: what a later message makes void is forgotten, so that it never is more than a few for each node, and the
 * batches of one fetch, which have their credit.
 * @module
 */
import type { Call, FollowerMessage, LeaderMessage, NodeId } from "./types.ts";

/** A message that waits for a promise that it depends on. */
export type Held =
  | { readonly lane: "leader"; readonly node: NodeId; readonly message: FollowerMessage }
  | { readonly lane: "follower"; readonly node: NodeId; readonly message: LeaderMessage }
  | { readonly lane: "call"; readonly node: NodeId; readonly message: Call };

/** Messages that wait, in the order in which they were said. */
export class HeldMessages {
  #messages: Held[] = [];

  get count(): number {
    return this.#messages.length;
  }

  push(message: Held): void {
    if (this.#messages.length > 0) this.#messages = this.#messages.filter((earlier) => !isVoid(earlier, message));
    this.#messages.push(message);
  }

  /** They wait no more. */
  takeAll(): readonly Held[] {
    const messages = this.#messages;
    this.#messages = [];
    return messages;
  }
}

/** Whether nothing is lost if the earlier one is never said. */
function isVoid(earlier: Held, later: Held): boolean {
  if (earlier.node !== later.node) return false;
  if (earlier.lane === "leader" && later.lane === "leader") return isVoidUp(earlier.message, later.message);
  if (earlier.lane === "follower" && later.lane === "follower") return isVoidDown(earlier.message, later.message);
  return earlier.lane === "call" && later.lane === "call" && isVoidCall(earlier.message, later.message);
}

function isVoidUp(earlier: FollowerMessage, later: FollowerMessage): boolean {
  switch (later.kind) {
    case "unfetch":
      // It ends whatever stands there: who leads an earlier term adopts this one.
      return true;
    case "fetch":
      return earlier.kind !== "unfetch";
    case "ack":
    case "badBatch":
    case "echo":
      return earlier.kind === later.kind;
  }
}

function isVoidDown(earlier: LeaderMessage, later: LeaderMessage): boolean {
  switch (later.kind) {
    case "following":
    case "diverged":
    case "restart":
    case "notLeader":
    case "notYet":
    case "gone":
      // It answers a newer fetch, or ends that one: all that was said before is about an older one.
      return true;
    case "batches":
      return false;
    case "commit":
    case "disagree":
    case "beat":
      return earlier.kind === later.kind;
  }
}

/** Calls may be lost in any case; the newest of a kind says what is so now. */
function isVoidCall(earlier: Call, later: Call): boolean {
  if (earlier.kind !== later.kind || earlier.to !== later.to) return false;
  const isVote = earlier.kind === "vote" || earlier.kind === "voted";
  return !isVote || ("pre" in later && earlier.pre === later.pre);
}
