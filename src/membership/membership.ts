/**
 * Who is in the cluster, and how a node comes to be in one. docs/cluster.md has it in words.
 * - Every node greets its seeds: every second while it is alone, slowly from then on.
 * - A node without a cluster joins the one that it finds, or begins one together with others that have none (`bootstrapping.ts`).
 *   What it has agreed to begin comes first: it joins no other until that is refused.
 * - Gossip runs once the cluster is known, among those of the same cluster only.
 * - A node that comes back to its cluster takes part when one of the same has let it in, or none is there: where another process
 *   has its name, and perhaps a copy of its data, what that one promises and what it says itself would be of one replica.
 * @module
 */
import { newClusterId } from "../base/cluster-id.ts";
import { foundersMax } from "../base/cluster-options.ts";
import { invalidField, TailraceError } from "../base/errors.ts";
import type { Message } from "../gossip/types.ts";
import type { BootstrapMessage } from "../raft/bootstrap.ts";
import { type NodeId, nodeOf, replicaId } from "../raft/types.ts";
import type { GossipDriver } from "../replica/gossip-driver.ts";
import { Bootstrapping } from "./bootstrapping.ts";
import { GossipMembers } from "./gossip-members.ts";
import { Meeting } from "./meeting.ts";
import { defaultMembershipSettings, type MembershipOptions, type MembershipSettings } from "./membership-options.ts";
import { PromiseFile } from "./promise-file.ts";
import type { Found, GreetAnswer, Greeting, JoinAnswer, Member, MemberService } from "./types.ts";

/**
 * Begins to look for others; the peer port serves already.
 * @throws {DataFolderError} What was agreed about a cluster can't be read. @throws {RangeError} A seed is not `HOST:PORT`, or
 * more voters are to begin a cluster than may.
 */
export async function openMembership(options: MembershipOptions): Promise<Membership> {
  const file = await PromiseFile.open(options.folder, options.disk, options.hash);
  return new Membership(options, file);
}

/** See the module's description. */
export class Membership implements MemberService {
  /**
   * Resolves for a node without a cluster once there is one; never without seeds and `bootstrapExpect`, who then makes its own is
   * the caller's business.
   */
  readonly found: Promise<Found>;
  /** Resolves when this node, which is of a cluster, may take part in it. */
  readonly letIn: Promise<void>;
  readonly #options: MembershipOptions;
  readonly #settings: MembershipSettings;
  readonly #bootstrapping: Bootstrapping;
  readonly #meeting: Meeting;
  readonly #instance: string;
  /** How many begin the cluster; 0: this node begins none. */
  readonly #expect: number;
  readonly #fraction: () => number;
  readonly #listeners = new Set<() => void>();
  /** Where answers go to nodes that asked before they were met. */
  readonly #askedFrom = new Map<NodeId, string>();
  #clusterId: string;
  /** Nodes that have agreed to begin the cluster with this one: when they last greeted it was not there. */
  #founders: readonly NodeId[] = [];
  #gossip: GossipMembers | undefined;
  #isJoining = false;
  #isStopped = false;
  #resolveFound: (found: Found) => void = () => {};
  #resolveLetIn: () => void = () => {};
  /** Until then it is looked who has this node's name; names of seeds may be asked for in vain. */
  readonly #lookUntilMs: number;
  #told = "";

