/**
 * The cluster as this node knows it, for clients: from its own groups, the catalogue, and what gossip tells.
 * Elsewhere: what changes it (`cluster-changes.ts`).
 * @module
 */
import type { Clock } from "../host/clock.ts";
import type { Group } from "../raft/group.ts";
import { type NodeId, nodeOf } from "../raft/types.ts";
import type { RaftDriver } from "../replica/raft-driver.ts";
import type {
  ClusterChanges,
  ClusterStatus,
  ClusterView,
  LeaderlessStream,
  LeadershipMoved,
  LeadershipRequest,
  ServerHealth,
  ServerStatus,
} from "../server/api/cluster-view.ts";
import { metaGroup, metaName } from "../stream/meta-log.ts";
import type { LocalStreams } from "../stream/streams.ts";
import type { StoredStream } from "../wire/catalogue.ts";
import { isLed, leaderOf } from "./group-facts.ts";
import { type LedGroup, lagsOf } from "./lag.ts";
import type { PeerHealths } from "./peer-healths.ts";
import type { ReplicationWatch } from "./replication-watch.ts";

/** A node, as membership tells of it. */
export interface KnownNode {
  readonly id: NodeId;
  readonly peerAddress: string;
  readonly apiUrl: string;
  readonly region: string;
  readonly role: "voter" | "observer";
  readonly version: string;
  readonly state: "alive" | "suspect" | "dead" | "left";
  readonly isSelf: boolean;
}

/** Who is in the cluster. */
export interface KnownNodes {
  /** All that are known, this one too, in the order of their ids. */
  members(): readonly KnownNode[];
  /** Calls `listener` after each change, until the returned function is called. */
  onChange(listener: () => void): () => void;
}

/** What it stands on. */
export interface NodeClusterOptions {
  readonly clusterId: string;
  readonly driver: RaftDriver;
  readonly streams: Pick<LocalStreams, "stored">;
  readonly nodes: KnownNodes;
  readonly watch: ReplicationWatch;
  readonly changes: ClusterChanges;
  readonly votersWanted: number;
  /** How this node is. */
  readonly health: () => ServerHealth;
  /** How others are. */
  readonly healths: Pick<PeerHealths, "of">;
  readonly clock: Clock;
}

export class NodeCluster implements ClusterView {
  readonly #options: NodeClusterOptions;
  /** What each node's state was when it was last looked at, and since when it is known to be. */
  readonly #states = new Map<NodeId, { state: KnownNode["state"]; sinceMicros: number | undefined }>();
  readonly #stop: () => void;

  constructor(options: NodeClusterOptions) {
    this.#options = options;
    for (const { id, state } of options.nodes.members()) this.#states.set(id, { state, sinceMicros: undefined });
    this.#stop = options.nodes.onChange(() => this.#noteStates());
  }

  /** Looks at nodes no more. */
  stop(): void {
    this.#stop();
  }

