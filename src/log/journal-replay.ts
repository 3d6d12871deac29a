/**
 * Rebuilds what the journal knows of each group, record by record.
 * @module
 */
import { present } from "../base/assert.ts";
import type { BatchHeader } from "../base/batch.ts";
import { viewOf } from "../base/bytes.ts";
import type { Hash } from "../host/hash.ts";
import { batchBytes, digestInFrameFollows, newerVersion, readHeaderInFrame } from "./batch-reader.ts";
import { FrameKind, lifeBody, RecordKind, recordHeader } from "./format.ts";
import { type Frame, type FrameRecord, recordsOf } from "./frame-reader.ts";
import {
  type GroupState,
  logBeginning,
  type Mark,
  readBase,
  readFloor,
  readLogBegin,
  readMark,
  readNote,
  readState,
  readVote,
} from "./group-state.ts";
import { Tail } from "./tail.ts";
import type { LogPosition } from "./types.ts";

/** A group as the journal tells of it. */
export interface ReplayedGroup {
  logNumber: number;
  state: Omit<GroupState, "end">;
  tail: Tail;
  /** Where what the journal knows ends: its tail, or its mark. */
  end: LogPosition;
  /** Where it ends by a snapshot, while the copies of a tail that is carried in some frames are not all there yet. */
  awaited: LogPosition | undefined;
  /** Indexes of journaled batches that followed nothing; those below a mark were moved to segments from older files. */
  strays: number[];
}

/** The groups, as far as the frames were applied. */
export class JournalReplay {
  readonly groups = new Map<number, ReplayedGroup>();
  readonly #hash: Hash;

  constructor(hash: Hash) {
    this.#hash = hash;
  }

  /** All frames were applied: a tail of which a part never came is none. */
  finish(): void {
    for (const group of this.groups.values()) {
      if (!group.awaited) continue;
      group.end = group.awaited;
      group.tail = new Tail(group.end.index);
      group.awaited = undefined;
    }
  }

  /**
   * Applies a frame, whose position is the one in the ring.
   * @param records Those of its records that are to count, with positions in the ring; all by default.
   * @throws {DataFolderError} It says what only a newer tailrace does.
   */
  apply(frame: Frame, records: Iterable<FrameRecord> = recordsOf(frame)): void {
    const named = frame.kind === FrameKind.frame ? undefined : new Set<number>();
    for (const record of records) {
      named?.add(record.group);
      if (record.kind === RecordKind.made) this.#made(record);
      else if (record.kind === RecordKind.state) this.#state(record);
      else this.#change(record);
    }
    if (!named) return;
    // A snapshot names every group: what it does not name is gone.
    for (const group of this.groups.keys()) if (!named.has(group)) this.groups.delete(group);
  }

  #made(record: FrameRecord): void {
    const batch = batchIn(record);
    const start = logBeginning(batch.baseOffset);
    const tail = new Tail(0);
    const mark: Mark = { end: start, segment: 0, position: 0, commitIndex: 0 };
    const state = {
      vote: { term: 0 },
      life: 0,
      floor: { term: 0, index: 0 },
      base: { index: 0, offset: batch.baseOffset },
      placed: false,
      mark,
      note: new Uint8Array(0),
      openCut: undefined,
    };
    const { logNumber } = record;
    const group: ReplayedGroup = { logNumber, state, tail, end: start, awaited: undefined, strays: [] };
    this.groups.set(record.group, group);
    push(group, batch, record.position);
  }

  #state(record: FrameRecord): void {
    const { end, ...state } = readState(record.body);
    const known = this.groups.get(record.group);
    if (known?.logNumber === record.logNumber) {
      known.state = state;
      marked(known);
      if (known.end.index === end.index) return;
      if (isCarriedInPart(known)) {
        known.awaited = end;
        return;
      }
    }
    // What is in no frame any more, from the mark to here, was flushed: its mark comes later, or the segments tell.
    const [tail, { logNumber }] = [new Tail(end.index), record];
    this.groups.set(record.group, { logNumber, state, tail, end, awaited: undefined, strays: known?.strays ?? [] });
  }

  #change(record: FrameRecord): void {
    const group = this.groups.get(record.group);
    const flags = record.flags & ~(recordHeader.carried | recordHeader.cutsSegments);
    if (flags !== 0) throw newerVersion(`A journal record of kind ${record.kind} with the flags ${record.flags}`);
    if (!group) return;
    if (record.kind === RecordKind.gone) this.groups.delete(record.group);
    else if (record.kind === RecordKind.log) begin(group, record);
    else if (!promised(group, record) && group.logNumber === record.logNumber) this.#changeLog(group, record);
  }

  /** What is said of a log that another has replaced is over. */
  #changeLog(group: ReplayedGroup, record: FrameRecord): void {
    switch (record.kind) {
      case RecordKind.batch:
        this.#batch(group, record);
        return;
      case RecordKind.mark:
        group.state = { ...group.state, mark: readMark(record.body) };
        marked(group);
        return;
      case RecordKind.placed:
        group.state = { ...group.state, placed: true };
        return;
      case RecordKind.cut:
        cut(group, readMark(record.body), (record.flags & recordHeader.cutsSegments) !== 0);
        return;
      case RecordKind.cutDone:
        group.state = { ...group.state, openCut: undefined };
        return;
      case RecordKind.base:
        group.state = { ...group.state, base: readBase(record.body) };
        return;
      default:
        throw newerVersion(`A journal record of kind ${record.kind}, out of its place,`);
    }
  }

  #batch(group: ReplayedGroup, record: FrameRecord): void {
    const batch = batchIn(record);
    const isCarried = (record.flags & recordHeader.carried) !== 0;
    if (isCarried && batch.index === group.state.mark.end.index && batch.index < group.tail.startIndex) {
      // A tail is carried whole, from the mark on: where older files are gone it begins with the copy.
      group.tail = new Tail(batch.index);
      group.end = group.state.mark.end;
    }
    const { tail } = group;
    if (batch.index < tail.startIndex) return;
    if (batch.index < tail.endIndex) {
      // A copy of what is known has only moved; it is never something new.
      tail.move(batch.index, record.position);
      return;
    }
    const isNext = batch.index === group.end.index;
    if (isNext && digestInFrameFollows(record.body, batch, group.end.digest, this.#hash)) {
      push(group, batch, record.position);
    } else group.strays.push(batch.index);
  }
}

