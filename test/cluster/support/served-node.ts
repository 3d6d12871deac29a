/**
 * A node of a cluster as clients have it: its streams on real folders and ports, routed by way of the others. Without gossip
 * and placement: who the nodes are is said.
 * @module
 */
import { createServer, type Http2Server } from "node:http2";
import type { Socket } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { pino } from "pino";
import { Registry } from "prom-client";
import { present } from "../../../src/base/assert.ts";
import { defaultLimits, type Limits } from "../../../src/base/limits.ts";
import { systemClock } from "../../../src/host/clock.ts";
import { systemHash } from "../../../src/host/hash.ts";
import { Http2Session, isRefused, neverLeft } from "../../../src/host/http2-session.ts";
import { nodeDisk } from "../../../src/host/node-disk.ts";
import { systemRandom } from "../../../src/host/random.ts";
import { openDataFolder } from "../../../src/log/data-folder.ts";
import type { DataFolder } from "../../../src/log/types.ts";
import { lanSettings, replicaId } from "../../../src/raft/types.ts";
import { ClusterLogs, newGroup } from "../../../src/replica/cluster-logs.ts";
import { hexOf, replicaOf } from "../../../src/replica/core-batch.ts";
import { emptyPart } from "../../../src/replica/log-door.ts";
import { creationOf } from "../../../src/replica/log-past.ts";
import { RaftDriver } from "../../../src/replica/raft-driver.ts";
import { NotLeaderError } from "../../../src/replica/replica-errors.ts";
import { type Api, createApi } from "../../../src/server/api/api.ts";
import { LoneCluster } from "../../../src/server/api/lone-cluster.ts";
import { Forward } from "../../../src/server/peer/forward.ts";
import { PeerNetwork } from "../../../src/server/peer/peer-network.ts";
import { metaGroup, metaName } from "../../../src/stream/meta-log.ts";
import { RoutedStreams } from "../../../src/stream/routed-streams.ts";
import { builtInSettings } from "../../../src/stream/settings.ts";
import { type LocalStreams, openStreams } from "../../../src/stream/streams.ts";
import { noneChosen } from "../../../src/wire/catalogue.ts";
import { PeerService } from "../../../src/wire/gen/tailrace/peer/v1/peer_pb.ts";

/** What all nodes of a test's cluster know. */
export interface TestCluster {
  /** Their names, all voters of `_meta`. */
  readonly ids: readonly string[];
  /** Folders, one for each name. */
  readonly path: string;
  /** Nodes for each new stream; all unless said otherwise. */
  place: () => readonly string[];
  readonly limits?: Partial<Limits>;
  /** URLs of peer ports and api ports, by the nodes' names. */
  readonly peerUrls: Map<string, string>;
  readonly apiUrls: Map<string, string>;
}

/** Makes the folders of a cluster, each with `_meta`. */
export async function newCluster(
  path: string,
  ids: readonly string[],
  limits: Partial<Limits> = {},
): Promise<TestCluster> {
  const folders = new Map<string, DataFolder>();
  for (const id of ids) folders.set(id, await openFolder(`${path}/${id}`, id));
  const voters = [...folders].map(([id, { diskId }]) => replicaOf(replicaId(id, hexOf(diskId), 0)));
  const part = {
    ...{ name: metaName, settings: { version: 1, ...builtInSettings }, ...emptyPart },
    catalogue: { clusterId: new Uint8Array(16).fill(7), streams: [], chosen: noneChosen },
  };
  const creation = creationOf(part, 0, voters);
  for (const folder of folders.values()) {
    await folder.create(newGroup({ group: metaGroup, creation, appendTimeMicros: 1 })).made;
    await folder.close();
  }
  return { ids, path, limits, place: () => ids, peerUrls: new Map(), apiUrls: new Map() };
}

function openFolder(path: string, nodeId: string): Promise<DataFolder> {
  return openDataFolder({
    ...{ path, nodeId, disk: nodeDisk(), clock: systemClock, hash: systemHash, random: systemRandom },
    settings: { journalFiles: 4, journalFileBytes: 1 << 20, arenaBytes: 1 << 20 },
  });
}

/** A node that serves. */
export class ServedNode {
  readonly id: string;
  readonly driver: RaftDriver;
  readonly local: LocalStreams;
  readonly streams: RoutedStreams;
  readonly url: string;
  readonly #folder: DataFolder;
  readonly #network: PeerNetwork;
  readonly #forward: Forward;
  readonly #api: Api;
  readonly #server: Http2Server;
  readonly #sockets: Set<Socket>;

