/**
 * One node's replication: all its groups, and what they share: the sessions with other nodes, the clock, and what is gathered
 * into one call. Pure: an input and the time come in, effects go out, to be run in order.
 * Elsewhere: sessions to nodes that are followed (`followed.ts`), sessions of those that follow here (`followers.ts`).
 * @module
 */
import { Deadlines } from "../base/deadlines.ts";
import { FollowedNodes } from "./followed.ts";
import { FollowerNodes } from "./followers.ts";
import { type Group, isAsking, openGroup, sourceOf } from "./group.ts";
import type { Held } from "./held.ts";
import type { Input } from "./inputs.ts";
import { quorumHeardAtMs } from "./leading.ts";
import { stop } from "./leaving.ts";
import { deadlineOf, stepCall, stepInput, stepTime } from "./step.ts";
import { between, type Effect, type NodeTurn } from "./turn.ts";
import type { Call, NodeId, RaftSettings } from "./types.ts";

/** What a node is made with. */
export interface RaftNodeOptions {
  readonly settings: RaftSettings;
  /** At or above 0, below 1. */
  readonly random: () => number;
}

/** The replication of one node. */
export class RaftNode implements NodeTurn {
  readonly settings: RaftSettings;
  nowMs = 0;
  readonly #random: () => number;
  readonly #groups = new Map<number, Group>();
  readonly #deadlines = new Deadlines();
  readonly #followed = new FollowedNodes(this);
  readonly #followers = new FollowerNodes(this);
  readonly #readers = new Set<number>();
  /** Groups that ask for votes. */
  readonly #asking = new Set<number>();
  readonly #calls = new Map<NodeId, Call[]>();
  #effects: Effect[] = [];
  /** Groups below this number that are not here are gone. */
  #knownBelow = 0;
  #wakeAtMs = Number.POSITIVE_INFINITY;

  constructor({ settings, random }: RaftNodeOptions) {
    this.settings = settings;
    this.#random = random;
  }

  /** A group's state, to look at. */
  group(group: number): Group | undefined {
    return this.#groups.get(group);
  }