function batchIn({ body, group }: FrameRecord): BatchHeader {
  const batch = readHeaderInFrame(body, group);
  return present(batch, `the journal has a whole frame with a bad batch of group ${group}`);
}

/** Takes what the replica promised, whichever log it had then; false: the record is of something else. */
function promised(group: ReplayedGroup, { kind, body }: FrameRecord): boolean {
  switch (kind) {
    case RecordKind.vote:
      group.state = { ...group.state, vote: readVote(body) };
      return true;
    case RecordKind.life:
      group.state = { ...group.state, life: viewOf(body).getUint32(lifeBody.lifeAt, true) };
      return true;
    case RecordKind.floor:
      group.state = { ...group.state, floor: readFloor(body) };
      return true;
    case RecordKind.note:
      group.state = { ...group.state, note: readNote(body) };
      return true;
    default:
      return false;
  }
}

function push(group: ReplayedGroup, batch: BatchHeader, ringPosition: number): void {
  group.tail.push({
    ringPosition,
    bytes: batchBytes(batch),
    baseOffset: batch.baseOffset,
    appendTimeMicros: batch.appendTimeMicros,
    kind: batch.kind,
  });
  group.end = {
    index: batch.index + 1,
    offset: batch.baseOffset + batch.recordCount,
    appendTimeMicros: batch.appendTimeMicros,
    term: batch.term,
    digest: batch.digest.slice(),
  };
  if (group.awaited && group.end.index >= group.awaited.index) group.awaited = undefined;
}

/** A snapshot that says of more was written between two frames that a tail is carried in: the rest follows. */
function isCarriedInPart({ tail, state }: ReplayedGroup): boolean {
  return tail.count > 0 && tail.startIndex === state.mark.end.index;
}

/** All from a place on is cut off; where that place is in segments the files must follow. */
function cut(group: ReplayedGroup, mark: Mark, intoSegments: boolean): void {
  group.end = mark.end;
  group.awaited = undefined;
  // What followed nothing is cut off for good.
  group.strays = [];
  if (!intoSegments) {
    // What was below this place may be in no frame any more, and be carried to a later one.
    if (mark.end.index < group.tail.startIndex) group.tail = new Tail(mark.end.index);
    else if (mark.end.index < group.tail.endIndex) group.tail.dropFrom(mark.end.index);
    return;
  }
  group.tail = new Tail(mark.end.index);
  group.state = { ...group.state, mark, openCut: mark };
}

/** Another log takes the place of the one that was. */
function begin(group: ReplayedGroup, record: FrameRecord): void {
  const { base, mark } = readLogBegin(record.body);
  group.logNumber = record.logNumber;
  group.tail = new Tail(mark.end.index);
  group.end = mark.end;
  group.awaited = undefined;
  group.strays = [];
  group.state = { ...group.state, base, mark, placed: true, openCut: undefined };
}

/** The mark has moved: what is below it is in segments. */
function marked(group: ReplayedGroup): void {
  const { end } = group.state.mark;
  if (end.index > group.tail.startIndex) group.tail.dropBefore(end.index);
  if (end.index >= group.end.index) group.end = end;
  if (group.awaited && end.index >= group.awaited.index) group.awaited = undefined;
  if (group.strays.length > 0) group.strays = group.strays.filter((index) => index >= end.index);
}
