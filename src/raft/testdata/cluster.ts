/**
 * A cluster in one process and in virtual time: machines, what is on its way between them, and what a reader is told.
 * @module
 */
import { present } from "../../base/assert.ts";
import { sourceOf } from "../group.ts";
import type { Effect, RaftEvent } from "../turn.ts";
import {
  type FollowerMessage,
  type LeaderMessage,
  lanSettings,
  type NodeId,
  type RaftSettings,
  type ReplicaId,
} from "../types.ts";
import { nothing } from "./batches.ts";
import { describeMessage } from "./describe.ts";
import { hex, Invariants } from "./invariants.ts";
import { Machine, type World } from "./machine.ts";
import { type Cargo, kindOf, Network, type Parcel } from "./network.ts";
import { Sessions } from "./sessions.ts";

/** What is told only if the script asks for it. */
const quietEvents: ReadonlySet<RaftEvent> = new Set<RaftEvent>([
  ...(["adopted a term", "asked for pre-votes", "stood for election", "follows", "lost its leader"] as const),
  ...(["granted a pre-vote", "granted a vote", "diverged", "cut its log", "told to restart"] as const),
  ...(["refused a pre-vote: a leader is alive", "refused a pre-vote: the log is behind"] as const),
  ...(["refused a pre-vote: the term is old", "committed", "answered a read", "refused a read"] as const),
  ...(["refused a vote: given to another", "refused a vote: the log is behind"] as const),
  ...(["refused a vote: the term is old", "handing over failed", "handed over"] as const),
  ...(["fetched from another than the leader", "changed voters", "refused a change of voters"] as const),
]);

/** A message that is not true. */
interface Untrue {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly kind: string;
  readonly group: number;
  readonly end: number;
  /** Who says that it fetches, if it is not the one that does. */
  readonly as: ReplicaId | undefined;
}

/** All of it. */
export class Cluster implements World {
  nowMs = 0;
  settings: RaftSettings = lanSettings;
  readonly network = new Network();
  readonly invariants = new Invariants();
  readonly machines = new Map<NodeId, Machine>();
  readonly #sessions = new Sessions(this.network, this.machines);
  /** Kinds of messages, or `events`, that are told. */
  readonly traced = new Set<string>();
  #lines: string[] = [];
  #reads = 0;
  /** What was committed when a read began. */
  readonly #readFloors = new Map<number, number>();

  machine(node: NodeId): Machine {
    return present(this.machines.get(node), `there is a node ${node}`);
  }

  add(node: NodeId): Machine {
    const machine = new Machine(node, this);
    this.machines.set(node, machine);
    return machine;
  }

