/**
 * What the journal keeps of a group beside its batches, and how records say it (docs/format.md, "Journal records").
 * @module
 */
import { allZero, getU64, putU32, putU64, roundUp, viewOf } from "../base/bytes.ts";
import { newerVersion } from "./batch-reader.ts";
import {
  baseBody,
  digestBytes,
  floorBody,
  logBody,
  markBody,
  noteBody,
  positionBody,
  stateBody,
  voteBody,
} from "./format.ts";
import type { Floor, LogPosition, Replica, Vote } from "./types.ts";

/** A group's segments are synced up to here. It may lag, it never leads. */
export interface Mark {
  readonly end: LogPosition;
  /** First index of the segment that ends here. */
  readonly segment: number;
  /** Position in that segment's file. */
  readonly position: number;
  readonly commitIndex: number;
}

/** All that a snapshot says of a group. */
export interface GroupState {
  readonly vote: Vote;
  readonly life: number;
  readonly floor: Floor;
  readonly base: { readonly index: number; readonly offset: number };
  readonly placed: boolean;
  readonly mark: Mark;
  /** Where the journaled batches end: what older frames hold beyond it was dropped, and what follows comes later. */
  readonly end: LogPosition;
  readonly note: Uint8Array;
  /** A cut into the segments whose files may not have been cut yet. */
  readonly openCut: Mark | undefined;
}

/** Where every log begins. */
export function logBeginning(startOffset: number): LogPosition {
  return { index: 0, offset: startOffset, appendTimeMicros: 0, term: 0, digest: new Uint8Array(digestBytes) };
}

export function writeMark(into: Uint8Array, at: number, mark: Mark): void {
  putU64(into, at + markBody.endAt, mark.end.index);
  putU64(into, at + markBody.segmentAt, mark.segment);
  putU64(into, at + markBody.positionAt, mark.position);
  putU64(into, at + markBody.nextOffsetAt, mark.end.offset);
  putU64(into, at + markBody.appendTimeAt, mark.end.appendTimeMicros);
  putU64(into, at + markBody.termAt, mark.end.term);
  putU64(into, at + markBody.commitAt, mark.commitIndex);
  into.set(mark.end.digest, at + markBody.digestAt);
}

export function readMark(body: Uint8Array): Mark {
  const view = viewOf(body);
  return {
    end: {
      index: getU64(view, markBody.endAt),
      offset: getU64(view, markBody.nextOffsetAt),
      appendTimeMicros: getU64(view, markBody.appendTimeAt),
      term: getU64(view, markBody.termAt),
      digest: body.slice(markBody.digestAt, markBody.digestAt + digestBytes),
    },
    segment: getU64(view, markBody.segmentAt),
    position: getU64(view, markBody.positionAt),
    commitIndex: getU64(view, markBody.commitAt),
  };
}

/** A log's first batch, and its offset. */
type Base = GroupState["base"];

export function writeBase(into: Uint8Array, at: number, base: Base): void {
  putU64(into, at + baseBody.indexAt, base.index);
  putU64(into, at + baseBody.offsetAt, base.offset);
}

export function readBase(body: Uint8Array): Base {
  const view = viewOf(body);
  return { index: getU64(view, baseBody.indexAt), offset: getU64(view, baseBody.offsetAt) };
}

export function writeLogBegin(into: Uint8Array, at: number, base: Base, mark: Mark): void {
  writeMark(into, at + logBody.markAt, mark);
  writeBase(into, at + logBody.baseAt, base);
}

export function readLogBegin(body: Uint8Array): { base: Base; mark: Mark } {
  return { mark: readMark(body.subarray(logBody.markAt)), base: readBase(body.subarray(logBody.baseAt)) };
}

export function writeVote(into: Uint8Array, at: number, vote: Vote): void {
  into.fill(0, at, at + voteBody.bytes);
  putU64(into, at + voteBody.termAt, vote.term);
  if (!vote.votedFor) return;
  into.set(vote.votedFor.diskId, at + voteBody.diskIdAt);
  putU32(into, at + voteBody.lifeAt, vote.votedFor.life);
}

export function readVote(body: Uint8Array): Vote {
  const view = viewOf(body);
  const term = getU64(view, voteBody.termAt);
  const diskId = body.slice(voteBody.diskIdAt, voteBody.diskIdAt + 16);
  if (allZero(diskId)) return { term };
  const votedFor: Replica = { diskId, life: view.getUint32(voteBody.lifeAt, true) };
  return { term, votedFor };
}

