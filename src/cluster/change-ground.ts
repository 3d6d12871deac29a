/**
 * What changes of a cluster stand on: what this node knows of it, and the words in which something is refused.
 * @module
 */
import { invalidField, TailraceError } from "../base/errors.ts";
import type { Clock } from "../host/clock.ts";
import type { Group } from "../raft/group.ts";
import { type NodeId, nodeOf } from "../raft/types.ts";
import type { RaftDriver } from "../replica/raft-driver.ts";
import { FateUnknownError, NotLeaderError, RefusedError } from "../replica/replica-errors.ts";
import { metaGroup } from "../stream/meta-log.ts";
import type { LocalStreams } from "../stream/streams.ts";
import type { KnownNode, KnownNodes } from "./cluster-view.ts";

/** Parts of a node. */
export interface GroundParts {
  readonly driver: RaftDriver;
  readonly streams: Pick<LocalStreams, "stored" | "place" | "chosenVoters" | "chooseVoters">;
  readonly nodes: KnownNodes;
  readonly clock: Clock;
  /** Told that a person said who is to lead. */
  readonly leadersChosen: () => void;
}

/** How long a change is waited for, milliseconds. */
const doneMaxMs = 10_000;
/** How often it is looked at. */
const lookMs = 50;

export class ChangeGround {
  readonly driver: RaftDriver;
  readonly streams: GroundParts["streams"];
  readonly leadersChosen: () => void;
  readonly #nodes: KnownNodes;
  readonly #clock: Clock;

  constructor({ driver, streams, nodes, clock, leadersChosen }: GroundParts) {
    this.driver = driver;
    this.streams = streams;
    this.leadersChosen = leadersChosen;
    this.#nodes = nodes;
    this.#clock = clock;
  }

  /** This node. */
  get self(): NodeId {
    return this.driver.options.node;
  }

  /** `_meta`, as it is here. @throws {TailraceError} `not_ready`. */
  meta(what: string): Group {
    const meta = this.driver.core.group(metaGroup);
    if (meta) return meta;
    throw notYet(what, "this node has not opened the cluster's own log yet", "Try again in a moment");
  }

  /** Nodes whose votes count in the cluster, in order. */
  voters(): readonly NodeId[] {
    const voters = this.driver.core.group(metaGroup)?.log.voters ?? [];
    return [...new Set(voters.map(nodeOf))].sort();
  }

  /** A node that is known. @throws {TailraceError} `invalid_field`. */
  known(node: NodeId): KnownNode {
    const members = this.#nodes.members();
    const found = members.find(({ id }) => id === node);
    if (found) return found;
    const todo = `Name one of ${members.map(({ id }) => id).join(", ")}`;
    throw invalidField("node_id", `no node "${node}" is known`, todo);
  }

  isUp(node: NodeId): boolean {
    return this.#nodes.members().some(({ id, state }) => id === node && state === "alive");
  }

  /** What is refused by replication, in words for who asked. */
  async written(what: string, change: Promise<void>): Promise<void> {
    try {
      await change;
    } catch (error) {
      const todo = "Try again in a moment, or see tailrace cluster status";
      if (error instanceof RefusedError) throw refused(what, error.message, todo);
      if (error instanceof NotLeaderError) throw notYet(what, "the leader of the cluster has changed", todo);
      if (error instanceof FateUnknownError)
        throw notYet(what, `nobody knows whether it is done: ${error.message}`, todo);
      throw error;
    }
  }

  /** Whether it came to hold in time. */
  async until(holds: () => boolean | Promise<boolean>): Promise<boolean> {
    const endMs = this.#clock.monotonicMs() + doneMaxMs;
    while (!(await holds())) {
      if (this.#clock.monotonicMs() >= endMs) return false;
      await new Promise<void>((resolve) => this.#clock.after(lookMs, resolve));
    }
    return true;
  }
}

/** It can't be, as the cluster stands. */
export function refused(what: string, why: string, todo: string): TailraceError {
  return new TailraceError("cluster_refused", { what, why, todo });
}

/** It is not done, and may be later. */
export function notYet(what: string, why: string, todo: string): TailraceError {
  return new TailraceError("not_ready", { what, why, todo }, { retryAfterMs: 1000 });
}
