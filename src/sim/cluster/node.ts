/**
 * A simulated node: its disk, which outlives its processes, and the process that runs on it now.
 * @module
 */

import { openDataFolder } from "../../log/data-folder.ts";
import type { DataFolder } from "../../log/types.ts";
import type { NodeId } from "../../raft/types.ts";
import { hexOf } from "../../replica/core-batch.ts";
import { RaftDriver } from "../../replica/raft-driver.ts";
import { SimDisk } from "../disk.ts";
import type { FolderNode } from "../folder-node.ts";
import { SimRandom } from "../random.ts";
import type { Counted } from "./invariants.ts";
import type { Peer } from "./network.ts";
import { NodeGroups } from "./node-groups.ts";
import { pausedDisk } from "./paused-disk.ts";
import { ProcessClock } from "./process-clock.ts";
import type { SimStream } from "./stream.ts";
import { count, type GroupRecord, type World } from "./world.ts";

/** Where each node has its data. */
export const folderPath = "/data";
/** Room of each node's disk. */
export const volumeBytes = 64 << 20;

/** How often it is looked whether a log may go, how long it is until the next look, and how long it stays away at most: milliseconds. */
const leaveTriesMax = 30;
const leaveGapMs = 400;
const awayMaxMs = 3000;

/** How long a node takes to hear of a group, or of its end: milliseconds, mostly little; and where it is far behind. */
const learnMaxMs = 400;

/** An old copy of a node's disk. */
export interface NodeImage {
  readonly disk: FolderNode;
  readonly made: ReadonlySet<number>;
}

/** A process that runs. */
export interface Process extends Peer {
  readonly clock: ProcessClock;
  readonly folder: DataFolder;
  readonly streams: Map<number, SimStream>;
  readonly diskId: string;
  /** Groups of which it has heard. */
  readonly known: Set<number>;
  /** What it does about what it heard last. */
  learning: Promise<void>;
}

/** One node of the cluster. */
export class SimNode {
  readonly id: NodeId;
  readonly #world: World;
  readonly #random: SimRandom;
  #disk: SimDisk;
  #process: Process | undefined;
  #disks = 0;
  #incarnation = 0;
  #kill: () => void = () => {};
  #clock: ProcessClock | undefined;
  /** Who started it while it stopped wants another process. */
  #isWanted = false;
  #groups: NodeGroups;

  constructor(id: NodeId, world: World) {
    this.id = id;
    this.#world = world;
    this.#random = SimRandom.of(world.seed, 2, Number(id.slice(1)));
    this.#disk = this.#newDisk();
    this.#groups = new NodeGroups(world, id);
  }

  /** What runs there now, and takes requests. */
  get process(): Process | undefined {
    return this.#process;
  }

  /** Its clock, while a process is there. */
  get clock(): ProcessClock | undefined {
    return this.#clock;
  }

  /** Whether a process is there, perhaps on its way up. */
  get isUp(): boolean {
    return this.#clock !== undefined;
  }

