/**
 * What a life does to the logs of its folder: makes and removes them, appends to them, and has them read.
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import { putU32 } from "../base/bytes.ts";
import { DiskError } from "../base/disk-errors.ts";
import type { Clock } from "../host/clock.ts";
import type { DataFolder, GroupLog, NewBatch } from "../log/types.ts";
import { GroupModel, must, rolledState, type Submission } from "./log-model.ts";
import { LogReads } from "./log-reads.ts";
import { groupsAt, isRefusal, type LogWorld } from "./log-world.ts";

/** The load of one life. */
export class LogLoad {
  readonly #world: LogWorld;
  readonly #folder: DataFolder;
  readonly #clock: Clock;
  readonly #fail: (error: unknown) => void;
  readonly #reads: LogReads;
  readonly #outstanding = new Set<Promise<void>>();
  /** Groups that take no appends: they are being removed. */
  readonly #ended = new Set<number>();
  /** Groups with a leader change on its way. */
  readonly #beginning = new Set<number>();
  #hasFailed = false;

  /** `fail`: told of what does not hold. */
  constructor(world: LogWorld, folder: DataFolder, clock: Clock, fail: (error: unknown) => void) {
    this.#world = world;
    this.#folder = folder;
    this.#clock = clock;
    this.#fail = fail;
    this.#reads = new LogReads(world, (work) => this.#spawn(work));
    void folder.failed.then(() => {
      this.#hasFailed = true;
    });
    for (const model of groupsAt(world, "made")) this.#reads.follow(model, this.#logOf(model));
  }

