/**
 * Rebuilds what the journal knows of each group, record by record.
 * @module
 */
import { present } from "../base/assert.ts";
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { viewOf } from "../base/bytes.ts";
import type { Hash } from "../host/hash.ts";
import { batchBytes, digestFollows, newerVersion, readBatch } from "./batch-reader.ts";
import { FrameKind, RecordKind } from "./format.ts";
import type { Frame, FrameRecord } from "./frame-reader.ts";
import { type GroupState, logBeginning, type Mark, readMark, readState, readVote } from "./group-state.ts";
import { Tail } from "./tail.ts";
import type { LogPosition } from "./types.ts";

/** A group as the journal tells of it. */
export interface ReplayedGroup {
  readonly logNumber: number;
  state: Omit<GroupState, "endIndex">;
  readonly tail: Tail;
  /** Where what the journal knows ends: its tail, or its mark. */
  end: LogPosition;
  /** Indexes of journaled batches that followed nothing; those below a mark were moved to segments from older files. */
  strays: number[];
}

type PlacedRecord = FrameRecord & { ringPosition: number };

/** The groups, as far as the frames were applied. */
export class JournalReplay {
  readonly groups = new Map<number, ReplayedGroup>();
  readonly #hash: Hash;

  constructor(hash: Hash) {
    this.#hash = hash;
  }

  /** Applies a frame. @throws {DataFolderError} It says what only a newer tailrace does. */
  apply(frame: Frame, records: Iterable<PlacedRecord>): void {
    const named = new Set<number>();
    for (const record of records) {
      named.add(record.group);
      if (record.kind === RecordKind.made) this.#made(record);
      else if (record.kind === RecordKind.state) this.#state(record);
      else this.#change(record);
    }
    if (frame.kind === FrameKind.frame) return;
    // A snapshot names every group: what it does not name is gone.
    for (const group of this.groups.keys()) if (!named.has(group)) this.groups.delete(group);
  }

  #made(record: PlacedRecord): void {
    const batch = this.#batchIn(record);
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
    };
    const group: ReplayedGroup = { logNumber: record.logNumber, state, tail, end: start, strays: [] };
    this.groups.set(record.group, group);
    push(group, batch, record.ringPosition);
  }

  #state(record: PlacedRecord): void {
    const { openCut, endIndex, ...state } = readState(record.body);
    if (openCut) throw notBuilt("an open cut", record);
    const known = this.groups.get(record.group);
    if (!known) {
      const tail = new Tail(state.mark.end.index);
      this.groups.set(record.group, { logNumber: record.logNumber, state, tail, end: state.mark.end, strays: [] });
      return;
    }
    known.state = state;
    if (endIndex < known.tail.endIndex && endIndex >= known.tail.startIndex) known.tail.dropFrom(endIndex);
    marked(known);
  }

  #change(record: PlacedRecord): void {
    const group = this.groups.get(record.group);
    if (group?.logNumber !== record.logNumber) return;
    switch (record.kind) {
      case RecordKind.batch:
        this.#batch(group, record);
        return;
      case RecordKind.vote:
        group.state = { ...group.state, vote: readVote(record.body) };
        return;
      case RecordKind.note: {
        const bytes = viewOf(record.body).getUint32(0, true);
        group.state = { ...group.state, note: record.body.slice(4, 4 + bytes) };
        return;
      }
      case RecordKind.mark:
        group.state = { ...group.state, mark: readMark(record.body) };
        marked(group);
        return;
      case RecordKind.placed:
        group.state = { ...group.state, placed: true };
        return;
      case RecordKind.cut: {
        const { end } = readMark(record.body);
        if (end.index < group.state.mark.end.index) throw notBuilt("a cut into segments", record);
        if (end.index < group.tail.endIndex) group.tail.dropFrom(end.index);
        group.end = end;
        return;
      }
      case RecordKind.gone:
        this.groups.delete(record.group);
        return;
      default:
        throw notBuilt(`a record of kind ${record.kind}`, record);
    }
  }

  #batch(group: ReplayedGroup, record: PlacedRecord): void {
    const batch = this.#batchIn(record);
    const { tail } = group;
    if (batch.index < tail.startIndex) return;
    if (batch.index < tail.endIndex) {
      // A copy of what is known has only moved; it is never something new.
      tail.move(batch.index, record.ringPosition);
      return;
    }
    if (batch.index === group.end.index && digestFollows(batch, group.end.digest, this.#hash)) {
      push(group, batch, record.ringPosition);
    } else group.strays.push(batch.index);
  }

  #batchIn(record: PlacedRecord): StoredBatch {
    const batch = readBatch(record.body, record.group, this.#hash);
    return present(batch, `the journal has a whole frame with a bad batch of group ${record.group}`);
  }
}

function push(group: ReplayedGroup, batch: StoredBatch, ringPosition: number): void {
  group.tail.push({
    ringPosition,
    bytes: batchBytes(batch),
    baseOffset: batch.baseOffset,
    appendTimeMicros: batch.appendTimeMicros,
    checkpoint: batch.kind === BatchKind.checkpoint,
  });
  group.end = {
    index: batch.index + 1,
    offset: batch.baseOffset + batch.recordCount,
    appendTimeMicros: batch.appendTimeMicros,
    term: batch.term,
    digest: batch.digest.slice(),
  };
}

/** The mark has moved: what is below it is in segments. */
function marked(group: ReplayedGroup): void {
  const { end } = group.state.mark;
  if (end.index > group.tail.startIndex) group.tail.dropBefore(end.index);
  if (end.index >= group.end.index) group.end = end;
  if (group.strays.length > 0) group.strays = group.strays.filter((index) => index >= end.index);
}

function notBuilt(what: string, record: PlacedRecord) {
  return newerVersion(`The journal's ${what} (group ${record.group})`);
}
