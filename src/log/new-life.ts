/**
 * A group whose log was lost on this disk begins again, as another replica: an empty log with batch 0 made anew, whose life
 * counts one more. What its replica promised stays: it was promised by this disk.
 * @module
 */
import { assert } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import { putU32 } from "../base/bytes.ts";
import type { NoRoomError } from "../base/disk-errors.ts";
import type { Hash } from "../host/hash.ts";
import { checkpointPayload, stampHeader } from "./batch-writer.ts";
import { batchHeader, digestBytes, floorBody, lifeBody, noteMaxBytes, RecordKind, voteBody } from "./format.ts";
import type { FrameBuilder } from "./frame-writer.ts";
import { logBeginning, noteBytes, writeFloor, writeNote, writeVote } from "./group-state.ts";
import type { Contributor, Journal } from "./journal.ts";
import { type LogState, logStateOf } from "./log-state.ts";
import { Tail } from "./tail.ts";
import type { LogPosition, NewGroup } from "./types.ts";

/** Writes the records of a new life: together, or a start would find some of them. */
export class NewLife implements Contributor {
  readonly urgent = true;
  readonly repeats = true;
  readonly #old: LogState;
  readonly #group: NewGroup;
  readonly #journal: Journal;
  readonly #settle: { begun(state: LogState): void; refused(error: NoRoomError): void };
  readonly #batch0: Uint8Array;
  readonly #end: LogPosition;
  #ringPosition = 0;

  /**
   * @param old The log that was lost.
   * @param settle `begun`: told in the turn in which the new one is durable, before any snapshot.
   */
  constructor(
    old: LogState,
    group: NewGroup,
    on: { journal: Journal; hash: Hash },
    settle: { begun(state: LogState): void; refused(error: NoRoomError): void },
  ) {
    assert(group.note.length <= noteMaxBytes, `the note of group ${group.group} is too long`);
    this.#old = old;
    this.#group = group;
    this.#journal = on.journal;
    this.#settle = settle;
    [this.#batch0, this.#end] = firstBatch(group, on.hash);
  }

  contribute(frame: FrameBuilder): boolean {
    const { group, note } = this.#group;
    const { vote, floor, life, logNumber } = this.#old;
    const bodies = [this.#batch0.length, lifeBody.bytes, voteBody.bytes, floorBody.bytes, noteBytes(note)];
    if (!frame.fits(...bodies)) return false;
    // Another number than the lost log has: its files, and what the ring holds of it, are no more called for.
    const add = (kind: RecordKind, bytes: number) => frame.add(kind, group, logNumber + 1, bytes);
    const at = add(RecordKind.made, this.#batch0.length);
    frame.bytes.set(this.#batch0, at);
    this.#ringPosition = this.#journal.ringPosition(at);
    const lifeAt = add(RecordKind.life, lifeBody.bytes);
    frame.bytes.fill(0, lifeAt, lifeAt + lifeBody.bytes);
    putU32(frame.bytes, lifeAt + lifeBody.lifeAt, life + 1);
    writeVote(frame.bytes, add(RecordKind.vote, voteBody.bytes), vote);
    writeFloor(frame.bytes, add(RecordKind.floor, floorBody.bytes), floor);
    writeNote(frame.bytes, add(RecordKind.note, noteBytes(note)), note);
    return true;
  }

  written(): void {
    const { group, startOffset, note } = this.#group;
    const { vote, floor, life, logNumber } = this.#old;
    const start = logBeginning(startOffset);
    const mark = { end: start, segment: 0, position: 0, commitIndex: 0 };
    const base = { index: 0, offset: startOffset };
    const tail = new Tail(0);
    const groupState = { vote, life: life + 1, floor, base, placed: false, mark, end: this.#end, note };
    const state = logStateOf(group, logNumber + 1, { ...groupState, openCut: undefined }, tail);
    const { appendTimeMicros } = this.#end;
    const [ringPosition, bytes] = [this.#ringPosition, this.#batch0.length];
    tail.push({ ringPosition, bytes, baseOffset: startOffset, appendTimeMicros, kind: BatchKind.checkpoint });
    state.durable = this.#end;
    state.stamped = this.#end;
    this.#settle.begun(state);
  }

  refused(error: NoRoomError): void {
    this.#settle.refused(error);
  }
}

/** Batch 0 of a group, whole, and where it ends. */
function firstBatch(
  { group, checkpointState, startOffset, appendTimeMicros }: NewGroup,
  hash: Hash,
): [bytes: Uint8Array, end: LogPosition] {
  const { digest: before } = logBeginning(startOffset);
  const payload = checkpointPayload(0, before, checkpointState);
  const bytes = new Uint8Array(batchHeader.bytes + payload.length);
  bytes.set(payload, batchHeader.bytes);
  const place = { index: 0, baseOffset: startOffset, recordCount: 0, term: 0, appendTimeMicros };
  stampHeader(bytes, payload, { kind: BatchKind.checkpoint, group, ...place }, before, hash);
  const digest = bytes.slice(batchHeader.digestAt, batchHeader.digestAt + digestBytes);
  return [bytes, { index: 1, offset: startOffset, appendTimeMicros, term: 0, digest }];
}
