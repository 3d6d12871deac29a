/**
 * The commands of the scripts. Nodes are `1`, `2`; replicas too, where each node has its first disk.
 *
 * - `cluster voters=(1,2,3) [others=(4)] [leader=1] [groups=2] [fast=(2)] [slow=(3)] [catchUp=9]` begins
 *   anew (who is fast has the shortest of all random times, who is slow the longest); `group 2`: what follows is about that group.
 * - `elect 2`: time passes until 2 leads; nobody else's requests for votes arrive meanwhile. `stand 2`: it stands at once. `run 1500ms`: time passes, and
 *   messages arrive at once. `tick 1500ms`: time passes, and nothing arrives. `settle`: all that is on its way arrives.
 * - `append 1 "a" "b" [kib=700]`, `checkpoint 1`, `trim 1 to 4`, `read 1`, `change 1 voters=(1,2) [force]`, `transfer 1 [-> 2]`.
 * - `deliver 1 -> 2 [KIND] [last]`, `drop`, `double`: one message. `drop all 1 -> 2 [KIND]`. `hold 1 -> 2 [KIND]` until
 *   `release [1 -> 2]`. `cut 1 from (2,3)`, `cut 1 -> 2` until `heal`. `reset 2 -> 1`: that session breaks.
 * - `hold checks 1` until `release checks 1`: it recomputes no chain; `hold reads 1`: what it reads for others is late. `hold syncs 2` until `release syncs 2`; `sync 2 [N]`: the N oldest writes. `begin sync 2`, `end sync 2`:
 *   what was written until the one is on the disk, and is told with the other. `full 2`, `room 2`: its disk. `unwrite 1 from 4`.
 * - `crash 2`: what was not synced is lost. `restart 2`. `wipe 2`: its disk is another. `lose 2`: its log is lost, and only that.
 *   `discard 2 from 3`: it gives up part of its log, and knows that; `rollback 2 to 3`: that an older copy is back, it does not.
 * - `damage 2 at 3 [digest]`: its payload's bytes change, or its digest. `forge 2 at 3 "x"`: a log that fits itself. `repair 2 from 3`. `close 2`, `known 2 below 5`.
 * - `say 3 -> 1 ack 9`, `say 3 -> 1 fetch 9 [as 2]`, `say 1 -> 3 diverged 1`, `say 1 -> 3 restart 0`: it says so, true or not, in the session that is open.
 * - `state`, `logs`, `held`, `waiting` tell. `trace KIND...`: `messages`, `events`, or kinds of messages are told; `trace off`.
 * @module
 */
import { BatchKind } from "../../base/batch.ts";
import { lanSettings, type NodeId } from "../types.ts";
import { batchAfter, describeBatch, nothing, replicaOf, shortName } from "./batches.ts";
import { Cluster } from "./cluster.ts";
import { describeMessage, describeState } from "./describe.ts";
import type { Machine } from "./machine.ts";
import { kindOf, type Parcel } from "./network.ts";
import { list, milliseconds, parseCommand } from "./script.ts";

/** How long `elect` waits. */
const electMaxMs = 20_000;

/** One script as it goes. */
export class Session {
  #cluster = new Cluster();
  #group = 1;

  /** Does one command, and tells what happened. */
  run(command: string): string[] {
    const { words, options } = parseCommand(command);
    const [name = "", ...rest] = words;
    this.#command(name, rest, options);
    this.#cluster.stepped();
    return this.#cluster.takeLines();
  }