  constructor(options: MembershipOptions, file: PromiseFile) {
    const { nodeId, diskId, clusterId, clock, random, logger, net } = options;
    const { role, bootstrapExpect = 0, seeds } = options.options;
    if (bootstrapExpect > foundersMax) throw new RangeError(`bootstrapExpect is ${foundersMax} at most`);
    this.#options = options;
    this.#settings = { ...defaultMembershipSettings, ...options.settings };
    this.#clusterId = clusterId ?? "";
    this.#expect = role === "voter" ? bootstrapExpect : 0;
    this.#instance = [...random.bytes(8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    this.#fraction = () => new DataView(random.bytes(4).buffer).getUint32(0) / 2 ** 32;
    this.found = new Promise((resolve) => {
      this.#resolveFound = resolve;
    });
    this.letIn = new Promise((resolve) => {
      this.#resolveLetIn = resolve;
    });
    const lookMs = comeBackGreetings * this.#settings.greetIntervalMs;
    this.#lookUntilMs = clock.monotonicMs() + lookMs;
    if (clusterId !== undefined) clock.after(lookMs, () => this.#look());
    if (this.#expect > 0 && this.#expect % 2 === 0) {
      logger.warn(
        { bootstrapExpect },
        `A cluster of ${bootstrapExpect} voters survives the loss of no more of them than one of ${bootstrapExpect - 1}: take an odd number`,
      );
    }
    this.#meeting = new Meeting({
      ...{ net, clock, logger, seeds, resolve: options.resolve, strangers: options.strangers },
      presentMs: 5 * this.#settings.greetIntervalMs,
      clusterPresentMs: 60 * this.#settings.greetIntervalMs,
      own: () => this.#greeting(),
      livesAt: (node) => this.#gossip?.livesAt(node),
      takesPart: () => this.#gossip !== undefined,
      isSearching: () => this.#clusterId === "",
      intervalMs: () => (this.#isAlone ? this.#settings.greetIntervalMs : this.#settings.slowGreetIntervalMs),
      changed: () => this.#metChanged(),
      onRound: () => this.#look(),
    });
    this.#bootstrapping = new Bootstrapping({
      ...{ self: replicaId(nodeId, diskId, 0), expect: this.#expect, clusterId, file, clock, logger },
      random: this.#fraction,
      newClusterId: () => newClusterId(clock.nowMicros(), random.bytes(16)),
      send: (to, message) => this.#propose(to, message),
      exists: ({ clusterId: made, replicas }) => this.#decide({ kind: "made", clusterId: made, replicas }),
    });
    this.#meeting.start();
  }

  /** The cluster that it is of, once that is known. */
  get clusterId(): string | undefined {
    return this.#clusterId === "" ? undefined : this.#clusterId;
  }

  /** What a node without a cluster waits for, as a sentence; `undefined`: for nothing. */
  get waitsFor(): string | undefined {
    const { refusal } = this.#meeting;
    if (this.#clusterId !== "") return refusal === undefined || this.#gossip ? undefined : `Takes no part: ${refusal}`;
    const { waitsFor, accepted } = this.#bootstrapping;
    if (accepted && waitsFor.length > 0) {
      return `Waits for ${waitsFor.join(", ")} to agree to begin cluster ${accepted.clusterId}`;
    }
    const { seeds } = this.#options.options;
    if (refusal !== undefined) return `Takes no part: ${refusal}`;
    const clusters = this.#meeting.clusters();
    if (clusters.size > 1)
      return `Joins none of ${clusters.size} clusters that it found: ${[...clusters.keys()].join(", ")}`;
    const [cluster] = clusters.keys();
    if (cluster !== undefined) return `Joins cluster ${cluster}`;
    if (this.#expect === 0) return `Looks for a cluster at ${seeds.join(", ")}`;
    const fresh = [this.#options.nodeId, ...this.#beginners().map(({ node }) => node)];
    return `Sees ${fresh.length} of ${this.#expect} nodes that begin a cluster: ${fresh.sort().join(", ")}`;
  }

  /** For metrics; `undefined`: gossip does not run yet. */
  get driver(): GossipDriver | undefined {
    return this.#gossip?.driver;
  }

  /** All nodes that are known, this one too, in order of their names. */
  members(): readonly Member[] {
    const self: Member = { ...this.#self(), state: "alive", isSelf: true };
    const others = this.#gossip?.others() ?? this.#meeting.present().map(memberOf);
    return [self, ...others].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** URL of a node's peer port, such as `http://10.0.0.1:8500`; `undefined`: it is not known. */
  addressOf(node: NodeId): string | undefined {
    const address = this.#gossip?.addressOf(node) ?? this.#meeting.addressOf(node);
    return address === undefined ? undefined : `http://${address}`;
  }

  /** Calls `listener` after each change of who is there, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async greeted(greeting: Greeting, isCallback: boolean): Promise<GreetAnswer> {
    return await this.#meeting.greeted(greeting, isCallback);
  }

  proposed(message: BootstrapMessage, address: string): void {
    this.#askedFrom.set(nodeOf(message.from), address);
    const [oldest] = this.#askedFrom.keys();
    if (this.#askedFrom.size > askersMax && oldest !== undefined) this.#askedFrom.delete(oldest);
    this.#meeting.hint(address);
    this.#bootstrapping.receive(message);
  }

  joinAsked(clusterId: string, node: NodeId): JoinAnswer {
    if (clusterId !== this.#clusterId) {
      throw invalidField("cluster_id", `node "${this.#options.nodeId}" is not of that cluster`, "Greet it again");
    }
    const answer = this.#options.birth();
    if (answer) {
      this.#options.logger.info({ node }, `The node "${node}" joins the cluster`);
      return answer;
    }
    const words = { what: "Cannot join", why: "this node has not made _meta yet", todo: "Ask again in a moment" };
    throw new TailraceError("not_ready", words);
  }

  gossiped(message: Message): void {
    const { cluster, id, address } = message.sender;
    if (this.#gossip && cluster !== this.#clusterId) this.#meeting.otherCluster(id, address, cluster);
    this.#gossip?.driver.receive(message);
  }

  /** Says that this node goes; resolves when enough others know, or when it took too long. Then it does nothing more. */
  async leave(): Promise<void> {
    await this.#gossip?.driver.leave();
    this.stop();
  }

  /** Does nothing more, and says nothing of it. */
  stop(): void {
    this.#isStopped = true;
    this.#meeting.stop();
    this.#bootstrapping.stop();
    this.#gossip?.driver.stop();
    this.#options.net.close();
  }

  get #isAlone(): boolean {
    return (this.#gossip?.size ?? 0) === 0;
  }

  /** Others that begin a cluster together with this one, as far as they can be reached. */
  #beginners(): Greeting[] {
    return this.#meeting
      .present()
      .filter((one) => one.clusterId === "" && one.role === "voter" && one.bootstrapExpect === this.#expect);
  }

  #self(): Omit<Member, "state" | "isSelf"> {
    const { nodeId: id, peerAddress, apiUrl, version, options } = this.#options;
    return { id, peerAddress, apiUrl, region: options.region, role: options.role, version };
  }

  #greeting(): Greeting {
    const { nodeId, diskId, clock } = this.#options;
    const { id: _, ...self } = this.#self();
    const known = this.#gossip?.others().filter(({ state }) => state === "alive" || state === "suspect");
    const acquaintances = known?.map(({ id, peerAddress }) => ({ node: id, peerAddress })) ?? this.#meeting.present();
    return {
      ...{ node: nodeId, disk: diskId, instance: this.#instance, clusterId: this.#clusterId, ...self },
      nowMicros: clock.nowMicros(),
      bootstrapExpect: this.#clusterId === "" ? this.#expect : 0,
      acquaintances: acquaintances.slice(0, acquaintancesMax),
    };
  }

  #metChanged(): void {
    if (this.#isStopped) return;
    this.#look();
    this.#gossip?.seeds(this.#companions());
    if (!this.#gossip) this.#notify();
  }

  /** What this node does about those that it has met, while it has no cluster, or does not take part. */
  #look(): void {
    if (this.#isStopped) return;
    this.#tell();
    if (this.#clusterId !== "") {
      this.#comeBack();
      return;
    }
    const clusters = this.#meeting.clusters();
    const { accepted } = this.#bootstrapping;
    if (accepted && clusters.has(accepted.clusterId)) {
      this.#bootstrapping.existing(accepted.clusterId);
      return;
    }
    // Who is found by the first greeting may not be the only one, and whom one refuses, another may not know yet.
    if (!this.#meeting.hasGreetedSeeds) return;
    if (this.#meeting.refusal !== undefined) {
      this.#bootstrapping.see([]);
      return;
    }
    const [first, second] = clusters;
    if (first && second) {
      this.#options.strangers.met("clusters", ambiguous([first, second]), "error");
      this.#bootstrapping.see([]);
      return;
    }
    if (first) {
      this.#bootstrapping.see([]);
      const [clusterId, nodes] = first;
      if (!accepted) void this.#join(clusterId, nodes);
      return;
    }
    const { nodeId, diskId } = this.#options;
    const others = this.#beginners().map(({ node, disk }) => replicaId(node, disk, 0));
    this.#bootstrapping.see([replicaId(nodeId, diskId, 0), ...others]);
  }

  /** What a node that has a cluster does, until it takes part. */
  #comeBack(): void {
    const { hasGreetedSeeds, isWelcome, refusal } = this.#meeting;
    const isSure = hasGreetedSeeds || isWelcome || this.#options.clock.monotonicMs() >= this.#lookUntilMs;
    if (!this.#gossip && isSure && refusal === undefined) this.#startGossip(this.#clusterId);
  }

  /** Says what is waited for whenever that is something else. */
  #tell(): void {
    const waitsFor = this.waitsFor ?? "";
    if (waitsFor === this.#told || waitsFor === "") return;
    this.#told = waitsFor;
    this.#options.logger.info(waitsFor);
  }

  async #join(clusterId: string, nodes: readonly Greeting[]): Promise<void> {
    if (this.#isJoining) return;
    this.#isJoining = true;
    const { net, nodeId, strangers } = this.#options;
    for (const { node, peerAddress } of nodes) {
      try {
        const answer = await net.join(peerAddress, clusterId, nodeId);
        // It may have agreed to begin another cluster meanwhile, or found a second one.
        const isSure =
          !this.#bootstrapping.accepted && this.#meeting.clusters().size === 1 && this.#meeting.refusal === undefined;
        if (this.#isStopped || this.#clusterId !== "" || !isSure) break;
        this.#bootstrapping.joins(clusterId);
        this.#decide({ kind: "joined", clusterId, ...answer });
        break;
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        strangers.met(
          `join ${peerAddress}`,
          `Cannot join cluster ${clusterId} at node "${node}" (${peerAddress}) yet: ${why}`,
        );
      }
    }
    this.#isJoining = false;
  }

  #decide(found: Found): void {
    const { logger } = this.#options;
    this.#clusterId = found.clusterId;
    this.#founders = found.kind === "made" ? found.replicas.map(nodeOf) : [];
    const what = found.kind === "made" ? `begun by ${found.replicas.join(", ")}` : "joined";
    logger.info({ clusterId: found.clusterId }, `This node is of cluster ${found.clusterId}, ${what}`);
    this.#startGossip(found.clusterId);
    this.#meeting.settled();
    this.#resolveFound(found);
  }

  #startGossip(clusterId: string): void {
    const { clock, logger, net } = this.#options;
    this.#gossip = new GossipMembers({
      ...{ clusterId, self: this.#self(), settings: this.#settings.gossip, clock, logger, random: this.#fraction },
      send: (to, message) => net.gossip(to, message),
      changed: () => this.#notify(),
    });
    this.#gossip.seeds(this.#companions());
    this.#resolveLetIn();
  }

  /** Addresses where nodes of the cluster may be. */
  #companions(): readonly string[] {
    const { nodeId } = this.#options;
    const founders = this.#founders
      .filter((node) => node !== nodeId)
      .flatMap((node) => this.#meeting.addressOf(node) ?? []);
    return [...new Set([...this.#meeting.addressesIn(this.#clusterId), ...founders])];
  }

  #propose(to: NodeId, message: BootstrapMessage): void {
    const address = this.#meeting.addressOf(to) ?? this.#askedFrom.get(to);
    // Where it is will be known later: it is asked again.
    if (address !== undefined) this.#options.net.propose(address, message, this.#options.peerAddress);
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** A node that comes back to its cluster waits for its seeds for so many greetings. */
const comeBackGreetings = 5;
/** Most nodes that a greeting tells of. */
const acquaintancesMax = 64;
/** Most nodes that asked before they were met. */
const askersMax = 64;

function memberOf({ node, peerAddress, apiUrl, region, role, version }: Greeting): Member {
  return { id: node, peerAddress, apiUrl, region, role, version, state: "alive", isSelf: false };
}

function ambiguous(clusters: readonly (readonly [string, readonly Greeting[]])[]): string {
  const each = clusters.map(
    ([id, nodes]) => `${id} (${nodes.map(({ node, peerAddress }) => `${node} at ${peerAddress}`).join(", ")})`,
  );
  return `Nodes of different clusters are behind the seeds: ${each.join(" and ")}. This node joins neither: name seeds of one cluster`;
}
