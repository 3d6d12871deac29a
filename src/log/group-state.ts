/**
 * What the journal keeps of a group beside its batches, and how records say it (docs/format.md, "Journal records").
 * @module
 */
import { allZero, getU64, putU32, putU64, viewOf } from "../base/bytes.ts";
import { digestBytes, markBody, stateBody, voteBody } from "./format.ts";
import type { LogPosition, Replica, Vote } from "./types.ts";

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
  readonly floor: { readonly term: number; readonly index: number };
  readonly base: { readonly index: number; readonly offset: number };
  readonly placed: boolean;
  readonly mark: Mark;
  /** Batches from here on that older frames hold were dropped. */
  readonly endIndex: number;
  readonly note: Uint8Array;
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

/** Length of a group's state record's body. */
export function stateBytes(state: GroupState): number {
  return stateBody.bytes + state.note.length;
}

export function writeState(into: Uint8Array, at: number, state: GroupState): void {
  into.fill(0, at, at + stateBody.bytes);
  putU32(into, at + stateBody.flagsAt, state.placed ? stateBody.placed : 0);
  putU32(into, at + stateBody.lifeAt, state.life);
  writeVote(into, at + stateBody.voteAt, state.vote);
  putU64(into, at + stateBody.floorTermAt, state.floor.term);
  putU64(into, at + stateBody.floorIndexAt, state.floor.index);
  putU64(into, at + stateBody.baseIndexAt, state.base.index);
  putU64(into, at + stateBody.baseOffsetAt, state.base.offset);
  putU64(into, at + stateBody.endAt, state.endIndex);
  writeMark(into, at + stateBody.markAt, state.mark);
  putU32(into, at + stateBody.noteBytesAt, state.note.length);
  into.set(state.note, at + stateBody.noteAt);
}

/** The state that a record says, and whether it has an open cut. */
export function readState(body: Uint8Array): GroupState & { openCut: boolean } {
  const view = viewOf(body);
  const flags = view.getUint32(stateBody.flagsAt, true);
  const noteBytes = view.getUint32(stateBody.noteBytesAt, true);
  return {
    vote: readVote(body.subarray(stateBody.voteAt, stateBody.voteAt + voteBody.bytes)),
    life: view.getUint32(stateBody.lifeAt, true),
    floor: { term: getU64(view, stateBody.floorTermAt), index: getU64(view, stateBody.floorIndexAt) },
    base: { index: getU64(view, stateBody.baseIndexAt), offset: getU64(view, stateBody.baseOffsetAt) },
    placed: (flags & stateBody.placed) !== 0,
    openCut: (flags & stateBody.openCut) !== 0,
    mark: readMark(body.subarray(stateBody.markAt, stateBody.markAt + markBody.bytes)),
    endIndex: getU64(view, stateBody.endAt),
    note: body.slice(stateBody.noteAt, stateBody.noteAt + noteBytes),
  };
}
