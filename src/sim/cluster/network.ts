/**
 * The network between simulated nodes: sessions that keep order, calls that do not, and links that are cut one way or
 * both. What a cut link holds back arrives when it heals, as TCP does it, or is lost with the session.
 * @module
 */
import type { Hello } from "../../raft/inputs.ts";
import type { Call, FollowerMessage, LeaderMessage, NodeId } from "../../raft/types.ts";
import type { PeerNet, StoredRange } from "../../replica/peer-net.ts";
import type { RaftDriver } from "../../replica/raft-driver.ts";
import type { SimRandom } from "../random.ts";
import type { Timeline } from "../timeline.ts";

/** A process on the network. It takes what arrives when it runs: one that is paused takes it later. */
export interface Peer {
  readonly node: NodeId;
  readonly isAlive: boolean;
  readonly driver: RaftDriver;
  /** Does this once the process runs. */
  run(work: () => void): void;
}

/** How the network behaves. Times are milliseconds. */
export interface NetworkPlan {
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
  /** Of calls. */
  readonly lost: number;
  readonly doubled: number;
  /** How likely what was on its way in a session that broke arrives all the same, perhaps after the next one is open. */
  readonly late: number;
}

/** One direction of a session, or one of its two lanes: what was sent arrives in that order. */
class Lane {
  lastMs = 0;
  readonly onTheWay: { readonly arrive: () => void; readonly after: number }[] = [];
  arrived = 0;
  /** Arrivals that a cut link held back. */
  held = 0;

  /** How many were ever sent. */
  get sent(): number {
    return this.arrived + this.onTheWay.length;
  }
}

interface Session {
  readonly hello: Hello;
  readonly follower: Peer;
  readonly leader: Peer;
  readonly up: Lane;
  readonly down: Lane;
  readonly data: Lane;
  isOver: boolean;
  /** It is over, and what was on its way arrives nevertheless. */
  isLate: boolean;
}

/** Each kind of message, as it is counted. */
export const messageNames: Readonly<Record<(FollowerMessage | LeaderMessage | Call)["kind"], string>> = {
  ...{ fetch: "message: fetch", ack: "message: ack", unfetch: "message: unfetch", badBatch: "message: bad batch" },
  ...{ echo: "message: echo", following: "message: following", batches: "message: batches" },
  ...{ commit: "message: commit", diverged: "message: diverged", restart: "message: restart" },
  ...{ notLeader: "message: not leader", notYet: "message: not yet", gone: "message: gone" },
  ...{ disagree: "message: disagree", beat: "message: beat" },
  ...{ vote: "call: vote", voted: "call: voted", lead: "call: lead", stepUp: "call: step up" },
  ...{ outdated: "call: outdated" },
};

/** How long an open that nobody answers takes to fail. */
const openTimeoutMs = 1000;

/** All links and sessions. */
export class SimNetwork {
  readonly #timeline: Timeline;
  readonly #random: SimRandom;
  readonly plan: NetworkPlan;
  readonly peers = new Map<NodeId, Peer>();
  readonly #cut = new Set<string>();
  readonly #heldCalls = new Map<string, (() => void)[]>();
  #sessions: Session[] = [];
  readonly trace: ((line: string) => void) | undefined;
  readonly #count: (what: string) => void;

  constructor(options: {
    timeline: Timeline;
    random: SimRandom;
    plan: NetworkPlan;
    trace: ((line: string) => void) | undefined;
    count: (what: string) => void;
  }) {
    this.#timeline = options.timeline;
    this.#random = options.random;
    this.plan = options.plan;
    this.trace = options.trace;
    this.#count = options.count;
  }

  /** Cuts what goes from one node to another; the other way stays. */
  cut(from: NodeId, to: NodeId): void {
    this.#cut.add(linkOf(from, to));
  }

