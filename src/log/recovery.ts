/**
 * Turns what the journal told into logs: reads each on from its mark where the stop was not clean.
 * @module
 */
import type { Disk } from "../host/disk.ts";
import type { Hash } from "../host/hash.ts";
import { batchHeader, digestBytes } from "./format.ts";
import type { JournalReplay, ReplayedGroup } from "./journal-replay.ts";
import { emptyTail, type LogState, logStateOf } from "./log-state.ts";
import { cutFiles } from "./segment-cut.ts";
import { listSegments, recoverSegments } from "./segment-recovery.ts";

/** A log that was found. */
export interface FoundLog {
  readonly state: LogState;
  readonly segments: readonly { firstIndex: number; sizeBytes: number }[];
  /** Its mark is another than the journal knows. */
  readonly moved: boolean;
  /** Journaled batches that followed nothing. */
  readonly dropped: number;
}

/** All logs, and what it took. */
export interface RecoveredLogs {
  readonly logs: readonly FoundLog[];
  readonly keptBytes: number;
  readonly cutBytes: number;
  readonly droppedBatches: number;
  readonly syncs: number;
}

/** What recovery works on. */
export interface RecoveryInput {
  readonly disk: Disk;
  readonly hash: Hash;
  readonly groupsFolder: string;
  readonly replayed: JournalReplay;
  /** Reads bytes of the ring. */
  readonly read: (ringPosition: number, bytes: number) => Promise<Uint8Array>;
  readonly clean: boolean;
  readonly progress?: (done: number, all: number) => void;
}

const atOnce = 16;

/** Recovers all groups, some at once: each costs a few calls that wait for the disk. */
export async function recoverLogs(input: RecoveryInput): Promise<RecoveredLogs> {
  const names = new Set((await input.disk.list(input.groupsFolder)) ?? []);
  const waiting = [...input.replayed.groups];
  const all = waiting.length;
  const logs: FoundLog[] = [];
  const sums = { keptBytes: 0, cutBytes: 0, droppedBatches: 0, syncs: 0 };
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [group, replayed] = next;
      const recovered = await recoverLog(input, group, replayed, names.has(String(group)));
      logs.push(recovered.found);
      sums.keptBytes += recovered.keptBytes;
      sums.cutBytes += recovered.cutBytes;
      sums.syncs += recovered.syncs;
      sums.droppedBatches += recovered.found.dropped;
      input.progress?.(logs.length, all);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { logs, ...sums };
}

async function recoverLog(input: RecoveryInput, group: number, replayed: ReplayedGroup, hasFolder: boolean) {
  const { disk, hash, clean } = input;
  const { state, tail, logNumber } = replayed;
  const folder = `${input.groupsFolder}/${group}/${logNumber}`;
  const known = { ...state, end: replayed.end };
  const flushed = state.mark.end.index > state.base.index;
  if (clean || !(hasFolder || state.placed || flushed)) {
    const of = { folder, mark: state.mark, baseIndex: state.base.index };
    if (hasFolder) await removeOtherLogs(disk, `${input.groupsFolder}/${group}`, logNumber);
    const { segments, damage, syncs } = flushed ? await listSegments(disk, of) : noSegments;
    const log = finish(logStateOf(group, logNumber, known, tail), replayed);
    log.damage ??= damage;
    const found = { state: log, segments, moved: false, dropped: strayed(log, replayed) };
    return { found, keptBytes: 0, cutBytes: 0, syncs };
  }
  const journaled = async (index: number) => {
    if (index < tail.startIndex || index >= tail.endIndex) return undefined;
    const header = await input.read(tail.entry(index).ringPosition, batchHeader.bytes);
    return header.slice(batchHeader.digestAt, batchHeader.digestAt + digestBytes);
  };
  await removeOtherLogs(disk, `${input.groupsFolder}/${group}`, logNumber);
  // Its files may be as they were before the cut, or partly so: what a redone cut finds done stays as it is. That a file
  // is missing is seen below.
  if (state.openCut) await cutFiles(disk, folder, state.openCut);
  const { mark, base } = state;
  const recovered = await recoverSegments(disk, hash, { group, folder, mark, baseIndex: base.index, journaled });
  const log = logStateOf(group, logNumber, { ...known, mark: recovered.mark }, tail);
  log.damage = recovered.damage;
  const moved = recovered.mark.end.index > state.mark.end.index;
  // What the segments have need not be in the tail; a tail that begins beyond them has lost what was between.
  if (moved) tail.dropBefore(recovered.mark.end.index);
  const { keptBytes, cutBytes, syncs, segments } = recovered;
  finish(log, replayed);
  const found = { state: log, segments, moved, dropped: strayed(log, replayed) };
  return { found, keptBytes, cutBytes, syncs };
}

/** Logs that another has replaced, or that were to replace it and never did. */
async function removeOtherLogs(disk: Disk, groupFolder: string, logNumber: number): Promise<void> {
  for (const name of (await disk.list(groupFolder)) ?? []) {
    if (/^\d+$/.test(name) && name !== String(logNumber)) await disk.remove(`${groupFolder}/${name}`);
  }
}

/** A tail that begins beyond the segments has lost what was between: only a flush that never was can have it. */
function checkTail(log: LogState): void {
  const { tail, flushed } = log;
  if (tail.startIndex === flushed.end.index) return;
  const [first, last] = [flushed.end.index, tail.startIndex - 1];
  log.damage ??= `the batches ${first} to ${last} are neither in its segments nor in the journal`;
  log.tail = emptyTail(flushed);
  log.durable = flushed.end;
  log.stamped = flushed.end;
}

/** How many journaled batches are in no log. */
function strayed(log: LogState, { strays }: ReplayedGroup): number {
  return strays.filter((index) => index >= log.durable.index).length;
}

const noSegments = { segments: [], damage: undefined, syncs: 0 };

/** Sets where the log ends: its tail's end, or its segments'. */
function finish(log: LogState, replayed: ReplayedGroup): LogState {
  const { end } = replayed.end.index > log.flushed.end.index ? replayed : log.flushed;
  log.durable = end;
  log.stamped = end;
  checkTail(log);
  return log;
}
