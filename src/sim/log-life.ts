/**
 * One life of a data folder's process: what it does to the log, and what it checks meanwhile.
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import { putU32 } from "../base/bytes.ts";
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import type { Hash } from "../host/hash.ts";
import { openDataFolder } from "../log/data-folder.ts";
import type { DataFolder, GroupLog, NewBatch } from "../log/types.ts";
import type { SimDisk } from "./disk.ts";
import { changeOf, makeChange, placeOf } from "./log-change.ts";
import { Broken, GroupModel, must, rolledState, type Submission } from "./log-model.ts";
import type { Ending, LogPlan } from "./log-plan.ts";
import type { SimRandom } from "./random.ts";
import { SimClock } from "./timeline.ts";

/** What lives share. */
export interface LogWorld {
  readonly disk: SimDisk;
  readonly random: SimRandom;
  readonly plan: LogPlan;
  readonly hash: Hash;
  readonly groups: Map<number, GroupModel>;
  readonly trace: (line: string) => void;
  lastGroup: number;
  lastAppend: number;
  /** The folder was opened once: from now on it is one. */
  isMade: boolean;
}

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
  readonly #outstanding = new Set<Promise<void>>();
  /** Groups that take no appends any more in this life. */
  readonly #ended = new Set<number>();
  /** Reads on after a change. */
  readonly #readOn = new Map<GroupModel, () => void>();
  /** Groups with a leader change on its way. */
  readonly #beginning = new Set<number>();
  #fail: (error: unknown) => void = () => {};
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
      this.#fail = reject;
    });
    let calls = 0;
    this.#process.onCall = () => {
      calls += 1;
      if (calls === ending.atCall) world.disk.timeline.after(0, () => this.#die(ending.kind === "power cut"));
    };
  }

  /** Lives it. */
  run(): Promise<LifeEnd> {
    this.#live().then(this.#end, (error: unknown) => {
      // What the dead see is nobody's.
      if (this.#process.isAlive) this.#fail(error);
    });
    return this.#over;
  }

  #die(withPower: boolean): void {
    if (!this.#process.isAlive) return;
    const { disk, trace } = this.#world;
    trace(withPower ? "--- power cut" : "--- kill");
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
    trace(`opened: ${kind}, ${groups} groups, tail ${tailBatches}, kept ${keptBytes}, cut ${cutBytes}`);
    disk.count(`start: ${kind}`);
    if (keptBytes > 0) disk.count("bytes above a mark kept");
    if (cutBytes > 0) disk.count("torn bytes cut");
    must(droppedBatches === 0, `recovery dropped ${droppedBatches} journaled batches`);
    void folder.failed.then((error) => this.#failed(error));
    this.#checkGroups(folder);
    for (const model of this.#groups("made")) this.#follow(model, this.#logOf(model));
    await this.#work(folder);
    await this.#settle();
    if (!this.#process.isAlive) return "dead";
    trace("--- close");
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
  async #failed(error: Error): Promise<void> {
    const { random, trace } = this.#world;
    if (!this.#process.isAlive) return;
    trace(`failed for good: ${error.message}`);
    this.#hasFailed = true;
    if (!(error instanceof DiskError) || !this.#mayFail) {
      this.#fail(error);
      return;
    }
    await this.#sleep(random.skewed(0, 20));
    this.#die(random.chance(0.3));
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
      model.resolve({ base: log.base.index, end: log.durableEnd.index });
      model.endSeen(log.durableEnd);
      model.voteSeen(log.vote);
    }
    for (const group of folder.groups()) must(groups.has(group), `group ${group} was never made`);
  }

  *#groups(...stages: GroupModel["stage"][]): Generator<GroupModel> {
    for (const model of this.#world.groups.values()) if (stages.includes(model.stage)) yield model;
  }

  #logOf(model: GroupModel): GroupLog {
    const log = this.#folder?.log(model.group);
    must(log !== undefined, `group ${model.group} is gone`);
    return log;
  }

  async #work(folder: DataFolder): Promise<void> {
    const { random, plan } = this.#world;
    const ready = new Set<number>();
    for (let step = 0; step < this.#ending.steps; step++) {
      if (random.chance(0.5)) await this.#sleep(random.skewed(0, plan.pauseMaxMs));
      if (random.chance(plan.fills)) this.#fillVolume();
      const models = [...this.#groups("made", "making")].filter(({ group }) => !this.#ended.has(group));
      const [first, ...rest] = models;
      if (!first || (models.length < plan.groupsMax && random.chance(0.1))) {
        this.#create(folder);
        continue;
      }
      const model = random.pick([first, ...rest]);
      const log = folder.log(model.group);
      if (!log) continue;
      if (!ready.has(model.group) && model.stage === "made") {
        ready.add(model.group);
        await this.#prepare(model, log);
      }
      if (plan.changes > 0 && random.chance(plan.changes)) this.#changeLog(model, log);
      else if (random.chance(0.02)) this.#remove(folder, model);
      else if (random.chance(0.1)) this.#spawn(this.#read(model, log));
      else if (random.chance(0.04)) this.#begin(model, log);
      else for (let burst = random.skewed(1, 8); burst > 0; burst--) this.#append(model, log);
    }
  }

  /** As a leader does before it appends. */
  async #prepare(model: GroupModel, log: GroupLog): Promise<void> {
    const { changes } = model;
    const newest = model.batches.findLast(({ kind }) => kind === BatchKind.checkpoint);
    const checkpoint = await log.lastCheckpoint();
    must(checkpoint.kind === BatchKind.checkpoint, `group ${model.group}: the last checkpoint is none`);
    const isOld = checkpoint.index < (newest?.index ?? 0) && changes === model.changes;
    must(!isOld, `group ${model.group}: an old checkpoint for the last one`);
    log.rollBy(this.#world.plan.rolling, (index) => rolledState(model.group, index));
  }

  #create(folder: DataFolder): void {
    const { random, groups, hash, trace, disk, plan } = this.#world;
    this.#world.lastGroup += 1;
    const group = this.#world.lastGroup;
    const checkpointState = random.bytes(random.skewed(0, 2000));
    const startOffset = random.pick([0, 0, 5, 2 ** 40]);
    const isCuttable = plan.changes > 0 && random.chance(0.6);
    const model = new GroupModel(group, { startOffset, checkpointState, hash, isCuttable });
    groups.set(group, model);
    trace(`create group ${group}`);
    const appendTimeMicros = this.#clock.nowMicros();
    const note = random.bytes(random.between(0, 40));
    const { log, made } = folder.create({ group, checkpointState, startOffset, appendTimeMicros, note });
    log.rollBy(this.#world.plan.rolling, (index) => rolledState(group, index));
    const done = made.then(
      () => {
        if (model.stage === "making") model.stage = "made";
        this.#follow(model, log);
      },
      (error: unknown) => {
        if (error instanceof DiskError) return;
        must(isRefusal(error), `making group ${group}: ${error}`);
        trace(`making group ${group} is refused`);
        disk.count("making refused");
        model.stage = "refused";
      },
    );
    this.#spawn(done);
    for (let appends = random.between(0, 3); appends > 0; appends--) this.#append(model, log);
  }

  #remove(folder: DataFolder, model: GroupModel): void {
    const { trace, disk } = this.#world;
    if (model.stage !== "made") return;
    const { group } = model;
    trace(`remove group ${group}`);
    model.stage = "removing";
    this.#ended.add(group);
    const done = folder.remove(group).then(
      () => {
        trace(`group ${group} is gone`);
        model.stage = "gone";
        disk.count("group removed");
      },
      (error: unknown) => {
        if (error instanceof DiskError) return;
        must(isRefusal(error), `removing group ${group}: ${error}`);
        disk.count("removal refused");
        model.stage = "made";
        this.#ended.delete(group);
        this.#follow(model, this.#logOf(model));
      },
    );
    this.#spawn(done);
  }

  #begin(model: GroupModel, log: GroupLog): void {
    if (this.#beginning.has(model.group) || model.stage !== "made") return;
    this.#beginning.add(model.group);
    const { diskId } = this.#folder ?? { diskId: new Uint8Array(16) };
    const term = Math.max(log.vote.term, log.durableEnd.term) + 1;
    const begins = { term, votedFor: { diskId, life: 0 } };
    this.#submit(
      model,
      log,
      { kind: BatchKind.leaderChange, payload: new Uint8Array(12), recordCount: 0, begins },
      () => this.#beginning.delete(model.group),
    );
  }

  /** Cuts it, drops what is before a checkpoint, or begins it anew. */
  #changeLog(model: GroupModel, log: GroupLog): void {
    const { random, trace, disk } = this.#world;
    if (model.change || model.stage !== "made") return;
    if (model.isCuttable && random.chance(0.1)) log.setCommit(log.durableEnd.index);
    const change = changeOf(random, model, log, this.#clock.nowMicros(), this.#world.hash);
    if (!change) return;
    model.begin(change);
    const what = `${change.kind} ${placeOf(change)} of group ${model.group}`;
    trace(what);
    const done = makeChange(log, change).then(
      () => {
        trace(`${what} is done`);
        disk.count(`log changed: ${change.kind}`);
        model.done();
        this.#readOn.get(model)?.();
      },
      (error: unknown) => {
        // Then the next start tells.
        if (error instanceof DiskError) return;
        must(isRefusal(error), `${what}: ${error}`);
        trace(`${what} is refused: ${error}`);
        disk.count("change refused");
        model.refused();
        this.#readOn.get(model)?.();
      },
    );
    this.#spawn(done);
  }

  #append(model: GroupModel, log: GroupLog): void {
    const { random, plan } = this.#world;
    const bytes = random.chance(plan.large)
      ? random.skewed(plan.largeMaxBytes >> 4, plan.largeMaxBytes)
      : random.skewed(4, plan.payloadMaxBytes);
    const payload = new Uint8Array(bytes).fill(random.between(0, 255), 4);
    this.#submit(model, log, { kind: BatchKind.records, payload, recordCount: random.between(1, 4) }, () => {});
  }

  #submit(model: GroupModel, log: GroupLog, batch: NewBatch, settled: () => void): void {
    const { disk, trace } = this.#world;
    this.#world.lastAppend += 1;
    const id = this.#world.lastAppend;
    putU32(batch.payload, 0, id);
    const { kind, payload, recordCount, begins } = batch;
    const submission: Submission = { id, kind, payload, recordCount, begins, outcome: "pending" };
    model.submit(submission);
    trace(
      `append ${id}, ${payload.length} bytes${begins ? `, begins term ${begins.term}` : ""}, to group ${model.group}`,
    );
    const done = log.append(batch).then(
      (appended) => {
        trace(`append ${id} is batch ${appended.index} of group ${model.group}`);
        disk.count("append");
        settled();
        model.acknowledge(submission, appended);
        must(log.durableEnd.index > appended.index, `append ${id} is answered before it is durable`);
      },
      (error: unknown) => {
        // What comes after a failed sync is refused too: it was never taken.
        must(isRefusal(error) || error instanceof DiskError, `append ${id}: ${error}`);
        trace(`append ${id} is refused: ${error}`);
        disk.count("append refused");
        settled();
        submission.outcome = "refused";
      },
    );
    this.#spawn(done);
  }

  /** Reads a log from its beginning, and on as it grows: what is durable once is there for ever. */
  #follow(model: GroupModel, log: GroupLog): void {
    const { random } = this.#world;
    if (!model.isCuttable) {
      log.setCommit(log.durableEnd.index);
      log.onDurable(() => log.setCommit(log.durableEnd.index));
    }
    let next = model.base;
    let reading = false;
    const read = async () => {
      if (reading) return;
      reading = true;
      while (this.#isReadable(model) && next < log.durableEnd.index) {
        const { index } = log.durableEnd;
        const { changes } = model;
        const batches = await log.read({
          from: { index: next },
          belowIndex: index,
          maxBytes: random.skewed(1, 100_000),
        });
        if (changes !== model.changes) {
          next = model.end;
          continue;
        }
        must(batches.length > 0, `group ${model.group}: nothing is read from ${next} on, below ${index}`);
        model.take(next, batches);
        next += batches.length;
      }
      reading = false;
    };
    const reads = () => {
      model.endSeen(log.durableEnd);
      this.#spawn(read().catch((error: unknown) => this.#checkReadError(model, error)));
    };
    log.onDurable(reads);
    reads();
    this.#readOn.set(model, () => {
      next = model.end;
      reads();
    });
  }

  /** While a log is changed nobody knows what there is to read. */
  #isReadable({ stage, change }: GroupModel): boolean {
    return (stage === "made" || stage === "making") && !change;
  }

  /** Reads from anywhere, and compares with what is known. */
  async #read(model: GroupModel, log: GroupLog): Promise<void> {
    const { random, disk } = this.#world;
    const { end: belowIndex, changes } = model;
    const picked = model.batches[random.between(0, Math.max(model.batches.length - 1, 0))];
    if (!picked) return;
    const maxBytes = random.skewed(1, 300_000);
    try {
      if (random.chance(0.25)) {
        const micros = picked.appendTimeMicros + random.between(-1, 1);
        const first = model.batches.find(({ appendTimeMicros }) => appendTimeMicros >= micros);
        const found = await log.findTime(micros, belowIndex);
        const expected = first ? first.index : belowIndex;
        if (changes !== model.changes || (!first && model.isCuttable)) return;
        must(
          first ? found.index === expected : found.index >= expected,
          `group ${model.group}: time ${micros} is found at ${found.index}, not ${expected}`,
        );
        disk.count("read by time");
        return;
      }
      const offset = picked.baseOffset + random.between(-1, picked.recordCount);
      const from = random.chance(0.5) ? { index: picked.index } : { offset: Math.max(offset, 0) };
      const request = { from, belowIndex, maxBytes };
      const expected = model.expectedRead(request);
      const read = await log.read(request);
      if (changes !== model.changes) return;
      model.checkSameBatches(read, expected, `a read from ${JSON.stringify(from)} below ${belowIndex}`);
      disk.count("index" in from ? "read by index" : "read by offset");
    } catch (error) {
      this.#checkReadError(model, error);
    }
  }

  #checkReadError(model: GroupModel, error: unknown): void {
    const wasRemoved = error instanceof TailraceError && error.reason === "stream_not_found";
    if (wasRemoved && (model.stage === "removing" || model.stage === "gone" || this.#ended.has(model.group))) return;
    throw error;
  }

  #fillVolume(): void {
    const { disk, random, trace, plan } = this.#world;
    const used = disk.space.totalBytes - disk.space.freeBytes;
    disk.totalBytes = random.chance(0.5) ? plan.volumeBytes : used + random.skewed(0, 8 * plan.largeMaxBytes);
    trace(`the volume has ${disk.space.freeBytes} bytes free`);
    disk.count("volume full");
  }

  /** Waits for all that is on its way; then, with room again, every log takes appends again. */
  async #settle(): Promise<void> {
    const { disk, plan, random } = this.#world;
    while (this.#outstanding.size > 0) await Promise.all(this.#outstanding);
    if (disk.totalBytes < plan.volumeBytes * 4 && plan.fills > 0 && random.chance(0.5)) {
      disk.totalBytes = plan.volumeBytes * 4;
      const logs = [...this.#groups("made")].filter(({ group }) => !this.#ended.has(group));
      for (const model of logs) await this.#appendAgain(model);
      while (this.#outstanding.size > 0) await Promise.all(this.#outstanding);
    }
    for (const model of this.#groups("made")) {
      const end = this.#folder?.log(model.group)?.durableEnd.index;
      const failedInChange = this.#hasFailed && model.change !== undefined;
      const all = model.end === end || failedInChange || this.#ended.has(model.group);
      must(all, `group ${model.group}: it was read up to ${model.end} of ${end}`);
    }
    const { ringBytesUsed = 0, ringBytesMax = 0 } = this.#folder?.metrics ?? {};
    must(ringBytesUsed <= ringBytesMax, `the ring has ${ringBytesUsed} bytes of ${ringBytesMax}`);
  }

  async #appendAgain(model: GroupModel): Promise<void> {
    const { disk } = this.#world;
    const log = this.#logOf(model);
    for (let attempt = 0; attempt < 5; attempt++) {
      const end = log.durableEnd.index;
      this.#append(model, log);
      await Promise.all(this.#outstanding);
      if (log.durableEnd.index > end) {
        disk.count("append after room came back");
        return;
      }
      await this.#sleep(600);
    }
    must(false, `group ${model.group} takes no appends though there is room again`);
  }

  /** Keeps a promise in mind until it is settled; if it fails, so does the run. */
  #spawn(work: Promise<void>): void {
    const watched = work
      .catch((error: unknown) => {
        if (this.#process.isAlive) this.#fail(error instanceof Error ? error : new Broken(String(error)));
      })
      .finally(() => this.#outstanding.delete(watched));
    this.#outstanding.add(watched);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(ms, resolve);
    });
  }
}

/** Whether an error says that nothing was written. */
function isRefusal(error: unknown): boolean {
  return error instanceof NoRoomError || (error instanceof TailraceError && error.reason !== "damaged");
}
