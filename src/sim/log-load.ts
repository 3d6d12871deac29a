/**
 * What a life does to the logs of its folder, step by step: makes and removes them, appends to them, changes them, and has
 * them read.
 * @module
 */
import { present } from "../base/assert.ts";
import { changeLog } from "./group-changes.ts";
import { GroupLoad } from "./group-load.ts";
import { mend } from "./group-mending.ts";
import { GroupModel } from "./log-model.ts";
import { groupsAt, type LifeContext, outcomeOf } from "./log-world.ts";
import { must } from "./must.ts";
import { SimRandom } from "./random.ts";
import { checkpointState, noFold } from "./state-fold.ts";

/** The load of one life. */
export class LogLoad {
  readonly #life: LifeContext;
  readonly #loads = new Map<number, GroupLoad>();

  constructor(life: LifeContext) {
    this.#life = life;
    for (const model of groupsAt(life.world, "made")) this.#follow(model);
  }

  /** Does what each step says, one after the other. */
  async run(life: number, steps: readonly number[]): Promise<void> {
    const { seed } = this.#life.world;
    for (const step of steps) await this.#step(SimRandom.of(seed, life, 4, step));
  }

  async #step(random: SimRandom): Promise<void> {
    const { plan } = this.#life.world;
    if (random.chance(0.5)) await this.#life.sleep(random.skewed(0, plan.pauseMaxMs));
    if (random.chance(plan.fills)) this.#fillVolume(random);
    const loads = [...this.#loads.values()].filter(({ hasEnded }) => !hasEnded);
    const [first, ...rest] = loads;
    if (!first || (loads.length < plan.groupsMax && random.chance(plan.creations))) {
      this.#create(random);
      return;
    }
    const load = random.pick([first, ...rest]);
    const { model } = load;
    // What follows is drawn before anything is waited for.
    const [what, change] = [random.fraction(), random.chance(plan.changes)];
    if (model.change) return;
    if (model.isSpoiled && model.stage === "made" && random.chance(0.15)) this.#life.spawn(mend(load, this.#life));
    if (change) await changeLog(load, random, this.#life, (old) => this.#followAnew(old));
    else if (what < 0.02) this.#remove(load);
    else if (what < 0.05) load.save(random);
    else if (what < 0.15) this.#life.spawn(load.reads.anywhere(random));
    else if (what < 0.25 && model.isFollower) this.#commit(load, random);
    else if (what < 0.28) await load.beginTerm();
    else await this.#append(load, random);
  }

  async #append(load: GroupLoad, random: SimRandom): Promise<void> {
    const { feeds } = this.#life.world.plan;
    if (feeds > 0 && random.chance(feeds)) await this.#feed(load, random);
    else if (await this.#isReady(load)) for (let burst = random.skewed(1, 8); burst > 0; burst--) load.append(random);
    else return;
    if (random.chance(0.2)) this.#life.spawn(load.reads.ahead(random));
  }

  /** A follower's step: what its log was fed with and appended to before is over, or mostly. */
  async #feed(load: GroupLoad, random: SimRandom): Promise<void> {
    const [count, waits] = [random.skewed(1, 8), random.chance(0.7)];
    if (waits) await load.ownAreOver();
    if (!(await load.prepare())) return;
    await load.refusedAtOnce();
    const { model } = load;
    if (!model.change && !load.hasEnded && model.stage === "made") load.feed(random, count);
  }

  /** Waits for all that is on its way; then, with room again, every log takes appends again. */
  async settle(): Promise<void> {
    const { world, random, folder } = this.#life;
    const { disk, plan } = world;
    await this.#quiet();
    if (disk.totalBytes < plan.volumeBytes * 4 && plan.fills > 0 && random.chance(0.5)) {
      disk.totalBytes = plan.volumeBytes * 4;
      for (const load of this.#loads.values()) if (!load.hasEnded) await this.#appendAgain(load);
      await this.#quiet();
    }
    for (const load of this.#loads.values()) this.#checkSettled(load);
    const { ringBytesUsed, ringBytesMax } = folder.metrics;
    must(ringBytesUsed <= ringBytesMax, `the ring has ${ringBytesUsed} bytes of ${ringBytesMax}`);
  }

  /** Nothing is waited for any more. */
  async #quiet(): Promise<void> {
    for (const load of this.#loads.values()) await load.quiet();
    await this.#life.quiet();
  }

  #checkSettled({ model, log, reads, hasEnded }: GroupLoad): void {
    const { group } = model;
    if (hasEnded || this.#life.hasFailed() || model.isSpoiled) return;
    must(log.damage === undefined, `group ${group} is called damaged: ${log.damage}`);
    must(reads.isCaughtUp, `group ${group}: it was read up to ${model.end} of ${log.durableEnd.index}`);
    model.promises.check(log);
    must(
      log.commit.index <= model.commit,
      `group ${group}: ${log.commit.index} is called committed, not ${model.commit}`,
    );
    const at = model.batchAt(log.commit.index)?.baseOffset ?? log.durableEnd.offset;
    must(log.commit.offset === at, `group ${group}: offset ${log.commit.offset} is at ${log.commit.index}, not ${at}`);
  }

  async #isReady(load: GroupLoad): Promise<boolean> {
    const { model } = load;
    if (!(await load.prepare())) return false;
    if (model.mustBegin) await load.beginTerm();
    return !model.mustBegin && !model.change && !load.hasEnded;
  }

  #commit({ reads, log, model }: GroupLoad, random: SimRandom): void {
    reads.commit(random.between(Math.min(model.commit, log.durableEnd.index), log.durableEnd.index));
  }

