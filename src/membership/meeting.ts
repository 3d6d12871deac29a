/**
 * Meeting others: this node greets, is greeted, and looks at what they say. What it makes of them is for `membership.ts`.
 * @module
 */
import type { Logger } from "pino";
import type { Clock } from "../host/clock.ts";
import type { NodeId } from "../raft/types.ts";
import { Acquaintances } from "./acquaintances.ts";
import { Greeter } from "./greeter.ts";
import { ReachChecks } from "./reach-checks.ts";
import { type Resolve, Seeds } from "./seeds.ts";
import { Strangers } from "./strangers.ts";
import type { GreetAnswer, Greeting, MemberNet } from "./types.ts";

/** What it stands on. */
export interface MeetingOptions {
  readonly net: MemberNet;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly strangers: Strangers;
  readonly seeds: readonly string[];
  readonly resolve: Resolve;
  /** Who was reached within so many milliseconds counts as there. */
  readonly presentMs: number;
  /** A cluster whose nodes were reached within so many milliseconds counts as there. */
  readonly clusterPresentMs: number;
  /** What this node says of itself now. */
  readonly own: () => Greeting;
  /** Where gossip says that a node lives; `undefined`: nowhere. */
  readonly livesAt: (node: NodeId) => string | undefined;
  /** Whether it takes part in its cluster: who has its name comes second. */
  readonly takesPart: () => boolean;
  /** Whether it has no cluster yet, and so wants to meet all there are. */
  readonly isSearching: () => boolean;
  readonly intervalMs: () => number;
  /** Told when somebody was met, or is not what it was. */
  readonly changed: () => void;
  /** Called before each round of greetings. */
  readonly onRound: () => void;
}

/** Clocks further apart than this are told of. */
const clockSkewMaxMicros = 1_000_000;
/** Nodes are started together: for so long after the own start nobody need be there yet. */
const startMaxMs = 3_000;

/** See the module's description. */
export class Meeting {
  readonly #options: MeetingOptions;
  readonly #met = new Acquaintances();
  readonly #greeter: Greeter;
  readonly #reach: ReachChecks;
  /** Nodes whose clock is another. */
  readonly #clocks: Strangers;
  /** Addresses at which this very node answers. */
  readonly #ownAddresses = new Set<string>();
  /** Why another node last refused this one, and when. */
  #refused: { readonly why: string; readonly atMs: number } | undefined;
  #isWelcome = false;
  /** From then on who does not answer is told of. */
  readonly #othersDueMs: number;

  /** @throws {RangeError} A seed is not `HOST:PORT`. */
  constructor(options: MeetingOptions) {
    const { clock, logger, strangers, intervalMs, onRound } = options;
    this.#options = options;
    this.#othersDueMs = clock.monotonicMs() + startMaxMs;
    this.#clocks = new Strangers(logger, clock);
    this.#reach = new ReachChecks(clock, (address) => this.#call(address, true));
    const seeds = new Seeds(options.seeds, options.resolve, (seed, error) => {
      strangers.met(`seed ${seed}`, `The seed ${seed} is not found: ${messageOf(error)}`);
    });
    this.#greeter = new Greeter({ seeds, clock, intervalMs, onRound, greet: (address) => this.#greet(address) });
  }

  /** Whether each seed has had its say once. */
  get hasGreetedSeeds(): boolean {
    return this.#greeter.hasGreetedSeeds;
  }

  /** Whether a node of the same cluster has answered, and not refused this one. */
  get isWelcome(): boolean {
    return this.#isWelcome;
  }

  /** Why others let this node take no part now; `undefined`: they do. */
  get refusal(): string | undefined {
    const isNew = this.#refused && this.#options.clock.monotonicMs() - this.#refused.atMs <= this.#options.presentMs;
    return isNew ? this.#refused?.why : undefined;
  }

  start(): void {
    this.#greeter.start();
  }

  stop(): void {
    this.#greeter.stop();
  }

