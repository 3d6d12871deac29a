/**
 * Runs this node's member of the gossip: its timer, what it sends, and what is told of the others.
 * @module
 */

import type { GossipSettings } from "../gossip/settings.ts";
import { createGossip, type Gossip } from "../gossip/state.ts";
import { step, wakeAtMs } from "../gossip/step.ts";
import type { Conflict, Effect, Input, MemberEvent, Message, NodeId, Refusal, Tags } from "../gossip/types.ts";
import type { Clock, Timer } from "../host/clock.ts";

/** `Input` without its time, which is the driver's. */
type Timeless<T> = T extends unknown ? Omit<T, "nowMs"> : never;

/** What a driver stands on. */
export interface GossipDriverOptions {
  readonly id: NodeId;
  readonly peerAddress: string;
  readonly tags: Tags;
  readonly cluster: string;
  readonly settings: GossipSettings;
  readonly clock: Clock;
  readonly random: () => number;
  /** Sends a message to an address, if that can be done; it may be lost. */
  readonly send: (to: string, message: Message) => void;
  /** Told of each change of who is there. */
  readonly changed: (event: MemberEvent) => void;
  /** Told of another process under the own name. */
  readonly conflict: (conflict: Conflict) => void;
  /** Told of a limit that was met. */
  readonly refused: (refusal: Refusal) => void;
}

/** One member. */
export class GossipDriver {
  readonly state: Gossip;
  readonly #options: GossipDriverOptions;
  #timer: Timer | undefined;
  #gone: () => void = () => {};
  #isStopped = false;

  constructor(options: GossipDriverOptions) {
    const { id, peerAddress, tags, cluster, settings, random, clock } = options;
    this.#options = options;
    this.state = createGossip({ id, peerAddress, tags, cluster, settings, random, nowMs: clock.monotonicMs() });
    this.#wake();
  }

  /** A message came in. */
  receive(message: Message): void {
    this.#step({ kind: "message", message });
  }

  /** Addresses where members may be found now. */
  seeds(addresses: readonly string[]): void {
    this.#step({ kind: "seeds", addresses });
  }

  /** Says that this node goes; resolves when enough others know, or when it took too long. */
  async leave(): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      this.#gone = resolve;
    });
    this.#step({ kind: "leave" });
    await gone;
    this.stop();
  }

  /** Does nothing more, and says nothing of it. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #step(input: Timeless<Input>): void {
    if (this.#isStopped) return;
    const { clock } = this.#options;
    for (const effect of step(this.state, { ...input, nowMs: clock.monotonicMs() })) this.#do(effect);
    this.#wake();
  }

  #do(effect: Effect): void {
    const { send, changed, conflict, refused } = this.#options;
    switch (effect.kind) {
      case "send":
        send(effect.to, effect.message);
        return;
      case "event":
        changed(effect.event);
        return;
      case "conflict":
        conflict(effect.conflict);
        return;
      case "refused":
        refused(effect.refusal);
        return;
      case "gone":
        this.#gone();
        return;
    }
  }

  #wake(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const atMs = wakeAtMs(this.state);
    if (atMs === Number.POSITIVE_INFINITY) return;
    const { clock } = this.#options;
    this.#timer = clock.after(Math.max(atMs - clock.monotonicMs(), 0), () => this.#step({ kind: "tick" }));
  }
}
