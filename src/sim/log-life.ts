/**
 * One life of a data folder's process: it starts, works, and ends by itself, by a kill or with the power.
 * @module
 */
import { DataFolderError, DiskError, NoRoomError } from "../base/disk-errors.ts";
import { openDataFolder } from "../log/data-folder.ts";
import type { DataFolder } from "../log/types.ts";
import type { SimDisk } from "./disk.ts";
import { resolveChange } from "./group-changes.ts";
import { LogLoad } from "./log-load.ts";
import type { GroupModel } from "./log-model.ts";
import type { Counted } from "./log-plan.ts";
import { type LifeContext, type LogWorld, outcomeOf } from "./log-world.ts";
import { must } from "./must.ts";
import { SimRandom } from "./random.ts";
import type { LifeScript } from "./run-script.ts";
import { SimClock } from "./timeline.ts";

/** Where the data folder is. */
const folderPath = "/data";

/** How a life went. */
export type LifeEnd = "closed" | "dead" | "failed" | "damage refused";

/** One life. */
export class LogLife {
  readonly #world: LogWorld;
  readonly #script: LifeScript;
  readonly #process: ReturnType<SimDisk["attach"]>;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #outstanding = new Set<Promise<void>>();
  #folder: DataFolder | undefined;
  #hasFailed = false;
  #reject: (error: unknown) => void = () => {};
  readonly #over: Promise<LifeEnd>;
  #end: (end: LifeEnd) => void = () => {};

