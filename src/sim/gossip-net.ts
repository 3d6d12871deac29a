/**
 * Processes that gossip, and the network between them, in virtual time. Messages are lost, doubled, late and out of order;
 * paths are cut; processes are killed, stand still, and come back at other addresses. One seed determines it all.
 * @module
 */
import { messageBytes } from "../gossip/message-size.ts";
import type { GossipSettings } from "../gossip/settings.ts";
import { createGossip, type Gossip } from "../gossip/state.ts";
import { step, wakeAtMs } from "../gossip/step.ts";
import type { Conflict, Effect, Input, MemberEvent, Message, NodeId } from "../gossip/types.ts";
import { must } from "./must.ts";
import type { SimRandom } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** What the network does to messages. Parts of 1, and milliseconds. */
export interface NetWeather {
  readonly loss: number;
  readonly doubled: number;
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
}

/** One life of a node. */
export interface Process {
  readonly id: NodeId;
  readonly address: string;
  readonly gossip: Gossip;
  state: "runs" | "stands still" | "ended";
  /** What came while it stood still. */
  readonly unread: Message[];
  /** Who is there, by its events alone. */
  readonly told: Set<NodeId>;
  /** When it is woken up next. */
  wakeMs: number;
  readonly sent: Traffic;
}

/** What a process has sent. */
export interface Traffic {
  messages: number;
  bytes: number;
}

/** What the world is told of. */
export interface NetWatch {
  readonly trace?: ((line: string) => void) | undefined;
  readonly onEvent?: (process: Process, event: MemberEvent) => void;
  readonly onConflict?: (process: Process, conflict: Conflict) => void;
}

/** A process that stands still reads at most so much afterwards, as a socket's buffer would hold. */
const unreadMax = 200;

/** All of it. */
export class GossipNet {
  readonly timeline: Timeline;
  readonly processes: Process[] = [];
  readonly settings: GossipSettings;
  weather: NetWeather;
  /** Whether the path from one node to another is cut. */
  isCut: (from: NodeId, to: NodeId) => boolean = () => false;
  /** Messages sent to addresses where nobody is, by address. */
  readonly toNobody = new Map<string, number>();
  /** The largest message so far. */
  largestBytes = 0;
  readonly #random: SimRandom;
  readonly #watch: NetWatch;
  readonly #byAddress = new Map<string, Process>();

  constructor(of: { timeline: Timeline; random: SimRandom; settings: GossipSettings; weather: NetWeather } & NetWatch) {
    this.timeline = of.timeline;
    this.settings = of.settings;
    this.weather = of.weather;
    this.#random = of.random;
    this.#watch = of;
  }

  /** Processes that have not ended. */
  get living(): Process[] {
    return this.processes.filter(({ state }) => state !== "ended");
  }

  /** Starts a process. `seeds`: addresses. */
  start(id: NodeId, address: string, seeds: readonly string[]): Process {
    must(!this.#byAddress.has(address), `two processes at ${address}`);
    const random = this.#random.fork();
    const gossip = createGossip({
      settings: this.settings,
      cluster: "sim",
      id,
      peerAddress: address,
      tags: { apiAddress: `${address}0`, region: "here", role: "voter", version: "1" },
      random: () => random.fraction(),
      nowMs: this.timeline.nowMs,
    });
    const process: Process = {
      ...{ id, address, gossip, state: "runs", unread: [], told: new Set() },
      ...{ wakeMs: Number.POSITIVE_INFINITY, sent: { messages: 0, bytes: 0 } },
    };
    this.processes.push(process);
    this.#byAddress.set(address, process);
    this.#tell(process, `starts at ${address}`);
    this.input(process, { kind: "seeds", nowMs: this.timeline.nowMs, addresses: seeds });
    return process;
  }

  /** Ends a process without a word. */
  kill(process: Process): void {
    this.#tell(process, "is killed");
    this.#end(process);
  }

  /** It does nothing for a while; what comes meanwhile waits. */
  standStill(process: Process, forMs: number): void {
    if (process.state !== "runs") return;
    this.#tell(process, `stands still for ${Math.round(forMs)} ms`);
    process.state = "stands still";
    this.timeline.after(forMs, () => this.#goOn(process));
  }

  /** Gives an input, and does what follows. */
  input(process: Process, input: Input): void {
    for (const effect of step(process.gossip, input)) this.#run(process, effect);
    if (process.state === "runs") this.#wakeLater(process);
  }

  /** Lets time pass. */
  run(forMs: number): void {
    const untilMs = this.timeline.nowMs + forMs;
    let isOver = false;
    this.timeline.after(forMs, () => {
      isOver = true;
    });
    while (!isOver) this.timeline.step();
    must(this.timeline.nowMs === untilMs, "time passes");
  }

  #goOn(process: Process): void {
    if (process.state !== "stands still") return;
    this.#tell(process, "goes on");
    process.state = "runs";
    const nowMs = this.timeline.nowMs;
    // Timers fire before sockets are read: the worse order of the two.
    this.input(process, { kind: "tick", nowMs });
    for (const message of process.unread.splice(0)) this.#deliver(process, message);
  }

  #end(process: Process): void {
    process.state = "ended";
    this.#byAddress.delete(process.address);
  }

