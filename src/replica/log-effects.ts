/**
 * What the replication core wants of a group's log.
 * @module
 */
import { AssertionError, isBug } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import type { Hash } from "../host/hash.ts";
import { checkpointPrefix, digestFollows, readBatch } from "../log/batch-reader.ts";
import { BatchRefusedError, verifyStored } from "../log/stored-batch.ts";
import type { GroupLog, NewBatch } from "../log/types.ts";
import { type LogFloor, sourceOf } from "../raft/group.ts";
import type { GroupInput } from "../raft/inputs.ts";
import type { Effect } from "../raft/turn.ts";
import { type Batch, type LeaderMessage, nodeOf } from "../raft/types.ts";
import { decodeTrim, encodeLeaderChange, encodeVoters } from "../wire/checkpoint.ts";
import { coreBatch, infoOf, isReceived, type ReceivedBatch, replicaOf } from "./core-batch.ts";
import type { RaftDriver } from "./raft-driver.ts";
import { isDamaged, NotLeaderError } from "./replica-errors.ts";
import type { ReplicaGroup } from "./replica-group.ts";

/** What a replica promises. */
type Promised = Pick<Extract<Effect, { kind: "save" }>, "term" | "votedFor" | "floor">;

type Batches = Extract<LeaderMessage, { kind: "batches" }>;

/** Effects on logs. */
export type LogEffect = Extract<
  Effect,
  { kind: "save" | "append" | "write" | "cut" | "install" | "read" | "selfCheck" | "repair" }
>;

/** Bytes of a range that another replica is asked for. */
const rangeMaxBytes = 8 << 20;

/** How long after want of room something is tried again, milliseconds. */
const retryMs = 100;

/** Does it; what comes of it is told to the driver's core. */
export function runLogEffect(driver: RaftDriver, found: ReplicaGroup, effect: LogEffect): void {
  const { log } = found;
  switch (effect.kind) {
    case "save":
      save(driver, found, effect);
      return;
    case "append":
      appendControl(driver, found, effect);
      return;
    case "write":
      write(driver, found, effect);
      return;
    case "cut":
      found.cutTrims(effect.index);
      change(driver, found, async () => {
        await log.cut(effect.index);
        await log.save({ note: encodeVoters(effect.voters.map(replicaOf)) });
      });
      return;
    case "install":
      // What is discarded had them, or what comes has them again.
      found.cutTrims(0);
      change(driver, found, async () => {
        // What is discarded is remembered first: without that, a vote could go to a log that lacks what this one held.
        await saveFloor(log, driver.core.group(effect.group)?.floor);
        await log.install(effect.checkpoint.bytes);
        await log.save({ note: encodeVoters((effect.checkpoint.voters ?? []).map(replicaOf)) });
      });
      return;
    case "read":
      read(driver, found, effect);
      return;
    case "selfCheck":
      void selfCheck(driver, found);
      return;
    case "repair":
      void repair(driver, found, effect.index);
      return;
  }
}

/** What of a message's batches fits the end of the log; the rest is named bad. */
export function receive({ log, state }: ReplicaGroup, message: Batches, hash: Hash): Batches {
  const restartAt = state && sourceOf(state)?.restartAt;
  if (restartAt !== undefined) return receiveBase(message, restartAt, hash);
  const [first] = message.batches;
  if (!first) return namedAt(message, log.end.index);
  if (first.index !== log.end.index) return message;
  const { group } = message;
  const batches: ReceivedBatch[] = [];
  let after = log.end;
  for (const { bytes } of message.batches) {
    const run = verifyStored(bytes, { after, group, hash });
    const [verified] = run.batches;
    if (!verified || run.refused) return { ...message, batches, bad: after.index };
    batches.push({ ...infoOf(verified.batch), bytes, verified });
    after = run.end;
  }
  return { ...message, batches };
}

/** One that is bad has no index to be named by, unless it follows another: it is the one that was to come. */
function namedAt(message: Batches, due: number): Batches {
  return message.bad === undefined ? message : { ...message, bad: due };
}

/** The checkpoint that a log begins anew with stands for all before it, wherever the own log ends: it has to fit itself. */
function receiveBase(message: Batches, restartAt: number, hash: Hash): Batches {
  const [first] = message.batches;
  if (!first) return namedAt(message, restartAt);
  const batch = readBatch(first.bytes, message.group, hash);
  const before = batch && checkpointPrefix(batch.payload);
  const isMeant = batch?.kind === BatchKind.checkpoint && batch.index === restartAt;
  if (!isMeant || !before || !digestFollows(batch, before.digest, hash)) {
    return { ...message, batches: [], bad: restartAt };
  }
  return { ...message, batches: [{ ...infoOf(batch), bytes: first.bytes }] };
}

