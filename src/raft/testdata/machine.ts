/**
 * One node of a script: its replication, its disk, and what a driver does between them.
 * @module
 */
import { present } from "../../base/assert.ts";
import { BatchKind } from "../../base/batch.ts";
import { sourceOf } from "../group.ts";
import type { GroupInput, Input } from "../inputs.ts";
import { takesAppends } from "../leading.ts";
import { RaftNode } from "../node.ts";
import type { Effect } from "../turn.ts";
import type { Batch, LeaderMessage, NodeId, RaftSettings, ReplicaId } from "../types.ts";
import { batchAfter, type Content, damaged, firstBad, nothing, shortName } from "./batches.ts";
import { DataFolder } from "./data-folder.ts";

/** What a machine needs of the world around it. */
export interface World {
  readonly nowMs: number;
  readonly settings: RaftSettings;
  /** Does what only the world can: sessions, messages, and telling the reader. */
  perform(machine: Machine, effect: Effect): void;
  say(line: string, group?: number): void;
  /** A step is over. */
  stepped(): void;
}

/** A node. */
export class Machine {
  readonly node: NodeId;
  readonly #world: World;
  folder: DataFolder;
  /** Undefined: the process does not run. */
  raft: RaftNode | undefined;
  wakeAtMs = Number.POSITIVE_INFINITY;
  /** What was written of each group, synced or not: what a running process reads. */
  readonly #written = new Map<number, readonly Batch[]>();
  readonly #inputs: { group: number; input: GroupInput }[] = [];
  /** What a sync that has begun will say. */
  readonly #late: { group: number; input: GroupInput }[] = [];
  /** What was read and is not told yet; undefined: it is told at once. */
  #heldReads: { group: number; input: GroupInput }[] | undefined;
  /** Groups whose chain is to be recomputed. */
  readonly #checks = new Set<number>();
  #checksAreHeld = false;
  /** Where the damage begins that is to be repaired. */
  readonly #damageAt = new Map<number, number>();
  #isStepping = false;
  /** The disk is full: what comes from a leader is refused. */
  isFull = false;
  /** Where between the lowest and the highest its random times are. */
  random = 0.5;

  constructor(node: NodeId, world: World) {
    this.node = node;
    this.#world = world;
    this.folder = new DataFolder("a");
  }

  /** The process starts, with what its disk holds. */
  start(): void {
    this.folder.incarnation += 1;
    this.raft = new RaftNode({ settings: this.#world.settings, random: () => this.random });
    this.wakeAtMs = Number.POSITIVE_INFINITY;
    for (const group of this.folder.groups()) {
      this.#written.set(group, this.folder.log(group));
      this.step({ kind: "open", opened: this.folder.opened(group, this.node) });
    }
  }

  /** The process dies. */
  kill(): void {
    this.folder.crash();
    this.raft = undefined;
    this.#heldReads = undefined;
    this.#inputs.length = 0;
    this.#late.length = 0;
  }

  /** The disk is another one, with nothing on it. */
  wipe(): void {
    this.folder = new DataFolder(String.fromCharCode(this.folder.disk.charCodeAt(0) + 1));
  }

  replica(group: number): ReplicaId {
    return this.folder.replica(group, this.node);
  }

  written(group: number): readonly Batch[] {
    return this.#written.get(group) ?? [];
  }

  /** Takes an input, and does what comes of it until there is nothing left to do here. */
  step(input: Input): void {
    this.#stepOnce(input);
    this.#drain();
  }

  stepGroup(group: number, input: GroupInput): void {
    this.step({ kind: "group", group, input });
  }

  /** It stands for election at once, as if a leader handed over to it. */
  standUp(group: number): void {
    const { self, term } = present(this.raft?.group(group), "the group is open");
    this.step({ kind: "called", from: this.node, calls: [{ kind: "stepUp", group, term, from: self, to: self }] });
  }

  /** A client appends. */
  append(group: number, content: Content): void {
    this.stepGroup(group, { kind: "wanted" });
    const found = this.raft?.group(group);
    if (!found || !takesAppends(found)) {
      this.#world.say(`${this.node} takes no appends`, group);
      return;
    }
    this.#stamp(group, found.term, content);
    this.#drain();
  }

  /** Syncs the oldest writes, `count` of them at most. */
  sync(count = Number.POSITIVE_INFINITY): void {
    this.#inputs.push(...this.#synced(count));
    this.#drain();
  }

  /** What was written until now is durable, and nobody knows it yet. */
  beginSync(): void {
    this.#late.push(...this.#synced(Number.POSITIVE_INFINITY));
  }

  /** It becomes known. */
  endSync(): void {
    this.#inputs.push(...this.#late.splice(0));
    this.#drain();
  }

  /** What was stamped from `end` on is taken back: there was no room for it. */
  takeBack(group: number, end: number): void {
    this.#set(
      group,
      this.written(group).filter(({ index }) => index < end),
    );
    this.folder.write({ kind: "cut", group, index: end });
    this.stepGroup(group, { kind: "takenBack", end });
  }

  /** Files below a checkpoint are dropped. */
  trim(group: number, index: number): void {
    const log = this.written(group);
    const { before } = present(
      log.find((batch) => batch.index === index),
      "the checkpoint is here",
    );
    if (!before) throw new Error(`${this.node} has no checkpoint at ${index}`);
    this.#set(
      group,
      log.filter((batch) => batch.index >= index),
    );
    this.folder.write({ kind: "base", group, index });
    this.stepGroup(group, { kind: "baseMoved", index, before });
  }