  /** Starts a process. It opens its folder, and all groups that it should have. */
  start(): void {
    this.#isWanted = true;
    if (this.isUp) return;
    const { timeline, plan } = this.#world;
    const disk = this.#disk.attach();
    const [slow, fast] = plan.clockRates;
    const clock = new ProcessClock(timeline, {
      rate: slow + this.#random.fraction() * (fast - slow),
      wallOffsetMicros: 1_800_000_000_000_000 + this.#random.between(-2_000_000, 2_000_000),
      isAlive: () => disk.isAlive,
    });
    this.#clock = clock;
    this.#incarnation += 1;
    this.#world.trace?.(`${this.id} starts`);
    this.#world.invariants.started(this.id);
    let peer: Process | undefined;
    this.#kill = () => {
      disk.kill();
      this.#clock = undefined;
      this.#process = undefined;
      peer?.driver.stop();
      if (peer) this.#world.network.ended(peer);
    };
    this.#open(pausedDisk(disk, clock), clock, () => disk.isAlive).then(
      (opened) => {
        peer = opened;
      },
      (error: unknown) => {
        if (disk.isAlive) this.#failed(error);
      },
    );
  }

  /** Ends the process; what it wrote stays. */
  kill(): void {
    if (!this.isUp) return;
    this.#world.trace?.(`--- ${this.id} is killed`);
    this.#kill();
  }

  /** Ends it, and what was not synced may be lost. */
  powerCut(): void {
    this.#world.trace?.(`--- the power of ${this.id} goes`);
    this.#kill();
    this.#disk.powerCut();
  }

  /** Ends it in order: what was appended is written, and that this was so. */
  async stop(): Promise<void> {
    const process = this.#process;
    if (!process) {
      this.kill();
      return;
    }
    this.#world.trace?.(`--- ${this.id} stops`);
    const kill = this.#kill;
    this.#isWanted = false;
    this.#process = undefined;
    process.driver.stop();
    this.#world.network.ended(process);
    await process.folder.close().catch((error: unknown) => this.#world.trace?.(`${this.id} stops: ${error}`));
    if (this.#kill !== kill) return;
    kill();
    if (this.#isWanted) this.start();
  }

  /** A copy of what is on its disk. */
  image(): NodeImage {
    return { disk: this.#disk.image(), made: this.#groups.made };
  }

  /** Its disk is what it was. `counted`: what leaders count it for. */
  putBack({ disk, made }: NodeImage, counted: readonly Counted[]): void {
    this.#world.trace?.(`--- an old copy of the disk of ${this.id} is put back`);
    this.#kill();
    this.#disk.putBack(disk);
    this.#groups = new NodeGroups(this.#world, this.id, made);
    this.#world.invariants.putBack(this.id, counted);
  }

  /** Its disk is replaced by an empty one. */
  wipe(): void {
    this.#world.trace?.(`--- the disk of ${this.id} is lost`);
    this.#kill();
    this.#disk = this.#newDisk();
    this.#groups = new NodeGroups(this.#world, this.id);
  }

  /** Whether it knows that a group is no more, and keeps nothing of it. */
  hasForgotten(group: number): boolean {
    const process = this.#process;
    return process?.known.has(group) === true && !process.driver.group(group) && !process.folder.log(group);
  }

  /** How its disk behaves. */
  get disk(): SimDisk {
    return this.#disk;
  }

  /** A group is to be on other nodes: once it is, its log here goes, as soon as that may be; a while later it comes back. */
  leave(record: GroupRecord, random: SimRandom, tries = leaveTriesMax): void {
    const process = this.#process;
    if (!process || tries === 0) return;
    this.#after(process, random.skewed(1, leaveGapMs), async () => {
      const { driver } = process;
      const isLeft = await this.#groups.leave(process, record);
      if (!isLeft && driver.group(record.group)) this.leave(record, random, tries - 1);
      else this.#after(process, random.skewed(1, awayMaxMs), () => this.#groups.open(process, record));
    });
  }

  /** Hears of a group that was created, or of one that is no more, a little later. */
  learn(record: GroupRecord): void {
    const process = this.#process;
    if (!process) return;
    const { learnLateMs } = this.#world.plan;
    const soonMs = Math.min(learnMaxMs, learnLateMs);
    const isLate = this.#random.chance(0.2);
    const afterMs = isLate ? this.#random.between(soonMs, learnLateMs) : this.#random.skewed(1, soonMs);
    this.#after(process, afterMs, () =>
      record.isDeleted ? this.#groups.forget(process, record) : this.#groups.open(process, record),
    );
  }

  /** One after the other: what is being opened is not forgotten meanwhile. */
  #after(process: Process, ms: number, work: () => Promise<void>): void {
    this.#world.timeline.after(ms, () =>
      process.run(() => {
        process.learning = process.learning.then(work).catch((error: unknown) => {
          if (process.isAlive && this.#process === process) this.#world.fail(error);
        });
      }),
    );
  }

  #newDisk(): SimDisk {
    this.#disks += 1;
    const { timeline, tally, plan } = this.#world;
    const disk = new SimDisk({ timeline, random: this.#random.fork(), totalBytes: volumeBytes, tally });
    disk.faults = { syncFails: plan.syncFails, writeBackFails: 0, copyOnWrite: false };
    this.#world.spoilDisk?.(disk);
    return disk;
  }

  async #open(
    disk: Parameters<typeof openDataFolder>[0]["disk"],
    clock: ProcessClock,
    isAlive: () => boolean,
  ): Promise<Process> {
    const { hash, plan, invariants, network, groups } = this.#world;
    const random = this.#random.fork();
    const folder = await openDataFolder({ path: folderPath, disk, clock, hash, settings: plan.log, random });
    const diskId = hexOf(folder.diskId);
    const streams = new Map<number, SimStream>();
    const driver: RaftDriver = new RaftDriver({
      ...{ node: this.id, disk: diskId, incarnation: this.#incarnation, folder, clock, hash, settings: plan.raft },
      net: network.netOf(() => process),
      random: () => random.fraction(),
      broken: (error) => {
        if (isAlive()) this.#world.fail(error);
      },
      dropBefore: (found, baseIndex) => this.#groups.dropBefore(process, found, baseIndex),
      stepped: (input, effects) => {
        try {
          for (const effect of effects) {
            if (effect.kind === "event") {
              count(this.#world, effect.event);
              if (effect.event === "repaired") this.#world.spoiled.delete(effect.group);
              this.#world.trace?.(`${this.id} group ${effect.group} term ${effect.term}: ${effect.event}`);
            }
          }
          invariants.stepped(this.id, input, effects, (group) => driver.core.group(group));
        } catch (error) {
          this.#world.fail(error);
        }
      },
    });
    const process: Process = {
      ...{ node: this.id, driver, clock, folder, streams, diskId, known: new Set<number>() },
      learning: Promise.resolve(),
      get isAlive() {
        return isAlive();
      },
      run: (work) => clock.run(work),
    };
    void folder.failed.then((error) => {
      if (isAlive()) this.#failed(error);
    });
    count(this.#world, `start: ${folder.report.kind}`);
    if (folder.report.cutBytes > 0) count(this.#world, "start: torn bytes cut");
    if (folder.report.keptBytes > 0) count(this.#world, "start: bytes above a mark kept");
    if (folder.report.tailBatches > 0) count(this.#world, "start: tail found in the journal");
    for (const record of groups.values()) {
      if (!record.isDeleted) await this.#groups.open(process, record);
    }
    // Some may have ended meanwhile.
    for (const record of groups.values()) if (record.isDeleted) await this.#groups.forget(process, record);
    if (!isAlive()) return process;
    this.#process = process;
    network.peers.set(this.id, process);
    return process;
  }

  /** The disk failed: the process ends, and is started again a little later. */
  #failed(error: unknown): void {
    this.#world.trace?.(`${this.id} ends: ${error instanceof Error ? error.message : error}`);
    count(this.#world, "a disk failed");
    if (!(error instanceof Error) || !(error.name === "DiskError" || error.name === "NoRoomError"))
      this.#world.fail(error);
    this.#kill();
    this.#world.timeline.after(this.#random.between(50, 1000), () => this.start());
  }
}
