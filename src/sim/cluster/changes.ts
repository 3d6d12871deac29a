/**
 * What an operator, or the cluster's own log, asks for while a cluster runs: voters that change, leadership that is handed
 * over, groups that are created and deleted.
 * @module
 */
import { nodeOf, type ReplicaId, replicaId } from "../../raft/types.ts";
import { SimRandom } from "../random.ts";
import type { SimNode } from "./node.ts";
import { count, type GroupRecord, type World } from "./world.ts";

/** Most groups of one run. */
const groupsMax = 5;

/** How long one try to close a group may take, and how long it is until the next, virtual milliseconds. */
const closeTryMs = 2000;
const closeGapMs = 100;

/** Asks for them. */
export class Changes {
  readonly #world: World;
  readonly #nodes: readonly SimNode[];
  #lastGroup = 0;
  #removed = 0;

  constructor(world: World, nodes: readonly SimNode[]) {
    this.#world = world;
    this.#nodes = nodes;
  }

  /** Creates a group, if the nodes that are to vote in it are there. */
  create(): void {
    const { groups, plan } = this.#world;
    if (groups.size >= groupsMax) return;
    const present = this.#nodes.slice(0, plan.voters);
    if (!present.every(({ process }) => process)) return;
    const voters = present.flatMap(({ id, process }) => (process ? [replicaId(id, process.diskId, 0)] : []));
    this.#lastGroup += 1;
    const times = { appendTimeMicros: 1_800_000_000_000_000, isDeleting: false, isDeleted: false };
    const record: GroupRecord = { group: this.#lastGroup, voters, ...times };
    groups.set(record.group, record);
    for (const node of this.#nodes) node.learn(record);
  }

  /** Deletes a group: its log is closed first, however long that takes, and then nobody keeps it. */
  async remove(random: SimRandom): Promise<void> {
    const { timeline, groups } = this.#world;
    const here = [...groups.values()].filter(({ isDeleting }) => !isDeleting);
    // One is left, that something is seen in it.
    const record = here[random.between(0, here.length - 1)];
    if (!record || here.length < 2) return;
    record.isDeleting = true;
    while (!(await this.#close(record.group))) {
      await new Promise<void>((resolve) => timeline.after(closeGapMs, resolve));
    }
    record.isDeleted = true;
    count(this.#world, "deleted a group");
    this.#world.trace?.(`--- group ${record.group} is deleted`);
    for (const node of this.#nodes) node.learn(record);
  }

  /** Adds a voter to each group, or removes one. */
  async changeVoters(random: SimRandom): Promise<void> {
    for (const [group, created] of this.#world.groups) {
      const leader = this.leaderOf(group);
      const state = leader?.process?.driver.core.group(group);
      if (!leader?.process || !state) continue;
      const { voters } = state.log;
      const present = this.#nodes.flatMap(({ process }) => process?.driver.core.group(group)?.self ?? []);
      const outside = present.filter((replica) => !voters.includes(replica));
      const add = outside.length > 0 && random.chance(0.6);
      const others = voters.filter((voter) => voter !== state.self);
      const stale = others.filter((voter) => present.every((replica) => replica !== voter));
      // Whose node is there with another replica is surely lost. One that is only down may be the one that is needed.
      const lost = stale.find((voter) => present.some((replica) => nodeOf(replica) === nodeOf(voter)));
      const gone = lost ?? stale[0] ?? others[random.between(0, Math.max(others.length - 1, 0))];
      if (!add && (gone === undefined || voters.length < 2)) continue;
      // Rather one whose node voted before it had another disk.
      const isBack = (replica: ReplicaId) => created.voters.some((voter) => nodeOf(voter) === nodeOf(replica));
      const back = outside.filter((replica) => isBack(replica) && !created.voters.includes(replica));
      const added = back[0] ?? outside[random.between(0, outside.length - 1)];
      const wanted = add && added ? [...voters, added] : voters.filter((voter) => voter !== gone);
      const isRenewed = add && added !== undefined && back.includes(added);
      try {
        await leader.process.driver.group(group)?.change(wanted, !add && lost !== undefined);
        count(this.#world, add ? "a voter was added" : "a voter was removed");
        if (isRenewed) count(this.#world, "a voter came back with another disk");
        if (!add && gone !== undefined) this.#mayLeave(created, gone);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        count(this.#world, `change refused: ${why.replace(/n\d+\/\S+/g, "it").replace(/\d+/g, "#")}`);
      }
    }
  }

  /** The node of one that votes no more may have its log go. */
  #mayLeave(record: GroupRecord, gone: ReplicaId): void {
    this.#removed += 1;
    const random = SimRandom.of(this.#world.seed, 9, this.#removed);
    if (random.chance(0.5)) this.#nodes.find(({ id }) => id === nodeOf(gone))?.leave(record, random);
  }

  /** Hands each group over, to a voter or to whom its leader likes. */
  async transfer(random: SimRandom): Promise<void> {
    for (const group of this.#world.groups.keys()) {
      const driver = this.leaderOf(group)?.process?.driver;
      const voters = driver?.core.group(group)?.log.voters ?? [];
      const to = random.chance(0.5) ? voters[random.between(0, voters.length - 1)] : undefined;
      await driver
        ?.group(group)
        ?.transfer(to)
        .catch(() => count(this.#world, "transfer refused"));
    }
  }

  /** A node that leads a group, as it thinks. */
  leaderOf(group: number): SimNode | undefined {
    return this.#nodes.find(({ process }) => process?.driver.core.group(group)?.role.kind === "leader");
  }

  /** One try: whether it is closed. */
  async #close(group: number): Promise<boolean> {
    const stream = this.leaderOf(group)?.process?.streams.get(group);
    if (!stream) return false;
    const late = new Promise<boolean>((resolve) => this.#world.timeline.after(closeTryMs, () => resolve(false)));
    // Who it was asked of may lead no more: another is asked then.
    const closed = stream.close().then(
      () => true,
      () => false,
    );
    return await Promise.race([closed, late]);
  }
}
