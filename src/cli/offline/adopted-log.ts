import type { DiskReads } from "../../host/disk.ts";
import type { Hash } from "../../host/hash.ts";
import { readHeader } from "../../log/batch-reader.ts";
import { batchHeader, parseSegmentName, segmentName } from "../../log/format.ts";
import { logBeginning } from "../../log/group-state.ts";
import type { KnownLog } from "./known-log.ts";

/**
 * A log of which a damaged journal says nothing, as its files tell of it: from the first of them on, as far as batches
 * follow. `undefined`: there are none, or the first does not begin with a batch.
 */
export async function adoptedLog(
  disk: DiskReads,
  path: string,
  group: number,
  hash: Hash,
): Promise<KnownLog | undefined> {
  const numbers = ((await disk.list(`${path}/groups/${group}`)) ?? []).filter((name) => /^\d+$/.test(name)).map(Number);
  const logNumber = Math.max(0, ...numbers);
  const folder = `${path}/groups/${group}/${logNumber}`;
  const indexes = ((await disk.list(folder)) ?? []).map(parseSegmentName).filter((index) => index !== undefined);
  const [first] = indexes.sort((a, b) => a - b);
  if (first === undefined) return undefined;
  const file = await disk.open(`${folder}/${segmentName(first)}`, { create: false });
  const bytes = new Uint8Array(batchHeader.bytes);
  const read = (await file?.read(bytes, 0)) ?? 0;
  await file?.close();
  const header = readHeader(bytes.subarray(0, read), group, hash);
  if (!header) return undefined;
  const base = { index: first, offset: header.baseOffset };
  const mark = { end: { ...logBeginning(base.offset), index: first }, segment: first, position: 0, commitIndex: first };
  return { group, logNumber, base, mark, isCutOpen: false, journaled: { endIndex: 0, at: async () => [] } };
}
