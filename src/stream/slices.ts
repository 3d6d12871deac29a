/**
 * Turns offsets into batches: which of a log's batches a read gets, and which records of each were asked for.
 * @module
 */
import type { LogDoor } from "../replica/log-door.ts";
import type { BatchSlice, ReadRequest, ReadResult } from "./types.ts";

/** Reads once. `request.startOffset` is within the log. Control batches cost a reader nothing who did not ask for them. */
export async function readSlices(door: LogDoor, request: ReadRequest): Promise<ReadResult> {
  const { startOffset, startIndex, endOffset, maxRecords, maxBytes, controlBatches } = request;
  const { index: belowIndex, offset: highWatermark } = door.commit;
  const end = Math.min(endOffset ?? highWatermark, highWatermark);
  const isOver = controlBatches ? startOffset > end || startOffset === endOffset : startOffset >= end;
  const batches: BatchSlice[] = [];
  let nextOffset = startOffset;
  let recordsLeft = maxRecords ?? Number.POSITIVE_INFINITY;
  if (isOver || recordsLeft === 0) return { batches, nextOffset };

  let from: { index: number } | { offset: number } =
    startIndex === undefined ? { offset: startOffset } : { index: startIndex };
  while (batches.length === 0 && ("offset" in from || from.index < belowIndex)) {
    const stored = await door.read({ from, belowIndex, maxBytes });
    for (const batch of stored) {
      if (batch.recordCount === 0) {
        if (endOffset !== undefined && batch.baseOffset >= endOffset) return { batches, nextOffset };
        if (controlBatches) batches.push({ batch, skip: 0, take: 0 });
        continue;
      }
      if (batch.baseOffset >= end) return { batches, nextOffset };
      const skip = Math.max(nextOffset - batch.baseOffset, 0);
      const take = Math.min(batch.recordCount - skip, end - batch.baseOffset - skip, recordsLeft);
      if (take <= 0) continue;
      batches.push({ batch, skip, take });
      nextOffset = batch.baseOffset + skip + take;
      recordsLeft -= take;
      if (recordsLeft === 0) return { batches, nextOffset };
    }
    const last = stored.at(-1);
    if (last === undefined) break;
    // All of it was control batches that nobody asked for: records may still come.
    from = { index: last.index + 1 };
  }
  return { batches, nextOffset };
}
