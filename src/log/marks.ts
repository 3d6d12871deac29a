/**
 * The marks, and the places, that the journal is still to be told: they go with the next frame, or soon in one of their own.
 * @module
 */
import { markBody, RecordKind } from "./format.ts";
import type { FrameBuilder } from "./frame-writer.ts";
import { writeMark } from "./group-state.ts";
import { isPlaced, type LogState, markOf } from "./log-state.ts";

/** Marks of all logs of a folder. */
export class Marks {
  readonly #stateOf: (group: number) => LogState | undefined;
  /** Groups whose mark moved since it was written. */
  readonly #waiting = new Set<number>();
  /** Groups whose mark, or place, is in the frame that is on its way. */
  #inFrame: number[] = [];
  #placesInFrame: number[] = [];

  constructor(stateOf: (group: number) => LogState | undefined) {
    this.#stateOf = stateOf;
  }

  /** Whether some wait. */
  get wait(): boolean {
    return this.#waiting.size > 0;
  }

  /** A log's mark moved. */
  add(group: number): void {
    this.#waiting.add(group);
  }

  /** A log's mark that waits is true no more. */
  drop(group: number): void {
    this.#waiting.delete(group);
    this.#inFrame = this.#inFrame.filter((waiting) => waiting !== group);
  }

  /** A log is gone: another that has its group's name now has places of its own. */
  forget(group: number): void {
    this.drop(group);
    this.#placesInFrame = this.#placesInFrame.filter((placed) => placed !== group);
  }

  /** Adds those that wait, as far as they fit. */
  write(frame: FrameBuilder): void {
    this.#placesInFrame = [];
    for (const group of this.#waiting) {
      const state = this.#stateOf(group);
      if (!state || state.placed || !isPlaced(state)) continue;
      if (!frame.fits(0)) return;
      frame.add(RecordKind.placed, group, state.logNumber, 0);
      this.#placesInFrame.push(group);
    }
    for (const group of this.#waiting) {
      // What does not fit now may lag: the segments are read on from the mark before.
      if (!this.writeOne(group, frame)) return;
    }
  }

  /** Adds the mark of a group if it waits; false: it does not fit. */
  writeOne(group: number, frame: FrameBuilder): boolean {
    if (!this.#waiting.has(group)) return true;
    const state = this.#stateOf(group);
    if (state) {
      if (!frame.fits(markBody.bytes)) return false;
      const at = frame.add(RecordKind.mark, group, state.logNumber, markBody.bytes);
      writeMark(frame.bytes, at, markOf(state));
    }
    this.#waiting.delete(group);
    this.#inFrame.push(group);
    return true;
  }

  /** The frame that they were added to is on the disk. */
  written(): void {
    for (const group of this.#placesInFrame) {
      const state = this.#stateOf(group);
      if (state) state.placed = true;
    }
    this.#inFrame = [];
  }

  /** The frame that they were added to was not written. */
  refused(): void {
    // A batch that is journaled later may follow what such a mark tells of: it must come before that batch.
    for (const group of this.#inFrame) this.#waiting.add(group);
    this.#inFrame = [];
    this.#placesInFrame = [];
  }
}