  /** Does so many things, one after the other. */
  async run(steps: number): Promise<void> {
    const { random, plan } = this.#world;
    const ready = new Set<number>();
    for (let step = 0; step < steps; step++) {
      if (random.chance(0.5)) await this.#sleep(random.skewed(0, plan.pauseMaxMs));
      if (random.chance(plan.fills)) this.#fillVolume();
      const models = [...groupsAt(this.#world, "made", "making")].filter(({ group }) => !this.#ended.has(group));
      const [first, ...rest] = models;
      if (!first || (models.length < plan.groupsMax && random.chance(0.1))) {
        this.#create();
        continue;
      }
      const model = random.pick([first, ...rest]);
      const log = this.#folder.log(model.group);
      if (!log) continue;
      if (!ready.has(model.group) && model.stage === "made") {
        ready.add(model.group);
        await this.#prepare(model, log);
      }
      if (random.chance(0.02)) this.#remove(model);
      else if (random.chance(0.1)) this.#spawn(this.#reads.read(model, log));
      else if (random.chance(0.04)) this.#begin(model, log);
      else for (let burst = random.skewed(1, 8); burst > 0; burst--) this.#append(model, log);
    }
  }

  /** Waits for all that is on its way; then, with room again, every log takes appends again. */
  async settle(): Promise<void> {
    const { disk, plan, random } = this.#world;
    while (this.#outstanding.size > 0) await Promise.all(this.#outstanding);
    if (disk.totalBytes < plan.volumeBytes * 4 && plan.fills > 0 && random.chance(0.5)) {
      disk.totalBytes = plan.volumeBytes * 4;
      const logs = [...groupsAt(this.#world, "made")].filter(({ group }) => !this.#ended.has(group));
      for (const model of logs) await this.#appendAgain(model);
      while (this.#outstanding.size > 0) await Promise.all(this.#outstanding);
    }
    for (const model of groupsAt(this.#world, "made")) {
      const end = this.#folder.log(model.group)?.durableEnd.index;
      const all = model.batches.length === end || this.#ended.has(model.group);
      must(all, `group ${model.group}: ${model.batches.length} batches were read of ${end}`);
    }
    const { ringBytesUsed, ringBytesMax } = this.#folder.metrics;
    must(ringBytesUsed <= ringBytesMax, `the ring has ${ringBytesUsed} bytes of ${ringBytesMax}`);
  }

  /** As a leader does before it appends. */
  async #prepare(model: GroupModel, log: GroupLog): Promise<void> {
    const newest = model.batches.findLast(({ kind }) => kind === BatchKind.checkpoint);
    const checkpoint = await log.lastCheckpoint();
    must(checkpoint.kind === BatchKind.checkpoint, `group ${model.group}: the last checkpoint is none`);
    must(checkpoint.index >= (newest?.index ?? 0), `group ${model.group}: an old checkpoint for the last one`);
    log.rollBy(this.#world.plan.rolling, (index) => rolledState(model.group, index));
  }

  #create(): void {
    const { random, groups, hash, trace, disk } = this.#world;
    this.#world.lastGroup += 1;
    const group = this.#world.lastGroup;
    const checkpointState = random.bytes(random.skewed(0, 2000));
    const startOffset = random.pick([0, 0, 5, 2 ** 40]);
    const model = new GroupModel(group, { startOffset, checkpointState, hash });
    groups.set(group, model);
    trace?.(`create group ${group}`);
    const appendTimeMicros = this.#clock.nowMicros();
    const note = random.bytes(random.between(0, 40));
    const { log, made } = this.#folder.create({ group, checkpointState, startOffset, appendTimeMicros, note });
    log.rollBy(this.#world.plan.rolling, (index) => rolledState(group, index));
    const done = made.then(
      () => {
        if (model.stage === "making") model.stage = "made";
        this.#reads.follow(model, log);
      },
      (error: unknown) => {
        if (error instanceof DiskError && this.#hasFailed) return;
        must(isRefusal(error), `making group ${group}: ${error}`);
        trace?.(`making group ${group} is refused`);
        disk.count("making refused");
        model.stage = "refused";
      },
    );
    this.#spawn(done);
    for (let appends = random.between(0, 3); appends > 0; appends--) this.#append(model, log);
  }

  #remove(model: GroupModel): void {
    const { trace, disk } = this.#world;
    if (model.stage !== "made") return;
    const { group } = model;
    trace?.(`remove group ${group}`);
    model.stage = "removing";
    model.wasRemoved = true;
    this.#ended.add(group);
    const done = this.#folder.remove(group).then(
      () => {
        trace?.(`group ${group} is gone`);
        model.stage = "gone";
        disk.count("group removed");
      },
      (error: unknown) => {
        if (error instanceof DiskError) return;
        must(isRefusal(error), `removing group ${group}: ${error}`);
        disk.count("removal refused");
        model.stage = "made";
        this.#ended.delete(group);
        this.#reads.follow(model, this.#logOf(model));
      },
    );
    this.#spawn(done);
  }

  #begin(model: GroupModel, log: GroupLog): void {
    if (this.#beginning.has(model.group) || model.stage !== "made") return;
    this.#beginning.add(model.group);
    const { diskId } = this.#folder;
    const term = Math.max(log.vote.term, log.durableEnd.term) + 1;
    const begins = { term, votedFor: { diskId, life: 0 } };
    this.#submit(
      model,
      log,
      { kind: BatchKind.leaderChange, payload: new Uint8Array(12), recordCount: 0, begins },
      () => this.#beginning.delete(model.group),
    );
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
    trace?.(
      `append ${id}, ${payload.length} bytes${begins ? `, begins term ${begins.term}` : ""}, to group ${model.group}`,
    );
    const done = log.append(batch).then(
      (appended) => {
        trace?.(`append ${id} is batch ${appended.index} of group ${model.group}`);
        disk.count("append");
        settled();
        model.acknowledge(submission, appended);
        must(log.durableEnd.index > appended.index, `append ${id} is answered before it is durable`);
      },
      (error: unknown) => {
        settled();
        trace?.(`append ${id}: ${error}`);
        // What was on its way when a write or sync failed may be there or not.
        if (error instanceof DiskError && this.#hasFailed) return;
        must(isRefusal(error), `append ${id}: ${error}`);
        disk.count("append refused");
        submission.outcome = "refused";
      },
    );
    this.#spawn(done);
  }

  #fillVolume(): void {
    const { disk, random, trace, plan } = this.#world;
    const used = disk.space.totalBytes - disk.space.freeBytes;
    disk.totalBytes = random.chance(0.5) ? plan.volumeBytes : used + random.skewed(0, 8 * plan.largeMaxBytes);
    trace?.(`the volume has ${disk.space.freeBytes} bytes free`);
    disk.count("volume full");
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

  #logOf(model: GroupModel): GroupLog {
    const log = this.#folder.log(model.group);
    must(log !== undefined, `group ${model.group} is gone`);
    return log;
  }

  /** Keeps a promise in mind until it is settled; if it fails, so does the run. */
  #spawn(work: Promise<void>): void {
    const watched = work.catch(this.#fail).finally(() => this.#outstanding.delete(watched));
    this.#outstanding.add(watched);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(ms, resolve);
    });
  }
}
