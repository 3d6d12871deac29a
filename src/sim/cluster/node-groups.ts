/**
 * The groups of a simulated node, as the cluster's own log would have it open, renew and drop them.
 * @module
 */
import { NoRoomError } from "../../base/disk-errors.ts";
import { hasMovedAway, mayGo, saidCommit } from "../../cluster/moved-away.ts";
import type { GroupLog, NewGroup } from "../../log/types.ts";
import { type NodeId, nodeOf, replicaId } from "../../raft/types.ts";
import { hexOf, replicaOf } from "../../replica/core-batch.ts";
import { emptyPart } from "../../replica/log-door.ts";
import type { ReplicaGroup } from "../../replica/replica-group.ts";
import { encodeCheckpoint, encodeVoters } from "../../wire/checkpoint.ts";
import { isDamage } from "./bit-flips.ts";
import type { Process } from "./node.ts";
import { SimStream, settingsOf } from "./stream.ts";
import { count, type GroupRecord, type World } from "./world.ts";

/** How long it is until something is tried again for which there was no room, milliseconds. */
const roomGapMs = 100;

/** Opens and drops groups, on one disk. */
export class NodeGroups {
  readonly #world: World;
  readonly #node: NodeId;
  /** Groups that were made on this disk. */
  readonly #made: Set<number>;

  constructor(world: World, node: NodeId, made: ReadonlySet<number> = new Set()) {
    this.#world = world;
    this.#node = node;
    this.#made = new Set(made);
  }

  /** A copy of which groups were made on this disk. */
  get made(): ReadonlySet<number> {
    return new Set(this.#made);
  }

  /** Opens a group; makes it first, where it is not there. One that is damaged begins a new life. */
  async open(process: Process, record: GroupRecord): Promise<void> {
    const { group } = record;
    const { folder, driver } = process;
    if (record.isDeleted || driver.group(group)) return;
    const made = this.#newGroup(record);
    if (!folder.log(group)) {
      if (this.#made.has(group)) throw new Error(`${this.#node} has lost group ${group}`);
      await this.#whenThereIsRoom(process, () => folder.create(made).made);
      this.#made.add(group);
    }
    try {
      await this.#openLog(process, group);
    } catch (error) {
      if (!isDamage(error)) throw error;
      await this.#renew(process, made);
      await this.#openLog(process, group);
    }
    // One that is still being opened is not gone.
    this.#knows(process, group);
  }

  /**
   * Lets go the log of a group that is on other nodes now, as a node does whose streams were moved away: what is left is another
   * replica, that has nothing. Gives whether it did: not before the move is over.
   */
  async leave(process: Process, record: GroupRecord): Promise<boolean> {
    const { group } = record;
    const { driver, folder, streams } = process;
    const log = folder.log(group);
    if (record.isDeleting || !log) return false;
    await this.#world.archive.readCommitted(log, log.commit.index);
    const g = driver.core.group(group);
    const found = driver.group(group);
    if (!process.isAlive || record.isDeleting || !g || found?.log !== log || found.changing > 0) return false;
    const commit = saidCommit(g);
    if (commit === undefined || !hasMovedAway(g, g.log.voters.map(nodeOf)) || !mayGo(g, commit)) return false;
    driver.closeGroup(group, "it was moved away");
    streams.delete(group);
    await this.#whenThereIsRoom(process, async () => {
      await folder.renew(this.#newGroup(record), "it was moved away");
    });
    count(this.#world, "a replica was let go");
    this.#world.trace?.(`${this.#node} lets go group ${group}`);
    if (this.#world.spoiled.get(group) === this.#node) this.#world.spoiled.delete(group);
    return true;
  }

  #newGroup({ group, voters, appendTimeMicros }: GroupRecord): NewGroup {
    const stored = voters.map(replicaOf);
    const state = { ...emptyPart, name: "s", settings: settingsOf(this.#world) };
    const checkpointState = encodeCheckpoint({ ...state, voters: stored, termStarts: [] });
    return { group, checkpointState, startOffset: 0, appendTimeMicros, note: encodeVoters(stored) };
  }

  async #renew(process: Process, made: NewGroup): Promise<void> {
    await this.#whenThereIsRoom(process, async () => {
      await process.folder.renew(made);
    });
    count(this.#world, "a damaged group began a new life");
    this.#world.trace?.(`${this.#node} group ${made.group} begins a new life`);
    this.#world.spoiled.delete(made.group);
  }

  async #openLog(process: Process, group: number): Promise<void> {
    const { folder, driver } = process;
    const log = folder.log(group);
    if (!log || !process.isAlive) return;
    const digests: (string | undefined)[] = [];
    for await (const header of log.headers(log.base.index)) digests[header.index] = hexOf(header.digest);
    const kept = log.commit.index;
    const replica = driver.add(log, replicaId(this.#node, process.diskId, log.life));
    await driver.open(replica);
    const g = driver.core.group(group);
    if (!g || driver.group(group) !== replica) return;
    try {
      this.#world.invariants.opened(this.#node, g, digests, kept);
    } catch (error) {
      this.#world.fail(error);
    }
    process.streams.set(group, new SimStream(this.#world, replica));
    this.#keepCommitted(process, log);
  }

  /** The group is no more: what it held is dropped. */
  async forget(process: Process, { group }: GroupRecord): Promise<void> {
    const { folder, driver, streams } = process;
    const log = folder.log(group);
    if (log) await this.#world.archive.readCommitted(log, log.commit.index);
    driver.closeGroup(group);
    streams.delete(group);
    if (log) {
      await this.#whenThereIsRoom(process, () => folder.remove(group));
      count(this.#world, "removed a group");
    }
    this.#knows(process, group);
  }

  /** Does it again until there is room for it. */
  async #whenThereIsRoom({ clock }: Process, work: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await work();
        return;
      } catch (error) {
        if (!(error instanceof NoRoomError)) throw error;
        count(this.#world, "a group waited for room");
      }
      await new Promise<void>((resolve) => clock.after(roomGapMs, resolve));
    }
  }

  /** The node's copy of the cluster's own log goes on: what is below, and not here, is gone. */
  #knows({ known, driver }: Process, group: number): void {
    known.add(group);
    let below = 1;
    while (known.has(below)) below += 1;
    driver.feed({ kind: "known", below });
  }

  /** Keeps what is committed here for the checks, as it comes. */
  #keepCommitted(process: Process, log: GroupLog): void {
    let seen = log.base.index;
    let isLooking = false;
    const look = async () => {
      if (isLooking) return;
      isLooking = true;
      try {
        while (seen < log.commit.index && process.isAlive) {
          const upTo = log.commit.index;
          await this.#world.archive.readCommitted(log, upTo);
          seen = upTo;
        }
      } catch (error) {
        // A log that is cut or begun anew under the reading is looked at again with the next commit.
        if (process.isAlive) this.#world.trace?.(`${this.#node}: ${error}`);
      } finally {
        isLooking = false;
      }
    };
    log.onCommit(() => void look());
    void look();
  }

  /** Lets go what a committed trim lets go: what was committed there is kept for the checks. */
  async dropBefore(process: Process, found: ReplicaGroup, baseIndex: number): Promise<void> {
    await this.#world.archive.readCommitted(found.log, found.log.commit.index);
    const before = found.log.base.index;
    await found.dropBefore(baseIndex);
    if (process.isAlive && found.log.base.index > before) count(this.#world, "moved a base");
  }
}