  /** What was said since it was last asked. */
  takeLines(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  say(line: string, group = 1): void {
    this.#lines.push(group === 1 ? line : `group ${group}: ${line}`);
  }

  /** A client reads at a node. */
  read(node: NodeId, group: number): void {
    this.#reads += 1;
    this.#readFloors.set(this.#reads, this.invariants.committed(group));
    this.machine(node).stepGroup(group, { kind: "linearize", read: this.#reads });
  }

  /** Delivers all that is on its way, and all that comes of it; no time passes. */
  settle(): void {
    for (let i = 0; i < 10_000; i++) {
      const parcel = this.network.next();
      if (!parcel) return;
      this.deliver(parcel);
    }
    throw new Error("it does not settle");
  }

  /** Time passes. `flowing`: messages arrive at once. */
  pass(ms: number, flowing: boolean): void {
    const endMs = this.nowMs + ms;
    if (flowing) this.settle();
    while (this.passToNext(endMs)) if (flowing) this.settle();
    this.nowMs = endMs;
  }

  /** Goes on to when the next thing happens by the clock, if that is by then. */
  passToNext(endMs: number): boolean {
    const running = [...this.machines.values()].filter(({ raft }) => raft);
    const due = [...running.map(({ wakeAtMs }) => wakeAtMs), this.#sessions.nextMs];
    const nextMs = Math.min(...due);
    if (nextMs > endMs) return false;
    this.nowMs = Math.max(nextMs, this.nowMs);
    this.#sessions.giveUpOpening(this.nowMs);
    for (const machine of running) {
      if (machine.wakeAtMs > this.nowMs) continue;
      machine.step({ kind: "tick" });
      if (machine.wakeAtMs <= this.nowMs) throw new Error(`${machine.node} wants a step at a time that is over`);
    }
    return true;
  }

  /** A node's process dies: those that it talked to find out when that reaches them. */
  kill(node: NodeId): void {
    this.machine(node).kill();
    this.network.drop(({ to, cargo }) => to === node && cargo.lane !== "call" && !("control" in cargo));
    this.#sessions.killed(node);
  }

  /** A session breaks: both sides are told, and what was on its way is lost. */
  reset(follower: NodeId, leader: NodeId): void {
    this.#sessions.reset(follower, leader);
  }

  /** Something arrives. */
  deliver(parcel: Parcel): void {
    const { from, to, cargo } = parcel;
    const machine = this.machine(to);
    if ("message" in cargo && this.#isTraced(parcel)) {
      this.say(
        `${from} -> ${to} ${describeMessage(cargo.message)}`,
        "group" in cargo.message ? cargo.message.group : 1,
      );
    }
    if (cargo.lane === "call") {
      if (machine.raft) machine.step({ kind: "called", from, calls: [cargo.message] });
      return;
    }
    const { session } = cargo;
    if (cargo.lane === "up") {
      if (!("message" in cargo)) {
        this.#sessions.arrivedAtLeader(session, cargo.control);
        return;
      }
      if (!session.leaderIsOpen) this.#sessions.sendClose(session);
      // A process that ended a session may still read what was on its way.
      if (machine.raft && session.acceptedBy === machine.folder.incarnation) {
        machine.step({ kind: "fromFollower", hello: session.hello, messages: [cargo.message] });
      }
      return;
    }
    const { number } = session.hello;
    if (!("message" in cargo)) this.#sessions.arrivedAtFollower(session, cargo.control);
    else if (machine.raft && session.followerIsOpen) {
      machine.step({ kind: "fromLeader", node: from, number, messages: [machine.checked(cargo.message)] });
    }
  }

  /** Something that a node does not say by itself: where its log ends, or where another's has to. */
  untrue({ from, to, kind, group, end, as }: Untrue): Parcel {
    const { term, self } = present(this.machine(from).raft?.group(group), `${from} runs`);
    if (kind === "diverged" || kind === "restart") {
      const session = present(this.#sessions.between(to, from), `${to} follows ${from}`);
      const follower = present(this.machine(to).raft?.group(group), `${to} runs`);
      const id = sourceOf(follower)?.id ?? 0;
      const message: LeaderMessage =
        kind === "diverged"
          ? { kind, group, term, id, atTerm: term, end }
          : { kind, group, term, id, base: end, before: nothing };
      return { from, to, cargo: { lane: "down", session, message } };
    }
    const session = present(this.#sessions.between(from, to), `${from} follows ${to}`);
    const ends = { group, term, durable: end, credit: 1 };
    const other = present(this.machine(to).raft?.group(group), `${to} runs`);
    const before = end === other.log.end ? other.log.before : { ...nothing, term };
    const place = { id: 0, replica: as ?? self, next: end, before, committedOnly: false };
    const message: FollowerMessage = kind === "ack" ? { kind: "ack", ...ends } : { kind: "fetch", ...ends, ...place };
    return { from, to, cargo: { lane: "up", session, message } };
  }

  /** What a machine wants of the world. */
  perform(machine: Machine, effect: Effect): void {
    const { node } = machine;
    switch (effect.kind) {
      case "event":
        if (!quietEvents.has(effect.event) || this.traced.has("events")) {
          this.say(`${node} ${effect.event}, term ${effect.term}`, effect.group);
        }
        return;
      case "commit":
        if (machine.raft?.group(effect.group)?.role.kind === "leader") this.#sayCommit(node, effect);
        return;
      case "answerRead":
        this.#checkRead(effect.read, effect.index, node);
        this.say(`${node} answers the read: all below ${effect.index}`, effect.group);
        return;
      case "refuseRead":
        this.say(`${node} refuses the read: ${effect.why}`, effect.group);
        return;
      case "changed":
        this.say(`${node} ${outcome(effect.refusal, "changed the voters", effect.fateUnknown)}`, effect.group);
        return;
      case "transferred":
        this.say(`${node} ${outcome(effect.refusal, "handed over", false)}`, effect.group);
        return;
      case "openSession":
        this.#sessions.open(machine, effect.to, effect.number, this.nowMs);
        return;
      case "closeSession":
        this.#sessions.closeUp(this.#sessions.toLeader(node, effect.to, effect.number));
        return;
      case "endSession":
        this.#sessions.closeDown(this.#sessions.toFollower(effect.hello));
        return;
      case "toLeader": {
        const session = this.#sessions.toLeader(node, effect.to, effect.number);
        for (const message of effect.messages) {
          if (session) this.#send(machine, effect.to, { lane: "up", session, message });
        }
        return;
      }
      case "toFollower": {
        const session = this.#sessions.toFollower(effect.hello);
        for (const message of effect.messages) {
          if (session) this.#send(machine, session.follower, { lane: "down", session, message });
        }
        return;
      }
      case "call":
        for (const message of effect.calls) {
          this.invariants.called(message);
          this.#send(machine, effect.to, { lane: "call", message });
        }
        return;
      default:
        throw new Error(`nobody does "${effect.kind}"`);
    }
  }

  /** Looks whether all invariants hold. */
  stepped(): void {
    const groups = new Set([...this.machines.values()].flatMap(({ folder }) => folder.groups()));
    for (const group of groups) {
      const seen = [...this.machines.values()].flatMap((machine) => {
        const found = machine.raft?.group(group);
        return found ? [{ group: found, log: machine.written(group) }] : [];
      });
      this.invariants.check(group, seen, (replica, index) => this.#durable(group, replica, index));
    }
  }

  /** Sends a message. What it says of a term is promised before it leaves. */
  #send({ node: from, folder }: Machine, to: NodeId, cargo: Extract<Cargo, { message: object }>): void {
    const { message } = cargo;
    if ("group" in message && folder.groups().includes(message.group)) {
      this.invariants.sent(message, from, folder.kept(message.group).term);
    }
    this.network.send({ from, to, cargo });
  }

  /** Of several in a row the last says it all. */
  #sayCommit(node: NodeId, { group, index }: Extract<Effect, { kind: "commit" }>): void {
    const last = this.#lines.at(-1);
    const said = `${node} commits to `;
    if (last?.startsWith(group === 1 ? said : `group ${group}: ${said}`)) this.#lines.pop();
    this.say(`${said}${index}`, group);
  }

  #durable(group: number, replica: ReplicaId, index: number): string | undefined {
    for (const machine of this.machines.values()) {
      if (!machine.folder.groups().includes(group) || machine.replica(group) !== replica) continue;
      const batch = machine.folder.log(group).find((one) => one.index === index);
      return batch && hex(batch.digest);
    }
    return undefined;
  }

  #checkRead(read: number, index: number, node: NodeId): void {
    const floor = present(this.#readFloors.get(read), "the read was asked for");
    if (index < floor) throw new Error(`${node} answers with all below ${index}, when ${floor} was committed before`);
  }

  #isTraced(parcel: Parcel): boolean {
    const kind = kindOf(parcel);
    if (this.traced.has(kind)) return true;
    return this.traced.has("messages") && kind !== "beat" && kind !== "echo";
  }
}

function outcome(refusal: string | undefined, done: string, fateUnknown: boolean): string {
  if (refusal === undefined) return done;
  return `${fateUnknown ? "does not know whether it" : "has not"} ${done}: ${refusal}`;
}
