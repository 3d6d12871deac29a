/**
 * Runs the replication core of one node: what it wants is done on the log and the network, and what comes of that is told
 * to it, one input after the other.
 * Elsewhere: what it decides (`raft/`), one group's side of it (`replica-group.ts`), its log's effects (`log-effects.ts`).
 * @module
 */
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import type { Clock, Timer } from "../host/clock.ts";
import type { Hash } from "../host/hash.ts";
import type { DataFolder, GroupLog } from "../log/types.ts";
import type { GroupInput, Hello, Input } from "../raft/inputs.ts";
import { RaftNode } from "../raft/node.ts";
import type { Effect } from "../raft/turn.ts";
import type { Call, FollowerMessage, LeaderMessage, NodeId, RaftSettings, ReplicaId } from "../raft/types.ts";
import { joinBytes } from "./core-batch.ts";
import { receive, runLogEffect } from "./log-effects.ts";
import { openedGroup } from "./opened-group.ts";
import type { PeerNet, StoredRange } from "./peer-net.ts";
import { isDamaged } from "./replica-errors.ts";
import { ReplicaGroup } from "./replica-group.ts";

/** What a driver stands on. */
export interface RaftDriverOptions {
  readonly node: NodeId;
  /** The data folder's disk id, as it stands in replicas' names. */
  readonly disk: string;
  /** How often the node was started: one more than ever before. */
  readonly incarnation: number;
  readonly folder: DataFolder;
  readonly net: PeerNet;
  readonly clock: Clock;
  readonly hash: Hash;
  readonly random: () => number;
  readonly settings: RaftSettings;
  /** Told of each step, for logs and metrics: before its effects are run. */
  readonly stepped?: (input: Input, effects: readonly Effect[]) => void;
  /** Lets go the files below a committed checkpoint; left out: at once. */
  readonly dropBefore?: (found: ReplicaGroup, baseIndex: number) => Promise<void>;
  /** Told of an error that is a fault of ours: the process is to end with it. Left out: it does. */
  readonly broken?: (error: unknown) => void;
}

/** Effects on one group. */
type GroupEffect = Exclude<
  Effect,
  { kind: "openSession" | "closeSession" | "endSession" | "toLeader" | "toFollower" | "call" | "wake" | "event" }
>;

/** The groups of one node. */
export class RaftDriver {
  readonly core: RaftNode;
  readonly options: RaftDriverOptions;
  readonly #groups = new Map<number, ReplicaGroup>();
  #inputs: Input[] = [];
  #isRunning = false;
  #isScheduled = false;
  #timer: Timer | undefined;
  /** How to stop listening to logs. */
  readonly #listening = new Map<number, (() => void)[]>();
  #isStopped = false;

  constructor(options: RaftDriverOptions) {
    this.options = options;
    this.core = new RaftNode({ settings: options.settings, random: options.random });
  }