  #wakeLater(process: Process): void {
    const wakeMs = Math.max(wakeAtMs(process.gossip), this.timeline.nowMs);
    if (wakeMs >= process.wakeMs) return;
    process.wakeMs = wakeMs;
    this.timeline.after(wakeMs - this.timeline.nowMs, () => {
      if (process.wakeMs !== wakeMs) return;
      process.wakeMs = Number.POSITIVE_INFINITY;
      if (process.state === "runs") this.input(process, { kind: "tick", nowMs: this.timeline.nowMs });
    });
  }

  #run(process: Process, effect: Effect): void {
    switch (effect.kind) {
      case "send":
        this.#send(process, effect.to, effect.message);
        break;
      case "event":
        this.#checkEvent(process, effect.event);
        this.#watch.onEvent?.(process, effect.event);
        break;
      case "conflict": {
        const { otherAddress, heldBy } = effect.conflict;
        this.#tell(process, `its name is taken by ${otherAddress} too, held by ${heldBy}`);
        this.#watch.onConflict?.(process, effect.conflict);
        break;
      }
      case "refused":
        this.#tell(process, `refuses ${effect.refusal.what}: ${effect.refusal.limit}`);
        break;
      case "gone":
        this.#tell(process, "has left");
        this.#end(process);
        break;
    }
  }

  /** Events of one member alternate, whatever comes in: others count on it. */
  #checkEvent(process: Process, event: MemberEvent): void {
    const { id } = event.member;
    this.#tell(process, `says ${event.kind} ${id} at ${event.member.peerAddress}`);
    must(id !== process.id, `${process.id} says ${event.kind} of itself`);
    const isThere = process.told.has(id);
    must(
      isThere === (event.kind !== "join"),
      `${process.id} says ${event.kind} of ${id}, which ${isThere ? "is" : "is not"} there`,
    );
    if (event.kind === "join") process.told.add(id);
    else if (event.kind !== "update") process.told.delete(id);
  }

  #send(from: Process, to: string, message: Message): void {
    const bytes = messageBytes(message);
    const { packetMaxBytes, pageMaxBytes } = this.settings;
    const maxBytes = message.kind.startsWith("sync") ? pageMaxBytes : packetMaxBytes;
    must(bytes <= maxBytes, `a ${message.kind} of ${bytes} bytes is larger than ${maxBytes}`);
    this.largestBytes = Math.max(this.largestBytes, bytes);
    from.sent.messages += 1;
    from.sent.bytes += bytes;
    const { loss, doubled, delayMinMs, delayMaxMs } = this.weather;
    const random = this.#random;
    if (!this.#byAddress.has(to)) this.toNobody.set(to, (this.toNobody.get(to) ?? 0) + 1);
    for (let copies = random.chance(doubled) ? 2 : 1; copies > 0; copies--) {
      if (random.chance(loss)) continue;
      this.timeline.after(delayMinMs + random.fraction() * (delayMaxMs - delayMinMs), () => {
        const there = this.#byAddress.get(to);
        if (!there || this.isCut(from.id, there.id)) return;
        if (there.state === "runs") this.#deliver(there, message);
        else if (there.unread.length < unreadMax) there.unread.push(message);
      });
    }
  }

  #deliver(process: Process, message: Message): void {
    if (this.#watch.trace) this.#tell(process, `<- ${message.sender.id} ${messageText(message)}`);
    this.input(process, { kind: "message", nowMs: this.timeline.nowMs, message });
  }

  #tell({ id }: Process, what: string): void {
    this.#watch.trace?.(`${this.timeline.nowMs.toFixed(0).padStart(8)} ms  ${id} ${what}`);
  }
}

function messageText(message: Message): string {
  const { kind, sender, ...rest } = message;
  const short = JSON.stringify(rest, (key, value) => (key === "info" ? `${value.id}@${value.peerAddress}` : value));
  return `${kind} (incarnation ${sender.incarnation}) ${short}`;
}
