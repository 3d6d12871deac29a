/**
 * What changes a log other than by appending: cutting off a suffix, dropping a prefix, beginning it anew.
 * Each has its record in the journal, which is the commit point; the files follow it.
 * @module
 */
import { assert, present } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import type { Disk } from "../host/disk.ts";
import { readBatch } from "./batch-reader.ts";
import type { LogContext } from "./context.ts";
import { baseBody, logBody, markBody, RecordKind, recordHeader, segmentName } from "./format.ts";
import { type Mark, writeBase, writeLogBegin, writeMark } from "./group-state.ts";
import type { LogReader } from "./log-reader.ts";
import type { LogState } from "./log-state.ts";
import { cutFiles } from "./segment-cut.ts";
import type { Segments } from "./segments.ts";
import { Tail } from "./tail.ts";
import type { LogPosition } from "./types.ts";
import { writeRecord } from "./urgent-record.ts";

/** What a change works on. The log is quiet meanwhile: nothing is on its way, and nothing begins. */
export interface ChangedLog {
  readonly state: LogState;
  readonly segments: Segments;
  readonly reader: LogReader;
  readonly context: LogContext;
}

/**
 * Cuts off all batches from `index` on. Within the tail that is one record. Into segments: the record is synced, then
 * files are shortened (never zeroed) and synced, then `cut done` is synced; only then is anything written to them again.
 */
export async function cutLog(log: ChangedLog, index: number): Promise<void> {
  const { state, segments, reader, context } = log;
  assert(index > state.base.index, `group ${state.group} is cut to ${index}, and begins at ${state.base.index}`);
  assert(index >= state.committed, `group ${state.group} is cut to ${index}, below its commit index`);
  if (index >= state.durable.index) return;
  const end = await positionBefore(reader, index);
  const inTail = index >= state.tail.startIndex;
  const place = inTail ? state.flushed : { ...(await segments.placeAfter(index - 1)), commitIndex: state.committed };
  const mark: Mark = { ...place, end };
  await writeRecord(context, state.group, {
    fits: (frame) => frame.fits(markBody.bytes),
    add: (frame) => {
      const flags = inTail ? 0 : recordHeader.cutsSegments;
      writeMark(frame.bytes, frame.add(RecordKind.cut, state.group, state.logNumber, markBody.bytes, flags), mark);
    },
    written: () => {
      state.durable = end;
      state.stamped = end;
      if (inTail) {
        state.tail.dropFrom(index);
        return;
      }
      state.tail = new Tail(index);
      state.flushed = mark;
      state.openCut = mark;
      // A mark that waits tells of what is cut off: it would lead.
      context.dropMark(state.group);
    },
  });
  if (inTail) return;
  await segments.cutTo(mark);
  try {
    await finishCut(log);
  } catch (error) {
    // The log is cut: what is left to do is done before anything is written to its segments, or by recovery.
    if (!(error instanceof NoRoomError)) throw error;
  }
}

/**
 * Ends a damaged log where what is whole of it from the base on ends in its segments, whatever was committed: the loss was
 * accepted by who owns the data.
 */
export async function cutDamagedLog({ state, segments, context }: Omit<ChangedLog, "reader">, to: Mark): Promise<void> {
  const { end } = to;
  assert(
    end.index > state.base.index,
    `group ${state.group} is cut to ${end.index}, and begins at ${state.base.index}`,
  );
  const mark: Mark = { ...to, commitIndex: Math.min(end.index, state.committed) };
  await writeRecord(context, state.group, {
    fits: (frame) => frame.fits(markBody.bytes),
    add: (frame) => {
      const at = frame.add(RecordKind.cut, state.group, state.logNumber, markBody.bytes, recordHeader.cutsSegments);
      writeMark(frame.bytes, at, mark);
    },
    written: () => {
      state.durable = end;
      state.stamped = end;
      state.tail = new Tail(end.index);
      state.flushed = mark;
      state.openCut = mark;
      state.committed = mark.commitIndex;
      if (state.commit.index > end.index) state.commit = { index: end.index, offset: end.offset };
      state.damage = undefined;
      context.dropMark(state.group);
    },
  });
  await segments.cutTo(mark);
  await finishCut({ state, segments, context });
}

/** Lets the files follow a cut that the journal has, and tells it so. @throws {NoRoomError} */
export async function finishCut({ state, segments, context }: Omit<ChangedLog, "reader">): Promise<void> {
  const place = state.openCut;
  if (!place) return;
  const isThere = await cutFiles(context.disk, segments.folder, place);
  if (!isThere) throw new DiskError(`${segments.folder} has no file that begins at ${place.segment}, where a cut ends`);
  context.counters.syncs.other += 1;
  context.counters.syncs.folder += 1;
  await writeRecord(context, state.group, {
    fits: (frame) => frame.fits(0),
    add: (frame) => {
      frame.add(RecordKind.cutDone, state.group, state.logNumber, 0);
    },
    written: () => {
      state.openCut = undefined;
    },
  });
}

