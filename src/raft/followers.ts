/**
 * The nodes that follow here: one session of each, for all groups that it follows, and the beats that go out to all of them.
 * @module
 */
import { feedsEnded, takeTurn } from "./feeding.ts";
import type { Hello } from "./inputs.ts";
import { checkQuorum } from "./leading.ts";
import { onEcho } from "./reads.ts";
import { SessionRoom } from "./session-room.ts";
import { type Incoming, isLater, isSameSession } from "./sessions.ts";
import { stepFollowerMessage } from "./step.ts";
import type { NodeTurn } from "./turn.ts";
import { diskOf, type FollowerMessage, type LeaderMessage, type NodeId } from "./types.ts";

/** Sessions of other nodes. */
export class FollowerNodes {
  readonly #node: NodeTurn;
  readonly #sessions = new Map<NodeId, Incoming>();
  /** Those that are told something at the end of the step. */
  #talking: Incoming[] = [];
  /** Those with room for groups that wait for it. */
  readonly #due = new Set<Incoming>();
  /** No session becomes silent before that. */
  #nextMs = Number.POSITIVE_INFINITY;
  /** The last beat, of all that this process ever sent. */
  #beat = 0;
  #beatAtMs = Number.POSITIVE_INFINITY;
  /** A beat that was given out in this step, and goes out at its end. */
  #beatGiven = false;

  constructor(node: NodeTurn) {
    this.#node = node;
  }

