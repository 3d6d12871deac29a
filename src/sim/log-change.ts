/**
 * Changes of a log other than appends, drawn for a run.
 * @module
 */
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import type { Hash } from "../host/hash.ts";
import { readBatch } from "../log/batch-reader.ts";
import { checkpointPayload, stampHeader } from "../log/batch-writer.ts";
import { batchHeader } from "../log/format.ts";
import type { GroupLog } from "../log/types.ts";
import { type Change, type GroupModel, must } from "./log-model.ts";
import type { SimRandom } from "./random.ts";

/** What may be done to a log now; `undefined`: what was drawn does not fit it. */
export function changeOf(
  random: SimRandom,
  model: GroupModel,
  log: GroupLog,
  nowMicros: number,
  hash: Hash,
): Change | undefined {
  const kind = random.pick<Change["kind"]>(["cut", "cut", "cut", "drop", "install"]);
  if (kind === "cut") return model.isCuttable ? cutOf(random, log) : undefined;
  if (kind === "drop") return dropOf(random, model, log);
  const copied = random.chance(0.3) ? random.pick([undefined, ...model.batches]) : undefined;
  const checkpoint = copied?.kind === BatchKind.checkpoint ? copied : newCheckpoint(random, log, nowMicros, hash);
  return { kind, checkpoint };
}

/** Makes it. */
export async function makeChange(log: GroupLog, change: Change): Promise<void> {
  switch (change.kind) {
    case "cut":
      await log.cut(change.index);
      return;
    case "drop":
      await log.dropBefore(change.checkpointIndex);
      return;
    case "install": {
      const { header, payload } = change.checkpoint;
      const bytes = new Uint8Array(header.length + payload.length);
      bytes.set(header);
      bytes.set(payload, header.length);
      await log.install(bytes);
    }
  }
}

/** Index that it is about. */
export function placeOf(change: Change): number {
  switch (change.kind) {
    case "cut":
      return change.index;
    case "drop":
      return change.checkpointIndex;
    case "install":
      return change.checkpoint.index;
  }
}

/** At any place above the base and what is committed; often a short one. */
function cutOf(random: SimRandom, log: GroupLog): Change | undefined {
  const least = Math.max(log.base.index + 1, log.commit.index);
  const { index: end } = log.durableEnd;
  if (least >= end) return undefined;
  const index = random.chance(0.5) ? random.between(least, end - 1) : end - random.skewed(1, end - least);
  return { kind: "cut", index };
}

function dropOf(random: SimRandom, model: GroupModel, log: GroupLog): Change | undefined {
  const isFit = ({ kind, index }: StoredBatch) => kind === BatchKind.checkpoint && index < log.commit.index;
  const [first, ...rest] = model.batches.filter(isFit);
  return first && { kind: "drop", checkpointIndex: random.pick([first, ...rest]).index };
}

/** One that another replica's log may have, some way on. */
function newCheckpoint(random: SimRandom, log: GroupLog, nowMicros: number, hash: Hash): StoredBatch {
  const { group, durableEnd } = log;
  const term = Math.max(durableEnd.term, log.vote.term);
  const [digest, before] = [random.bytes(32), random.bytes(32)];
  const payload = checkpointPayload(term, digest, random.bytes(random.skewed(0, 2000)));
  const header = new Uint8Array(batchHeader.bytes);
  const stamp = {
    ...{ kind: BatchKind.checkpoint, group, term, recordCount: 0 },
    index: durableEnd.index + random.between(0, 30),
    baseOffset: durableEnd.offset + random.between(0, 100),
    appendTimeMicros: Math.max(nowMicros, durableEnd.appendTimeMicros),
  };
  stampHeader(header, payload, stamp, before, hash);
  const bytes = new Uint8Array(header.length + payload.length);
  bytes.set(header);
  bytes.set(payload, header.length);
  const batch = readBatch(bytes, group, hash);
  must(batch !== undefined, `the checkpoint that was made for group ${group} is none`);
  return batch;
}
