/**
 * Gives appends their places in a log, in order: a new batch is stamped, one that a leader stamped must fit.
 * @module
 */
import { assert } from "../base/assert.ts";
import { stampHeader } from "./batch-writer.ts";
import type { LogContext } from "./context.ts";
import { batchHeader, digestBytes, RecordKind, voteBody } from "./format.ts";
import type { FrameBuilder } from "./frame-writer.ts";
import { noteBytes, writeNote, writeVote } from "./group-state.ts";
import type { LogState } from "./log-state.ts";
import type { Pending } from "./pending.ts";
import type { Rolling } from "./rolling.ts";
import { BatchRefusedError, type VerifiedBatch } from "./stored-batch.ts";
import type { LogPosition } from "./types.ts";

/** Where a batch stands; `whole`: both in one, where they stand so. */
interface BatchBytes {
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
  readonly whole?: Uint8Array;
}

/** The places of one log. */
export class Placing {
  readonly #state: LogState;
  readonly #context: LogContext;
  readonly #rolling: Rolling;

  constructor(state: LogState, context: LogContext, rolling: Rolling) {
    this.#state = state;
    this.#context = context;
    this.#rolling = rolling;
  }

  /** Why a batch may not have the next place. */
  refusal({ batch, stored }: Pending): Error | undefined {
    const { stamped } = this.#state;
    if (stored) return this.misplaced(stored, stamped);
    try {
      batch.admit?.({ index: stamped.index, offset: stamped.offset });
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Why a stored batch is not for the place where a log ends. */
  misplaced(stored: VerifiedBatch, end: LogPosition): BatchRefusedError | undefined {
    if (stored.fits(end)) return undefined;
    const { index } = stored.batch;
    const why = end.index === index ? "the batch before it is another" : `the log ends at ${end.index}`;
    return new BatchRefusedError(this.#state.group, { index, why });
  }

  /** Whether a frame has room for a batch, and what goes with it. */
  fits(pending: Pending, frame: FrameBuilder): boolean {
    const vote = pending.batch.begins ? [voteBody.bytes] : [];
    const note = this.#noteOf(pending);
    return frame.fits(...vote, pending.bytes, ...(note ? [noteBytes(note)] : []));
  }

  /** Adds it to a frame, in the next place. */
  putInFrame(pending: Pending, frame: FrameBuilder): void {
    const { batch, bytes, stored } = pending;
    const { group, logNumber } = this.#state;
    if (batch.begins) {
      writeVote(frame.bytes, frame.add(RecordKind.vote, group, logNumber, voteBody.bytes), batch.begins);
    }
    const at = frame.add(pending.made ? RecordKind.made : RecordKind.batch, group, logNumber, bytes);
    pending.ringPosition = this.#context.journal.ringPosition(at);
    const whole = frame.bytes.subarray(at, at + bytes);
    whole.set(batch.payload, batchHeader.bytes);
    const header = whole.subarray(0, batchHeader.bytes);
    if (stored) header.set(stored.batch.header);
    this.#place(pending, { header, payload: whole.subarray(batchHeader.bytes), whole });
    const note = this.#noteOf(pending);
    if (note) writeNote(frame.bytes, frame.add(RecordKind.note, group, logNumber, noteBytes(note)), note);
  }

  /** Gives it the next place, for a write of its own. What is written is header, then payload: nothing is copied. */
  putAside(pending: Pending): readonly [header: Uint8Array, payload: Uint8Array] {
    const { payload } = pending.batch;
    const header = pending.stored?.batch.header ?? new Uint8Array(batchHeader.bytes);
    this.#place(pending, { header, payload });
    return [header, payload];
  }

  #noteOf({ made, batch }: Pending): Uint8Array | undefined {
    return made ? this.#state.note : batch.note;
  }

  #place(pending: Pending, bytes: BatchBytes): void {
    const { batch, stored } = pending;
    const { index, offset: baseOffset } = this.#state.stamped;
    const end = stored?.end ?? this.#stamp(pending, bytes);
    const { offset: nextOffset, appendTimeMicros, term, digest } = end;
    this.#state.stamped = end;
    pending.appended = { index, baseOffset, nextOffset, appendTimeMicros, term, digest };
    pending.header = bytes.header;
    this.#rolling.stamped({ kind: batch.kind, index, bytes: pending.bytes, appendTimeMicros });
    batch.stamped?.(index, appendTimeMicros, digest);
  }

  /** Writes its header: place, time and digest. Gives where the log ends behind it. */
  #stamp({ batch, made }: Pending, { header, payload, whole }: BatchBytes): LogPosition {
    const { clock, hash } = this.#context;
    const { group, stamped } = this.#state;
    // A clock that went back does not take the log with it.
    const nowMicros = made?.appendTimeMicros ?? clock.nowMicros();
    const appendTimeMicros = Math.max(nowMicros, stamped.appendTimeMicros);
    const term = batch.begins?.term ?? stamped.term;
    assert(term >= stamped.term, `group ${group} begins term ${term}, and is in ${stamped.term}`);
    const { index, offset: baseOffset } = stamped;
    const { kind, recordCount, producer } = batch;
    const place = { group, index, baseOffset, term, appendTimeMicros };
    const fields = { kind, recordCount, ...place, ...(producer ? { producer } : {}) };
    stampHeader(header, payload, fields, stamped.digest, hash, whole);
    const digest = header.slice(batchHeader.digestAt, batchHeader.digestAt + digestBytes);
    return { index: index + 1, offset: baseOffset + recordCount, appendTimeMicros, term, digest };
  }
}