  /** A node may be there. */
  hint(address: string): void {
    if (this.#options.isSearching()) this.#greeter.hint(address);
  }

  /** The cluster is known: from now on gossip finds the others, and only seeds are greeted. */
  settled(): void {
    this.#greeter.forgetHints();
  }

  /** Those that can be reached, in order of their names. */
  present(): Greeting[] {
    return this.#met.reached(this.#options.clock.monotonicMs(), this.#options.presentMs);
  }

  /** Nodes that are of a cluster, by it: for longer, as who finds two must not take the one for gone in a moment. */
  clusters(): Map<string, Greeting[]> {
    const { clock, clusterPresentMs } = this.#options;
    const clusters = new Map<string, Greeting[]>();
    for (const greeting of this.#met.reached(clock.monotonicMs(), clusterPresentMs)) {
      if (greeting.clusterId === "") continue;
      clusters.set(greeting.clusterId, [...(clusters.get(greeting.clusterId) ?? []), greeting]);
    }
    return clusters;
  }

  /** Where nodes of a cluster may be. */
  addressesIn(clusterId: string): string[] {
    return this.#met.all().flatMap((one) => (one.clusterId === clusterId ? [one.peerAddress] : []));
  }

  /** Where a node said that it is. */
  addressOf(node: NodeId): string | undefined {
    return this.#met.get(node)?.greeting.peerAddress;
  }

  /** Somebody greets this node. */
  async greeted(greeting: Greeting, isCallback: boolean): Promise<GreetAnswer> {
    const { own } = this.#options;
    if (isCallback || greeting.instance === own().instance) return { greeting: own(), unreachable: "", refused: "" };
    const [unreachable, refused] = await Promise.all([this.#reach.check(greeting), this.#hear(greeting, false)]);
    return { greeting: own(), unreachable, refused };
  }

  /** A node of another cluster spoke to this one. */
  otherCluster(node: NodeId, address: string, clusterId: string): void {
    const { strangers, own } = this.#options;
    strangers.met(
      address,
      `The node "${node}" at ${address} is of cluster ${clusterId}, this one is of ${own().clusterId}: they refuse each other. ` +
        "Correct --seeds where they are wrong; or give the node that is to change its cluster an empty data folder",
    );
  }

  async #greet(address: string): Promise<boolean> {
    const { own, strangers, clock, changed, takesPart } = this.#options;
    // Another node may be at the address that this one says, so only an answer shows whose it is.
    if (this.#ownAddresses.has(address)) return false;
    try {
      const { greeting, unreachable, refused } = await this.#call(address, false);
      if (greeting.instance === own().instance) return false;
      if (unreachable !== "") {
        const who = `node "${greeting.node}" at ${address}`;
        const what = `Others cannot reach this node at ${own().peerAddress}: set --advertise-peer (${who} says: ${unreachable})`;
        strangers.met("own address", what, "error");
      }
      const { node, clusterId } = own();
      const isOther = greeting.node !== node;
      if (refused !== "") {
        if (!takesPart()) this.#onRefused(`the node "${greeting.node}" at ${address} refuses this one: ${refused}`);
      } else if (!this.#isWelcome && isOther && clusterId !== "" && greeting.clusterId === clusterId) {
        this.#isWelcome = true;
        changed();
      }
      return true;
    } catch (error) {
      if (clock.monotonicMs() < this.#othersDueMs) return false;
      strangers.met(address, `Nobody of use is at ${address}: ${messageOf(error)}`);
      return false;
    }
  }

  /** Greets one, and takes note of who answers. @throws {Error} Nobody does. */
  async #call(address: string, isCallback: boolean): Promise<GreetAnswer> {
    const { net, own, clock } = this.#options;
    const sentMicros = clock.nowMicros();
    const answer = await net.greet(address, own(), isCallback);
    const { greeting } = answer;
    if (greeting.instance === own().instance) {
      this.#ownAddresses.add(address);
      return answer;
    }
    this.#compareClocks(greeting, sentMicros, clock.nowMicros());
    // Reached is who answers at the address that it tells others.
    const heard = await this.#hear(greeting, address === greeting.peerAddress);
    // That another has the name of the one that answered is not about this node.
    const refused = answer.refused || (greeting.node === own().node ? heard : "");
    if (address !== greeting.peerAddress) this.hint(greeting.peerAddress);
    return { ...answer, refused };
  }

  /** Takes note of what a node says of itself. Gives why it can't be known here; empty: it is. */
  async #hear(greeting: Greeting, isReached: boolean): Promise<string> {
    const { own, clock, strangers, changed, takesPart } = this.#options;
    const { node, peerAddress, clusterId } = greeting;
    const self = own();
    if (node === self.node) {
      const why = this.#twoOf(node, self.peerAddress, peerAddress);
      // Two that come back at once would keep out each other: those that take part know which of them was first.
      return self.clusterId === "" || takesPart() ? why : "";
    }
    if (clusterId !== "" && self.clusterId !== "" && clusterId !== self.clusterId) {
      this.otherCluster(node, peerAddress, clusterId);
      return "";
    }
    const rival = await this.#rivalOf(greeting);
    if (rival !== undefined) return this.#twoOf(node, rival, peerAddress);
    if (this.#met.heard(greeting, clock.monotonicMs(), isReached)) {
      if (differs(greeting.bootstrapExpect, self.bootstrapExpect)) {
        const what = `The node "${node}" begins a cluster of ${greeting.bootstrapExpect}, this one of ${self.bootstrapExpect}`;
        strangers.met(`expect ${node}`, `${what}: give both the same --bootstrap-expect`);
      }
      changed();
    }
    if (!isReached) this.hint(peerAddress);
    for (const one of greeting.acquaintances) if (one.node !== self.node) this.hint(one.peerAddress);
    return "";
  }

  #onRefused(why: string): void {
    this.#refused = { why, atMs: this.#options.clock.monotonicMs() };
    this.#options.strangers.met("own name", `Takes no part in the cluster: ${why}`, "error");
  }

  /** Where another process that has the name of this one answers still; `undefined`: nowhere. */
  async #rivalOf(greeting: Greeting): Promise<string | undefined> {
    const { net, own, livesAt } = this.#options;
    const known = new Set([this.#met.rivalOf(greeting)?.greeting.peerAddress, livesAt(greeting.node)]);
    known.delete(greeting.peerAddress);
    for (const address of known) {
      if (address === undefined) continue;
      const answer = await net.greet(address, own(), true).catch(() => undefined);
      if (answer?.greeting.node === greeting.node && answer.greeting.instance !== greeting.instance) return address;
    }
    return undefined;
  }

  #twoOf(node: NodeId, one: string, other: string): string {
    const what = `two nodes are called "${node}": one at ${one}, another at ${other}`;
    const todo = "Stop one, or give it a name and a data folder of its own";
    this.#options.strangers.met(`name ${node}`, `${what.replace("two", "Two")}. ${todo}`, "error");
    return what;
  }

  /** The other clock was read between the two moments, so what it differs by beyond them is no doubt of ours. */
  #compareClocks({ node, peerAddress, nowMicros }: Greeting, sentMicros: number, heardMicros: number): void {
    const aheadMicros = Math.max(nowMicros - heardMicros, 0) - Math.max(sentMicros - nowMicros, 0);
    if (Math.abs(aheadMicros) <= clockSkewMaxMicros) return;
    const seconds = (Math.abs(aheadMicros) / 1e6).toFixed(1);
    const how = aheadMicros > 0 ? "ahead of" : "behind";
    this.#clocks.met(
      node,
      `The clock of node "${node}" at ${peerAddress} is ${seconds} s ${how} this node's: set both by a time server`,
    );
  }
}

function differs(one: number, other: number): boolean {
  return one !== other && one > 0 && other > 0;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