/** Promises are kept, however long that takes: nothing that depends on them is said before. */
function save(driver: RaftDriver, found: ReplicaGroup, promised: Promised): void {
  const { group, log } = found;
  const { term, votedFor, floor } = promised;
  const vote = votedFor === null ? { term } : { term, votedFor: replicaOf(votedFor) };
  log.save({ vote, ...(isAbove(floor, log.floor) ? { floor } : {}) }).then(
    () => driver.feed({ kind: "group", group, input: { kind: "saved" } }),
    // Later ones may have found room meanwhile: what is promised by now holds all that this one did.
    (error: unknown) => retryOrFail(driver, error, () => save(driver, found, driver.core.group(group) ?? promised)),
  );
}

async function saveFloor(log: GroupLog, floor: LogFloor | undefined): Promise<void> {
  if (floor && isAbove(floor, log.floor)) await log.save({ floor });
}

function isAbove(a: LogFloor, b: LogFloor): boolean {
  return a.term > b.term || (a.term === b.term && a.index > b.index);
}

function appendControl(driver: RaftDriver, found: ReplicaGroup, effect: Extract<LogEffect, { kind: "append" }>): void {
  const { group, log, self } = found;
  const { term, batch } = effect;
  const isChange = batch.kind === "leaderChange";
  const kind = isChange ? BatchKind.leaderChange : BatchKind.voters;
  const voters = isChange ? undefined : batch.voters;
  const payload = voters ? encodeVoters(voters.map(replicaOf)) : encodeLeaderChange(replicaOf(self));
  const begun: NewBatch = {
    ...{ kind, payload, recordCount: 0 },
    ...(isChange ? { begins: { term, votedFor: replicaOf(self) } } : {}),
    ...(voters ? { note: payload } : {}),
    admit: () => {
      const state = driver.core.group(group);
      const leads = state?.role.kind === "leader" && state.term === term && (isChange || found.leadingTerm === term);
      if (!leads) throw new NotLeaderError(group, state?.leaderHint ?? null);
    },
    stamped: (index, _time, digest) => {
      if (isChange) found.leadingTerm = term;
      if (voters) found.placedVoters = { index, voters };
      const info = { index, term, digest, kind, ...(voters ? { voters } : {}) };
      driver.feedLater(group, { kind: "appended", batch: info });
    },
  };
  log.append(begun).catch((error: unknown) => {
    // Without its first batch a term commits nothing: another leader may have room.
    if (!(error instanceof NotLeaderError)) notTaken(driver, group, error, { kind: "cannotWrite" });
  });
}

function write(driver: RaftDriver, found: ReplicaGroup, effect: Extract<LogEffect, { kind: "write" }>): void {
  const { group, log } = found;
  const { generation } = effect;
  for (const batch of effect.batches) {
    if (!isReceived(batch)) {
      // The log refused what came just before, which the core will hear: this one fits nothing, and was not verified.
      driver.feedLater(group, { kind: "refused", generation });
      return;
    }
    const note = batch.voters ? { note: encodeVoters(batch.voters.map(replicaOf)) } : {};
    const { kind, index, payload } = batch.verified.batch;
    if (kind === BatchKind.trim) found.trimmed(index, decodeTrim(payload).baseIndex);
    log
      .appendStored(batch.verified, note)
      .catch((error: unknown) => notTaken(driver, group, error, { kind: "refused", generation }));
  }
}

/** The log takes a batch not, which the core hears. What else the disk says has ended the folder; the rest is a fault of ours. */
function notTaken(driver: RaftDriver, group: number, error: unknown, refusal: GroupInput): void {
  if (isRefusal(error)) driver.feed({ kind: "group", group, input: refusal });
  else if (!(error instanceof DiskError)) driver.broken(error);
  if (isDamaged(error)) driver.feed({ kind: "group", group, input: { kind: "damaged" } });
}

/** Changes the log otherwise than by appending. Damage that a change meets is mended first, and the change done again meanwhile. */
function change(driver: RaftDriver, found: ReplicaGroup, work: () => Promise<void>): void {
  found.changing += 1;
  const run = () => {
    work().then(
      () => driver.changed(found),
      (error: unknown) => {
        if (!isDamaged(error)) return retryOrFail(driver, error, run);
        driver.feed({ kind: "group", group: found.group, input: { kind: "damaged" } });
        driver.options.clock.after(retryMs, () => {
          if (isHere(driver, found)) run();
        });
      },
    );
  };
  run();
}

