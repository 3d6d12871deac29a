import type { NoRoomError } from "../base/disk-errors.ts";
import { markBody, RecordKind } from "./format.ts";
import type { FrameBuilder } from "./frame-writer.ts";
import { writeMark } from "./group-state.ts";
import type { Contributor } from "./journal.ts";
import { markOf } from "./log-state.ts";
import type { FoundLog } from "./recovery.ts";

/** What the first frame after a start says: where logs end now, and where something was dropped. */
export class StartRecords implements Contributor {
  readonly #logs: FoundLog[];
  readonly #said: FoundLog[] = [];
  readonly #all: boolean;

  constructor(logs: readonly FoundLog[], all: boolean) {
    this.#logs = [...logs];
    this.#all = all;
  }

  contribute(frame: FrameBuilder): boolean {
    if (!this.#all) return true;
    for (let found = this.#logs[0]; found; found = this.#logs[0]) {
      const { state, dropped } = found;
      if (!frame.fits(markBody.bytes, markBody.bytes, 0)) return false;
      const mark = markOf(state);
      if (found.moved) {
        writeMark(frame.bytes, frame.add(RecordKind.mark, state.group, state.logNumber, markBody.bytes), mark);
      }
      if (state.openCut) frame.add(RecordKind.cutDone, state.group, state.logNumber, 0);
      if (dropped > 0) {
        const at = frame.add(RecordKind.cut, state.group, state.logNumber, markBody.bytes);
        writeMark(frame.bytes, at, { ...mark, end: state.durable });
      }
      this.#logs.shift();
      this.#said.push(found);
    }
    return true;
  }

  written(): void {
    for (const { state } of this.#said) state.openCut = undefined;
  }

  refused(error: NoRoomError): void {
    throw error;
  }
}