  #follow(model: GroupModel): GroupLoad {
    const log = present(this.#life.folder.log(model.group), `group ${model.group} is gone`);
    const load = new GroupLoad(model, log, this.#life);
    this.#loads.set(model.group, load);
    load.reads.follow();
    return load;
  }

  /** Another has its log's place, or is the same in another life of its reader. */
  #followAnew(old: GroupLoad): void {
    old.hasEnded = true;
    old.reads.end();
    this.#follow(old.model);
  }

  #create(random: SimRandom): void {
    const { world, clock, folder } = this.#life;
    const { groups, hash, trace, plan } = world;
    world.lastGroup += 1;
    const group = world.lastGroup;
    const firstState = checkpointState(noFold, group, random.between(0, 1500));
    const startOffset = random.pick([0, 0, 5, 2 ** 40]);
    const note = random.bytes(random.between(0, 40));
    const isFollower = plan.changes > 0 && random.chance(plan.followers);
    const model = new GroupModel(group, { startOffset, checkpointState: firstState, hash, isFollower, note });
    groups.set(group, model);
    trace?.(`create group ${group}${isFollower ? ", whose commit index lags" : ""}`);
    const appendTimeMicros = clock.nowMicros();
    const { log, made } = folder.create({
      ...{ group, checkpointState: firstState, startOffset, appendTimeMicros, note },
    });
    const load = new GroupLoad(model, log, this.#life);
    this.#loads.set(group, load);
    load.begin();
    const done = made.then(
      () => {
        if (model.stage === "making") model.stage = "made";
        load.reads.follow();
      },
      (error: unknown) => {
        load.hasEnded = true;
        trace?.(`making group ${group}: ${error}`);
        if (outcomeOf(error, `making group ${group}`, this.#life, model) === "unknown") return;
        world.disk.count("making refused");
        model.stage = "refused";
      },
    );
    this.#life.spawn(done);
    for (let appends = random.between(0, 3); appends > 0; appends--) load.append(random);
  }

  #remove(load: GroupLoad): void {
    const { world, folder } = this.#life;
    const { trace, disk } = world;
    const { model } = load;
    if (model.stage !== "made") return;
    const { group } = model;
    trace?.(`remove group ${group}`);
    model.stage = "removing";
    model.wasRemoved = true;
    load.hasEnded = true;
    const done = folder.remove(group).then(
      () => {
        trace?.(`group ${group} is gone`);
        model.stage = "gone";
        disk.count("group removed");
      },
      (error: unknown) => {
        if (outcomeOf(error, `removing group ${group}`, this.#life, model) === "unknown") return;
        disk.count("removal refused");
        model.stage = "made";
        this.#followAnew(load);
      },
    );
    this.#life.spawn(done);
  }

  #fillVolume(random: SimRandom): void {
    const { disk, trace, plan } = this.#life.world;
    const used = disk.space.totalBytes - disk.space.freeBytes;
    disk.totalBytes = random.chance(0.5) ? plan.volumeBytes : used + random.skewed(0, 8 * plan.largeMaxBytes);
    trace?.(`the volume has ${disk.space.freeBytes} bytes free`);
    disk.count("volume full");
  }

  async #appendAgain(load: GroupLoad): Promise<void> {
    const { world, random, sleep } = this.#life;
    const { model, log } = load;
    for (let attempt = 0; attempt < 5; attempt++) {
      const end = log.durableEnd.index;
      if (await this.#isReady(load)) load.append(random);
      await load.quiet();
      if (log.durableEnd.index > end) {
        world.disk.count("append after room came back");
        return;
      }
      await sleep(600);
    }
    must(false, `group ${model.group} takes no appends though there is room again`);
  }
}
