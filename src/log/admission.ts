import { limitPassed, TailraceError } from "../base/errors.ts";
import type { LogContext } from "./context.ts";
import { batchMaxBytes, frameHeader, markBody, noteBody, noteMaxBytes, voteBody } from "./format.ts";
import { recordBytes } from "./frame-writer.ts";
import type { LogState } from "./log-state.ts";
import type { LogSettings } from "./settings.ts";

/** Why a batch is not taken now; nothing of it was written. */
export function appendRefusal(
  state: LogState,
  context: LogContext,
  batch: { bytes: number; journaled: boolean; frees: boolean },
): Error | undefined {
  const { counters, settings } = context;
  const { bytes } = batch;
  if (state.damage !== undefined) return damagedLog(state, "append to", state.damage);
  if (bytes > batchMaxBytes) {
    const limit = { name: "stored_batch_max_bytes", value: batchMaxBytes, actual: bytes };
    return limitPassed("Cannot append the batch", limit, "Append fewer or smaller records at once");
  }
  const journaledMaxBytes = frameRoom(settings);
  if (batch.journaled && bytes > journaledMaxBytes) {
    const limit = { name: "journaled_batch_max_bytes", value: journaledMaxBytes, actual: bytes };
    return limitPassed("Cannot append the batch", limit, "Make it smaller, or give the journal larger files");
  }
  if (counters.gatheredBytes + bytes > settings.appendQueueMaxBytes) {
    const limit = { name: "append_queue_max_bytes", value: settings.appendQueueMaxBytes };
    return limitPassed("Cannot append now", limit, "Append again in a moment", { retryAfterMs: 100 });
  }
  return context.refusal(batch.frees);
}

/** What a frame takes of a batch that must be journaled: beside it stand a mark, its vote and its note. */
function frameRoom({ frameMaxBytes }: LogSettings): number {
  const beside = [markBody.bytes, voteBody.bytes, noteBody.noteAt + noteMaxBytes, 0].map(recordBytes);
  return beside.reduce((room, bytes) => room - bytes, frameMaxBytes - frameHeader.bytes);
}

/** The refusal of what can't be done to a damaged log: to append to it, or to move its newest batches. */
export function damagedLog({ group, durable }: LogState, act: string, why: string): TailraceError {
  const what = `Cannot ${act} the log of stream ${group}`;
  const todo = "Reads go on up to the damage; stop the node and run tailrace repair on its data folder";
  return new TailraceError("damaged", { what, why, todo }, { streamId: group, nextOffset: durable.offset });
}
