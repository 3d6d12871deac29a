/**
 * The sessions between the nodes of a script: how they open and end, as each side finds out.
 * @module
 */
import { present } from "../../base/assert.ts";
import type { Hello } from "../inputs.ts";
import type { NodeId } from "../types.ts";
import type { Machine } from "./machine.ts";
import type { Network, Session } from "./network.ts";

/** How long a session that nobody answers is waited for. */
const openTimeoutMs = 1000;

/** All sessions that there ever were. */
export class Sessions {
  readonly #network: Network;
  readonly #machines: ReadonlyMap<NodeId, Machine>;
  readonly #all: Session[] = [];
  readonly #openings: { session: Session; untilMs: number }[] = [];

  constructor(network: Network, machines: ReadonlyMap<NodeId, Machine>) {
    this.#network = network;
    this.#machines = machines;
  }

  /** When the first that opens is given up; Infinity: none opens. */
  get nextMs(): number {
    return Math.min(...this.#openings.map(({ untilMs }) => untilMs), Number.POSITIVE_INFINITY);
  }

  /** A follower opens one. */
  open({ node, folder }: Machine, to: NodeId, number: number, nowMs: number): void {
    const hello: Hello = { from: node, disk: folder.disk, incarnation: folder.incarnation, number };
    const session: Session = {
      follower: node,
      leader: to,
      hello,
      followerIsOpen: true,
      leaderIsOpen: false,
      acceptedBy: 0,
    };
    this.#all.push(session);
    this.#openings.push({ session, untilMs: nowMs + openTimeoutMs });
    this.#network.send({ from: node, to, cargo: { lane: "up", session, control: "open" } });
  }

  /** The one that a follower speaks of. */
  toLeader(follower: NodeId, leader: NodeId, number: number): Session | undefined {
    return this.#all.find(
      (one) => one.follower === follower && one.leader === leader && one.hello.number === number && one.followerIsOpen,
    );
  }

  /** The one that is open. */
  between(follower: NodeId, leader: NodeId): Session | undefined {
    return this.#all.find((one) => one.follower === follower && one.leader === leader && one.leaderIsOpen);
  }

  /** The one that a leader speaks of. */
  toFollower(hello: Hello): Session | undefined {
    return this.#all.find((one) => one.hello === hello && one.leaderIsOpen);
  }

  giveUpOpening(nowMs: number): void {
    for (const { session, untilMs } of [...this.#openings]) {
      if (untilMs > nowMs) continue;
      this.#settled(session);
      const { follower: from, leader: to } = session;
      this.#network.send({ from, to, cargo: { lane: "up", session, control: "close" } });
      this.#endAtFollower(session, false);
    }
  }

  /** The follower's process ends it. */
  closeUp(session: Session | undefined): void {
    if (!session?.followerIsOpen) return;
    session.followerIsOpen = false;
    const { follower: from, leader: to } = session;
    this.#network.send({ from, to, cargo: { lane: "up", session, control: "close" } });
  }

  /** The leader's process ends it. */
  closeDown(session: Session | undefined): void {
    if (!session?.leaderIsOpen) return;
    session.leaderIsOpen = false;
    this.sendClose(session);
  }

  /** Tells a follower that its session is no more. */
  sendClose(session: Session): void {
    const { leader: from, follower: to } = session;
    this.#network.send({ from, to, cargo: { lane: "down", session, control: "close" } });
  }

  /** A node's process is gone: the others find out when that reaches them. */
  killed(node: NodeId): void {
    for (const session of this.#all) {
      if (session.follower === node) this.closeUp(session);
      if (session.leader === node) this.closeDown(session);
    }
  }

  /** It breaks: both sides are told, and what was on its way is lost. */
  reset(follower: NodeId, leader: NodeId): void {
    for (const session of this.#all) {
      if (session.follower !== follower || session.leader !== leader) continue;
      this.#network.drop(({ cargo }) => cargo.lane !== "call" && cargo.session === session);
      this.#endAtLeader(session);
      this.#endAtFollower(session, false);
    }
  }

  arrivedAtLeader(session: Session, control: "open" | "close"): void {
    if (control === "close") {
      this.#endAtLeader(session);
      return;
    }
    const machine = this.#machine(session.leader);
    if (!machine.raft) {
      this.#settled(session);
      this.#endAtFollower(session, true);
      return;
    }
    session.leaderIsOpen = true;
    session.acceptedBy = machine.folder.incarnation;
    const { leader: from, follower: to } = session;
    this.#network.send({ from, to, cargo: { lane: "down", session, control: "opened" } });
    machine.step({ kind: "accepted", hello: session.hello });
  }

  arrivedAtFollower(session: Session, control: "opened" | "close"): void {
    this.#settled(session);
    if (control === "close") {
      this.#endAtFollower(session, false);
      return;
    }
    const machine = this.#machine(session.follower);
    if (machine.raft && session.followerIsOpen) {
      machine.step({ kind: "sessionOpened", to: session.leader, number: session.hello.number });
    }
  }

  /** Whether it opens is known. */
  #settled(session: Session): void {
    const at = this.#openings.findIndex((opening) => opening.session === session);
    if (at >= 0) this.#openings.splice(at, 1);
  }

  #endAtLeader(session: Session): void {
    const { leader, hello } = session;
    if (!session.leaderIsOpen) return;
    session.leaderIsOpen = false;
    const machine = this.#machine(leader);
    if (machine.raft) machine.step({ kind: "ended", hello });
  }

  #endAtFollower(session: Session, refused: boolean): void {
    const { follower, leader, hello } = session;
    if (!session.followerIsOpen) return;
    session.followerIsOpen = false;
    const machine = this.#machine(follower);
    if (machine.raft) machine.step({ kind: "sessionClosed", to: leader, number: hello.number, refused });
  }

  #machine(node: NodeId): Machine {
    return present(this.#machines.get(node), `there is a node ${node}`);
  }
}
