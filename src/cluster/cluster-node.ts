/**
 * What makes a node one of a cluster, put together: the peer port, membership, replication, and what brings its groups towards
 * what the catalogue says. A node that finds nobody and waits for nobody is a cluster of one.
 * Elsewhere: streams and the api port (`node.ts`).
 * @module
 */
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { present } from "../base/assert.ts";
import { newClusterId } from "../base/cluster-id.ts";
import type { ClusterOptions } from "../base/cluster-options.ts";
import type { Limits } from "../base/limits.ts";
import { machineAddresses, resolveHost } from "../host/addresses.ts";
import { systemClock, type Timer } from "../host/clock.ts";
import { systemHash } from "../host/hash.ts";
import { Http2Session, isRefused, neverLeft } from "../host/http2-session.ts";
import { nodeDisk } from "../host/node-disk.ts";
import { systemRandom } from "../host/random.ts";
import type { DataFolder } from "../log/types.ts";
import { advertisedAddress } from "../membership/advertised.ts";
import { type Membership, openMembership } from "../membership/membership.ts";
import { Strangers } from "../membership/strangers.ts";
import type { JoinAnswer } from "../membership/types.ts";
import { place } from "../placement/place.ts";
import { sourceOf } from "../raft/group.ts";
import { lanSettings, type NodeId, nodeOf, type ReplicaId, replicaId } from "../raft/types.ts";
import { ClusterLogs } from "../replica/cluster-logs.ts";
import { hexOf } from "../replica/core-batch.ts";
import { RaftDriver } from "../replica/raft-driver.ts";
import { isDamaged, NotLeaderError } from "../replica/replica-errors.ts";
import type { ClusterView, ServerHealth } from "../server/api/cluster-view.ts";
import { Forward } from "../server/peer/forward.ts";
import { clusterAt } from "../server/peer/forward-cluster.ts";
import { askHealth } from "../server/peer/health.ts";
import { MemberNetwork } from "../server/peer/member-network.ts";
import { PeerNetwork } from "../server/peer/peer-network.ts";
import { createPeerPort, type FurtherRpcs, type PeerPort } from "../server/peer/peer-port.ts";
import { Transports } from "../server/peer/transports.ts";
import { metaGroup } from "../stream/meta-log.ts";
import { RoutedStreams } from "../stream/routed-streams.ts";
import type { LocalStreams } from "../stream/streams.ts";
import type { Streams } from "../stream/types.ts";
import { ClusterService } from "../wire/gen/tailrace/v1/cluster_pb.ts";
import { LogService } from "../wire/gen/tailrace/v1/log_pb.ts";
import { StreamService } from "../wire/gen/tailrace/v1/stream_pb.ts";
import { birthOf, clusterOf, makeMeta } from "./birth.ts";
import { beginAnew, checkSameCluster, needsRenewal, renewMeta } from "./meta-renewal.ts";
import { Reconciler } from "./reconciler.ts";
import { Telling } from "./telling.ts";
import { tellEvents } from "./told-events.ts";

/** What a node says of its part in a cluster. */
export interface ClusterNodeOptions {
  readonly cluster: ClusterOptions;
  /** Absolute path of the data folder. */
  readonly dataFolder: string;
  readonly version: string;
  /** Where the api port listens. */
  readonly api: { readonly host: string; readonly port: number };
  readonly logger: Logger;
  /** Where the metrics of the cluster are registered. */
  readonly registry: Registry;
  /** Serves a client's call that another node passed on. */
  readonly passedOn: FurtherRpcs["serve"];
  readonly limits: Limits;
  readonly createOnAppend: boolean;
  /** What this node can do now. */
  readonly health: () => ServerHealth;
  /** Told what a start waits for. */
  readonly progress: (text: string) => void;
  /** Told of a fault of ours: the node is to end. */
  readonly broken: (error: unknown) => void;
}

/** Times of the connections to other nodes, milliseconds. */
const connection = { connectMaxMs: 2_000, pingIntervalMs: 2_000 };
/** How often it is looked what a node waits for that takes no part yet, milliseconds. */
const tellIntervalMs = 500;
/** How long a node that was of the cluster before waits for a leader until it serves without one, milliseconds. */
const leaderWaitMs = 10_000;
/** Leaderships that are handed over at once when the node stops. */
const transfersAtOnce = 64;