  /**
   * How long ago a replica last had all that was committed, as far as it was told; milliseconds. A leader has it for as long as it
   * hears from a majority. Undefined: nobody tells it.
   */
  lagMs(group: number, nowMs: number): number | undefined {
    const found = this.#groups.get(group);
    if (found?.role.kind === "leader") {
      const atMs = quorumHeardAtMs(found, found.role, nowMs, (node) => this.#followers.heardAtMs(node));
      return Math.max(nowMs - atMs, 0);
    }
    const source = found && sourceOf(found);
    if (!source?.answered) return undefined;
    const heardAtMs = this.#followed.heardAtMs(source.node);
    if (heardAtMs === undefined) return undefined;
    return Math.max(nowMs - Math.min(heardAtMs, source.behindSinceMs ?? heardAtMs), 0);
  }

  /** Takes an input at a time that never goes back. What comes out is for the driver to do, in order. */
  step(input: Input, nowMs: number): Effect[] {
    this.nowMs = Math.max(nowMs, this.nowMs);
    this.#take(input);
    this.#passTime();
    this.#flush();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  // What a group may do in a step.

  random(): number {
    return this.#random();
  }

  follow(group: number, node: NodeId): boolean {
    return this.#followed.follow(group, node);
  }

  unfollow(group: number, node: NodeId): void {
    this.#followed.unfollow(group, node);
  }

  serve(group: number, node: NodeId): void {
    this.#followers.serve(group, node);
  }

  unserve(group: number, node: NodeId): void {
    this.#followers.unserve(group, node);
  }

  get mayAsk(): boolean {
    return this.#asking.size < this.settings.askingMaxGroups;
  }

  mayRead(group: number, node: NodeId, isBusy: boolean): boolean {
    return this.#followers.mayRead(group, node, isBusy);
  }

  onTheWay(node: NodeId, bytes: number): void {
    this.#followers.onTheWay(node, bytes);
  }

  isHeard(node: NodeId): boolean {
    return this.#followers.isHeard(node);
  }

  newBeat(): number {
    return this.#followers.newBeat();
  }

  put(held: Held): void {
    switch (held.lane) {
      case "leader":
        this.#followed.say(held.node, held.message);
        return;
      case "follower":
        this.#followers.say(held.node, held.message);
        return;
      case "call": {
        const calls = this.#calls.get(held.node);
        if (calls) calls.push(held.message);
        else this.#calls.set(held.node, [held.message]);
        return;
      }
    }
  }

  effect(effect: Effect): void {
    this.#effects.push(effect);
  }

  // What sessions may do in a step.

  get readers(): ReadonlySet<number> {
    return this.#readers;
  }

  inGroup(group: number, step: (group: Group) => void): boolean {
    const found = this.#groups.get(group);
    if (!found) return false;
    step(found);
    this.#stepped(found);
    return true;
  }

  isGone(group: number): boolean {
    return group < this.#knownBelow;
  }

  // Inputs.

  #take(input: Input): void {
    switch (input.kind) {
      case "tick":
        // It may come a little early: then the same time is asked for again.
        this.#wakeAtMs = Number.NaN;
        return;
      case "open": {
        const { opened } = input;
        const group = openGroup(opened, this.nowMs + this.#electionTimeout());
        this.#groups.set(opened.group, group);
        this.#stepped(group);
        return;
      }
      case "close":
        this.#close(input.group);
        return;
      case "known":
        this.#knownBelow = input.below;
        return;
      case "group":
        this.inGroup(input.group, (found) => stepInput(found, input.input, this));
        return;
      case "sessionOpened":
        this.#followed.opened(input.to, input.number);
        return;
      case "sessionClosed":
        this.#followed.closed(input.to, input.number, input.refused);
        return;
      case "accepted":
        this.#followers.accepted(input.hello);
        return;
      case "ended":
        this.#followers.ended(input.hello);
        return;
      case "fromFollower":
        this.#followers.received(input.hello, input.messages);
        return;
      case "fromLeader":
        this.#followed.received(input.node, input.number, input.messages);
        return;
      case "called":
        for (const call of input.calls) this.inGroup(call.group, (found) => stepCall(found, call, this));
        return;
    }
  }

  /** Looks what a step of a group changed for the node. */
  #stepped(group: Group): void {
    this.#deadlines.set(group.group, deadlineOf(group, this.settings.electionMaxMs));
    if (group.role.kind === "leader" && group.role.reads.length > 0) this.#readers.add(group.group);
    else this.#readers.delete(group.group);
    if (isAsking(group)) this.#asking.add(group.group);
    else this.#asking.delete(group.group);
  }

  #close(group: number): void {
    const found = this.#groups.get(group);
    if (!found) return;
    stop(found, "stopped: it is gone", this);
    this.#groups.delete(group);
    this.#readers.delete(group);
    this.#asking.delete(group);
    this.#deadlines.set(group, Number.POSITIVE_INFINITY);
  }

  // Time, and the end of a step.

  #passTime(): void {
    this.#followed.passTime();
    this.#followers.passTime();
    // After the sessions: a leader lost there may be wanted at once.
    for (;;) {
      const due = this.#deadlines.takeDue(this.nowMs);
      if (due === undefined) break;
      this.inGroup(due, (found) => stepTime(found, this));
    }
  }

  #flush(): void {
    this.#followers.giveTurns();
    this.#followers.beat();
    this.#followed.flush();
    this.#followers.flush();
    if (this.#calls.size > 0) this.#flushCalls();
    const atMs = Math.min(this.#deadlines.nextMs, this.#followed.nextMs, this.#followers.nextMs);
    if (atMs === this.#wakeAtMs) return;
    this.#wakeAtMs = atMs;
    this.effect({ kind: "wake", atMs });
  }

  #flushCalls(): void {
    const most = this.settings.callMaxGroups;
    for (const [to, calls] of this.#calls) {
      for (let at = 0; at < calls.length; at += most) {
        this.effect({ kind: "call", to, calls: calls.slice(at, at + most) });
      }
    }
    this.#calls.clear();
  }

  #electionTimeout(): number {
    return between(this, this.settings.electionMinMs, this.settings.electionMaxMs);
  }
}