  private constructor(parts: {
    readonly id: string;
    readonly driver: RaftDriver;
    readonly local: LocalStreams;
    readonly streams: RoutedStreams;
    readonly url: string;
    readonly folder: DataFolder;
    readonly network: PeerNetwork;
    readonly forward: Forward;
    readonly api: Api;
    readonly server: Http2Server;
    readonly sockets: Set<Socket>;
  }) {
    this.id = parts.id;
    this.driver = parts.driver;
    this.local = parts.local;
    this.streams = parts.streams;
    this.url = parts.url;
    this.#folder = parts.folder;
    this.#network = parts.network;
    this.#forward = parts.forward;
    this.#api = parts.api;
    this.#server = parts.server;
    this.#sockets = parts.sockets;
  }

  /** Starts a node of a cluster. @param incarnation How often it was started. */
  static async start(cluster: TestCluster, id: string, incarnation = 1): Promise<ServedNode> {
    const limits = { ...defaultLimits, ...cluster.limits };
    const folder = await openFolder(`${cluster.path}/${id}`, id);
    const way = {
      ...{ clusterId: "test", node: id },
      addressOf: (node: string) => cluster.peerUrls.get(node),
      connect: (address: string) => new Http2Session(address),
    };
    const endLog = (group: number) => logs.door(group)?.end() ?? Promise.reject(new NotLeaderError(group, null));
    const network = new PeerNetwork({ ...way, hash: systemHash, isRefused, strange: () => {}, endLog }, () => driver);
    const driver: RaftDriver = new RaftDriver({
      ...{ node: id, disk: hexOf(folder.diskId), incarnation, folder, net: network },
      ...{ clock: systemClock, hash: systemHash, random: Math.random, settings: lanSettings },
    });
    const logs = new ClusterLogs({
      ...{ driver, folder, isObserver: false, place: () => cluster.place() },
      endLog: (group, door) => streams.endLog(group, door),
      renewed: () => {},
      left: () => {},
    });
    const local = await openStreams({
      ...{ logs, limits, defaults: builtInSettings, createOnAppend: true, clock: systemClock },
      ...{
        retentionIntervalMs: 2 ** 31 - 1,
        nearLimit: () => {},
        clusterId: () => new Uint8Array(16),
        nowMicros: () => 1,
      },
      broken: (error) => driver.broken(error),
    });
    const forward = new Forward({
      ...{ ...way, neverLeft, clock: systemClock, answerMaxMs: limits.forwardMaxMs },
      apiUrlOf: (node) => cluster.apiUrls.get(node) ?? "",
    });
    const streams: RoutedStreams = new RoutedStreams({
      ...{ local, peers: forward, clock: systemClock, limits, createOnAppend: true },
      holders: (group) => local.nodesOf(group),
    });
    // What is asked of the cluster itself is not what is tried here.
    const lone = {
      id,
      clusterId: "",
      apiUrl: "",
      version: "",
      streams: local,
      health: () => ({ kind: "serving" }) as const,
    };
    const serving = { kind: "serving", streams, cluster: new LoneCluster(lone) } as const;
    const api = createApi({
      ...{ state: () => serving, limits, clock: systemClock, version: "0.0.0-test" },
      ...{ logger: pino({ level: "error" }), registry: new Registry(), settings: { drainGraceMs: 500 } },
    });
    const { url } = await api.listen({ host: "127.0.0.1", port: 0 });
    const { server, sockets, peerUrl } = await openPeerPort(network, api);
    cluster.peerUrls.set(id, peerUrl);
    cluster.apiUrls.set(id, url);
    return new ServedNode({ id, driver, local, streams, url, folder, network, forward, api, server, sockets });
  }

  /** Whether it leads a stream. */
  leads(name: string): boolean {
    const stream = this.local.get(name);
    return stream.log.door?.leadership.kind === "here";
  }

  /** Whether it has a stream's log. */
  has(name: string): boolean {
    return this.local.list({ prefix: name, limit: 1 }).streams[0]?.log.door !== undefined;
  }

  /** Whether its data folder has anything of a group. */
  holds(group: number): boolean {
    return this.#folder.log(group) !== undefined;
  }

  /** The digest that stands for all that is committed of a stream here. */
  async digest(name: string): Promise<string> {
    const { index, digest } = await present(this.local.get(name).log.door, "it is held here").committed();
    return `${index} ${hexOf(digest)}`;
  }

  /** Ends it without a word, as a killed process ends. */
  async kill(): Promise<void> {
    this.driver.stop();
    for (const socket of this.#sockets) socket.destroy();
    this.#network.close();
    this.#forward.close();
    this.#server.close();
    this.local.stop();
    await this.#api.close();
    await this.#folder.close();
  }
}

/** One port for what nodes say to each other, and for what they pass on. */
async function openPeerPort(
  network: PeerNetwork,
  api: Api,
): Promise<{ server: Http2Server; sockets: Set<Socket>; peerUrl: string }> {
  const peers = connectNodeAdapter({ routes: (router) => router.service(PeerService, network.sessions.service) });
  const server = createServer((request, response) => {
    if (request.url.startsWith("/tailrace.peer.")) peers(request, response);
    else api.serve(request, response);
  });
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { server, sockets, peerUrl: `http://127.0.0.1:${port}` };
}