export class ClusterNode {
  readonly #options: ClusterNodeOptions;
  readonly #port: PeerPort;
  #peerAddress = "";
  /** Its id, once its data folder is open. */
  #node: NodeId | undefined;
  readonly #strangers: Strangers;
  readonly #transports: Transports;
  readonly #net: MemberNetwork;
  #isClosed = false;
  #membership: Membership | undefined;
  #network: PeerNetwork | undefined;
  #parts: { driver: RaftDriver; logs: ClusterLogs; isOld: boolean; clusterId: string } | undefined;
  #streams: LocalStreams | undefined;
  #reconciler: Reconciler | undefined;
  #forward: Forward | undefined;
  #routed: RoutedStreams | undefined;
  readonly #telling: Telling;

  private constructor(options: ClusterNodeOptions) {
    const { logger } = options;
    this.#options = options;
    this.#strangers = new Strangers(logger, systemClock);
    this.#telling = new Telling({ registry: options.registry, clock: systemClock, beatMs: lanSettings.beatMs });
    this.#transports = new Transports((to) => new Http2Session(to, connection));
    this.#net = new MemberNetwork(this.#transports);
    this.#port = createPeerPort({
      ...{ strangers: this.#strangers, clock: systemClock, logger },
      members: () => this.#membership,
      sessions: () => this.#network?.sessions,
      health: () => (this.#node === undefined ? undefined : { node: this.#node, health: options.health() }),
      further: [
        {
          paths: [LogService, StreamService, ClusterService].map(({ typeName }) => `/${typeName}/*`),
          serve: options.passedOn,
        },
      ],
    });
  }

  /** Opens the peer port: it says that the node is not ready. @throws {ListenError} */
  static async listen(options: ClusterNodeOptions): Promise<ClusterNode> {
    const node = new ClusterNode(options);
    const { peerListen, advertisePeer } = options.cluster;
    const { port } = await node.#port.listen(peerListen);
    node.#peerAddress = advertisePeer ?? advertisedAddress(peerListen.host, port, machineAddresses());
    options.logger.info({ peerAddress: node.#peerAddress }, `Other nodes find this one at ${node.#peerAddress}`);
    return node;
  }

  /**
   * Finds or begins the cluster that the node is of, and takes part in it: resolves when its logs may be opened.
   * @throws {Error} It can't.
   */
  async join(folder: DataFolder): Promise<ClusterLogs> {
    const { cluster, logger, progress } = this.#options;
    this.#node = folder.nodeId;
    const isDamagedHere = await needsRenewal(folder);
    const known = await clusterOf(folder).catch((error: unknown) => {
      // Then it is of the cluster that has its voters: another node of that one tells which it is.
      if (isDamagedHere && isDamaged(error)) return undefined;
      throw error;
    });
    const isLost = isDamagedHere && known === undefined;
    if (isDamagedHere) this.#tellOfRenewal(folder);
    const self = replicaId(folder.nodeId, hexOf(folder.diskId), 0);
    let clusterId = known?.clusterId;
    let birth = known?.birth;
    const begins = known === undefined && !isLost && cluster.seeds.length === 0 && (cluster.bootstrapExpect ?? 1) === 1;
    if (begins) {
      clusterId = newClusterId(systemClock.nowMicros(), systemRandom.bytes(16));
      birth = birthOf(clusterId, [self]);
      await makeMeta(folder, birth);
      logger.info({ clusterId }, `Began the cluster ${clusterId}`);
    }
    let voters: readonly ReplicaId[] = [self];
    // Who has lost a cluster begins none.
    const { bootstrapExpect: _, ...joining } = cluster;
    const membership = await this.#openMembership(folder, clusterId, isLost ? joining : cluster, () => {
      const latest = this.#parts?.driver.core.group(metaGroup)?.log.voters ?? voters;
      return birth && clusterId !== undefined ? { birth, voters: latest } : undefined;
    });
    this.#membership = membership;
    if (clusterId !== undefined) await this.#waited(membership.letIn, membership);
    else {
      const found = await this.#waited(membership.found, membership);
      birth = found.kind === "made" ? birthOf(found.clusterId, found.replicas) : found.birth;
      voters = found.kind === "made" ? found.replicas : found.voters;
      if (isLost) {
        const { note } = present(folder.log(metaGroup), "what is damaged is there");
        checkSameCluster(note, { clusterId: found.clusterId, voters });
        await beginAnew(folder, birth);
      } else await makeMeta(folder, birth);
      clusterId = found.clusterId;
      logger.info(
        { clusterId, voters },
        found.kind === "made" ? `Began the cluster ${clusterId}` : `Joined the cluster ${clusterId}`,
      );
      if (voters.some((voter) => nodeOf(voter) === folder.nodeId && voter !== self)) {
        logger.warn(
          { voters },
          `Node ${folder.nodeId} has a vote in this cluster, by another disk than this empty one: it is a new replica, ` +
            "which gets the vote when it has caught up",
        );
      }
    }
    if (isDamagedHere && !isLost) {
      progress("the catalogue is damaged here: waiting for another node that has it");
      const isStopped = () => this.#isClosed;
      await renewMeta({ folder, clusterId, membership, net: this.#net, clock: systemClock, isStopped });
    }
    // One that was renewed knows no stream until it has heard of a leader.
    const isOld = !isDamagedHere && (known !== undefined || begins);
    return this.#replicate(folder, { clusterId, isOld }, membership);
  }

  #tellOfRenewal(folder: DataFolder): void {
    const damage = folder.log(metaGroup)?.damage;
    const what = `The catalogue of streams is damaged here: ${damage}. It is fetched anew from another node`;
    this.#options.logger.error({ damage }, what);
    this.#telling.watch.renewed += 1;
  }

  /** Resolves with what is waited for, and says meanwhile what that is. */
  async #waited<T>(what: Promise<T>, membership: Membership): Promise<T> {
    const { progress } = this.#options;
    let timer: Timer | undefined;
    const tell = () => {
      progress(membership.waitsFor ?? "other nodes are greeted");
      timer = systemClock.after(tellIntervalMs, tell);
    };
    tell();
    try {
      return await what;
    } finally {
      timer?.cancel();
    }
  }

