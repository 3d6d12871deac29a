/**
 * The network between nodes, over Connect, as one node has it: the sessions that it opened to those it follows
 * (`followed.ts`), those that others opened here (`peer-service.ts`), and calls.
 * @module
 */
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport, type Http2SessionManager } from "@connectrpc/connect-node";
import type { Hash } from "../../host/hash.ts";
import type { Hello } from "../../raft/inputs.ts";
import type { Call, FollowerMessage, LeaderMessage, NodeId } from "../../raft/types.ts";
import type { PeerNet, StoredRange } from "../../replica/peer-net.ts";
import type { RaftDriver } from "../../replica/raft-driver.ts";
import { PeerService } from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
import { fromPosition, toPosition } from "../../wire/position.ts";
import { CallQueue } from "./call-queue.ts";
import { Followed } from "./followed.ts";
import { callMessage } from "./messages.ts";
import { PeerSessions } from "./peer-service.ts";

/** A connection to another node, as Connect's transport takes it. */
export type PeerConnection = Pick<Http2SessionManager, "authority" | "request" | "notifyResponseByteRead">;

/** What the network stands on. */
export interface PeerNetworkOptions {
  readonly clusterId: string;
  readonly node: NodeId;
  readonly hash: Hash;
  /** Where a node's peer port is; undefined: not known. */
  readonly addressOf: (node: NodeId) => string | undefined;
  /** Makes a connection to an address; it is opened with the first request, and again when it is gone. */
  readonly connect: (address: string) => PeerConnection & { close(): void };
  /** Whether an error says that nobody listens there. */
  readonly isRefused: (error: unknown) => boolean;
  /** Told of what a peer said that can't be. */
  readonly strange: (node: NodeId, error: unknown) => void;
  /** Ends a log for good. @throws {NotLeaderError} It is not led here. */
  readonly endLog: (group: number) => Promise<void>;
}

/** A client of other nodes' peer ports. */
export type PeerClient = Client<typeof PeerService>;

const callTimeoutMs = 2_000;
const rangeTimeoutMs = 10_000;

/** The network of one node. */
export class PeerNetwork implements PeerNet {
  /** Sessions that others opened here. */
  readonly sessions: PeerSessions;
  readonly #options: PeerNetworkOptions;
  readonly #driver: () => RaftDriver;
  /** One connection a node, where it was last said to be. */
  readonly #clients = new Map<NodeId, { address: string; client: PeerClient; connection: { close(): void } }>();
  readonly #followed = new Map<NodeId, Followed>();
  readonly #calls = new Map<NodeId, CallQueue>();
  #isClosed = false;

  /** @param driver Of this node; asked for once something arrives. */
  constructor(options: PeerNetworkOptions, driver: () => RaftDriver) {
    this.#options = options;
    this.#driver = driver;
    this.sessions = new PeerSessions(options, driver);
  }

  /** Ends all sessions, and opens none any more. */
  close(): void {
    this.#isClosed = true;
    for (const followed of this.#followed.values()) followed.end();
    this.sessions.close();
    for (const { connection } of this.#clients.values()) connection.close();
    this.#clients.clear();
  }

  open(to: NodeId, hello: Hello): void {
    this.#followed.get(to)?.end();
    const driver = this.#driver();
    const client = this.#clientOf(to);
    if (!client) {
      // Where it is will be known later: it is tried again.
      queueMicrotask(() => driver.sessionClosed(to, hello.number, false));
      return;
    }
    const followed = new Followed(client, { to, hello, driver, ...this.#options });
    this.#followed.set(to, followed);
  }

  closeSession(to: NodeId, number: number): void {
    const followed = this.#followed.get(to);
    if (followed?.number === number) followed.end();
  }

  end(hello: Hello): void {
    this.sessions.end(hello);
  }

  toLeader(to: NodeId, number: number, messages: readonly FollowerMessage[]): void {
    const followed = this.#followed.get(to);
    if (followed?.number === number) followed.say(messages);
  }

  toFollower(hello: Hello, messages: readonly LeaderMessage[]): void {
    this.sessions.say(hello, messages);
  }

  call(to: NodeId, calls: readonly Call[]): void {
    const queue = this.#calls.get(to) ?? new CallQueue((gathered) => this.#send(to, gathered));
    this.#calls.set(to, queue);
    queue.add(calls);
  }

  async #send(to: NodeId, calls: readonly Call[]): Promise<void> {
    const { clusterId, node: nodeId } = this.#options;
    await this.#clientOf(to)?.call({ clusterId, nodeId, calls: calls.map(callMessage) }, { timeoutMs: callTimeoutMs });
  }

  async range(to: NodeId, group: number, from: number, maxBytes: number): Promise<StoredRange> {
    const client = this.#clientOf(to);
    if (!client) throw new Error(`node ${to} has no address`);
    const { clusterId } = this.#options;
    const request = {
      clusterId,
      group: fromPosition(group),
      from: fromPosition(from),
      maxBytes: fromPosition(maxBytes),
    };
    const { batches, baseIndex } = await client.range(request, { timeoutMs: rangeTimeoutMs });
    return { batches, baseIndex: toPosition(baseIndex, "base_index") };
  }

  #clientOf(node: NodeId): PeerClient | undefined {
    const address = this.#options.addressOf(node);
    if (address === undefined || this.#isClosed) return undefined;
    const known = this.#clients.get(node);
    if (known?.address === address) return known.client;
    // Nobody is at its old address any more.
    known?.connection.close();
    const connection = this.#options.connect(address);
    const options = { baseUrl: address, httpVersion: "2" as const, sessionManager: connection, acceptCompression: [] };
    const client = createClient(PeerService, createConnectTransport(options));
    this.#clients.set(node, { address, client, connection });
    return client;
  }
}
