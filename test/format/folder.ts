/**
 * A data folder in a log's daily life, for tests that compare its bytes with what the log says: several groups, small and
 * large batches, segments that end soon, a ring that is soon full.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { BatchKind, type ProducerStamp } from "../../src/base/batch.ts";
import { systemClock } from "../../src/host/clock.ts";
import { systemHash } from "../../src/host/hash.ts";
import { nodeDisk } from "../../src/host/node-disk.ts";
import { systemRandom } from "../../src/host/random.ts";
import { openDataFolder } from "../../src/log/data-folder.ts";
import type { AppendedBatch, DataFolder, GroupLog, NewGroup } from "../../src/log/types.ts";
import type { Seeded } from "../support/seeded.ts";

/** A batch as reader.py prints it. */
export interface BatchLine {
  readonly group: number;
  readonly index: number;
  readonly kind: number;
  readonly base_offset: number;
  readonly records: number;
  readonly term: number;
  readonly time: number;
  readonly digest: string;
  /** Id, epoch and sequence. */
  readonly producer: string | null;
  readonly payload_sha256: string;
}

/** Opens a folder with the smallest ring there is. */
export function openSmall(path: string): Promise<DataFolder> {
  return openDataFolder({
    path,
    disk: nodeDisk(),
    clock: systemClock,
    hash: systemHash,
    random: systemRandom,
    settings: { journalFileBytes: 1 << 20, journalFiles: 2, arenaBytes: 1 << 20 },
  });
}

const removedEarly = 2;
const removedLate = 40;
const renewed = 500;
/** Its log was let go: nothing is left of it but its life. */
const letGo = 501;
const groups = [1, removedEarly, 3, removedLate, renewed, letGo, 9007199254740];

/** The logs of a folder, made where they are missing, each with a new term and ready for appends. */
export function openLogs(folder: DataFolder, random: Seeded): GroupLog[] {
  return groups.map((group) => {
    const log = folder.log(group) ?? makeLog(folder, group, random);
    log.rollBy({ maxBytes: random.between(1, 8) * 20_000, maxAgeMicros: 1e12 }, (index) => bytesOf(`state ${index}`));
    const term = Math.max(log.vote.term, log.durableEnd.term) + 1;
    const begins = { term, votedFor: { diskId: folder.diskId, life: 0 } };
    void log.append({ kind: BatchKind.leaderChange, payload: bytesOf("me"), recordCount: 0, begins });
    return log;
  });
}

function makeLog(folder: DataFolder, group: number, random: Seeded): GroupLog {
  const { log, made } = folder.create(newGroup(group, random));
  void made;
  return log;
}

function newGroup(group: number, random: Seeded): NewGroup {
  return {
    group,
    checkpointState: bytesOf("state 0"),
    startOffset: random.between(0, 1) * 1_000_000,
    appendTimeMicros: systemClock.nowMicros(),
    note: bytesOf("voters of some length".slice(0, random.between(0, 21))),
  };
}

/** Appends a batch of random size to a random log: mostly small, some beyond what is journaled, in a row now and then. */
export function appendSomething(
  logs: readonly GroupLog[],
  random: Seeded,
): { group: number; appended: Promise<AppendedBatch> } {
  // Half of all go to one log, so that its tail and its rounds grow.
  const log = logs[Math.max(random.between(1 - logs.length, logs.length - 1), 0)];
  if (!log) throw new Error("no logs");
  const large = random.between(0, 80) === 0;
  const payload = random.bytes(large ? random.between(50_000, 100_000) : random.between(0, 1500));
  const appended = log.append({ kind: BatchKind.records, payload, recordCount: random.between(1, 9) });
  return { group: log.group, appended };
}

/** Appends so many batches, 24 at a time. */
export async function appendMuch(logs: readonly GroupLog[], random: Seeded, count: number): Promise<void> {
  let left = count;
  const work = async () => {
    while (left-- > 0) await appendSomething(logs, random).appended;
  };
  await Promise.all(Array.from({ length: 24 }, work));
}

/** An open folder that has lived a while: cleanly stopped once, its ring used anew, groups removed, one made again, one in a new life, one let go. */
export async function livedFolder(data: string, random: Seeded): Promise<{ folder: DataFolder; logs: GroupLog[] }> {
  const first = await openSmall(data);
  await appendMuch(openLogs(first, random), random, 500);
  await first.remove(removedEarly);
  await first.close();
  const folder = await openSmall(data);
  await folder.renew(newGroup(renewed, random));
  const all = openLogs(folder, random);
  await appendMuch(all, random, 2400);
  await folder.remove(removedLate);
  await folder.renew(newGroup(letGo, random), "it is wanted no more");
  const logs = all.filter(({ group }) => group !== removedLate && group !== letGo);
  await appendMuch(logs, random, 100);
  const { frameBytes, ringBytesMax } = folder.metrics;
  assert.ok(frameBytes > ringBytesMax, "no file of the ring was used again");
  return { folder, logs };
}

/** All that the logs of a folder hold. */
export async function whatLogsSay(folder: DataFolder): Promise<BatchLine[]> {
  const lines: BatchLine[] = [];
  for (const group of [...folder.groups()].sort((a, b) => a - b)) {
    const log = folder.log(group);
    if (!log) throw new Error(`group ${group} is gone`);
    let next = log.base.index;
    while (next < log.durableEnd.index) {
      const batches = await log.read({ from: { index: next }, belowIndex: log.durableEnd.index, maxBytes: 1 << 20 });
      if (batches.length === 0) throw new Error(`group ${group} has no batch ${next}`);
      for (const batch of batches) {
        lines.push({
          group,
          index: batch.index,
          kind: batch.kind,
          base_offset: batch.baseOffset,
          records: batch.recordCount,
          term: batch.term,
          time: batch.appendTimeMicros,
          digest: Buffer.from(batch.digest).toString("hex"),
          producer: batch.producer ? lineOf(batch.producer) : null,
          payload_sha256: createHash("sha256").update(batch.payload).digest("hex"),
        });
        next = batch.index + 1;
      }
    }
  }
  return lines;
}

function lineOf({ id, epoch, sequence }: ProducerStamp): string {
  return `${Buffer.from(id).toString("hex")} ${epoch} ${sequence}`;
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