  #command(name: string, words: readonly string[], options: ReadonlyMap<string, string>): void {
    const cluster = this.#cluster;
    const group = this.#group;
    const [first = "", second = ""] = words;
    switch (name) {
      case "cluster":
        this.#begin(options);
        return;
      case "group":
        this.#group = Number(first);
        return;
      case "elect":
        this.#elect(first);
        return;
      case "stand":
        this.#machine(first).standUp(group);
        return;
      case "settle":
        cluster.settle();
        return;
      case "run":
        cluster.pass(milliseconds(first), true);
        return;
      case "tick":
        cluster.pass(milliseconds(first), false);
        return;
      case "append":
        for (const text of words.slice(1)) {
          const padding = "-".repeat(1024 * Number(options.get("kib") ?? 0));
          this.#machine(first).append(group, { kind: BatchKind.records, text: text.slice(1, -1), padding });
        }
        return;
      case "checkpoint": {
        const machine = this.#machine(first);
        const voters = machine.raft?.group(group)?.log.voters ?? [];
        machine.append(group, { kind: BatchKind.checkpoint, voters });
        return;
      }
      case "trim":
        this.#machine(first).trim(group, Number(words[2]));
        return;
      case "read":
        cluster.read(first, group);
        return;
      case "change": {
        const voters = list(options.get("voters")).map(replicaOf);
        this.#machine(first).stepGroup(group, { kind: "change", voters, force: second === "force" });
        return;
      }
      case "transfer": {
        const to = second === "->" ? replicaOf(words[2] ?? "") : undefined;
        this.#machine(first).stepGroup(group, { kind: "transfer", to });
        return;
      }
      case "unwrite":
        this.#machine(first).takeBack(group, Number(words[2]));
        return;
      case "cannotWrite":
        this.#machine(first).stepGroup(group, { kind: "cannotWrite" });
        return;
      case "full":
      case "room":
        this.#machine(first).isFull = name === "full";
        return;
      case "known":
        this.#machine(first).step({ kind: "known", below: Number(words[2]) });
        return;
      case "close":
        this.#machine(first).step({ kind: "close", group });
        return;
      case "crash":
        cluster.kill(first);
        return;
      case "restart":
        this.#restart(first);
        return;
      case "wipe":
        this.#wipe(first);
        return;
      case "lose":
        this.#machine(first).folder.lose(group, this.#firstBatch());
        return;
      case "say": {
        const [, , to = "", kind = "", end, , as] = words;
        const named = as === undefined ? undefined : replicaOf(as);
        cluster.deliver(cluster.untrue({ from: first, to, kind, group, end: Number(end), as: named }));
        return;
      }
      case "discard":
        this.#machine(first).folder.discard(group, Number(words[2]));
        return;
      case "rollback":
        this.#machine(first).folder.rollBack(group, Number(words[2]));
        return;
      case "damage":
        cluster.invariants.isBroken = words[3] === "digest";
        this.#machine(first).damage(group, Number(words[2]), words[3] === "digest" ? "digest" : "payload");
        return;
      case "forge":
        cluster.invariants.isBroken = true;
        this.#machine(first).folder.forge(group, Number(words[2]), words[3]?.slice(1, -1) ?? "");
        return;
      case "repair":
        this.#machine(first).repair(group, this.#machine(words[2] ?? ""));
        return;
      default:
        if (!this.#network(name, words) && !this.#look(name, words)) throw new Error(`there is no command "${name}"`);
    }
  }