  /** A batch goes bad, in the files and in what is read from them. */
  damage(group: number, index: number, part: "payload" | "digest"): void {
    const spoil = (batch: Batch) => (batch.index === index ? damaged(batch, part) : batch);
    this.folder.replace(group, this.folder.log(group).map(spoil));
    this.#set(group, this.written(group).map(spoil));
  }

  /** What is read for others is told when the script says so. */
  holdReads(): void {
    this.#heldReads = [];
  }

  releaseReads(): void {
    this.#inputs.push(...(this.#heldReads ?? []));
    this.#heldReads = undefined;
    this.#drain();
  }

  /** The chain of a log is recomputed when the script says so. */
  holdChecks(): void {
    this.#checksAreHeld = true;
  }

  releaseChecks(): void {
    this.#checksAreHeld = false;
    this.#check();
    this.#drain();
  }

  /** Its batches take the place of the own ones, where they fit the own chain. */
  repair(group: number, from: Machine): void {
    const good = new Map(from.written(group).map((batch) => [batch.index, batch]));
    const mended = this.written(group).map((batch) => {
      const other = good.get(batch.index);
      return other?.term === batch.term ? other : batch;
    });
    if (this.#firstBad(mended) !== undefined) throw new Error(`what ${from.node} has does not fit`);
    this.folder.replace(group, mended.slice(0, this.folder.log(group).length));
    this.#set(group, mended);
    const damage = present(this.#damageAt.get(group), "it was asked for");
    const digests = mended.filter(({ index }) => index >= damage).map(({ digest }) => digest);
    this.stepGroup(group, { kind: "repaired", isWhole: true, from: damage, digests });
  }

  /** What came from a leader, with what does not fit left out: who receives it looks at the chain first. */
  checked(message: LeaderMessage): LeaderMessage {
    if (message.kind !== "batches") return message;
    const { group, batches } = message;
    const [first] = batches;
    const found = this.raft?.group(group);
    const isRestarting = found && sourceOf(found)?.restartAt !== undefined;
    const own = this.written(group).at(-1);
    const before = isRestarting ? first?.before : own;
    if (!before || (!isRestarting && first?.index !== (own?.index ?? -1) + 1)) return message;
    const bad = firstBad(before, batches);
    if (bad === undefined) return message;
    return { ...message, batches: batches.filter(({ index }) => index < bad), bad };
  }

  #synced(count: number): { group: number; input: GroupInput }[] {
    const inputs: { group: number; input: GroupInput }[] = [];
    for (let i = 0; i < count; i++) {
      const write = this.folder.syncOne((group) => this.raft?.group(group)?.log.commit ?? 0);
      if (!write) break;
      const { kind, group } = write;
      if (kind === "save") inputs.push({ group, input: { kind: "saved" } });
      if (kind === "append" || kind === "install") {
        const last = kind === "append" ? present(write.batches.at(-1), "something was appended") : write.checkpoint;
        const { generation } = write;
        inputs.push({ group, input: { kind: "synced", generation, end: last.index + 1 } });
      }
    }
    return inputs;
  }

  #stepOnce(input: Input): void {
    const raft = present(this.raft, `node ${this.node} runs`);
    this.#isStepping = true;
    for (const effect of raft.step(input, this.#world.nowMs)) this.#run(effect);
    this.#isStepping = false;
    if (this.#inputs.length === 0) this.#world.stepped();
  }

  /** What the disk said is taken in. */
  #drain(): void {
    if (this.#isStepping) return;
    for (let next = this.#inputs.shift(); next && this.raft; next = this.#inputs.shift()) {
      this.#stepOnce({ kind: "group", ...next });
    }
    if (this.raft && !this.folder.isHeld && this.folder.hasWrites) this.sync();
  }

  #run(effect: Effect): void {
    switch (effect.kind) {
      case "save": {
        const { group, term, votedFor, floor } = effect;
        this.folder.write({ kind: "save", group, promises: { term, votedFor, floor } });
        return;
      }
      case "append":
        this.#control(effect);
        return;
      case "write":
        this.#write(effect);
        return;
      case "cut": {
        const { group, index } = effect;
        this.#world.say(`${shortName(this.replica(group))} cuts its log to ${index}`, group);
        this.#set(
          group,
          this.written(group).filter((batch) => batch.index < index),
        );
        this.folder.write({ kind: "cut", group, index });
        return;
      }
      case "install": {
        const { group, generation, checkpoint } = effect;
        this.#set(group, [checkpoint]);
        this.folder.write({ kind: "install", group, generation, checkpoint });
        return;
      }
      case "read":
        this.#read(effect);
        return;
      case "selfCheck":
        this.#checks.add(effect.group);
        if (!this.#checksAreHeld) this.#check();
        return;
      case "repair":
        this.#damageAt.set(effect.group, effect.index);
        this.#world.say(`${this.node} wants batch ${effect.index} repaired`, effect.group);
        return;
      case "wake":
        this.wakeAtMs = effect.atMs;
        return;
      default:
        this.#world.perform(this, effect);
    }
  }

  #check(): void {
    for (const group of this.#checks) {
      this.#inputs.push({ group, input: { kind: "checked", badAt: this.#firstBad(this.written(group)) } });
    }
    this.#checks.clear();
  }

  #control({ group, term, batch }: Extract<Effect, { kind: "append" }>): void {
    const content: Content =
      batch.kind === "leaderChange"
        ? { kind: BatchKind.leaderChange }
        : { kind: BatchKind.voters, voters: batch.voters };
    this.#stamp(group, term, content);
  }