  /** Takes in a group whose log is here; it takes part from when `open` says so. */
  add(log: GroupLog, self: ReplicaId): ReplicaGroup {
    const { group } = log;
    const core = {
      settings: this.options.settings,
      state: () => this.core.group(group),
      lagMs: () => this.core.lagMs(group, this.options.clock.monotonicMs()),
      feed: (input: GroupInput) => this.feed({ kind: "group", group, input }),
      feedLater: (input: GroupInput) => this.feedLater(group, input),
    };
    const found = new ReplicaGroup(log, self, core);
    this.#groups.set(group, found);
    this.#listening.set(group, [
      log.onDurable(() => this.#durable(group)),
      log.onTakenBack(() => this.feedLater(group, { kind: "takenBack", end: log.end.index })),
    ]);
    return found;
  }

  /** Lets a group take part that was added, and whose log is quiet and durable. */
  async open(found: ReplicaGroup): Promise<void> {
    const { opened, trims } = await openedGroup(found.log, found.self);
    if (this.#isStopped || this.#groups.get(found.group) !== found) return;
    for (const { index, baseIndex } of trims) found.trimmed(index, baseIndex);
    this.feed({ kind: "open", opened });
    found.opened();
    this.#followTrims(found);
  }

  /** Ends a group that is gone. @param why What is told to who waits for something of it. */
  closeGroup(group: number, why = "the stream is gone"): void {
    const found = this.#groups.get(group);
    if (!found) return;
    this.#ignore(group);
    this.feed({ kind: "close", group });
    this.#groups.delete(group);
    found.end(why);
  }

  /** A group that is here. */
  group(group: number): ReplicaGroup | undefined {
    return this.#groups.get(group);
  }

  /** Whether it takes no more inputs. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Takes no more inputs; who waits is told that nobody knows. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    for (const [group, found] of this.#groups) {
      this.#ignore(group);
      found.end("the node stopped");
    }
  }

  // What the network tells.

  sessionOpened(to: NodeId, number: number): void {
    this.feed({ kind: "sessionOpened", to, number });
  }

  sessionClosed(to: NodeId, number: number, refused: boolean): void {
    this.feed({ kind: "sessionClosed", to, number, refused });
  }

  accepted(hello: Hello): void {
    this.feed({ kind: "accepted", hello });
  }

  ended(hello: Hello): void {
    this.feed({ kind: "ended", hello });
  }

  fromFollower(hello: Hello, messages: readonly FollowerMessage[]): void {
    this.feed({ kind: "fromFollower", hello, messages });
  }

  /** Batches are verified before the core hears of them, and wait while the log they are for is being changed. */
  fromLeader(node: NodeId, number: number, messages: readonly LeaderMessage[]): void {
    for (const message of messages) {
      if (message.kind === "batches") this.#batches(node, number, message);
      else this.feed({ kind: "fromLeader", node, number, messages: [message] });
    }
  }

  called(from: NodeId, calls: readonly Call[]): void {
    this.feed({ kind: "called", from, calls });
  }

  /** Stored batches that are committed here, from an index on: for another replica that mends its log with them. */
  async range(group: number, from: number, maxBytes: number): Promise<StoredRange> {
    const log = this.#groups.get(group)?.log;
    if (!log || from < log.base.index || from >= log.commit.index) {
      return { batches: new Uint8Array(0), baseIndex: log?.base.index ?? 0 };
    }
    const batches = await log.read({ from: { index: from }, belowIndex: log.commit.index, maxBytes });
    const bytes = joinBytes(batches.flatMap(({ header, payload }) => [header, payload]));
    return { batches: bytes, baseIndex: log.base.index };
  }

  /** Takes an input, and all that follows from it. */
  feed(input: Input): void {
    if (this.#isStopped) return;
    this.#inputs.push(input);
    if (!this.#isRunning) this.#run();
  }

  /** Takes it when what runs now has ended: who calls is in the middle of something. */
  feedLater(group: number, input: GroupInput): void {
    if (this.#isStopped) return;
    this.#inputs.push({ kind: "group", group, input });
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (!this.#isRunning) this.#run();
    });
  }

  /** A fault of ours came up where nobody waits for it. */
  broken(error: unknown): void {
    const { broken } = this.options;
    if (broken) broken(error);
    else
      queueMicrotask(() => {
        throw error;
      });
  }

  /** A change of a group's log is done: what waited for that goes on. */
  changed(found: ReplicaGroup): void {
    found.changing -= 1;
    if (found.changing > 0) return;
    this.#durable(found.group);
    found.settle();
    for (const { node, number, message } of found.held.splice(0)) this.#batches(node, number, message);
  }

  /** What the log says is heard no more. */
  #ignore(group: number): void {
    for (const end of this.#listening.get(group) ?? []) end();
    this.#listening.delete(group);
  }

  #run(): void {
    this.#isRunning = true;
    try {
      for (let next = this.#inputs.shift(); next && !this.#isStopped; next = this.#inputs.shift()) {
        const effects = this.core.step(next, this.options.clock.monotonicMs());
        this.options.stepped?.(next, effects);
        for (const effect of effects) this.#do(effect);
      }
    } catch (error) {
      // Half of a step is done, and nothing that would follow from it is sure. Who called may take it for a call that failed.
      this.#isStopped = true;
      this.#timer?.cancel();
      this.broken(error);
    } finally {
      this.#isRunning = false;
    }
  }

  #do(effect: Effect): void {
    const { net, node: from, disk, incarnation } = this.options;
    switch (effect.kind) {
      case "openSession":
        net.open(effect.to, { from, disk, incarnation, number: effect.number });
        return;
      case "closeSession":
        net.closeSession(effect.to, effect.number);
        return;
      case "endSession":
        net.end(effect.hello);
        return;
      case "toLeader":
        net.toLeader(effect.to, effect.number, effect.messages);
        return;
      case "toFollower":
        net.toFollower(effect.hello, effect.messages);
        return;
      case "call":
        net.call(effect.to, effect.calls);
        return;
      case "wake":
        this.#wake(effect.atMs);
        return;
      case "event":
        this.#groups.get(effect.group)?.heard(effect.event);
        return;
      default:
        this.#doInGroup(effect);
    }
  }

  #doInGroup(effect: GroupEffect): void {
    const found = this.#groups.get(effect.group);
    if (!found) return;
    switch (effect.kind) {
      case "commit":
        found.log.setCommit(effect.index);
        found.settle();
        this.#followTrims(found);
        return;
      case "answerRead":
      case "refuseRead":
        found.answer(effect);
        return;
      case "changed":
        found.changed(effect);
        return;
      case "transferred":
        found.transferred(effect);
        return;
      default:
        runLogEffect(this, found, effect);
    }
  }

  /** Files go where a trim is committed that lets them. Want of room, and what a log is in the middle of, leave them for the next. */
  #followTrims(found: ReplicaGroup): void {
    const baseIndex = found.takeDueBase();
    if (baseIndex <= found.log.base.index) return;
    const { dropBefore = (of, to) => of.dropBefore(to) } = this.options;
    dropBefore(found, baseIndex).catch((error: unknown) => {
      if (error instanceof NoRoomError || isDamaged(error)) found.trimAgain(baseIndex);
      else if (!(error instanceof DiskError) && !(error instanceof TailraceError)) this.broken(error);
    });
  }

  #wake(atMs: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.max(atMs - this.options.clock.monotonicMs(), 0);
    this.#timer = this.options.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.feed({ kind: "tick" });
    });
  }

  /** The disk has more of a log. While the log is being changed, what the disk says is of what was. */
  #durable(group: number): void {
    const found = this.#groups.get(group);
    const state = this.core.group(group);
    if (!found || !state || found.changing > 0) return;
    this.feedLater(group, { kind: "synced", generation: state.log.generation, end: found.log.durableEnd.index });
  }

  #batches(node: NodeId, number: number, message: Extract<LeaderMessage, { kind: "batches" }>): void {
    const found = this.#groups.get(message.group);
    if (found && found.changing > 0) {
      // What answers an older fetch is dropped in any case.
      if (found.held[0]?.message.id !== message.id) found.held.length = 0;
      found.held.push({ node, number, message });
      return;
    }
    const checked = found ? receive(found, message, this.options.hash) : message;
    this.feed({ kind: "fromLeader", node, number, messages: [checked] });
  }
}