  /** When there is something to do by the clock; perhaps not yet: what is heard makes it later. */
  get nextMs(): number {
    return Math.min(this.#nextMs, this.#beatAtMs);
  }

  /** A fetch of a group stands here. */
  serve(group: number, node: NodeId): void {
    const session = this.#sessions.get(node);
    session?.groups.add(group);
    if (session) this.#watch(session);
    const { nowMs, settings } = this.#node;
    if (this.#beatAtMs === Number.POSITIVE_INFINITY) this.#beatAtMs = nowMs + settings.beatMs;
  }

  unserve(group: number, node: NodeId): void {
    const session = this.#sessions.get(node);
    session?.groups.delete(group);
    session?.room.leave(group);
  }

  /** Whether batches of a group may be read for a node now. */
  mayRead(group: number, node: NodeId, isBusy: boolean): boolean {
    return this.#sessions.get(node)?.room.enter(group, isBusy) ?? true;
  }

  onTheWay(node: NodeId, bytes: number): void {
    const session = this.#sessions.get(node);
    session?.room.change(bytes);
    if (session?.room.isDue) this.#due.add(session);
  }

  /** Those that waited for room on the way to their node go on, as far as there is. */
  giveTurns(): void {
    for (const session of this.#due) {
      const { room, hello } = session;
      for (let group = room.next(); group !== undefined; group = room.next()) {
        this.#node.inGroup(group, (found) => takeTurn(found, hello.from, this.#node));
      }
    }
    this.#due.clear();
  }

  /** Whether what a node says in its session is heard. */
  isHeard(node: NodeId): boolean {
    return this.#sessions.get(node)?.isSilent === false;
  }

  /** When a node was last heard in its session; undefined: none is open. */
  heardAtMs(node: NodeId): number | undefined {
    return this.#sessions.get(node)?.heardAtMs;
  }

  /** A beat that was not sent before. */
  newBeat(): number {
    if (!this.#beatGiven) this.#beat += 1;
    this.#beatGiven = true;
    return this.#beat;
  }

  say(node: NodeId, message: LeaderMessage): void {
    const session = this.#sessions.get(node);
    if (session) this.#queue(session, message);
  }

  accepted(hello: Hello): void {
    const known = this.#sessions.get(hello.from);
    if (known && !isLater(hello, known.hello)) {
      this.#node.effect({ kind: "endSession", hello });
      return;
    }
    if (known) {
      this.#forget(known);
      this.#node.effect({ kind: "endSession", hello: known.hello });
    }
    const heardAtMs = this.#node.nowMs;
    const room = new SessionRoom(this.#node.settings.sessionCreditBytes);
    const session = { hello, groups: new Set<number>(), heardAtMs, echoed: 0, isSilent: false, room, queue: [] };
    this.#sessions.set(hello.from, session);
  }

  ended(hello: Hello): void {
    const known = this.#sessions.get(hello.from);
    if (known && isSameSession(known.hello, hello)) this.#forget(known);
  }

  /** What comes in a session. */
  received(hello: Hello, messages: readonly FollowerMessage[]): void {
    const session = this.#sessions.get(hello.from);
    // What still comes on a session that another one ended counts for nothing.
    if (!session || !isSameSession(session.hello, hello)) return;
    session.heardAtMs = this.#node.nowMs;
    if (session.isSilent) {
      session.isSilent = false;
      this.#watch(session);
      this.#quorumChanged(session, session.heardAtMs);
    }
    for (const message of messages) {
      if (message.kind === "echo") this.#echoed(session, message.n);
      else this.#receivedOf(session, message);
    }
  }

  passTime(): void {
    const { nowMs, settings } = this.#node;
    if (nowMs < this.#nextMs) return;
    for (const session of this.#sessions.values()) {
      if (session.groups.size > 0 && !session.isSilent && nowMs >= session.heardAtMs + settings.electionMaxMs) {
        session.isSilent = true;
        this.#quorumChanged(session, session.heardAtMs);
      }
    }
    this.#nextMs = Number.POSITIVE_INFINITY;
    for (const session of this.#sessions.values()) this.#watch(session);
  }

  /** A beat goes out to all that follow, if it is time, or one was given out in the step. */
  beat(): void {
    const { nowMs, settings } = this.#node;
    if (nowMs >= this.#beatAtMs) this.newBeat();
    if (!this.#beatGiven) return;
    this.#beatGiven = false;
    let isServing = false;
    for (const session of this.#sessions.values()) {
      if (session.groups.size === 0) continue;
      isServing = true;
      this.#queue(session, { kind: "beat", n: this.#beat, echoed: session.echoed });
    }
    this.#beatAtMs = isServing ? nowMs + settings.beatMs : Number.POSITIVE_INFINITY;
  }

  /** Says what was queued in the step. */
  flush(): void {
    const talking = this.#talking;
    if (talking.length === 0) return;
    this.#talking = [];
    for (const session of talking) {
      const { hello, queue: messages } = session;
      if (messages.length === 0) continue;
      this.#node.effect({ kind: "toFollower", hello, messages });
      session.queue = [];
    }
  }

  #queue(session: Incoming, message: LeaderMessage): void {
    if (session.queue.length === 0) this.#talking.push(session);
    session.queue.push(message);
  }

  /** A session is over, with all that it registered. */
  #forget(session: Incoming): void {
    const { from } = session.hello;
    this.#sessions.delete(from);
    this.#due.delete(session);
    session.queue = [];
    for (const group of session.groups) this.#node.inGroup(group, (found) => feedsEnded(found, from, this.#node));
  }

  #receivedOf(session: Incoming, message: Exclude<FollowerMessage, { kind: "echo" }>): void {
    const { hello } = session;
    // Who speaks for a replica of another disk speaks for nobody.
    const isForeign = message.kind === "fetch" && diskOf(message.replica) !== `${hello.from}/${hello.disk}`;
    if (isForeign) return;
    const { group } = message;
    const isHere = this.#node.inGroup(group, (found) => stepFollowerMessage(found, message, hello.from, this.#node));
    if (isHere || message.kind !== "fetch") return;
    this.#queue(session, { kind: this.#node.isGone(group) ? "gone" : "notYet", group });
  }

  #echoed(session: Incoming, n: number): void {
    session.echoed = Math.max(session.echoed, n);
    for (const group of [...this.#node.readers]) {
      if (!session.groups.has(group)) continue;
      this.#node.inGroup(group, (found) => onEcho(found, session.hello.from, n, this.#node));
    }
  }

  #quorumChanged(session: Incoming, sinceMs: number): void {
    for (const group of [...session.groups]) {
      this.#node.inGroup(group, (found) => {
        if (found.role.kind === "leader") checkQuorum(found, found.role, this.#node, sinceMs);
      });
    }
  }

  #watch({ groups, isSilent, heardAtMs }: Incoming): void {
    if (isSilent || groups.size === 0) return;
    this.#nextMs = Math.min(this.#nextMs, heardAtMs + this.#node.settings.electionMaxMs);
  }
}
