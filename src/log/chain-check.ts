import { present } from "../base/assert.ts";
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { sameBytes } from "../base/bytes.ts";
import { checkpointPrefix, digestFollows } from "./batch-reader.ts";
import type { LogContext } from "./context.ts";
import type { LogReader } from "./log-reader.ts";
import type { LogState } from "./log-state.ts";
import { isDamage } from "./segment.ts";

/** So much is read at once. */
const pieceBytes = 1 << 20;

/**
 * Reads a log again from a checkpoint on, every byte, and computes its chain of digests anew: up to the end that is known
 * apart from the bytes. Gives the first batch that is not what it was; `undefined`: all are.
 */
export async function firstUnfit(
  { state, reader, context }: { state: LogState; reader: LogReader; context: LogContext },
  checkpointIndex: number,
): Promise<number | undefined> {
  const { index: end, digest: endDigest } = state.durable;
  let before: Uint8Array | undefined;
  for (let next = checkpointIndex; next < end; ) {
    const batches = await readOrNothing(reader, next, end);
    if (batches.length === 0) return next;
    for (const batch of batches) {
      const previous = before ?? saidBefore(batch);
      if (batch.index !== next || !previous || !digestFollows(batch, previous, context.hash)) return next;
      before = batch.digest.slice();
      next += 1;
    }
  }
  return sameBytes(present(before, "a log without a batch"), endDigest) ? undefined : end - 1;
}

/** Batches from an index on; none: the first of them is damaged. */
async function readOrNothing(reader: LogReader, index: number, belowIndex: number): Promise<StoredBatch[]> {
  try {
    return await reader.read({ from: { index }, belowIndex, maxBytes: pieceBytes });
  } catch (error) {
    if (!isDamage(error)) throw error;
    return [];
  }
}

/** What the checkpoint that it begins with says of the batch before. */
function saidBefore({ kind, payload }: StoredBatch): Uint8Array | undefined {
  return kind === BatchKind.checkpoint ? checkpointPrefix(payload)?.digest : undefined;
}
