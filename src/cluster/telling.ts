/**
 * What a node tells of its cluster, put together: to clients, and to who measures it.
 * @module
 */
import type { Registry } from "prom-client";
import type { Clock } from "../host/clock.ts";
import type { NodeId } from "../raft/types.ts";
import type { RaftDriver } from "../replica/raft-driver.ts";
import type { ClusterChanges, ClusterView, ServerHealth } from "../server/api/cluster-view.ts";
import { type ClusterMetrics, registerClusterMetrics } from "../server/cluster-metrics.ts";
import type { LocalStreams } from "../stream/streams.ts";
import { NodeChanges } from "./cluster-changes.ts";
import { type KnownNodes, NodeCluster } from "./cluster-view.ts";
import { metricFacts } from "./metric-facts.ts";
import { PeerHealths } from "./peer-healths.ts";
import { ReplicationWatch } from "./replication-watch.ts";

/** What there is to tell of, once the node serves. */
export interface ToldOf {
  readonly clusterId: string;
  readonly driver: RaftDriver;
  readonly streams: LocalStreams;
  readonly nodes: KnownNodes;
  readonly votersWanted: number;
  readonly health: () => ServerHealth;
  /** Asks another node how it is; undefined: it gave no answer in time. Never rejects. */
  readonly askHealthOf: (node: NodeId) => Promise<ServerHealth | undefined>;
  /** Told that a person said who is to lead. */
  readonly leadersChosen: () => void;
  /** Another node, for changes that it has to make. */
  readonly at: (node: NodeId) => ClusterChanges;
}

/** A beat that has not come back after so many of them counts as missed. */
const missedAfterBeats = 2;

export class Telling {
  /** Hears of the driver's steps, from the first one on. */
  readonly watch: ReplicationWatch;
  readonly #registry: Registry;
  readonly #clock: Clock;
  #metrics: ClusterMetrics | undefined;
  #cluster: NodeCluster | undefined;

  constructor(options: { registry: Registry; clock: Clock; beatMs: number }) {
    this.#registry = options.registry;
    this.#clock = options.clock;
    this.watch = new ReplicationWatch({
      missedAfterMs: missedAfterBeats * options.beatMs,
      nowMs: () => options.clock.monotonicMs(),
      roundTrip: (node, ms) => this.#metrics?.roundTrip(node, ms),
    });
  }

  /** The node serves: from now on it tells of its cluster. */
  begin(told: ToldOf): ClusterView {
    const { driver, streams, nodes } = told;
    const facts = metricFacts({ driver, streams, watch: this.watch, members: () => nodes.members() });
    this.#metrics = registerClusterMetrics(this.#registry, facts);
    const changes = new NodeChanges({ ...told, clock: this.#clock });
    const healths = new PeerHealths(told.askHealthOf, this.#clock);
    this.#cluster = new NodeCluster({ ...told, healths, watch: this.watch, changes, clock: this.#clock });
    return this.#cluster;
  }

  /** Looks at nothing more. */
  stop(): void {
    this.#cluster?.stop();
  }
}