function read(driver: RaftDriver, found: ReplicaGroup, effect: Extract<LogEffect, { kind: "read" }>): void {
  const { group, log } = found;
  const { to, id, generation, from, below, maxBytes } = effect;
  const tell = (batches: readonly Batch[]) =>
    driver.feed({ kind: "group", group, input: { kind: "read", to, id, generation, batches } });
  log.read({ from: { index: from }, belowIndex: below, maxBytes, unsynced: true }).then(
    (batches) => tell(batches.map(coreBatch)),
    (error: unknown) => {
      if (error instanceof NoRoomError) driver.options.clock.after(retryMs, () => read(driver, found, effect));
      // What was to be read is not there any more: the core knows what comes instead.
      else tell([]);
      if (isBug(error)) driver.broken(error);
      if (isDamaged(error)) driver.feed({ kind: "group", group, input: { kind: "damaged" } });
    },
  );
}

/** Recomputes the chain; what can't be read for want of files is tried again. */
async function selfCheck(driver: RaftDriver, found: ReplicaGroup): Promise<void> {
  const { group, log } = found;
  try {
    const bad = await log.selfCheck();
    driver.feed({ kind: "group", group, input: { kind: "checked", badAt: bad?.index } });
  } catch (error) {
    retryOrFail(driver, error, () => void selfCheck(driver, found));
  }
}

/**
 * Mends the log with what another replica has stored there, until its chain is whole again. Asks one after the other, over
 * and over: nobody may have it now. Ends with the log, too.
 */
async function repair(driver: RaftDriver, found: ReplicaGroup, index: number): Promise<void> {
  const { group, log } = found;
  const others = () =>
    (driver.core.group(group)?.log.voters ?? []).map(nodeOf).filter((node) => node !== driver.options.node);
  const pause = () => new Promise<void>((resolve) => driver.options.clock.after(retryMs, resolve));
  let bad: number | undefined = index;
  let isWhole = true;
  for (let time = 0; bad !== undefined && isWhole && isHere(driver, found); time++) {
    const nodes = others();
    const node = nodes[time % Math.max(nodes.length, 1)];
    try {
      if (node === undefined) await pause();
      else {
        const { batches, baseIndex } = await driver.options.net.range(node, group, bad, rangeMaxBytes);
        if (baseIndex > bad && found.changing === 0) {
          // Nobody needs it any more: here, too, it goes with the trim, or when the log begins anew at the other's base.
          log.leaveDamage();
          isWhole = false;
        } else {
          await log.repair(bad, batches);
          bad = (await log.selfCheck())?.index;
        }
      }
    } catch (error) {
      // What another node sent may be anything, and is no fault of ours.
      const isOurs = error instanceof AssertionError;
      if (isOurs) driver.broken(error);
      if (isOurs || error instanceof DiskError) return;
      await pause();
    }
  }
  // A cut that met the damage is done again: the core has no more what that takes off.
  while (found.changing > 0 && isHere(driver, found)) await pause();
  const tell = async () => {
    if (!isHere(driver, found)) return;
    const digests = await digestsOf(driver, group, log);
    driver.feed({ kind: "group", group, input: { kind: "repaired", isWhole, ...digests } });
  };
  const run = () => void tell().catch((error: unknown) => retryOrFail(driver, error, run));
  run();
}

/** Whether the driver still has it: nothing comes of the log of one that is gone. */
function isHere(driver: RaftDriver, found: ReplicaGroup): boolean {
  return driver.group(found.group) === found && !driver.isStopped;
}

/** Digests of what a leader may compare; none, where they lie in what stays damaged until it goes. */
async function digestsOf(driver: RaftDriver, group: number, log: GroupLog) {
  const state = driver.core.group(group)?.log;
  const from = Math.max((state?.commit ?? 1) - 1, log.base.index);
  const digests: Uint8Array[] = [];
  try {
    for await (const header of log.headers(from)) digests.push(header.digest.slice());
  } catch (error) {
    if (!isDamaged(error)) throw error;
    log.leaveDamage();
    return { from: state?.end ?? from, digests: [] };
  }
  return { from, digests };
}

/** Want of room passes; whatever else the disk says has ended the folder, and with it the node. */
function retryOrFail(driver: RaftDriver, error: unknown, again: () => void): void {
  if (error instanceof NoRoomError) driver.options.clock.after(retryMs, again);
  // What a log that is gone, damaged or closing says is no fault of the driver's; anything else is.
  else if (!(error instanceof DiskError) && !(error instanceof TailraceError)) driver.broken(error);
}

function isRefusal(error: unknown): boolean {
  return error instanceof NoRoomError || error instanceof BatchRefusedError || error instanceof TailraceError;
}