/** Moves the base to a committed checkpoint with which a segment begins, then drops the files below it. */
export async function dropLogBefore(log: ChangedLog, checkpointIndex: number): Promise<void> {
  const { state, segments, reader, context } = log;
  assert(checkpointIndex < state.committed, `the checkpoint at ${checkpointIndex} is not committed`);
  if (checkpointIndex <= state.base.index) return;
  const segment = segments.beginningAt(checkpointIndex);
  // What damage took is told from a place where none ever began.
  if (!segment) await reader.read({ from: { index: checkpointIndex }, belowIndex: checkpointIndex + 1, maxBytes: 1 });
  assert(segment !== undefined, `no segment of group ${state.group} begins at ${checkpointIndex}`);
  const base = { index: checkpointIndex, offset: (await segment.first()).baseOffset };
  await writeRecord(context, state.group, {
    fits: (frame) => frame.fits(baseBody.bytes),
    add: (frame) => {
      writeBase(frame.bytes, frame.add(RecordKind.base, state.group, state.logNumber, baseBody.bytes), base);
    },
    written: () => {
      state.base = base;
      if (state.commit.index < base.index) state.commit = base;
    },
  });
  await segments.dropBefore(checkpointIndex);
}

/** Begins the log anew with a stored checkpoint: beside the old one, put in its place by one record; the old one goes. */
export async function installLog(log: ChangedLog, checkpoint: Uint8Array): Promise<void> {
  const { state, segments, context } = log;
  const { disk, hash, groupsFolder, folderSyncs, counters } = context;
  const batch = readBatch(checkpoint, state.group, hash);
  assert(batch?.kind === BatchKind.checkpoint, `what group ${state.group} was to begin with is no checkpoint of it`);
  const logNumber = state.logNumber + 1;
  const folder = `${groupsFolder}/${state.group}/${logNumber}`;
  // One that was begun and not finished may have left its file.
  await disk.remove(folder);
  await disk.makeFolder(folder);
  await writeFile(disk, `${folder}/${segmentName(batch.index)}`, checkpoint);
  counters.syncs.other += 1;
  await folderSyncs.sync(folder);
  await folderSyncs.sync(`${groupsFolder}/${state.group}`);
  await folderSyncs.sync(groupsFolder);
  const end: LogPosition = {
    index: batch.index + 1,
    offset: batch.baseOffset,
    appendTimeMicros: batch.appendTimeMicros,
    term: batch.term,
    digest: batch.digest.slice(),
  };
  const base = { index: batch.index, offset: batch.baseOffset };
  const mark: Mark = { end, segment: batch.index, position: checkpoint.length, commitIndex: end.index };
  const oldFolder = segments.folder;
  await writeRecord(context, state.group, {
    fits: (frame) => frame.fits(logBody.bytes),
    add: (frame) => {
      writeLogBegin(frame.bytes, frame.add(RecordKind.log, state.group, logNumber, logBody.bytes), base, mark);
    },
    written: () => {
      state.logNumber = logNumber;
      state.base = base;
      state.flushed = mark;
      state.openCut = undefined;
      state.placed = true;
      state.tail = new Tail(end.index);
      state.durable = end;
      state.stamped = end;
      state.commit = { index: end.index, offset: end.offset };
      state.committed = end.index;
      state.damage = undefined;
      segments.restart(folder, [{ firstIndex: batch.index, sizeBytes: checkpoint.length }]);
      context.dropMark(state.group);
    },
  });
  await context.handles.closeBelow(oldFolder);
  await disk.remove(oldFolder);
  // Who opened a file in between would keep its room taken.
  await context.handles.closeBelow(oldFolder);
}

/** Makes a file that holds this, and syncs it. @throws {NoRoomError} */
async function writeFile(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const file = present(await disk.open(path, { create: true }), `${path} could not be made`);
  try {
    await file.write([bytes], 0);
    await file.truncate(bytes.length);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Where the log ends before `index`. */
async function positionBefore(reader: LogReader, index: number): Promise<LogPosition> {
  const [before] = await reader.read({ from: { index: index - 1 }, belowIndex: index, maxBytes: 1 });
  const batch = present(before, `batch ${index - 1} is not there`);
  return {
    index,
    offset: batch.baseOffset + batch.recordCount,
    appendTimeMicros: batch.appendTimeMicros,
    term: batch.term,
    digest: batch.digest.slice(),
  };
}
