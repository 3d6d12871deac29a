/**
 * Directs a run of the cluster: waits for a moment, and lets something happen in it.
 * @module
 */

import type { Group } from "../../../src/raft/group.ts";
import type { GroupInput } from "../../../src/raft/inputs.ts";
import { type ReplicaId, replicaId } from "../../../src/raft/types.ts";
import { SimClient } from "../../../src/sim/cluster/clients.ts";
import type { SimNode } from "../../../src/sim/cluster/node.ts";
import type { Stage } from "../../../src/sim/cluster/run.ts";

/** The group that directed runs are about: the first one. */
const group = 1;

/** How often it looks whether a moment has come: less than the fastest message takes. */
const lookMs = 0.05;

/** Directs. */
export class Director {
  readonly #stage: Stage;
  #clients = 100;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  get network(): Stage["world"]["network"] {
    return this.#stage.world.network;
  }

  /** Waits. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#stage.world.timeline.after(ms, resolve);
    });
  }

  /** Waits until something holds: whether it came to that in time. What a rule forbids does not come. */
  async until(holds: () => boolean, withinMs = 2000): Promise<boolean> {
    const { timeline } = this.#stage.world;
    const untilMs = timeline.nowMs + withinMs;
    while (!holds() && timeline.nowMs < untilMs) await this.sleep(lookMs);
    return holds();
  }

  /** The group on a node, while a process runs there. */
  core(node: SimNode): Group | undefined {
    return node.process?.driver.core.group(group);
  }

  /** Waits for a leader among these that has committed in its term; the others come in the order of their names. */
  async leader(among: readonly SimNode[] = this.#stage.nodes, withinMs = 4000): Promise<[SimNode, ...SimNode[]]> {
    const leads = (node: SimNode) => this.core(node)?.role.kind === "leader";
    await this.until(() => among.some(leads), withinMs);
    const leader = among.find(leads);
    if (!leader) throw new Error("nobody leads: the execution can't go on");
    return [leader, ...among.filter((node) => node !== leader)];
  }

  /** Waits until a leader has committed so many batches. */
  async committed(node: SimNode, count: number): Promise<void> {
    const end = (this.core(node)?.log.commit ?? 0) + count;
    await this.until(() => (this.core(node)?.log.commit ?? 0) >= end);
  }

  /** Cuts all links between two sides, both ways. */
  part(some: readonly SimNode[], others: readonly SimNode[]): void {
    for (const one of some) {
      for (const other of others) {
        this.network.cut(one.id, other.id);
        this.network.cut(other.id, one.id);
      }
    }
  }

  /** Heals them. */
  join(some: readonly SimNode[], others: readonly SimNode[]): void {
    for (const one of some) {
      for (const other of others) {
        this.network.heal(one.id, other.id);
        this.network.heal(other.id, one.id);
      }
    }
  }

  /** What an operator, or the node itself, asks of a group. */
  ask(node: SimNode, input: GroupInput): void {
    node.process?.driver.feed({ kind: "group", group, input });
  }

  /** Asks a leader for other voters. */
  change(node: SimNode, voters: readonly SimNode[]): void {
    this.ask(node, { kind: "change", voters: voters.map((one) => this.replicaOn(one)), force: false });
  }

  /** Asks a leader to hand over. */
  transfer(node: SimNode, to: SimNode): void {
    this.ask(node, { kind: "transfer", to: this.replicaOn(to) });
  }

  /** The replica that is on a node now. */
  replicaOn(node: SimNode): ReplicaId {
    return this.core(node)?.self ?? replicaId(node.id, "00", 0);
  }

  /** Clients that know these nodes only do this and that, for a while. */
  async clientsOf(nodes: readonly SimNode[], count: number, forMs: number): Promise<void> {
    const { timeline } = this.#stage.world;
    const untilMs = timeline.nowMs + forMs;
    await Promise.all(Array.from({ length: count }, () => this.#client(nodes).run(() => timeline.nowMs >= untilMs)));
  }

  /** Appends batches by these nodes, one after the other, until all are acknowledged or the time is over. */
  async append(nodes: readonly SimNode[], count: number, withinMs = 2000): Promise<void> {
    const { timeline } = this.#stage.world;
    const untilMs = timeline.nowMs + withinMs;
    const client = this.#client(nodes);
    for (let i = 0; i < count; i++) await client.appendUntil(group, () => timeline.nowMs >= untilMs);
  }

  /** The next batch of a producer, asked for until its fate is known or the time is over. */
  async produce(nodes: readonly SimNode[], withinMs: number): Promise<void> {
    const { timeline } = this.#stage.world;
    const untilMs = timeline.nowMs + withinMs;
    await this.#client(nodes).produce(group, () => timeline.nowMs >= untilMs);
  }

  /** Asks a leader to drop what is before its newest segment; what a rule forbids does not come to an end. */
  async trim(node: SimNode): Promise<void> {
    const trimmed = node.process?.streams.get(group)?.trim();
    await Promise.race([trimmed?.catch(() => {}), this.sleep(300)]);
  }

  /** Appends at an offset, by one node. */
  async appendAt(node: SimNode, expectedOffset: number): Promise<void> {
    await this.#client([node]).appendAt(group, expectedOffset);
  }

  #client(nodes: readonly SimNode[]): SimClient {
    this.#clients += 1;
    return new SimClient(this.#stage.world, nodes, this.#stage.histories, this.#clients);
  }
}
