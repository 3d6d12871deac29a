/**
 * A cluster under trouble: which processes there are, whom each should see, and what was promised of those who are well.
 * @module
 */

import type { GossipSettings } from "../gossip/settings.ts";
import type { Conflict, MemberEvent, NodeId } from "../gossip/types.ts";
import { GossipNet, type NetWeather, type Process } from "./gossip-net.ts";
import { must } from "./must.ts";
import type { SimRandom } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** Counts, by what happened. */
export type Tally = Map<string, number>;

/** How a world is made. */
export interface WorldOptions {
  readonly timeline: Timeline;
  readonly random: SimRandom;
  readonly settings: GossipSettings;
  /** The weather between troubles. */
  readonly weather: NetWeather;
  readonly trace?: ((line: string) => void) | undefined;
}

/** So long after a trouble of the network its traces may still be seen. */
const aftermathMs = 60_000;

/** How often names are resolved again. */
export const resolveMs = 10_000;

/** A cluster, and what it did. */
export class GossipWorld {
  readonly net: GossipNet;
  readonly random: SimRandom;
  readonly tally: Tally = new Map();
  readonly weather: NetWeather;
  /** What each process said, in order. */
  readonly history: string[] = [];
  readonly #conflicts = new Map<Process, number[]>();
  /** When a process last did not run, or had a twin. */
  readonly #unwellMs = new Map<NodeId, number>();
  /** Until when a process stood still. */
  readonly #stillMs = new Map<Process, number>();
  /** The incarnation in which a process said that a member is gone. */
  readonly #gone = new Map<string, number>();
  #roughMs = Number.NEGATIVE_INFINITY;
  #seedsAreGiven = true;
  #lastAddress = 0;
  #lastId = 0;

  constructor({ timeline, random, settings, weather, trace }: WorldOptions) {
    this.random = random;
    this.weather = weather;
    this.net = new GossipNet({
      ...{ timeline, random: random.fork(), settings, weather, trace },
      onEvent: (process, event) => this.#onEvent(process, event),
      onConflict: (process, conflict) => this.#onConflict(process, conflict),
    });
    this.#resolveAgain();
  }

  get nowMs(): number {
    return this.net.timeline.nowMs;
  }

  /** What names resolve to. */
  get seeds(): string[] {
    if (!this.#seedsAreGiven) return [];
    return this.net.living.slice(0, 3).map(({ address }) => address);
  }

  /** From now on names resolve to nothing: whoever is lost must be found without them. */
  forgetSeeds(): void {
    this.#seedsAreGiven = false;
    this.#giveSeeds();
  }

  count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
  }

  /** Starts a node that was never there. */
  startNew(): Process {
    this.#lastId += 1;
    return this.start(`n${this.#lastId}`);
  }

  /** Starts a process of a node, at an address that was never used, or that it had. */
  start(id: NodeId, address = this.#newAddress()): Process {
    this.markUnwell(id);
    return this.net.start(id, address, this.seeds);
  }

  /** A process does nothing for a while, and nothing is promised of it. */
  standStill(process: Process, forMs: number): void {
    this.markUnwell(process.id, this.nowMs + forMs);
    this.#stillMs.set(process, this.nowMs + forMs);
    this.net.standStill(process, forMs);
  }

  /** From now on for a while, what is said of this node shows nothing. */
  markUnwell(id: NodeId, untilMs = this.nowMs): void {
    this.#unwellMs.set(id, Math.max(untilMs, this.#unwellMs.get(id) ?? untilMs));
  }

  /** The network is not what was promised, until then. */
  markRough(untilMs: number): void {
    this.#roughMs = Math.max(this.#roughMs, untilMs);
  }

  /** Of each id the process that has the name: the one that has run longest. */
  holders(): Map<NodeId, Process> {
    const holders = new Map<NodeId, Process>();
    for (const process of this.net.living) if (!holders.has(process.id)) holders.set(process.id, process);
    return holders;
  }

  /** Why the views are not what they should be; `undefined`: all agree. */
  disagreement(): string | undefined {
    const holders = this.holders();
    for (const process of this.net.living) {
      const { id, gossip } = process;
      const holds = holders.get(id) === process;
      const standing = holds ? "member" : "displaced";
      if (gossip.standing.kind !== standing)
        return `${id} at ${process.address} is ${gossip.standing.kind}, not ${standing}`;
      for (const other of holders.values()) {
        if (other.id === id) continue;
        const member = gossip.view.members.get(other.id);
        if (!member) return `${id} at ${process.address} does not see ${other.id}`;
        if (member.info.instance !== other.gossip.self.instance) return `${id} sees another process as ${other.id}`;
        if (member.info.peerAddress !== other.address) return `${id} sees ${other.id} at ${member.info.peerAddress}`;
        if (member.standing.kind !== "alive") return `${id} suspects ${other.id}`;
      }
      const gone = [...gossip.view.members.keys()].find((seen) => !holders.has(seen));
      if (gone !== undefined) return `${id} sees ${gone}, which is gone`;
      must(process.told.size === gossip.view.size, `the events of ${id} do not tell its view`);
    }
    return undefined;
  }

