/**
 * Runs this node's part in beginning a cluster (`raft/bootstrap.ts`): its timer, its promises on disk, and what it says.
 * @module
 */
import type { Logger } from "pino";
import type { Clock, Timer } from "../host/clock.ts";
import type { Proposal } from "../raft/bootstrap.ts";
import { Bootstrap, type BootstrapEffect, type BootstrapInput, type BootstrapMessage } from "../raft/bootstrap.ts";
import type { NodeId, ReplicaId } from "../raft/types.ts";
import type { PromiseFile } from "./promise-file.ts";

/** What it stands on. */
export interface BootstrappingOptions {
  readonly self: ReplicaId;
  /** How many voters the cluster begins with; 0: this node begins none. */
  readonly expect: number;
  /** The cluster that the node has. */
  readonly clusterId: string | undefined;
  readonly file: PromiseFile;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly newClusterId: () => string;
  /** Says something to a node, if that can be done. */
  readonly send: (to: NodeId, message: BootstrapMessage) => void;
  /** Called once, when the cluster exists. */
  readonly exists: (proposal: Proposal) => void;
}

/** See the module's description. */
export class Bootstrapping {
  readonly #options: BootstrappingOptions;
  readonly #core: Bootstrap;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: BootstrappingOptions) {
    const { self, expect, clusterId, file, random, newClusterId, clock } = options;
    const promises = file.found;
    const taken =
      clusterId !== undefined
        ? `it is of cluster ${clusterId}`
        : // What it agreed to at another start still stands.
          expect === 0 && !promises.accepted
          ? "it waits for a cluster to join, and begins none"
          : undefined;
    this.#options = options;
    this.#core = new Bootstrap(
      { self, expect: expect === 0 ? Number.POSITIVE_INFINITY : expect, taken, promises, random, newClusterId },
      clock.monotonicMs(),
    );
    this.#step({ kind: "tick" });
  }

  /** What this node agreed to, as far as it knows no refusal. */
  get accepted(): Proposal | undefined {
    return this.#core.accepted;
  }

  /** Replicas that have not said yet whether they agree. */
  get waitsFor(): readonly ReplicaId[] {
    return this.#core.waitsFor;
  }

  /** Those that may begin a cluster now, this one too. */
  see(replicas: readonly ReplicaId[]): void {
    this.#step({ kind: "seen", replicas });
  }

  receive(message: BootstrapMessage): void {
    this.#step({ kind: "message", message });
  }

  /** Somebody is of this cluster. */
  existing(clusterId: string): void {
    this.#step({ kind: "exists", clusterId });
  }

  /** This node, which has agreed to nothing, is of a cluster from now on. */
  joins(clusterId: string): void {
    this.#step({ kind: "taken", why: `it is of cluster ${clusterId}` });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #step(input: BootstrapInput): void {
    if (this.#isStopped) return;
    for (const effect of this.#core.step(input, this.#options.clock.monotonicMs())) this.#do(effect);
  }

  #do(effect: BootstrapEffect): void {
    const { file, send, exists, logger, clock } = this.#options;
    switch (effect.kind) {
      case "save":
        file.save(effect.promises).then(
          () => this.#step({ kind: "saved" }),
          (error: unknown) => {
            // Nothing that depends on it is ever said: this node takes no part until it is started again.
            logger.error(
              { err: error },
              "Cannot keep what was agreed about a cluster: free its disk, and start the node again",
            );
          },
        );
        return;
      case "send":
        send(effect.to, effect.message);
        return;
      case "exists":
        exists(effect.proposal);
        return;
      case "ended":
        logger.info(
          { clusterId: effect.proposal.clusterId, by: effect.by },
          `No cluster ${effect.proposal.clusterId}: ${effect.by} refused it, as ${effect.why}`,
        );
        return;
      case "wake":
        this.#timer?.cancel();
        this.#timer = undefined;
        if (effect.atMs === Number.POSITIVE_INFINITY) return;
        this.#timer = clock.after(Math.max(effect.atMs - clock.monotonicMs(), 0), () => this.#step({ kind: "tick" }));
        return;
    }
  }
}