function writePosition(into: Uint8Array, at: number, position: LogPosition): void {
  putU64(into, at + positionBody.indexAt, position.index);
  putU64(into, at + positionBody.offsetAt, position.offset);
  putU64(into, at + positionBody.timeAt, position.appendTimeMicros);
  putU64(into, at + positionBody.termAt, position.term);
  into.set(position.digest, at + positionBody.digestAt);
}

function readPosition(body: Uint8Array): LogPosition {
  const view = viewOf(body);
  return {
    index: getU64(view, positionBody.indexAt),
    offset: getU64(view, positionBody.offsetAt),
    appendTimeMicros: getU64(view, positionBody.timeAt),
    term: getU64(view, positionBody.termAt),
    digest: body.slice(positionBody.digestAt, positionBody.digestAt + digestBytes),
  };
}

/** Length of a group's state record's body. */
export function stateBytes(state: GroupState): number {
  const { note, openCut } = state;
  return openCut ? openCutAt(note.length) + markBody.bytes : stateBody.bytes + note.length;
}

/** Where an open cut stands in a state record. */
function openCutAt(noteLength: number): number {
  return roundUp(stateBody.noteAt + noteLength, 8);
}

export function writeState(into: Uint8Array, at: number, state: GroupState): void {
  into.fill(0, at, at + stateBytes(state));
  const flags = (state.placed ? stateBody.placed : 0) | (state.openCut ? stateBody.openCut : 0);
  putU32(into, at + stateBody.flagsAt, flags);
  putU32(into, at + stateBody.lifeAt, state.life);
  writeVote(into, at + stateBody.voteAt, state.vote);
  writeFloor(into, at + stateBody.floorAt, state.floor);
  writeBase(into, at + stateBody.baseAt, state.base);
  writeMark(into, at + stateBody.markAt, state.mark);
  writePosition(into, at + stateBody.endAt, state.end);
  putU32(into, at + stateBody.noteBytesAt, state.note.length);
  into.set(state.note, at + stateBody.noteAt);
  if (state.openCut) writeMark(into, at + openCutAt(state.note.length), state.openCut);
}

/** The state that a record says. @throws {DataFolderError} It has flags that only a newer tailrace knows. */
export function readState(body: Uint8Array): GroupState {
  const view = viewOf(body);
  const flags = view.getUint32(stateBody.flagsAt, true);
  if ((flags & ~(stateBody.placed | stateBody.openCut)) !== 0) {
    throw newerVersion(`A state in the journal with the flags ${flags}`);
  }
  const noteBytes = view.getUint32(stateBody.noteBytesAt, true);
  return {
    vote: readVote(body.subarray(stateBody.voteAt)),
    life: view.getUint32(stateBody.lifeAt, true),
    floor: readFloor(body.subarray(stateBody.floorAt)),
    base: readBase(body.subarray(stateBody.baseAt)),
    placed: (flags & stateBody.placed) !== 0,
    openCut: (flags & stateBody.openCut) !== 0 ? readMark(body.subarray(openCutAt(noteBytes))) : undefined,
    mark: readMark(body.subarray(stateBody.markAt)),
    end: readPosition(body.subarray(stateBody.endAt)),
    note: body.slice(stateBody.noteAt, stateBody.noteAt + noteBytes),
  };
}

export function writeFloor(into: Uint8Array, at: number, floor: Floor): void {
  putU64(into, at + floorBody.termAt, floor.term);
  putU64(into, at + floorBody.indexAt, floor.index);
}

export function readFloor(body: Uint8Array): Floor {
  const view = viewOf(body);
  return { term: getU64(view, floorBody.termAt), index: getU64(view, floorBody.indexAt) };
}

/** Length of a note record's body. */
export function noteBytes(note: Uint8Array): number {
  return noteBody.noteAt + note.length;
}

export function writeNote(into: Uint8Array, at: number, note: Uint8Array): void {
  putU32(into, at + noteBody.bytesAt, note.length);
  into.set(note, at + noteBody.noteAt);
}

export function readNote(body: Uint8Array): Uint8Array {
  const bytes = viewOf(body).getUint32(noteBody.bytesAt, true);
  return body.slice(noteBody.noteAt, noteBody.noteAt + bytes);
}