  /** Who lost its name to another must have said so. (The holder may not have been asked yet.) */
  checkTwinsSaid(): void {
    const holders = this.holders();
    for (const process of this.net.living) {
      if (holders.get(process.id) === process) continue;
      must(this.#conflicts.has(process), `${process.id} at ${process.address} has lost its name and never said so`);
      this.count("twin displaced");
    }
  }

  /** What is known to all is passed on no more. (Who is alone has nobody to pass it on to.) */
  checkRumorsEnd(): void {
    for (const { id, gossip } of this.net.living) {
      must(
        gossip.view.size === 0 || gossip.broadcasts.size === 0,
        `${id} still passes on ${gossip.broadcasts.size} rumors`,
      );
    }
  }

  /** Messages must go to no address that a node has left behind. */
  checkAddresses(): void {
    const left = new Set(this.net.living.map(({ id }) => id));
    const stale = new Set(this.net.processes.filter(({ id }) => left.has(id)).map(({ address }) => address));
    for (const address of this.net.toNobody.keys()) {
      must(!stale.has(address), `messages still go to ${address}, whose node is elsewhere now`);
    }
  }

  #onEvent(process: Process, event: MemberEvent): void {
    const { kind, member } = event;
    this.count(`event ${kind}`);
    this.history.push(`${this.nowMs} ${process.id} ${kind} ${member.id}`);
    const subject = this.net.living.find(({ gossip }) => gossip.self.instance === member.instance);
    switch (kind) {
      case "fail":
        this.#remember(process, event);
        if (subject) this.#checkFalsePositive(process, member.id);
        break;
      case "leave":
        this.#remember(process, event);
        break;
      case "join":
        this.#checkRevival(process, event);
        break;
      case "update":
        if (subject) this.#checkElder(process, subject);
        break;
    }
  }

  #remember(process: Process, { member, incarnation }: MemberEvent): void {
    this.#gone.set(`${process.address} ${process.gossip.self.instance} ${member.id}`, incarnation);
  }

  /** Who was said to be gone comes back only by an incarnation that is news. */
  #checkRevival(process: Process, { member, incarnation }: MemberEvent): void {
    const gone = this.#gone.get(`${process.address} ${process.gossip.self.instance} ${member.id}`) ?? -1;
    must(incarnation > gone, `${process.id} revives ${member.id} at ${incarnation}, after its end at ${gone}`);
  }

  /** In a network that is well, a name does not go from one that runs and has it to one that came later. */
  #checkElder(process: Process, subject: Process): void {
    const elder = this.holders().get(subject.id);
    if (!elder || elder === subject || elder.gossip.standing.kind !== "member" || !this.#isCalm) return;
    const hasRun = this.nowMs - Math.max(elder.gossip.startedMs, this.#stillMs.get(elder) ?? 0) > aftermathMs;
    must(!hasRun, `${process.id} gives the name ${subject.id} to ${subject.address}, though ${elder.address} has it`);
  }

  get #isCalm(): boolean {
    return this.nowMs - this.#roughMs > aftermathMs;
  }

  #checkFalsePositive(process: Process, id: NodeId): void {
    this.count("living member declared dead");
    const isWell = this.nowMs - (this.#unwellMs.get(id) ?? Number.NEGATIVE_INFINITY) > aftermathMs;
    must(!this.#isCalm || !isWell, `${process.id} declares ${id} dead, which is well, in a network that is`);
  }

  #onConflict(process: Process, { heldBy }: Conflict): void {
    this.count(`conflict said, name held by ${heldBy}`);
    const said = this.#conflicts.get(process) ?? [];
    const last = said.at(-1) ?? Number.NEGATIVE_INFINITY;
    must(this.nowMs - last >= this.net.settings.conflictIntervalMs, `${process.id} says a conflict again at once`);
    this.#conflicts.set(process, [...said, this.nowMs]);
    const isOne = this.net.processes.filter(({ id }) => id === process.id).length > 1;
    must(isOne, `${process.id} says that its name is taken, and nobody else ever had it`);
  }

  #newAddress(): string {
    this.#lastAddress += 1;
    return `a${this.#lastAddress}:1`;
  }

  #giveSeeds(): void {
    for (const process of this.net.living) {
      if (process.state !== "runs") continue;
      this.net.input(process, { kind: "seeds", nowMs: this.nowMs, addresses: this.seeds });
    }
  }

  #resolveAgain(): void {
    this.#giveSeeds();
    this.net.timeline.after(resolveMs, () => this.#resolveAgain());
  }
}