  #network(name: string, words: readonly string[]): boolean {
    const { network } = this.#cluster;
    const [first = "", arrow = "", to = "", kind] = words;
    switch (name) {
      case "deliver":
        this.#cluster.deliver(words[4] === "last" ? this.#last(first, to, kind) : this.#first(first, to, kind));
        return true;
      case "drop":
        if (first === "all") {
          const [, from, , other, lost] = words;
          const isMeant = (parcel: Parcel) => parcel.from === from && parcel.to === other && "message" in parcel.cargo;
          network.drop((parcel) => isMeant(parcel) && (lost ?? kindOf(parcel)) === kindOf(parcel));
        } else this.#first(first, to, kind);
        return true;
      case "double": {
        const parcel = this.#first(first, to, kind);
        this.#cluster.deliver(parcel);
        this.#cluster.deliver(parcel);
        return true;
      }
      case "hold":
        if (first === "syncs") this.#machine(arrow).folder.isHeld = true;
        else if (first === "checks") this.#machine(arrow).holdChecks();
        else if (first === "reads") this.#machine(arrow).holdReads();
        else network.hold({ from: first, to, kind });
        return true;
      case "release":
        if (first === "syncs") {
          this.#machine(arrow).folder.isHeld = false;
          this.#machine(arrow).sync();
        } else if (first === "checks") this.#machine(arrow).releaseChecks();
        else if (first === "reads") this.#machine(arrow).releaseReads();
        else network.release(first || undefined, to || undefined);
        return true;
      case "sync":
        this.#machine(first).sync(arrow === "" ? undefined : Number(arrow));
        return true;
      case "begin":
        this.#machine(arrow).beginSync();
        return true;
      case "end":
        this.#machine(arrow).endSync();
        return true;
      case "cut":
        for (const other of list(to)) {
          network.cut(first, other);
          if (arrow === "from") network.cut(other, first);
        }
        return true;
      case "heal":
        network.heal();
        return true;
      case "reset":
        this.#cluster.reset(first, to);
        return true;
      default:
        return false;
    }
  }

  #look(name: string, words: readonly string[]): boolean {
    const cluster = this.#cluster;
    const machines = [...cluster.machines.values()].filter(({ node }) => words.length === 0 || words.includes(node));
    switch (name) {
      case "trace":
        if (words[0] === "off") cluster.traced.clear();
        else for (const kind of words) cluster.traced.add(kind);
        return true;
      case "state":
        for (const machine of machines) this.#cluster.say(this.#state(machine), this.#group);
        return true;
      case "logs":
        for (const machine of machines) {
          if (machine.raft) this.#cluster.say(this.#log(machine), this.#group);
        }
        return true;
      case "held":
        for (const { node, raft } of machines) {
          this.#cluster.say(`${node} holds ${raft?.group(this.#group)?.held.count ?? 0} messages back`, this.#group);
        }
        return true;
      case "waiting":
        for (const parcel of cluster.network.waiting()) {
          const { from, to, cargo } = parcel;
          const what = "message" in cargo ? describeMessage(cargo.message) : kindOf(parcel);
          this.#cluster.say(`${from} -> ${to} waits: ${what}`);
        }
        return true;
      default:
        return false;
    }
  }

  #begin(options: ReadonlyMap<string, string>): void {
    this.#cluster = new Cluster();
    const catchUp = options.get("catchUp");
    if (catchUp) this.#cluster.settings = { ...lanSettings, catchUpMaxBatches: Number(catchUp) };
    this.#group = 1;
    const voters = list(options.get("voters"));
    const groups = Number(options.get("groups") ?? 1);
    for (const node of [...voters, ...list(options.get("others"))]) this.#cluster.add(node);
    this.#voters = voters;
    for (const machine of this.#cluster.machines.values()) {
      if (list(options.get("slow")).includes(machine.node)) machine.random = 0.99;
      if (list(options.get("fast")).includes(machine.node)) machine.random = 0;
      for (let group = 1; group <= groups; group++) machine.folder.make(group, this.#firstBatch());
      machine.start();
    }
    const leader = options.get("leader");
    if (leader === undefined) return;
    this.#elect(leader, groups);
    this.#cluster.takeLines();
  }

  /** Names of the nodes that vote when a cluster begins. */
  #voters: readonly string[] = [];

  #firstBatch() {
    const voters = this.#voters.map(replicaOf);
    return batchAfter(nothing, { index: 0, term: 0 }, { kind: BatchKind.checkpoint, voters });
  }

  /** @param upTo Of all groups up to this one; left out: of the present one. */
  #elect(node: NodeId, upTo?: number): void {
    const cluster = this.#cluster;
    const endMs = cluster.nowMs + electMaxMs;
    const groups = upTo === undefined ? [this.#group] : Array.from({ length: upTo }, (_, i) => i + 1);
    const isLeader = () => groups.every((group) => cluster.machine(node).raft?.group(group)?.role.kind === "leader");
    const lose = () =>
      cluster.network.drop(
        ({ from, cargo }) =>
          from !== node &&
          cargo.lane === "call" &&
          cargo.message.kind === "vote" &&
          groups.includes(cargo.message.group),
      );
    do {
      lose();
      this.#settleWithout(lose);
      if (isLeader()) return;
    } while (cluster.passToNext(endMs));
    throw new Error(`${node} does not come to lead`);
  }

  #settleWithout(lose: () => void): void {
    for (let parcel = this.#cluster.network.next(); parcel; parcel = this.#cluster.network.next()) {
      this.#cluster.deliver(parcel);
      lose();
    }
  }

  #restart(node: NodeId): void {
    const machine = this.#machine(node);
    if (machine.raft) this.#cluster.kill(node);
    for (const group of machine.folder.groups()) {
      this.#cluster.invariants.restarted(group, machine.replica(group), machine.folder.kept(group));
    }
    machine.start();
  }

  #wipe(node: NodeId): void {
    const machine = this.#machine(node);
    const groups = machine.folder.groups();
    if (machine.raft) this.#cluster.kill(node);
    machine.wipe();
    for (const group of groups) machine.folder.make(group, this.#firstBatch());
  }

  #machine(node: NodeId): Machine {
    return this.#cluster.machine(node);
  }

  #first(from: NodeId, to: NodeId, kind: string | undefined): Parcel {
    const parcel = this.#cluster.network.first(from, to, kind);
    if (!parcel) throw new Error(`nothing ${kind ?? ""} is on its way from ${from} to ${to}`);
    return parcel;
  }

  #last(from: NodeId, to: NodeId, kind = ""): Parcel {
    const parcel = this.#cluster.network.last(from, to, kind);
    if (!parcel) throw new Error(`nothing ${kind} is on its way from ${from} to ${to}`);
    return parcel;
  }

  #state({ node, raft }: Machine): string {
    const found = raft?.group(this.#group);
    if (!raft) return `${node} is down`;
    return found ? describeState(found) : `${node} has no such group`;
  }

  #log(machine: Machine): string {
    const commit = machine.raft?.group(this.#group)?.log.commit ?? 0;
    const log = machine.written(this.#group);
    const committed = log.filter(({ index }) => index < commit).map(describeBatch);
    const rest = log.filter(({ index }) => index >= commit).map(describeBatch);
    return `${shortName(machine.replica(this.#group))}: ${[...committed, ...(rest.length > 0 ? ["|", ...rest] : [])].join(" ")}`;
  }
}
