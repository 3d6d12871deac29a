/**
 * How a cluster begins: N nodes that have nothing yet agree that they are one. Gossip alone is no agreement: each node may see
 * others. A cluster exists if and only if **all** N replicas of a proposal have durably accepted it.
 * - A node decides once about a proposal, durably, before it says so: it accepts, or refuses for ever. It accepts one at a time.
 * - One refusal ends a proposal for all: whoever accepted it is free again, since it can't come to exist any more.
 * - Whoever accepted asks the others until it knows, so the proposer may die at any moment.
 * - A node with a cluster, or with data, refuses all.
 * Pure: an input and the time come in, effects go out, to be done in order.
 * @module
 */
import { assert } from "../base/assert.ts";
import type { NodeId, ReplicaId } from "./types.ts";
import { nodeOf } from "./types.ts";

/** A cluster that may come to be. */
export interface Proposal {
  /** Random: what the cluster is named by. */
  readonly clusterId: string;
  /** Its first voters, all of which must accept. */
  readonly replicas: readonly ReplicaId[];
}

/** What a node keeps of it: synced before anything that depends on it is said. */
export interface BootstrapPromises {
  readonly accepted: Proposal | undefined;
  /** Cluster ids that it refused, or gave up since another did. */
  readonly refused: readonly string[];
}

/** What nodes say to each other. */
export type BootstrapMessage =
  /** Do you accept? */
  | { readonly kind: "propose"; readonly from: ReplicaId; readonly proposal: Proposal }
  | { readonly kind: "accepted"; readonly from: ReplicaId; readonly clusterId: string }
  | { readonly kind: "refused"; readonly from: ReplicaId; readonly clusterId: string; readonly why: string };

export type BootstrapInput =
  | { readonly kind: "tick" }
  /** Replicas that gossip sees now, this one too; only those that have no cluster. */
  | { readonly kind: "seen"; readonly replicas: readonly ReplicaId[] }
  | { readonly kind: "message"; readonly message: BootstrapMessage }
  /** Somebody is of a cluster: so all its replicas have accepted it. */
  | { readonly kind: "exists"; readonly clusterId: string }
  /** This node, which has accepted nothing, takes no part any more. */
  | { readonly kind: "taken"; readonly why: string }
  /** The newest promises are durable. */
  | { readonly kind: "saved" };

export type BootstrapEffect =
  /** Durable before what follows it is sent: `saved` says so. */
  | { readonly kind: "save"; readonly promises: BootstrapPromises }
  | { readonly kind: "send"; readonly to: NodeId; readonly message: BootstrapMessage }
  /** The cluster exists: its `_meta` may be made. Said once. */
  | { readonly kind: "exists"; readonly proposal: Proposal }
  /** A proposal came to nothing; for the log. */
  | { readonly kind: "ended"; readonly proposal: Proposal; readonly by: ReplicaId; readonly why: string }
  | { readonly kind: "wake"; readonly atMs: number };

export interface BootstrapOptions {
  readonly self: ReplicaId;
  /** How many voters the cluster begins with. */
  readonly expect: number;
  /** Why this node takes no part: it has a cluster, or data. */
  readonly taken: string | undefined;
  readonly promises: BootstrapPromises;
  readonly random: () => number;
  readonly newClusterId: () => string;
}

/** How often those that have not answered are asked again, milliseconds. */
const askAgainMs = 500;
/** After a proposal that came to nothing, milliseconds. */
const retryMinMs = 500;
const retryMaxMs = 3_000;
/** Proposals that came to nothing, at most. */
const refusedMax = 64;
const tired = `${refusedMax} proposals came to nothing: start one node alone, and let the others join it`;

