/**
 * Moves what is kept of logs' tails to their segments, for a journal that is written anew.
 * @module
 */
import { present } from "../../base/assert.ts";
import { BatchKind } from "../../base/batch.ts";
import type { Disk, DiskFile } from "../../host/disk.ts";
import type { Hash } from "../../host/hash.ts";
import { batchBytes } from "../../log/batch-reader.ts";
import { segmentName } from "../../log/format.ts";
import type { Mark } from "../../log/group-state.ts";
import type { JournaledBatch } from "./known-log.ts";
import type { LogPlan } from "./repair-plan.ts";
import { endAfter, whyNotAfter } from "./standing.ts";

/** Bytes that are written by one call. */
const roundBytes = 1 << 20;

/**
 * Writes the batches between what a plan keeps in segments and its end behind the former, durably. What is there already,
 * from a repair that was cut short, is written over with the same bytes. Gives where the segments end now.
 */
export async function flushTail(disk: Disk, path: string, hash: Hash, plan: LogPlan): Promise<Mark | undefined> {
  const { log, end, inSegments } = plan;
  if (!end) return undefined;
  const { group, logNumber, base } = log.known;
  const folder = `${path}/groups/${group}/${logNumber}`;
  const start = { index: base.index, offset: base.offset, appendTimeMicros: 0, term: 0, digest: new Uint8Array(32) };
  let place: Mark = inSegments ?? { end: start, segment: base.index, position: 0, commitIndex: base.index };
  if (place.end.index >= end.index) return place;
  await disk.makeFolder(folder);
  let file: DiskFile | undefined = inSegments && (await openSegment(disk, folder, place.segment));
  let parts: Uint8Array[] = [];
  const write = async () => {
    if (!file || parts.length === 0) return;
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    await file.write(parts, place.position - bytes);
    parts = [];
  };
  const seal = async () => {
    await write();
    await file?.truncate(place.position);
    await file?.sync();
    await file?.close();
  };
  for (let index = place.end.index; index < end.index; index++) {
    const copies = await log.known.journaled.at(index);
    const { batch } = followingOf(copies, place, hash);
    if (batch.kind === BatchKind.checkpoint) {
      await seal();
      file = await openSegment(disk, folder, index);
      place = { ...place, segment: index, position: 0 };
    }
    parts.push(batch.header, batch.payload);
    const position = place.position + batchBytes(batch);
    place = { end: endAfter(batch), segment: place.segment, position, commitIndex: index + 1 };
    if (parts.reduce((sum, part) => sum + part.length, 0) >= roundBytes) await write();
  }
  await seal();
  for (const name of [folder, `${path}/groups/${group}`, `${path}/groups`]) await disk.syncFolder(name);
  return place;
}

function followingOf(copies: readonly JournaledBatch[], { end }: Mark, hash: Hash): JournaledBatch {
  const next = copies.find(({ batch }) => whyNotAfter(end, batch, hash) === undefined);
  return present(next, `batch ${end.index} was in the journal a moment ago`);
}

async function openSegment(disk: Disk, folder: string, first: number): Promise<DiskFile> {
  const path = `${folder}/${segmentName(first)}`;
  return present(await disk.open(path, { create: true }), `${path} could not be made`);
}