  constructor(world: LogWorld, script: LifeScript) {
    const { seed, disk } = world;
    this.#world = world;
    this.#script = script;
    this.#process = disk.attach();
    this.#random = SimRandom.of(seed, script.number, 2);
    disk.random = SimRandom.of(seed, script.number, 1);
    this.#clock = new SimClock(disk.timeline, () => this.#process.isAlive);
    if (this.#random.chance(0.1)) this.#clock.wallOffsetMicros += this.#random.between(-10, 10) * 60_000_000;
    this.#over = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#reject = reject;
    });
    world.coverage.began();
    const counts = counterOf(script.counts);
    let calls = 0;
    this.#process.onCall = (what, path) => {
      if (counts(what, path)) calls += 1;
      world.coverage.called(what, path, this.#folder ? "work" : "start");
      if (calls === script.atCall) disk.timeline.after(0, () => this.#die(script.kind === "power cut"));
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

  #die(withPower: boolean, end: LifeEnd = "dead"): void {
    if (!this.#process.isAlive) return;
    const { disk, trace } = this.#world;
    trace?.(withPower ? "--- power cut" : "--- kill");
    disk.count(this.#folder ? "death at work" : "death in recovery");
    if (withPower) disk.powerCut();
    else this.#process.kill();
    this.#end(end);
  }

  async #live(): Promise<LifeEnd> {
    const { disk, trace, coverage } = this.#world;
    const folder = await this.#open();
    if (typeof folder === "string") {
      this.#die(this.#random.chance(0.5), folder);
      return folder;
    }
    const { report } = folder;
    const { kind, groups, tailBatches, keptBytes, cutBytes, droppedBatches } = report;
    trace?.(`opened: ${kind}, ${groups} groups, tail ${tailBatches}, kept ${keptBytes}, cut ${cutBytes}`);
    coverage.started(report);
    const mayDrop = [...this.#world.groups.values()].some(({ isSpoiled }) => isSpoiled);
    must(droppedBatches === 0 || mayDrop, `recovery dropped ${droppedBatches} journaled batches`);
    void folder.failed.then((error) => this.#failed(error));
    const life = this.#lifeIn(folder);
    await this.#checkGroups(life);
    this.#folder = folder;
    const load = new LogLoad(life);
    await load.run(this.#script.number, this.#script.steps);
    await load.settle();
    if (!this.#process.isAlive) return "dead";
    const { kind: ending, atCall } = this.#script;
    if (ending !== "close" && !Number.isFinite(atCall)) {
      this.#die(ending === "power cut");
      return "dead";
    }
    trace?.("--- close");
    try {
      await folder.close();
    } catch (error) {
      if (!(error instanceof DiskError) || !this.#mayFail) throw error;
      this.#die(this.#random.chance(0.5), "failed");
      return "failed";
    }
    const { openFiles } = this.#process;
    must(this.#hasFailed || openFiles.length === 0, `left open at the end: ${openFiles.join(" ")}`);
    this.#process.kill();
    // What was on its way when it failed is where it was.
    if (this.#hasFailed) return "failed";
    disk.count("closed");
    return "closed";
  }

  #lifeIn(folder: DataFolder): LifeContext {
    return {
      ...{ world: this.#world, folder, clock: this.#clock, random: this.#random },
      hasFailed: () => this.#hasFailed,
      spawn: (work) => this.#spawn(work),
      quiet: async () => {
        while (this.#outstanding.size > 0) await Promise.all(this.#outstanding);
      },
      sleep: (ms) =>
        new Promise((resolve) => {
          this.#clock.after(ms, resolve);
        }),
    };
  }

  /** Keeps a promise in mind until it is settled; if it fails, so does the run. */
  #spawn(work: Promise<void>): void {
    const watched = work.catch((error: unknown) => this.#fail(error)).finally(() => this.#outstanding.delete(watched));
    this.#outstanding.add(watched);
  }

  async #open(): Promise<DataFolder | "failed" | "damage refused"> {
    const { disk, seed, plan, hash } = this.#world;
    try {
      const folder = await openDataFolder({
        ...{ path: folderPath, disk: this.#process, clock: this.#clock, hash, settings: plan.settings },
        random: SimRandom.of(seed, this.#script.number, 3),
      });
      this.#world.isMade = true;
      return folder;
    } catch (error) {
      if (error instanceof DataFolderError && this.#world.planted?.refusesStart) {
        this.#world.trace?.(`refused: ${error.message}`);
        return "damage refused";
      }
      if (error instanceof DiskError && this.#mayFail) return "failed";
      // A folder that is there opens on a full disk too, where overwriting takes no room.
      const mayRefuse = !this.#world.isMade || plan.copyOnWrite;
      if (!(error instanceof NoRoomError) || !mayRefuse) throw error;
      disk.totalBytes = plan.volumeBytes * 4;
      disk.count("start refused for want of room");
      return "failed";
    }
  }

  /** Whether the disk may fail for good: where overwriting takes room, a refused frame can't always be taken back. */
  get #mayFail(): boolean {
    const { syncFails, writeBackFails, copyOnWrite } = this.#world.disk.faults;
    return syncFails + writeBackFails > 0 || copyOnWrite;
  }

  /** A sync failed: the process ends soon. */
  #failed(error: Error): void {
    const { trace } = this.#world;
    if (!this.#process.isAlive) return;
    trace?.(`failed for good: ${error.message}`);
    this.#hasFailed = true;
    if (!(error instanceof DiskError) || !this.#mayFail) {
      this.#fail(error);
      return;
    }
    this.#clock.after(this.#random.skewed(0, 20), () => this.#die(this.#random.chance(0.3)));
  }

  async #checkGroups(life: LifeContext): Promise<void> {
    const { groups, planted } = this.#world;
    const { folder } = life;
    must(!planted?.refusesStart, `it starts, whatever was done to ${planted?.path}`);
    for (const model of groups.values()) {
      const log = folder.log(model.group);
      const { group, stage } = model;
      must(stage !== "made" || log !== undefined, `group ${group} is gone`);
      must((stage !== "gone" && stage !== "refused") || log === undefined, `group ${group} is back, and was ${stage}`);
      if (stage === "making" || stage === "removing") model.stage = log ? "made" : "gone";
      if (log) await this.#checkLog(model, log, life);
    }
    for (const group of folder.groups()) must(groups.has(group), `group ${group} was never made`);
  }

  async #checkLog(
    model: GroupModel,
    log: NonNullable<ReturnType<DataFolder["log"]>>,
    life: LifeContext,
  ): Promise<void> {
    const { group } = model;
    model.promises.found(log);
    if (log.damage !== undefined) {
      must(model.isSpoiled, `group ${group} is called damaged: ${log.damage}`);
      this.#world.disk.count("damage: said at the start");
      return;
    }
    try {
      await resolveChange(model, log);
    } catch (error) {
      outcomeOf(error, `looking at group ${group}`, life, model);
      return;
    }
    model.endSeen(log.durableEnd);
  }
}

/** Tells of each call whether it counts for the end of a life. */
function counterOf(counted: Counted): (what: string, path: string) => boolean {
  switch (counted) {
    case "all":
      return () => true;
    case "segments":
      return (_, path) => path.startsWith(`${folderPath}/groups/`);
    case "turns": {
      let last: string | undefined;
      return (what, path) => {
        if (what !== "write" || !path.startsWith(`${folderPath}/journal/`)) return false;
        const isTurn = last !== undefined && path !== last;
        last = path;
        return isTurn;
      };
    }
  }
}
