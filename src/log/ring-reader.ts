import type { Journal } from "./journal.ts";
import type { TailEntry } from "./tail.ts";

/** Entries that stand closer than this are read by one call. */
const gapBytes = 4096;
const windowBytes = 256 << 10;

/**
 * Copies batches out of the ring, one behind the other: from memory, or from its files in as few calls as their places
 * allow.
 * @param into As long as all of them together.
 */
export async function readRing(
  journal: Journal,
  entries: readonly Pick<TailEntry, "ringPosition" | "bytes">[],
  into: Uint8Array,
): Promise<void> {
  let at = 0;
  for (let i = 0; i < entries.length; ) {
    const first = entries[i];
    if (!first) break;
    const inMemory = journal.bytesAt(first.ringPosition, first.bytes);
    if (inMemory) {
      into.set(inMemory, at);
      at += first.bytes;
      i += 1;
      continue;
    }
    let end = first.ringPosition + first.bytes;
    let next = i + 1;
    for (let entry = entries[next]; entry; entry = entries[next]) {
      const gap = entry.ringPosition - end;
      const near = gap >= 0 && gap <= gapBytes && entry.ringPosition + entry.bytes - first.ringPosition <= windowBytes;
      if (!near || journal.slotOf(entry.ringPosition) !== journal.slotOf(first.ringPosition)) break;
      end = entry.ringPosition + entry.bytes;
      next += 1;
    }
    const window = await journal.read(first.ringPosition, end - first.ringPosition);
    for (const entry of entries.slice(i, next)) {
      const from = entry.ringPosition - first.ringPosition;
      into.set(window.subarray(from, from + entry.bytes), at);
      at += entry.bytes;
    }
    i = next;
  }
}
