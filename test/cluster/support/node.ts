/**
 * A replica node as tests have it: a driver on a real folder and a real port.
 * @module
 */
import * as fs from "node:fs/promises";
import * as http2 from "node:http2";
import * as os from "node:os";
import * as path from "node:path";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { systemClock } from "../../../src/host/clock.ts";
import { systemHash } from "../../../src/host/hash.ts";
import { Http2Session, isRefused } from "../../../src/host/http2-session.ts";
import { nodeDisk } from "../../../src/host/node-disk.ts";
import { systemRandom } from "../../../src/host/random.ts";
import { openDataFolder } from "../../../src/log/data-folder.ts";
import type { DataFolder } from "../../../src/log/types.ts";
import { lanSettings, type ReplicaId, replicaId } from "../../../src/raft/types.ts";
import { hexOf } from "../../../src/replica/core-batch.ts";
import { RaftDriver, type RaftDriverOptions } from "../../../src/replica/raft-driver.ts";
import { PeerNetwork } from "../../../src/server/peer/peer-network.ts";
import { PeerService } from "../../../src/wire/gen/tailrace/peer/v1/peer_pb.ts";

/** A node that runs. */
export class TestNode {
  readonly id: string;
  readonly folder: DataFolder;
  readonly driver: RaftDriver;
  readonly network: PeerNetwork;
  readonly url: string;
  readonly #server: http2.Http2Server;
  readonly #sockets: Set<import("node:net").Socket>;

  private constructor(parts: {
    id: string;
    folder: DataFolder;
    driver: RaftDriver;
    network: PeerNetwork;
    server: http2.Http2Server;
    url: string;
    sockets: Set<import("node:net").Socket>;
  }) {
    this.id = parts.id;
    this.folder = parts.folder;
    this.driver = parts.driver;
    this.network = parts.network;
    this.#server = parts.server;
    this.url = parts.url;
    this.#sockets = parts.sockets;
  }

  /** Starts a node. `addresses`: where all nodes are, by id; it adds itself. `stepped`: told of each step of its core. */
  static async start(
    id: string,
    folderPath: string,
    addresses: Map<string, string>,
    incarnation: number,
    stepped?: RaftDriverOptions["stepped"],
  ): Promise<TestNode> {
    const folder = await openDataFolder({
      ...{ path: folderPath, disk: nodeDisk(), clock: systemClock, hash: systemHash, random: systemRandom },
      settings: { journalFiles: 4, journalFileBytes: 1 << 20, arenaBytes: 1 << 20 },
    });
    const network = new PeerNetwork(
      {
        ...{ clusterId: "test", node: id, hash: systemHash, addressOf: (node) => addresses.get(node) },
        connect: (address) => new Http2Session(address),
        isRefused,
        strange: () => {},
        endLog: () => Promise.reject(new Error("no test ends a log")),
      },
      () => driver,
    );
    const driver: RaftDriver = new RaftDriver({
      ...{
        node: id,
        disk: hexOf(folder.diskId),
        incarnation,
        folder,
        net: network,
        clock: systemClock,
        hash: systemHash,
      },
      ...{ random: Math.random, settings: lanSettings },
      ...(stepped && { stepped }),
    });
    const adapter = connectNodeAdapter({ routes: (router) => router.service(PeerService, network.sessions.service) });
    const server = http2.createServer(adapter);
    const sockets = new Set<import("node:net").Socket>();
    server.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address ? address.port : 0;
    const url = `http://127.0.0.1:${port}`;
    addresses.set(id, url);
    return new TestNode({ id, folder, driver, network, server, url, sockets });
  }

  /** The name that its replicas have. */
  get replica(): ReplicaId {
    return replicaId(this.id, hexOf(this.folder.diskId), 0);
  }

  /** Ends it without a word, as a killed process ends. */
  async kill(): Promise<void> {
    this.driver.stop();
    for (const socket of this.#sockets) socket.destroy();
    this.network.close();
    this.#server.close();
    await this.folder.close();
  }
}

/** A folder that goes with the test. */
export function temporaryFolder(): Promise<string> {
  return fs.mkdtemp(path.join(os.tmpdir(), "tailrace-cluster-"));
}