  #stamp(group: number, term: number, content: Content): void {
    const before = present(this.written(group).at(-1), "a log has a batch");
    const batch = batchAfter(before, { index: before.index + 1, term }, content);
    this.#append(group, [batch]);
    const generation = this.raft?.group(group)?.log.generation ?? 0;
    this.folder.write({ kind: "append", group, generation, batches: [batch] });
    this.#inputs.push({ group, input: { kind: "appended", batch } });
  }

  #write({ group, generation, batches }: Extract<Effect, { kind: "write" }>): void {
    if (this.isFull) {
      this.#inputs.push({ group, input: { kind: "refused", generation } });
      return;
    }
    this.#append(group, batches);
    this.folder.write({ kind: "append", group, generation, batches });
  }

  #read({ group, to, id, generation, from, below, maxBytes }: Extract<Effect, { kind: "read" }>): void {
    const batches: Batch[] = [];
    let bytes = 0;
    for (const batch of this.written(group)) {
      if (batch.index < from || batch.index >= below) continue;
      if (batches.length > 0 && bytes + batch.bytes.length > maxBytes) break;
      batches.push(batch);
      bytes += batch.bytes.length;
    }
    (this.#heldReads ?? this.#inputs).push({ group, input: { kind: "read", to, id, generation, batches } });
  }

  #append(group: number, batches: readonly Batch[]): void {
    this.#set(group, [...this.written(group), ...batches]);
  }

  #set(group: number, log: readonly Batch[]): void {
    this.#written.set(group, log);
  }

  #firstBad(log: readonly Batch[]): number | undefined {
    return firstBad(log[0]?.before ?? nothing, log);
  }
}