/** One node's part in it. */
export class Bootstrap {
  readonly #options: BootstrapOptions;
  /** Why this node takes no part. */
  #taken: string | undefined;
  #accepted: Proposal | undefined;
  #refused: readonly string[];
  #exists = false;
  #seen: readonly ReplicaId[] = [];
  /** Who accepted what this node accepted. */
  #acceptedBy = new Set<ReplicaId>();
  #saving = 0;
  #held: BootstrapEffect[] = [];
  #out: BootstrapEffect[] = [];
  #askAtMs = Number.POSITIVE_INFINITY;
  #proposeAtMs: number;
  #nowMs = 0;

  constructor(options: BootstrapOptions, nowMs: number) {
    const { promises, taken } = options;
    this.#options = options;
    this.#taken = taken;
    this.#accepted = promises.accepted;
    this.#refused = promises.refused;
    this.#nowMs = nowMs;
    this.#proposeAtMs = nowMs;
    if (this.#accepted && taken === undefined) this.#askAtMs = nowMs;
  }

  /** Replicas that have not answered what this node accepted: without each of them there is no cluster. */
  get waitsFor(): readonly ReplicaId[] {
    if (!this.#accepted || this.#exists) return [];
    return this.#accepted.replicas.filter((replica) => !this.#acceptedBy.has(replica));
  }

  /** What it has accepted, as far as it knows no refusal. */
  get accepted(): Proposal | undefined {
    return this.#accepted;
  }

  /** Takes an input at a time that never goes back. */
  step(input: BootstrapInput, nowMs: number): BootstrapEffect[] {
    this.#nowMs = Math.max(nowMs, this.#nowMs);
    switch (input.kind) {
      case "tick":
        break;
      case "seen":
        this.#seen = input.replicas;
        break;
      case "message":
        this.#hear(input.message);
        break;
      case "exists":
        this.#onExists(input.clusterId);
        break;
      case "taken":
        assert(this.#accepted === undefined, "who has accepted a cluster may be of it");
        this.#taken = input.why;
        break;
      case "saved":
        this.#saving -= 1;
        if (this.#saving === 0) this.#out.push(...this.#held.splice(0));
        break;
    }
    this.#passTime();
    const out = this.#out;
    this.#out = [];
    out.push({
      kind: "wake",
      atMs: Math.min(this.#askAtMs, this.#mayPropose() ? this.#proposeAtMs : Number.POSITIVE_INFINITY),
    });
    return out;
  }

  #hear(message: BootstrapMessage): void {
    switch (message.kind) {
      case "propose":
        this.#onPropose(message);
        return;
      case "accepted":
        if (this.#accepted?.clusterId === message.clusterId) this.#count(message.from);
        return;
      case "refused":
        this.#onRefused(message);
        return;
    }
  }

  #onPropose({ proposal, from }: Extract<BootstrapMessage, { kind: "propose" }>): void {
    const { self } = this.#options;
    const { clusterId, replicas } = proposal;
    const to = nodeOf(from);
    if (this.#accepted?.clusterId === clusterId) {
      this.#say({ kind: "send", to, message: { kind: "accepted", from: self, clusterId } });
      this.#count(from);
      return;
    }
    const why = this.#refusalOf(proposal);
    if (why !== undefined) {
      // Who is tired refuses all from now on, by what is kept already.
      if (!this.#isTired && !this.#refused.includes(clusterId)) this.#refuse(clusterId);
      this.#say({ kind: "send", to, message: { kind: "refused", from: self, clusterId, why } });
      return;
    }
    this.#accept(proposal);
    if (replicas.includes(from)) this.#acceptedBy.add(from);
    this.#say({ kind: "send", to, message: { kind: "accepted", from: self, clusterId } });
  }

  #refusalOf({ clusterId, replicas }: Proposal): string | undefined {
    const { self } = this.#options;
    if (this.#taken !== undefined) return this.#taken;
    if (this.#refused.includes(clusterId)) return "it was refused before";
    if (this.#isTired) return tired;
    if (this.#exists || this.#accepted) return `it has accepted cluster ${this.#accepted?.clusterId}`;
    return replicas.includes(self) ? undefined : "it is for another replica of this node";
  }

  #accept(proposal: Proposal): void {
    this.#accepted = proposal;
    this.#acceptedBy = new Set([this.#options.self]);
    this.#save();
    this.#askAtMs = this.#nowMs;
  }

  #refuse(clusterId: string): void {
    // What was refused is refused for ever; who can't keep more in mind takes no part any more.
    if (!this.#isTired) this.#refused = [...this.#refused, clusterId];
    this.#save();
  }

  #onRefused({ from, clusterId, why }: Extract<BootstrapMessage, { kind: "refused" }>): void {
    const accepted = this.#accepted;
    // Of a disk that took another's place the refusal proves nothing: the one that is named may have accepted before.
    if (accepted?.clusterId !== clusterId || !accepted.replicas.includes(from) || this.#exists) return;
    this.#giveUp(accepted, from, why);
  }

  /** Another refused it: it can't come to exist, and this node is free. */
  #giveUp(proposal: Proposal, by: ReplicaId, why: string): void {
    this.#accepted = undefined;
    this.#askAtMs = Number.POSITIVE_INFINITY;
    this.#refuse(proposal.clusterId);
    this.#out.push({ kind: "ended", proposal, by, why });
    this.#proposeAtMs = this.#nowMs + retryMinMs + this.#options.random() * (retryMaxMs - retryMinMs);
  }

  #count(from: ReplicaId): void {
    const accepted = this.#accepted;
    if (!accepted?.replicas.includes(from) || this.#exists) return;
    this.#acceptedBy.add(from);
    this.#look(accepted);
  }

  #onExists(clusterId: string): void {
    const accepted = this.#accepted;
    if (accepted?.clusterId !== clusterId || this.#taken !== undefined) return;
    // The others need not answer any more: some may have died since.
    for (const replica of accepted.replicas) this.#acceptedBy.add(replica);
    this.#look(accepted);
  }

  #look(accepted: Proposal): void {
    // The own acceptance counts once it is durable.
    if (this.#exists || this.#saving > 0 || !accepted.replicas.every((replica) => this.#acceptedBy.has(replica)))
      return;
    this.#exists = true;
    this.#askAtMs = Number.POSITIVE_INFINITY;
    this.#out.push({ kind: "exists", proposal: accepted });
  }

  #passTime(): void {
    const { self, newClusterId, expect } = this.#options;
    if (this.#mayPropose() && this.#nowMs >= this.#proposeAtMs) {
      const replicas = [...this.#seen].sort().slice(0, expect);
      this.#accept({ clusterId: newClusterId(), replicas });
    }
    const accepted = this.#accepted;
    if (!accepted || this.#taken !== undefined) return;
    this.#acceptedBy.add(self);
    this.#look(accepted);
    if (this.#nowMs < this.#askAtMs) return;
    this.#askAtMs = this.#nowMs + askAgainMs;
    for (const replica of accepted.replicas) {
      if (this.#acceptedBy.has(replica)) continue;
      this.#say({ kind: "send", to: nodeOf(replica), message: { kind: "propose", from: self, proposal: accepted } });
    }
  }

  /** The lowest of those that are seen proposes, when there are enough. */
  #mayPropose(): boolean {
    const { self, expect } = this.#options;
    if (this.#taken !== undefined || this.#isTired || this.#accepted || this.#exists) return false;
    if (this.#seen.length < expect) return false;
    return [...this.#seen].sort()[0] === self;
  }

  get #isTired(): boolean {
    return this.#refused.length >= refusedMax;
  }

  #save(): void {
    this.#saving += 1;
    this.#out.push({ kind: "save", promises: { accepted: this.#accepted, refused: this.#refused } });
  }

  /** What is said waits for what was promised before. */
  #say(effect: BootstrapEffect): void {
    if (this.#saving > 0) this.#held.push(effect);
    else this.#out.push(effect);
  }
}
