/**
 * One life of a data folder's process: it starts, works, and ends by itself, by a kill or with the power.
 * @module
 */
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import { openDataFolder } from "../log/data-folder.ts";
import type { DataFolder } from "../log/types.ts";
import type { SimDisk } from "./disk.ts";
import { LogLoad } from "./log-load.ts";
import { must } from "./log-model.ts";
import type { Ending } from "./log-plan.ts";
import type { LogWorld } from "./log-world.ts";
import { SimClock } from "./timeline.ts";

/** Where the data folder is. */
export const folderPath = "/data";

/** How a life went. */
export type LifeEnd = "closed" | "dead" | "failed";

/** One life. */
export class LogLife {
  readonly #world: LogWorld;
  readonly #ending: Ending;
  readonly #process: ReturnType<SimDisk["attach"]>;
  readonly #clock: SimClock;
  #folder: DataFolder | undefined;
  #hasFailed = false;
  #reject: (error: unknown) => void = () => {};
  readonly #over: Promise<LifeEnd>;
  #end: (end: LifeEnd) => void = () => {};

  constructor(world: LogWorld, ending: Ending) {
    this.#world = world;
    this.#ending = ending;
    this.#process = world.disk.attach();
    this.#clock = new SimClock(world.disk.timeline, () => this.#process.isAlive);
    if (world.random.chance(0.1)) this.#clock.wallOffsetMicros += world.random.between(-10, 10) * 60_000_000;
    this.#over = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#reject = reject;
    });
    let calls = 0;
    this.#process.onCall = () => {
      calls += 1;
      if (calls === ending.atCall) world.disk.timeline.after(0, () => this.#die(ending.kind === "power cut"));
    };
  }

  /** Lives it. */
  run(): Promise<LifeEnd> {
    this.#live().then(this.#end, (error: unknown) => this.#fail(error));
    return this.#over;
  }

  /** Ends the run, unless this life is over: what the dead see is nobody's. */
  #fail(error: unknown): void {
    if (this.#process.isAlive) this.#reject(error);
  }

  #die(withPower: boolean): void {
    if (!this.#process.isAlive) return;
    const { disk, trace } = this.#world;
    trace?.(withPower ? "--- power cut" : "--- kill");
    disk.count(this.#folder ? "death at work" : "death in recovery");
    if (withPower) disk.powerCut();
    else this.#process.kill();
    this.#end("dead");
  }

  async #live(): Promise<LifeEnd> {
    const { disk, random, trace } = this.#world;
    const folder = await this.#open();
    if (!folder) {
      this.#die(random.chance(0.5));
      return "failed";
    }
    this.#folder = folder;
    const { kind, groups, tailBatches, keptBytes, cutBytes, droppedBatches } = folder.report;
    trace?.(`opened: ${kind}, ${groups} groups, tail ${tailBatches}, kept ${keptBytes}, cut ${cutBytes}`);
    disk.count(`start: ${kind}`);
    if (keptBytes > 0) disk.count("bytes above a mark kept");
    if (cutBytes > 0) disk.count("torn bytes cut");
    must(droppedBatches === 0, `recovery dropped ${droppedBatches} journaled batches`);
    void folder.failed.then((error) => this.#failed(error));
    this.#checkGroups(folder);
    const load = new LogLoad(this.#world, folder, this.#clock, (error) => this.#fail(error));
    await load.run(this.#ending.steps);
    await load.settle();
    if (!this.#process.isAlive) return "dead";
    trace?.("--- close");
    try {
      await folder.close();
    } catch (error) {
      if (!(error instanceof DiskError) || !this.#mayFail) throw error;
      this.#die(random.chance(0.5));
      return "failed";
    }
    must(
      this.#hasFailed || this.#process.openFiles.length === 0,
      `left open at the end: ${this.#process.openFiles.join(" ")}`,
    );
    this.#process.kill();
    return "closed";
  }

  async #open(): Promise<DataFolder | undefined> {
    const { disk, random, plan, hash } = this.#world;
    try {
      const folder = await openDataFolder({
        path: folderPath,
        disk: this.#process,
        clock: this.#clock,
        hash,
        random,
        settings: plan.settings,
      });
      this.#world.isMade = true;
      return folder;
    } catch (error) {
      if (error instanceof DiskError && this.#mayFail) return undefined;
      // A folder that is there opens on a full disk too, where overwriting takes no room.
      const mayRefuse = !this.#world.isMade || plan.copyOnWrite;
      if (!(error instanceof NoRoomError) || !mayRefuse) throw error;
      disk.totalBytes = plan.volumeBytes * 4;
      disk.count("start refused for want of room");
      return undefined;
    }
  }

  /** Whether the disk may fail for good: where overwriting takes room, a refused frame can't always be taken back. */
  get #mayFail(): boolean {
    const { syncFails, writeBackFails, copyOnWrite } = this.#world.disk.faults;
    return syncFails + writeBackFails > 0 || copyOnWrite;
  }

  /** A sync failed: the process ends soon. */
  #failed(error: Error): void {
    const { random, trace } = this.#world;
    if (!this.#process.isAlive) return;
    trace?.(`failed for good: ${error.message}`);
    this.#hasFailed = true;
    if (!(error instanceof DiskError) || !this.#mayFail) {
      this.#fail(error);
      return;
    }
    this.#clock.after(random.skewed(0, 20), () => this.#die(random.chance(0.3)));
  }

  #checkGroups(folder: DataFolder): void {
    const { groups } = this.#world;
    for (const model of groups.values()) {
      const log = folder.log(model.group);
      const { group, stage } = model;
      must(stage !== "made" || log !== undefined, `group ${group} is gone`);
      must((stage !== "gone" && stage !== "refused") || log === undefined, `group ${group} is back, and was ${stage}`);
      if (stage === "making" || stage === "removing") model.stage = log ? "made" : "gone";
      if (!log) continue;
      must(log.damage === undefined, `group ${group} is called damaged: ${log.damage}`);
      model.endSeen(log.durableEnd);
      model.voteSeen(log.vote);
    }
    for (const group of folder.groups()) must(groups.has(group), `group ${group} was never made`);
  }
}