  /**
   * From now on the node's groups are brought towards what the catalogue says. Resolves when it has heard of a leader of the
   * catalogue: what others created is known then. One that was of the cluster before serves reads, if it takes too long.
   */
  async serve(streams: LocalStreams): Promise<Streams> {
    const { cluster, logger, limits, createOnAppend } = this.#options;
    const { parts, membership } = this.#taken();
    const { driver } = parts;
    this.#streams = streams;
    const forward = new Forward({
      ...{ clusterId: parts.clusterId, node: driver.options.node, addressOf: (node) => membership.addressOf(node) },
      apiUrlOf: (node) => membership.members().find(({ id }) => id === node)?.apiUrl ?? "",
      connect: (to) => new Http2Session(to, connection),
      ...{ clock: systemClock, answerMaxMs: limits.forwardMaxMs },
      neverLeft,
    });
    this.#forward = forward;
    this.#reconciler = new Reconciler({
      ...{ driver: parts.driver, streams, membership, clock: systemClock, logger },
      ...{ votersWanted: cluster.votersWanted, isObserver: cluster.role === "observer" },
      settingsOf: async ({ creation, id }, matters) =>
        await present(this.#routed, "a node that is ready has streams").settingsOf(creation.name, id, matters),
      replaced: () => {
        this.#telling.watch.replaced += 1;
      },
    });
    const sinceMs = systemClock.monotonicMs();
    this.#options.progress("waiting for a leader of the cluster");
    while (!this.#knowsLeader()) {
      if (parts.isOld && systemClock.monotonicMs() > sinceMs + leaderWaitMs) {
        logger.error(
          "No leader of the cluster was found: reads of what is here are served, and nothing can be appended. " +
            "A majority of the voters must be up and reach each other",
        );
        break;
      }
      await new Promise<void>((resolve) => systemClock.after(20, resolve));
    }
    this.#routed = new RoutedStreams({
      ...{ local: streams, peers: forward, clock: systemClock, limits, createOnAppend },
      holders: (group) => this.#holders(group),
    });
    return this.#routed;
  }

  /** The cluster as this node knows it; once it serves. */
  view(): ClusterView {
    const { parts, membership } = this.#taken();
    const { driver, clusterId } = parts;
    const streams = present(this.#streams, "a node has streams once it serves");
    const { votersWanted } = this.#options.cluster;
    const way = {
      node: driver.options.node,
      addressOf: (node: NodeId) => membership.addressOf(node),
      connect: (to: string) => new Http2Session(to, connection),
      neverLeft,
    };
    const at = (node: NodeId) => clusterAt(way, node);
    const leadersChosen = () => this.#reconciler?.leadersChosen();
    const askHealthOf = async (node: NodeId) => {
      const address = membership.members().find(({ id }) => id === node)?.peerAddress;
      return address === undefined ? undefined : await askHealth(this.#transports.to(address), node);
    };
    const { health } = this.#options;
    const told = {
      clusterId,
      driver,
      streams,
      nodes: membership,
      votersWanted,
      health,
      askHealthOf,
      leadersChosen,
      at,
    };
    return this.#telling.begin(told);
  }

  /** Nodes that have a group, the one to ask first in front: those that are up. */
  #holders(group: number): readonly NodeId[] {
    const named = this.#streams?.nodesOf(group) ?? [];
    const voters = (this.#parts?.driver.core.group(group)?.log.voters ?? []).map(nodeOf);
    const members = this.#membership?.members() ?? [];
    // What a node created while it was alone is where it was, until it is placed.
    const unplaced = named.length > 0 ? [] : members.filter(({ isSelf }) => !isSelf).map(({ id }) => id);
    const all = [...new Set([...named, ...voters, ...unplaced])].filter((node) => node !== "");
    const up = new Set(members.filter(({ state }) => state === "alive").map(({ id }) => id));
    return [...all.filter((node) => up.has(node)), ...all.filter((node) => !up.has(node))];
  }

  #knowsLeader(): boolean {
    const meta = this.#parts?.driver.core.group(metaGroup);
    if (!meta) return false;
    // A lone voter leads as soon as something is wanted of it.
    const isAlone = meta.log.voters.every((voter) => voter === meta.self);
    return isAlone || meta.role.kind === "leader" || sourceOf(meta)?.answered === true;
  }

  /** Where clients find another node that is up, of the same region where there is one; empty: none is known. */
  get elsewhere(): string {
    const members = this.#membership?.members() ?? [];
    const others = members.filter(({ isSelf, state, apiUrl }) => !isSelf && state === "alive" && apiUrl !== "");
    const near = others.filter(({ region }) => region === this.#options.cluster.region);
    const choice = near.length > 0 ? near : others;
    return choice[Math.floor(fraction() * choice.length)]?.apiUrl ?? "";
  }

  /** Hands over what it leads, as far as that can be done in so many milliseconds. */
  async handOver(graceMs: number): Promise<void> {
    this.#reconciler?.stop();
    const { driver, logs } = this.#parts ?? {};
    if (!driver || !logs) return;
    const endMs = systemClock.monotonicMs() + graceMs;
    for (let led = this.#led(); led.length > 0 && systemClock.monotonicMs() < endMs; led = this.#led()) {
      await Promise.race([
        Promise.allSettled(led.slice(0, transfersAtOnce).map((group) => driver.group(group)?.transfer())),
        new Promise<void>((resolve) => systemClock.after(Math.max(endMs - systemClock.monotonicMs(), 1), resolve)),
      ]);
      await new Promise<void>((resolve) => systemClock.after(20, resolve));
    }
  }

  /** What still waits, for a leader, a majority or another node, is told at once that nobody knows what becomes of it. */
  giveUp(): void {
    this.#routed?.giveUp();
    this.#parts?.driver.stop();
    this.#forward?.close();
  }

  /** Leaves: the others know that it goes, and take it for no death; those that can't be told within so many milliseconds do. */
  async close(leaveMaxMs: number): Promise<void> {
    this.#isClosed = true;
    this.#reconciler?.stop();
    this.#telling.stop();
    const late = new Promise<void>((resolve) => systemClock.after(leaveMaxMs, resolve));
    await Promise.race([this.#membership?.leave(), late]);
    this.#membership?.stop();
    this.#parts?.driver.stop();
    this.#network?.close();
    this.#forward?.close();
    this.#transports.close();
    await this.#port.close();
  }

  /** Groups that are led here and have another voter. */
  #led(): number[] {
    const { parts } = this.#taken();
    const led: number[] = [];
    for (const door of parts.logs.doors()) {
      const g = parts.driver.core.group(door.group);
      if (g?.role.kind === "leader" && g.log.voters.length > 1) led.push(door.group);
    }
    return led;
  }

  #taken() {
    const parts = this.#parts;
    const membership = this.#membership;
    if (!parts || !membership) throw new Error("a node serves once it is of a cluster");
    return { parts, membership };
  }

  #openMembership(
    folder: DataFolder,
    clusterId: string | undefined,
    cluster: ClusterOptions,
    birth: () => JoinAnswer | undefined,
  ): Promise<Membership> {
    const { version, api, logger, dataFolder } = this.#options;
    const apiUrl = cluster.advertiseApi ?? `http://${advertisedAddress(api.host, api.port, machineAddresses())}`;
    return openMembership({
      ...{ nodeId: folder.nodeId, diskId: hexOf(folder.diskId), options: cluster, version, folder: dataFolder, logger },
      ...(clusterId === undefined ? {} : { clusterId }),
      ...{ peerAddress: this.#peerAddress, apiUrl, birth, strangers: this.#strangers, clock: systemClock },
      net: this.#net,
      ...{ resolve: resolveHost, random: systemRandom, disk: nodeDisk(), hash: systemHash },
    });
  }

  #replicate(
    folder: DataFolder,
    { clusterId, isOld }: { clusterId: string; isOld: boolean },
    membership: Membership,
  ): ClusterLogs {
    const { cluster, logger, broken } = this.#options;
    const network = new PeerNetwork(
      {
        ...{ clusterId, node: folder.nodeId, hash: systemHash },
        addressOf: (node) => membership.addressOf(node),
        connect: (address) => new Http2Session(address, connection),
        isRefused,
        endLog: (group) => this.#parts?.logs.door(group)?.end() ?? Promise.reject(new NotLeaderError(group, null)),
        strange: (node, error) => this.#strangers.met(node, `Node ${node} says what can't be: ${String(error)}`),
      },
      () => driver,
    );
    const driver: RaftDriver = new RaftDriver({
      ...{ node: folder.nodeId, disk: hexOf(folder.diskId), incarnation: folder.incarnation, folder, net: network },
      ...{ clock: systemClock, hash: systemHash, random: fraction, settings: lanSettings, broken },
      stepped: (input, effects) => {
        this.#telling.watch.stepped(input, effects);
        tellEvents(effects, logger);
      },
    });
    const logs = new ClusterLogs({
      ...{ driver, folder, isObserver: cluster.role === "observer" },
      place: ({ replicationFactor }) => this.#placeNew(replicationFactor, driver, membership),
      endLog: (group, door) => this.#routed?.endLog(group, door) ?? Promise.reject(new NotLeaderError(group, null)),
      renewed: (group) => {
        this.#telling.watch.renewed += 1;
        logger.warn({ streamId: group }, `The log of the stream with id ${group} was damaged: it is fetched anew`);
      },
      left: ({ id, creation }) => {
        this.#telling.watch.left += 1;
        logger.info({ streamId: id }, `The stream "${creation.name}" was moved away: its copy here is removed`);
      },
    });
    this.#network = network;
    this.#parts = { driver, logs, isOld, clusterId };
    return logs;
  }

  #placeNew(factor: number, driver: RaftDriver, membership: Membership): readonly NodeId[] {
    const meta = driver.core.group(metaGroup);
    const members = membership.members();
    const up = new Set(members.filter(({ state }) => state === "alive").map(({ id }) => id));
    const load = new Map<NodeId, { replicas: number; leaders: number }>();
    for (const { nodes } of this.#streams?.stored() ?? []) {
      for (const [at, node] of nodes.entries()) {
        const { replicas, leaders } = load.get(node) ?? { replicas: 0, leaders: 0 };
        load.set(node, { replicas: replicas + 1, leaders: leaders + (at === 0 ? 1 : 0) });
      }
    }
    return place({
      ...{ factor, load, voters: [...new Set((meta?.log.voters ?? []).map(nodeOf))] },
      ...{ regions: new Map(members.map(({ id, region }) => [id, region])), alive: (node) => up.has(node) },
    });
  }
}

function fraction(): number {
  return new DataView(systemRandom.bytes(4).buffer).getUint32(0) / 2 ** 32;
}