  async describe(namesMax: number): Promise<ClusterStatus> {
    const { clusterId, driver, streams, nodes, votersWanted, health, healths, clock } = this.#options;
    const meta = driver.core.group(metaGroup);
    const stored = [...streams.stored()].filter(({ isDeleting }) => !isDeleting);
    const tally = new Tally(namesMax);
    if (meta && !isLed(meta)) tally.leaderless(metaName, meta);
    for (const stream of stored) tally.add(stream, driver.core.group(stream.id));
    const members = nodes.members();
    // Of one that does not answer others it is said already that it does not: who looks is not to wait for that.
    const others = members.filter(({ isSelf, state }) => !isSelf && state === "alive").map(({ id }) => id);
    const [lags, told] = await Promise.all([lagsOf(this.#led(meta, stored), clock.nowMicros()), healths.of(others)]);
    const observers = new Set(members.filter(({ role }) => role === "observer").map(({ id }) => id));
    const server = ({ state, isSelf, ...member }: KnownNode): ServerStatus => ({
      ...{ ...member, state, isSelf, stateSinceMicros: this.#states.get(member.id)?.sinceMicros },
      leads: tally.leads.get(member.id) ?? { count: 0, first: [] },
      holds: observers.has(member.id) ? stored.length : (tally.holds.get(member.id) ?? 0),
      ...{ health: isSelf ? health() : told.get(member.id), lag: lags.get(member.id) },
    });
    return {
      ...{ id: clusterId, leader: meta && leaderOf(meta), term: meta?.term ?? 0, votersWanted },
      voters: [...new Set((meta?.log.voters ?? []).map(nodeOf))].sort(),
      ...{ streams: stored.length, leaderless: tally.without, servers: members.map(server) },
    };
  }

  onChange(listener: () => void): () => void {
    const stops = [this.#options.nodes.onChange(listener), this.#options.watch.onChange(listener)];
    return () => {
      for (const stop of stops) stop();
    };
  }

  addVoter(node: string, mayPassOn: boolean): Promise<readonly string[]> {
    return this.#options.changes.addVoter(node, mayPassOn);
  }

  removeVoter(node: string, force: boolean, mayPassOn: boolean): Promise<readonly string[]> {
    return this.#options.changes.removeVoter(node, force, mayPassOn);
  }

  transferLeadership(request: LeadershipRequest, mayPassOn: boolean): Promise<LeadershipMoved> {
    return this.#options.changes.transferLeadership(request, mayPassOn);
  }

  *#led(meta: Group | undefined, stored: readonly StoredStream[]): Iterable<LedGroup> {
    const { driver } = this.#options;
    const of = (name: string, group: Group, placement: readonly NodeId[]): LedGroup[] => {
      const log = driver.group(group.group)?.log;
      return log && group.role.kind === "leader" ? [{ name, group, log, placement }] : [];
    };
    if (meta) yield* of(metaName, meta, []);
    for (const { id, creation, nodes } of stored) {
      const group = driver.core.group(id);
      if (group) yield* of(creation.name, group, nodes);
    }
  }

  #noteStates(): void {
    const { nodes, clock } = this.#options;
    const members = nodes.members();
    for (const { id, state } of members) {
      if (this.#states.get(id)?.state !== state) this.#states.set(id, { state, sinceMicros: clock.nowMicros() });
    }
    const known = new Set(members.map(({ id }) => id));
    for (const id of this.#states.keys()) if (!known.has(id)) this.#states.delete(id);
  }
}

/** Counts what is led, held, and led by nobody; and keeps the first names. */
class Tally {
  readonly leads = new Map<NodeId, { count: number; first: string[] }>();
  readonly holds = new Map<NodeId, number>();
  readonly without: { count: number; first: LeaderlessStream[] } = { count: 0, first: [] };
  readonly #namesMax: number;

  constructor(namesMax: number) {
    this.#namesMax = namesMax;
  }

  /** @param g This node's replica; undefined: it has none, and knows not who leads. */
  add({ creation: { name }, nodes }: StoredStream, g: Group | undefined): void {
    const placed = nodes.length > 0 ? nodes : new Set((g?.log.voters ?? []).map(nodeOf));
    for (const node of placed) this.holds.set(node, (this.holds.get(node) ?? 0) + 1);
    if (g === undefined) return;
    const leader = leaderOf(g);
    if (!isLed(g)) this.leaderless(name, g);
    if (leader === undefined) return;
    const leads = this.leads.get(leader) ?? { count: 0, first: [] };
    leads.count += 1;
    if (leads.first.length < this.#namesMax) leads.first.push(name);
    this.leads.set(leader, leads);
  }

  leaderless(name: string, g: Group): void {
    this.without.count += 1;
    if (this.without.first.length >= this.#namesMax) return;
    this.without.first.push({ name, voters: [...new Set(g.log.voters.map(nodeOf))].sort() });
  }
}
