/**
 * Changes of a log other than appends: its suffix cut off, its prefix dropped, the whole begun anew.
 * @module
 */
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { sameBytes } from "../base/bytes.ts";
import type { Hash } from "../host/hash.ts";
import { readBatch } from "../log/batch-reader.ts";
import { checkpointPayload, type Stamp, stampHeader } from "../log/batch-writer.ts";
import { batchHeader, digestBytes } from "../log/format.ts";
import type { GroupLog } from "../log/types.ts";
import type { GroupLoad } from "./group-load.ts";
import type { Change, GroupModel } from "./log-model.ts";
import { type LifeContext, outcomeOf } from "./log-world.ts";
import { must } from "./must.ts";
import type { SimRandom } from "./random.ts";
import { checkpointState, noFold } from "./state-fold.ts";

/**
 * Changes a log, if what is drawn fits it now. Resolves when it is on its way.
 * @param renewed Told when another log has taken its place, of a new life.
 */
export async function changeLog(
  load: GroupLoad,
  random: SimRandom,
  life: LifeContext,
  renewed: (load: GroupLoad) => void,
): Promise<void> {
  const { model, log } = load;
  const { world } = life;
  // Appends that are on their way at a cut are stamped behind it; at the other changes none is, most of the time.
  if (random.chance(0.6)) await load.quiet();
  const change = await changeOf(random, load, life);
  if (!change || model.change || load.hasEnded || model.stage !== "made") return;
  model.begin(change);
  const { disk, plan } = world;
  disk.faults = { ...plan, syncFails: plan.changeSyncFails ?? plan.syncFails };
  const what = `${change.kind} ${placeOf(change)} of group ${model.group}`;
  world.trace?.(what);
  const done = makeChange(log, change, life).then(
    () => {
      world.trace?.(`${what} is done`);
      disk.faults = plan;
      disk.count(`changed: ${change.kind}`);
      model.done();
      if (change.kind === "renew") renewed(load);
      else load.changed();
    },
    (error: unknown) => {
      world.trace?.(`${what}: ${error}`);
      const outcome = outcomeOf(error, what, life, model);
      // Then the next start tells.
      if (outcome === "unknown") return;
      disk.faults = plan;
      disk.count(`change refused: ${change.kind}`);
      model.undone();
      load.changed();
    },
  );
  life.spawn(done);
}

/** A start shows what became of a change that was on its way: all of it, or nothing. */
export async function resolveChange(model: GroupModel, log: GroupLog): Promise<void> {
  const { change, group, isSpoiled } = model;
  if (change && (await isDone(change, model, log))) model.done();
  else if (change) model.undone();
  // What was spoiled since may be the log that took the place.
  model.isSpoiled = isSpoiled;
  const { index } = log.base;
  must(index === model.base, `group ${group}: it begins at ${index}, not at ${model.base}`);
}

async function isDone(change: Change, model: GroupModel, log: GroupLog): Promise<boolean> {
  switch (change.kind) {
    case "drop":
      return log.base.index === change.checkpointIndex;
    case "install":
      return log.base.index === change.checkpoint.index;
    case "renew":
      return log.life === change.life;
    case "cut": {
      if (log.durableEnd.index <= change.index) return true;
      // What was cut off stands there, or what came in its place.
      const { index } = change;
      const [batch] = await log.read({ from: { index }, belowIndex: index + 1, maxBytes: 1 });
      must(batch !== undefined, `group ${model.group}: batch ${index} is not there, and the log ends behind it`);
      const known = model.batchAt(index);
      must(known !== undefined, `group ${model.group}: batch ${index} was to be cut off, and was never read`);
      return !sameBytes(known.digest, batch.digest);
    }
  }
}

async function makeChange(log: GroupLog, change: Change, { folder }: LifeContext): Promise<void> {
  switch (change.kind) {
    case "cut":
      await log.cut(change.index);
      return;
    case "drop":
      await log.dropBefore(change.checkpointIndex);
      return;
    case "install":
      await log.install(bytesOf(change.checkpoint));
      return;
    case "renew":
      await folder.renew(change.group);
  }
}

function bytesOf({ header, payload }: StoredBatch): Uint8Array {
  const bytes = new Uint8Array(header.length + payload.length);
  bytes.set(header);
  bytes.set(payload, header.length);
  return bytes;
}

/** Index that it is about. */
function placeOf(change: Change): number {
  switch (change.kind) {
    case "cut":
      return change.index;
    case "drop":
      return change.checkpointIndex;
    case "install":
    case "renew":
      return change.checkpoint.index;
  }
}