  /** Holds back the calls from one node to another; sessions go on: they are other connections. */
  holdCalls(from: NodeId, to: NodeId): void {
    const link = linkOf(from, to);
    if (!this.#heldCalls.has(link)) this.#heldCalls.set(link, []);
  }

  /** Those that were held back arrive, late, in no order. */
  releaseCalls(from: NodeId, to: NodeId): void {
    const link = linkOf(from, to);
    const held = this.#heldCalls.get(link) ?? [];
    this.#heldCalls.delete(link);
    for (const arrive of held) this.#timeline.after(this.#delay(), arrive);
  }

  /** Heals it: what was held back arrives. */
  heal(from: NodeId, to: NodeId): void {
    if (!this.#cut.delete(linkOf(from, to))) return;
    for (const session of this.#sessions) {
      const { follower, leader } = session;
      if (follower.node === from && leader.node === to) this.#release(session, session.up);
      if (follower.node === to && leader.node === from) {
        this.#release(session, session.down);
        this.#release(session, session.data);
      }
    }
  }

  /** Heals all. */
  healAll(): void {
    for (const link of this.#heldCalls.keys()) {
      const [from = "", to = ""] = link.split(">");
      this.releaseCalls(from, to);
    }
    for (const link of [...this.#cut]) {
      const [from = "", to = ""] = link.split(">");
      this.heal(from, to);
    }
  }

  /** Whether a link is cut. */
  isCut(from: NodeId, to: NodeId): boolean {
    return this.#cut.has(linkOf(from, to));
  }

  /** Breaks one of the sessions that are open, as a proxy or a connection limit does. */
  breakSession(): void {
    const open = this.#sessions.filter(({ isOver }) => !isOver);
    const session = open[this.#random.between(0, Math.max(open.length - 1, 0))];
    if (session) this.#break(session);
  }

  /** Breaks the session of one node at another, if there is one. */
  breakSessionOf(follower: NodeId, leader: NodeId): void {
    const isIt = (one: Session) => !one.isOver && one.follower.node === follower && one.leader.node === leader;
    for (const session of this.#sessions.filter(isIt)) this.#break(session);
  }

  /** A process ended: the others hear of it, if the links let them. */
  ended(peer: Peer): void {
    if (this.peers.get(peer.node) === peer) this.peers.delete(peer.node);
    for (const session of this.#sessions) {
      if (session.follower === peer || session.leader === peer) this.#break(session);
    }
  }

  /** A process's way to the others. */
  netOf(peer: () => Peer): PeerNet {
    return {
      open: (to, hello) => this.#open(peer(), to, hello),
      closeSession: (to, number) => this.#closed(peer(), to, number),
      end: (hello) => this.#ended(peer(), hello),
      toLeader: (to, number, messages) => this.#toLeader(peer(), to, number, messages),
      toFollower: (hello, messages) => this.#toFollower(peer(), hello, messages),
      call: (to, calls) => this.#call(peer(), to, calls),
      range: (to, group, from, maxBytes) => this.#range(peer(), to, { group, from, maxBytes }),
    };
  }

  #open(follower: Peer, to: NodeId, hello: Hello): void {
    this.trace?.(`${follower.node} opens session ${hello.number} to ${to}`);
    const fail = (afterMs: number, refused: boolean) => {
      this.#timeline.after(afterMs, () =>
        this.#tell(follower, () => follower.driver.sessionClosed(to, hello.number, refused)),
      );
    };
    this.#timeline.after(this.#delay(), () => {
      const leader = this.peers.get(to);
      if (this.isCut(follower.node, to)) return fail(openTimeoutMs, false);
      if (!leader?.isAlive)
        return this.isCut(to, follower.node) ? fail(openTimeoutMs, false) : fail(this.#delay(), true);
      const lanes = { up: new Lane(), down: new Lane(), data: new Lane() };
      const session: Session = { hello, follower, leader, ...lanes, isOver: false, isLate: false };
      this.#sessions = this.#sessions.filter(({ isOver }) => !isOver);
      this.#sessions.push(session);
      this.#tell(leader, () => leader.driver.accepted(hello));
      this.#send(session, session.down, () => follower.driver.sessionOpened(to, hello.number));
    });
  }

  #toLeader(follower: Peer, to: NodeId, number: number, messages: readonly FollowerMessage[]): void {
    const session = this.#sessions.find(
      (one) => !one.isOver && one.follower === follower && one.leader.node === to && one.hello.number === number,
    );
    if (!session) return;
    for (const message of messages) {
      this.#count(messageNames[message.kind]);
      this.trace?.(`${follower.node} -> ${to} ${textOf(message)}`);
    }
    this.#send(session, session.up, () => session.leader.driver.fromFollower(session.hello, messages));
  }

