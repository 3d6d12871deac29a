/**
 * What happens in the replication of a node: it listens to the driver's steps. Numbers since the start are for metrics; who
 * shows the cluster is told when leaders or voters change.
 * @module
 */
import type { Hello, Input } from "../raft/inputs.ts";
import type { Effect } from "../raft/turn.ts";
import type { FollowerMessage, LeaderMessage, NodeId } from "../raft/types.ts";

/** Beats of one node that have not come back, oldest first. */
type Beats = Map<number, number>;

/** What it is told. */
export interface ReplicationWatchOptions {
  /** A beat that has not come back within it counts as missed. */
  readonly missedAfterMs: number;
  readonly nowMs: () => number;
  /** Told how long a beat took to a node and back. */
  readonly roundTrip: (node: NodeId, ms: number) => void;
}

/** Beats to one node that are waited for: linearizable reads send more than time does. */
const beatsMax = 256;

export class ReplicationWatch {
  /** Elections that a replica of this node stood for, and won. */
  elections = 0;
  electionsWon = 0;
  /** Leaders that replicas of this node came to know, themselves among them: one a group and term. */
  leaders = 0;
  /** Replicas that were begun anew at a checkpoint, since they were too far behind. */
  restarted = 0;
  /** Replicas whose damaged bytes were replaced in place. */
  repaired = 0;
  /** Replicas whose log was lost or damaged beyond that: they are other replicas now. */
  renewed = 0;
  /** Replicas that were removed, since their streams were moved away. */
  left = 0;
  /** Voters of groups led here whose place another replica of their node took: that was wiped, or lost its log. */
  replaced = 0;
  /** Beats that did not come back in time, by node. */
  readonly missed = new Map<NodeId, number>();
  readonly #options: ReplicationWatchOptions;
  readonly #beats = new Map<NodeId, Beats>();
  readonly #terms = new Map<number, number>();
  readonly #listeners = new Set<() => void>();

  constructor(options: ReplicationWatchOptions) {
    this.#options = options;
  }

  /** Calls `listener` when a replica here comes to know, or loses, its leader, or voters change; until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The driver took a step. */
  stepped(input: Input, effects: readonly Effect[]): void {
    if (input.kind === "fromFollower") this.#heard(input.hello, input.messages);
    else if (input.kind === "ended") this.#beats.delete(input.hello.from);
    else if (input.kind === "close") this.#terms.delete(input.group);
    for (const effect of effects) {
      if (effect.kind === "toFollower") this.#said(effect.hello, effect.messages);
      else if (effect.kind === "event") this.#happened(effect);
    }
  }

  #happened({ event, group, term }: Extract<Effect, { kind: "event" }>): void {
    if (event.startsWith("stepped down") || event.startsWith("stopped")) this.#changed();
    switch (event) {
      case "stood for election":
        this.elections += 1;
        return;
      case "became leader":
      case "became leader without a batch":
        this.electionsWon += 1;
        this.#led(group, term);
        return;
      case "follows":
        this.#led(group, term);
        return;
      case "restarted at a checkpoint":
        this.restarted += 1;
        return;
      case "repaired":
        this.repaired += 1;
        return;
      case "lost its leader":
      case "changed voters":
        this.#changed();
        return;
      default:
    }
  }

  /** A fetch is answered again and again in one term: that is one leader. */
  #led(group: number, term: number): void {
    if (term <= (this.#terms.get(group) ?? -1)) return;
    this.#terms.set(group, term);
    this.leaders += 1;
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #said({ from }: Hello, messages: readonly LeaderMessage[]): void {
    for (const message of messages) {
      if (message.kind !== "beat") continue;
      const nowMs = this.#options.nowMs();
      const beats: Beats = this.#beats.get(from) ?? new Map();
      this.#beats.set(from, beats);
      this.#giveUp(from, beats, nowMs - this.#options.missedAfterMs);
      beats.set(message.n, nowMs);
      const [oldest] = beats.keys();
      if (beats.size > beatsMax && oldest !== undefined) beats.delete(oldest);
    }
  }

  #heard({ from }: Hello, messages: readonly FollowerMessage[]): void {
    for (const message of messages) {
      const beats = message.kind === "echo" ? this.#beats.get(from) : undefined;
      if (message.kind !== "echo" || beats === undefined) continue;
      const nowMs = this.#options.nowMs();
      this.#giveUp(from, beats, nowMs - this.#options.missedAfterMs);
      const sentAtMs = beats.get(message.n);
      if (sentAtMs !== undefined) this.#options.roundTrip(from, nowMs - sentAtMs);
      for (const n of beats.keys()) if (n <= message.n) beats.delete(n);
    }
  }

  #giveUp(node: NodeId, beats: Beats, sentBeforeMs: number): void {
    for (const [n, sentAtMs] of beats) {
      if (sentAtMs >= sentBeforeMs) return;
      beats.delete(n);
      this.missed.set(node, (this.missed.get(node) ?? 0) + 1);
    }
  }
}