/** What may be done to a log now; `undefined`: what was drawn does not fit it. */
async function changeOf(random: SimRandom, load: GroupLoad, life: LifeContext): Promise<Change | undefined> {
  const { model, log } = load;
  const kind = random.pick<Change["kind"]>(model.isFollower ? life.world.plan.changeKinds : ["drop"]);
  switch (kind) {
    case "cut":
      return cutOf(random, model, log);
    case "drop":
      return await dropOf(random, load);
    case "install":
    case "renew": {
      await load.quiet();
      if (random.chance(0.3)) return newLife(random, load, life);
      const copied = random.chance(0.3) ? random.pick([undefined, ...model.batches]) : undefined;
      const checkpoint = copied?.kind === BatchKind.checkpoint ? copied : newCheckpoint(random, load, life);
      return checkpoint.index === model.base ? undefined : { kind: "install", checkpoint };
    }
  }
}

/** At any place above the base and what is committed; often a short one. What is cut off was read before. */
function cutOf(random: SimRandom, model: GroupModel, log: GroupLog): Change | undefined {
  const least = Math.max(log.base.index + 1, model.commit);
  const { index: end } = log.durableEnd;
  if (least >= end || model.end !== end) return undefined;
  const index = random.chance(0.5) ? random.between(least, end - 1) : end - random.skewed(1, end - least);
  return { kind: "cut", index };
}

/** To a committed checkpoint: any, or the last one below an offset. */
async function dropOf(random: SimRandom, { model, log, reads }: GroupLoad): Promise<Change | undefined> {
  // After a start the log knows only what its marks said.
  reads.commit(model.commit);
  const fit = model.batches.filter(
    ({ kind, index }) => kind === BatchKind.checkpoint && index < model.commit && index > model.base,
  );
  const [first, ...rest] = fit;
  if (!first) return undefined;
  const picked = random.pick([first, ...rest]);
  if (random.chance(0.5)) return { kind: "drop", checkpointIndex: picked.index };
  const { changes } = model;
  const index = await log.segmentBelow(picked.baseOffset).catch(() => model.base);
  if (changes !== model.changes || index >= model.end) return undefined;
  const batch = model.batchAt(index);
  must(
    batch?.kind === BatchKind.checkpoint && batch.baseOffset <= picked.baseOffset,
    `group ${model.group}: no segment below offset ${picked.baseOffset} begins at ${index}`,
  );
  return index > model.base && index < model.commit ? { kind: "drop", checkpointIndex: index } : undefined;
}

/** As after the loss of the log. */
function newLife(random: SimRandom, { model, log }: GroupLoad, { world, clock }: LifeContext): Change | undefined {
  if (model.promises.isComing) return undefined;
  const { group } = model;
  const state = checkpointState(noFold, group, random.between(0, 1500));
  const [startOffset, appendTimeMicros, note] = [random.pick([0, 7]), clock.nowMicros(), random.bytes(12)];
  const place = { index: 0, baseOffset: startOffset, term: 0, appendTimeMicros };
  const checkpoint = checkpointAt({ group, ...place }, new Uint8Array(digestBytes), state, world.hash);
  const made = { group, checkpointState: state, startOffset, appendTimeMicros, note };
  return { kind: "renew", group: made, checkpoint, life: log.life + 1 };
}

/** One that another replica's log may have, some way on. */
function newCheckpoint(random: SimRandom, { log }: GroupLoad, { world, clock }: LifeContext): StoredBatch {
  const { group, durableEnd } = log;
  const term = Math.max(durableEnd.term, log.vote.term);
  const index = durableEnd.index + random.between(0, 30);
  const fold = { count: random.between(0, 1000), sum: random.word() };
  const digestBefore = random.bytes(digestBytes);
  const place = {
    ...{ group, index, term },
    baseOffset: durableEnd.offset + random.between(0, 100),
    appendTimeMicros: Math.max(clock.nowMicros(), durableEnd.appendTimeMicros),
  };
  return checkpointAt(place, digestBefore, checkpointState(fold, group, index), world.hash);
}

function checkpointAt(
  place: Omit<Stamp, "kind" | "recordCount">,
  digestBefore: Uint8Array,
  state: Uint8Array,
  hash: Hash,
): StoredBatch {
  const payload = checkpointPayload(place.term, digestBefore, state);
  const bytes = new Uint8Array(batchHeader.bytes + payload.length);
  bytes.set(payload, batchHeader.bytes);
  stampHeader(bytes, payload, { kind: BatchKind.checkpoint, recordCount: 0, ...place }, digestBefore, hash);
  const batch = readBatch(bytes, place.group, hash);
  must(batch !== undefined, `the checkpoint that was made for group ${place.group} is none`);
  return batch;
}
