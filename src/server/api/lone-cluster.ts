import { TailraceError } from "../../base/errors.ts";
import type { Streams } from "../../stream/types.ts";
import type { ClusterStatus, ClusterView, LeadershipMoved, ServerHealth } from "./cluster-view.ts";

/** What a node that is alone says of itself. */
export interface LoneNode {
  readonly id: string;
  /** 32 hexadecimal digits. */
  readonly clusterId: string;
  /** URL of its api port. */
  readonly apiUrl: string;
  readonly version: string;
  readonly streams: Streams & { readonly count: number };
  readonly health: () => ServerHealth;
}

/** The cluster of a node without a peer port: itself. There is nobody to change anything with. */
export class LoneCluster implements ClusterView {
  readonly #node: LoneNode;

  constructor(node: LoneNode) {
    this.#node = node;
  }

  async describe(namesMax: number): Promise<ClusterStatus> {
    const { id, clusterId, apiUrl, version, streams, health } = this.#node;
    const { streams: first } = streams.list({ prefix: "", limit: namesMax });
    const leads = { count: streams.count, first: first.map(({ name }) => name) };
    return {
      ...{ id: clusterId, leader: id, term: 0, voters: [id], votersWanted: 1 },
      ...{ streams: streams.count, leaderless: { count: 0, first: [] } },
      servers: [
        {
          ...{ id, apiUrl, peerAddress: "", region: "", role: "voter", version, isSelf: true },
          ...{ state: "alive", stateSinceMicros: undefined, leads, holds: streams.count },
          ...{ health: health(), lag: undefined },
        },
      ],
    };
  }

  onChange(): () => void {
    return () => {};
  }

  async addVoter(node: string): Promise<readonly string[]> {
    if (node === this.#node.id) return [node];
    throw alone(`Cannot add node "${node}"`);
  }

  async removeVoter(node: string): Promise<readonly string[]> {
    throw alone(`Cannot remove node "${node}"`);
  }

  async transferLeadership(): Promise<LeadershipMoved> {
    throw alone("Cannot have another node lead");
  }
}

function alone(what: string): TailraceError {
  const todo = "Start it with --peer-listen, and others with --seeds that name it";
  return new TailraceError("cluster_refused", { what, why: "this node is alone", todo });
}