  #toFollower(leader: Peer, hello: Hello, messages: readonly LeaderMessage[]): void {
    const session = this.#sessions.find((one) => !one.isOver && one.leader === leader && one.hello === hello);
    if (!session) return;
    for (const message of messages) {
      this.#count(messageNames[message.kind]);
      this.trace?.(`${leader.node} -> ${hello.from} ${textOf(message)}`);
      const lane = message.kind === "batches" ? session.data : session.down;
      this.#send(session, lane, () => session.follower.driver.fromLeader(leader.node, hello.number, [message]));
    }
  }

  #call(from: Peer, to: NodeId, calls: readonly Call[]): void {
    for (const call of calls) {
      this.#count(messageNames[call.kind]);
      this.trace?.(`${from.node} -> ${to} ${textOf(call)}`);
    }
    const times = this.#random.chance(this.plan.doubled) ? 2 : 1;
    for (let time = 0; time < times; time++) {
      if (this.#random.chance(this.plan.lost)) continue;
      const arrive = () => {
        const held = this.#heldCalls.get(linkOf(from.node, to));
        if (held) {
          held.push(arrive);
          return;
        }
        const peer = this.peers.get(to);
        if (!peer || this.isCut(from.node, to)) return;
        this.#tell(peer, () => peer.driver.called(from.node, calls));
      };
      this.#timeline.after(this.#delay(), arrive);
    }
  }

  /** Asks, and is answered, or not: then it fails after a while. */
  #range(
    asker: Peer,
    to: NodeId,
    { group, from, maxBytes }: { group: number; from: number; maxBytes: number },
  ): Promise<StoredRange> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => this.#tell(asker, () => reject(error));
      this.#timeline.after(openTimeoutMs, () => fail(new Error(`${to} does not answer`)));
      this.#timeline.after(this.#delay(), () => {
        const peer = this.peers.get(to);
        if (!peer || this.isCut(asker.node, to)) return;
        const answer = (range: StoredRange) => {
          this.#timeline.after(this.#delay(), () => {
            if (!this.isCut(to, asker.node)) this.#tell(asker, () => resolve(range));
          });
        };
        this.#tell(peer, () => void peer.driver.range(group, from, maxBytes).then(answer, fail));
      });
    });
  }

  /** The one that opened it ends it. */
  #closed(follower: Peer, to: NodeId, number: number): void {
    const session = this.#sessions.find(
      (one) => one.follower === follower && one.leader.node === to && one.hello.number === number,
    );
    if (session) this.#break(session, "follower");
  }

  #ended(leader: Peer, hello: Hello): void {
    const session = this.#sessions.find((one) => one.leader === leader && one.hello === hello);
    if (session) this.#break(session, "leader");
  }

  /** It is over: each side hears of it for itself, later. `by` knows already. */
  #break(session: Session, by?: "follower" | "leader"): void {
    if (session.isOver) return;
    session.isOver = true;
    session.isLate = this.#random.chance(this.plan.late);
    const { follower, leader, hello } = session;
    this.trace?.(`the session of ${follower.node} at ${leader.node} is over`);
    if (by !== "follower") {
      const tell = () => this.#tell(follower, () => follower.driver.sessionClosed(leader.node, hello.number, false));
      this.#timeline.after(this.#noticeMs(leader.node, follower.node), tell);
    }
    if (by !== "leader") {
      this.#timeline.after(this.#noticeMs(follower.node, leader.node), () =>
        this.#tell(leader, () => leader.driver.ended(hello)),
      );
    }
  }

  /** How long it takes until a side hears that a session is over: a cut link says nothing. */
  #noticeMs(from: NodeId, to: NodeId): number {
    return this.isCut(from, to) ? 5000 + this.#delay() : this.#delay();
  }

  #send(session: Session, lane: Lane, arrive: () => void): void {
    // Small messages overtake batches on their way; nothing overtakes a small one.
    lane.onTheWay.push({ arrive, after: lane === session.data ? session.down.sent : 0 });
    this.#plan(session, lane);
  }

  /** The next of a lane arrives a little later. */
  #plan(session: Session, lane: Lane): void {
    const atMs = Math.max(
      this.#timeline.nowMs + this.#delay(),
      lane.lastMs,
      lane === session.data ? session.down.lastMs : 0,
    );
    lane.lastMs = atMs;
    this.#timeline.at(atMs, () => this.#arrive(session, lane));
  }

  #arrive(session: Session, lane: Lane): void {
    const [next] = lane.onTheWay;
    if ((session.isOver && !session.isLate) || !next) return;
    const [from, to] = lane === session.up ? [session.follower, session.leader] : [session.leader, session.follower];
    if (this.isCut(from.node, to.node) || (lane === session.data && session.down.arrived < next.after)) {
      lane.held += 1;
      return;
    }
    lane.onTheWay.shift();
    lane.arrived += 1;
    if (session.isOver) this.#count("message of a session that is over");
    this.#tell(to, next.arrive);
    if (lane === session.down) this.#release(session, session.data);
  }

  #release(session: Session, lane: Lane): void {
    const { held } = lane;
    lane.held = 0;
    for (let i = 0; i < held; i++) this.#plan(session, lane);
  }

  #tell(peer: Peer, what: () => void): void {
    if (peer.isAlive) peer.run(what);
  }

  #delay(): number {
    const { delayMinMs, delayMaxMs } = this.plan;
    return delayMinMs + this.#random.fraction() ** 3 * (delayMaxMs - delayMinMs);
  }
}

function linkOf(from: NodeId, to: NodeId): string {
  return `${from}>${to}`;
}

/** A message in one line. */
function textOf(message: FollowerMessage | LeaderMessage | Call): string {
  const { kind, ...fields } = message;
  const words = Object.entries(fields).map(([name, value]) => `${name}=${valueText(value)}`);
  return [kind, ...words].join(" ");
}

function valueText(value: unknown): string {
  if (value instanceof Uint8Array)
    return [...value.subarray(0, 3)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (Array.isArray(value)) return `[${value.map((one) => valueText(one)).join(" ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  if ("index" in value && "term" in value) return `${value.index}@${value.term}`;
  return `{${Object.entries(value)
    .map(([name, one]) => `${name}=${valueText(one)}`)
    .join(" ")}}`;
}
