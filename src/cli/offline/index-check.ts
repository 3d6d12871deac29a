import type { DiskReads } from "../../host/disk.ts";
import type { Hash } from "../../host/hash.ts";
import { SegmentIndex } from "../../log/segment-index.ts";
import type { Finding } from "./finding.ts";

/** The segment whose index file is looked at. */
export interface IndexedSegment {
  /** Path within the data folder. */
  readonly name: string;
  readonly group: number;
  readonly first: number;
  readonly sizeBytes: number;
}

/**
 * Compares a segment's index file with what its batches say. Whatever is wrong with it, it is a cache.
 * @param expected Of all batches of the segment that are whole.
 */
export async function findingOfIndex(
  { disk, hash, path }: { disk: DiskReads; hash: Hash; path: string },
  segment: IndexedSegment,
  expected: SegmentIndex,
): Promise<Finding | undefined> {
  const { name, group, first, sizeBytes } = segment;
  const indexName = name.replace(/\.log$/, ".index");
  const file = await disk.open(`${path}/${indexName}`, { create: false });
  if (!file) return undefined;
  const bytes = new Uint8Array(await file.size());
  await file.read(bytes, 0);
  await file.close();
  const note = (what: string): Finding => ({ kind: "note", file: indexName, position: 0, group, what });
  const of = { group, segment: first, storeBytes: sizeBytes };
  const index = SegmentIndex.fromFile(bytes, of, hash);
  if (!index) return note("the index is not whole, or of another version: it is made anew");
  const isPart = index.isPartOf(expected);
  return isPart ? undefined : note("the index tells of other batches than its segment has");
}
