/**
 * A cluster of processes for the length of a test.
 * @module
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { Code } from "@connectrpc/connect";
import { connectTo } from "../../../src/cli/connection.ts";
import { toRequestError } from "../../../src/client/errors.ts";
import { Reason } from "../../../src/wire/gen/tailrace/v1/error_pb.ts";
import { Routing } from "../../../src/wire/gen/tailrace/v1/log_pb.ts";
import { client, type Hosts, type Link } from "./host.ts";
import { between, makeHosts } from "./hosts.ts";
import { ClusterNode, type NodeOptions, peerAddressOf } from "./node-process.ts";

const names = "abcdefghijklmnopqrstuvwxyz";
/** No stream has so many records: an append there is refused by whoever may take appends. */
const beyondAll = 2n ** 50n;
const askMaxMs = 2_000;
/** More processes at their start would only be in each other's way. */
const startsAtOnce = 3;
const waitMaxMs = 40_000;
/** What is told of each node when a test fails, characters. */
const toldMax = 6_000;

export interface ClusterOptions extends Pick<NodeOptions, "args" | "family"> {
  readonly nodes: number;
  /** The first so many begin the cluster together; left out: all of them. */
  readonly voters?: number;
  /** The first so many are started; left out: all of them. */
  readonly start?: number;
  /** Links can have delay and loss. */
  readonly switched?: boolean;
  /** Where a node's data is to be; left out, or undefined: in a folder that goes with the test. */
  readonly dataOf?: (id: string) => string | undefined;
}

/** Runs `body` with a cluster that serves; says what the nodes wrote when it fails, and ends them in any case. */
export async function withCluster(options: ClusterOptions, body: (cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster = await Cluster.make(options);
  try {
    await cluster.start();
    await body(cluster);
    // Whatever else a test looks at: no node may end by itself over what others do, or fail a call that it was given.
    const faults = ["ends by a fault of its own", "failed by a fault of the node"];
    const faulty = cluster.nodes.filter(({ output }) => faults.some((fault) => output.includes(fault)));
    if (faulty.length > 0) throw new Error(`${faulty.map(({ id }) => id).join(", ")} met faults of their own`);
  } catch (error) {
    for (const node of cluster.nodes) console.log(`---- node ${node.id}:\n${node.output.slice(-toldMax)}`);
    throw error;
  } finally {
    await cluster.close();
  }
}

export class Cluster {
  readonly hosts: Hosts;
  readonly nodes: ClusterNode[] = [];
  readonly #options: ClusterOptions;
  readonly #folder: string;

  private constructor(hosts: Hosts, options: ClusterOptions) {
    this.hosts = hosts;
    this.#options = options;
    this.#folder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-cluster-"));
  }

  /** Hosts and nodes, none of which runs yet. */
  static async make(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(await makeHosts({ switched: options.switched ?? false }), options);
    const hosts = [];
    for (const id of names.slice(0, options.nodes)) hosts.push(await cluster.hosts.add(id));
    const { family = 4, args } = options;
    const seeds = hosts.map((host) => peerAddressOf(host, family));
    for (const [i, host] of hosts.entries()) {
      const id = host.name;
      const begins = i < (options.voters ?? options.nodes);
      cluster.nodes.push(
        new ClusterNode({
          ...{ id, host, data: cluster.#dataOf(id), seeds, family },
          ...(begins ? { bootstrapExpect: options.voters ?? options.nodes } : {}),
          ...(args && { args }),
        }),
      );
    }
    return cluster;
  }

  #dataOf(id: string): string {
    return this.#options.dataOf?.(id) ?? path.join(this.#folder, id);
  }

  /** Starts nodes; resolves when they are ready. */
  async start(): Promise<void> {
    const { start, voters, nodes } = this.#options;
    const due = this.nodes.slice(0, start);
    for (let i = 0; i < due.length; ) {
      // Those that begin the cluster wait for each other.
      const together = due.slice(i, i === 0 ? (voters ?? nodes) : i + startsAtOnce);
      for (const node of together) node.start();
      await Promise.all(together.map((node) => node.ready()));
      i += together.length;
    }
  }

  node(id: string): ClusterNode {
    const found = this.nodes.find((node) => node.id === id);
    if (!found) throw new Error(`there is no node ${id}`);
    return found;
  }

  others(node: ClusterNode): ClusterNode[] {
    return this.nodes.filter((other) => other !== node);
  }

  /** The node that leads a stream, when one that is up and can be reached says that it does. */
  async leaderOf(stream: string, among: readonly ClusterNode[] = this.nodes): Promise<ClusterNode> {
    const begin = performance.now();
    while (performance.now() - begin < waitMaxMs) {
      for (const node of among) if (node.isUp && (await isLeading(node, stream))) return node;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`nobody leads ${stream} after ${waitMaxMs} ms`);
  }

  /** All links of a host, to the test's clients too. */
  linksOf(node: ClusterNode): Link[] {
    return between([node.host.name], [...this.#hostNames(), client]);
  }

  /** All links between nodes of two sides. */
  linksBetween(one: readonly ClusterNode[], other: readonly ClusterNode[]): Link[] {
    const hostsOf = (nodes: readonly ClusterNode[]) => nodes.map(({ host }) => host.name);
    return between(hostsOf(one), hostsOf(other));
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.end("SIGKILL")));
    await this.hosts.close();
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  #hostNames(): string[] {
    return this.nodes.map(({ host }) => host.name);
  }
}

/** Asks without effect: who leads finds the offset wrong, all others refuse before that. */
async function isLeading(node: ClusterNode, stream: string): Promise<boolean> {
  const connection = connectTo(node.url);
  const append = { stream, records: [{}], expectedOffset: beyondAll, routing: Routing.REFUSE };
  try {
    await connection.client.log.append(append, { timeoutMs: askMaxMs, signal: AbortSignal.timeout(askMaxMs) });
    return false;
  } catch (error) {
    const { code, detail } = toRequestError(error);
    return code === Code.FailedPrecondition && detail?.reason === Reason.OFFSET_TAKEN;
  } finally {
    connection.close();
  }
}
