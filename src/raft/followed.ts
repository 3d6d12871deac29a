/**
 * The nodes that are followed: one session to each, for all groups that follow there. It is opened, heard, given up when
 * nothing is heard, or when what is said there is not, and opened again.
 * @module
 */
import { sessionClosed, sessionOpened, sourceLost } from "./following.ts";
import { type Outgoing, outgoingDueMs, outgoingTo, reopenDelayMs } from "./sessions.ts";
import { stepLeaderMessage } from "./step.ts";
import { between, type NodeTurn } from "./turn.ts";
import type { FollowerMessage, LeaderMessage, NodeId } from "./types.ts";

/** Sessions to other nodes. */
export class FollowedNodes {
  readonly #node: NodeTurn;
  readonly #sessions = new Map<NodeId, Outgoing>();
  /** Those with something to say at the end of the step. */
  #talking: Outgoing[] = [];
  #nextMs = Number.POSITIVE_INFINITY;

  constructor(node: NodeTurn) {
    this.#node = node;
  }

  /** No session has anything to do by the clock before that: what is heard makes it later, and is not looked at each time. */
  get nextMs(): number {
    return this.#nextMs;
  }

  /** Wants a session for a group; true: it is open. */
  follow(group: number, node: NodeId): boolean {
    const { nowMs } = this.#node;
    const known = this.#sessions.get(node);
    const session = known ?? outgoingTo(node, nowMs, this.#electionTimeout());
    if (!known) this.#sessions.set(node, session);
    if (session.groups.size === 0) {
      // Nobody listened for it: it has the time that every leader has.
      session.heardAtMs = nowMs;
      session.echoedAtMs = nowMs;
    }
    session.groups.add(group);
    if (session.state === "closed" && session.reopenAtMs <= nowMs) this.#open(session);
    this.#watch(session);
    return session.state === "open";
  }

  unfollow(group: number, node: NodeId): void {
    this.#sessions.get(node)?.groups.delete(group);
  }

  /** Says it, if the session is open: who follows there asks anew when the next one is. */
  say(node: NodeId, message: FollowerMessage): void {
    const session = this.#sessions.get(node);
    if (session?.state === "open") this.#queue(session, message);
  }

  /** When something was heard in the session to a node; undefined: none is open. */
  heardAtMs(node: NodeId): number | undefined {
    const session = this.#sessions.get(node);
    return session?.state === "open" ? session.heardAtMs : undefined;
  }

  opened(node: NodeId, number: number): void {
    const session = this.#sessions.get(node);
    if (session?.number !== number || session.state !== "opening") return;
    const { nowMs } = this.#node;
    session.state = "open";
    session.failures = 0;
    session.heardAtMs = nowMs;
    session.echoed = 0;
    session.echoedAtMs = nowMs;
    for (const group of [...session.groups]) {
      this.#node.inGroup(group, (found) => sessionOpened(found, node, this.#node));
    }
  }

  closed(node: NodeId, number: number, refused: boolean): void {
    const session = this.#sessions.get(node);
    if (session?.number !== number || session.state === "closed") return;
    this.#breakOff(session);
    if (!refused) return;
    // Nobody listens there: the process died, and there is not much to wait for.
    const { refusedMinMs, refusedMaxMs } = this.#node.settings;
    this.#lose(session, between(this.#node, refusedMinMs, refusedMaxMs));
  }

  /** What comes in a session. */
  received(node: NodeId, number: number, messages: readonly LeaderMessage[]): void {
    const session = this.#sessions.get(node);
    if (session?.number !== number || session.state !== "open") return;
    const { nowMs } = this.#node;
    session.heardAtMs = nowMs;
    for (const message of messages) {
      if (message.kind !== "beat") {
        this.#node.inGroup(message.group, (found) => stepLeaderMessage(found, message, node, this.#node));
        continue;
      }
      this.#queue(session, { kind: "echo", n: message.n });
      if (message.echoed <= session.echoed) continue;
      session.echoed = message.echoed;
      session.echoedAtMs = nowMs;
    }
  }

  passTime(): void {
    if (this.#node.nowMs < this.#nextMs) return;
    for (const session of this.#sessions.values()) this.#passTimeOf(session);
    this.#nextMs = Number.POSITIVE_INFINITY;
    for (const session of this.#sessions.values()) this.#watch(session);
  }

  /** Says what was queued in the step. */
  flush(): void {
    const talking = this.#talking;
    if (talking.length === 0) return;
    this.#talking = [];
    for (const session of talking) {
      const { node: to, number, queue: messages } = session;
      if (messages.length === 0) continue;
      this.#node.effect({ kind: "toLeader", to, number, messages });
      session.queue = [];
    }
  }

  #queue(session: Outgoing, message: FollowerMessage): void {
    if (session.queue.length === 0) this.#talking.push(session);
    session.queue.push(message);
  }

  #passTimeOf(session: Outgoing): void {
    if (session.groups.size === 0) return;
    const { nowMs, settings } = this.#node;
    const isSilent = nowMs >= session.heardAtMs + session.timeoutMs;
    const isDeaf = nowMs >= session.echoedAtMs + settings.electionMaxMs + session.timeoutMs;
    if (session.state === "open" && (isSilent || isDeaf)) {
      // It is not heard, or does not hear: a new connection may do better.
      this.#node.effect({ kind: "closeSession", to: session.node, number: session.number });
      this.#breakOff(session);
    }
    if (isSilent) this.#lose(session, 0);
    if (session.groups.size > 0 && session.state === "closed" && nowMs >= session.reopenAtMs) this.#open(session);
  }

  #open(session: Outgoing): void {
    session.number += 1;
    session.state = "opening";
    this.#node.effect({ kind: "openSession", to: session.node, number: session.number });
  }

  /** It is over, and opened again: at once if it had been open. */
  #breakOff(session: Outgoing): void {
    session.state = "closed";
    session.queue = [];
    session.reopenAtMs = this.#node.nowMs + reopenDelayMs(session.failures, this.#node.settings);
    session.failures += 1;
    this.#watch(session);
    for (const group of [...session.groups]) this.#node.inGroup(group, (found) => sessionClosed(found, session.node));
  }

  #lose(session: Outgoing, delayMs: number): void {
    session.heardAtMs = this.#node.nowMs;
    session.timeoutMs = this.#electionTimeout();
    for (const group of [...session.groups]) {
      this.#node.inGroup(group, (found) => sourceLost(found, delayMs, this.#node));
    }
  }

  #watch(session: Outgoing): void {
    this.#nextMs = Math.min(this.#nextMs, outgoingDueMs(session, this.#node.settings));
  }

  #electionTimeout(): number {
    return between(this.#node, this.#node.settings.electionMinMs, this.#node.settings.electionMaxMs);
  }
}
