import type { LogState } from "./log-state.ts";
import type { Segments } from "./segments.ts";
import type { SegmentSize } from "./types.ts";

/**
 * The segments of a log from its base on, in order: those that are synced, and those that what is journaled will be when
 * it is flushed. Together they are all that is durable, each batch once, whatever is on its way.
 */
export function segmentSizes({ base, flushed, tail }: LogState, segments: Segments): SegmentSize[] {
  const sizes = segments
    .sizes()
    .filter(({ firstIndex }) => firstIndex >= base.index && firstIndex < flushed.segment)
    .map(({ firstIndex, sizeBytes }) => ({ firstIndex, sizeBytes }));
  if (flushed.position > 0) sizes.push({ firstIndex: flushed.segment, sizeBytes: flushed.position });
  const { checkpoints } = tail;
  const last = sizes.at(-1);
  if (last) last.sizeBytes += tail.bytesBetween(tail.startIndex, checkpoints[0] ?? tail.endIndex);
  for (const [at, firstIndex] of checkpoints.entries()) {
    sizes.push({ firstIndex, sizeBytes: tail.bytesBetween(firstIndex, checkpoints[at + 1] ?? tail.endIndex) });
  }
  return sizes;
}
