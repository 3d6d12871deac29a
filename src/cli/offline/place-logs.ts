import { present } from "../../base/assert.ts";
import type { Disk } from "../../host/disk.ts";
import type { Hash } from "../../host/hash.ts";
import { readBatch } from "../../log/batch-reader.ts";
import { segmentName } from "../../log/format.ts";
import type { GroupState } from "../../log/group-state.ts";
import { checkpointPrefixBytes, decodeCheckpoint, encodeVoters } from "../../wire/checkpoint.ts";
import type { PlacedLog } from "./new-journal.ts";
import { cutFile } from "./repair-cut.ts";
import { isChanged, type RepairPlan } from "./repair-plan.ts";
import { endAfter } from "./standing.ts";
import { metaGroup } from "./streams-seen.ts";
import { flushTail } from "./tail-flush.ts";
import type { VotersSeen } from "./voters.ts";

/**
 * Brings all that is kept of each log to its segments, durably, and tells what a new journal has to say of it. The old
 * journal stays right meanwhile: what it has is in segments now, too.
 */
export async function placeLogs(
  disk: Disk,
  plan: RepairPlan,
  { voters, hash, catalogue }: { voters: VotersSeen; hash: Hash; catalogue: Uint8Array | undefined },
): Promise<PlacedLog[]> {
  const { path, journal } = plan.checked;
  const placed: PlacedLog[] = catalogue ? [await placeCatalogue(disk, plan, { hash, checkpoint: catalogue })] : [];
  for (const log of plan.logs) {
    const { group, logNumber, base } = log.log.known;
    if (log.inSegments && isChanged(log)) {
      const name = segmentName(log.inSegments.segment);
      await cutFile(disk, `${path}/groups/${group}/${logNumber}/${name}`, log.inSegments.position);
    }
    const place = await flushTail(disk, path, hash, log);
    if (!place) continue;
    const known = journal?.groups.get(group)?.state;
    const mark = { ...place, commitIndex: place.end.index };
    const state: GroupState = {
      // Whom the old disk voted for is not for another one to say; that its term is over is.
      vote: { term: Math.max(known?.vote.term ?? 0, place.end.term) },
      life: 0,
      floor: known?.floor ?? { term: 0, index: 0 },
      ...{ base, placed: true, mark, end: place.end, openCut: undefined },
      note: known && known.note.length > 0 ? known.note : voters.noteOf(group),
    };
    placed.push({ group, logNumber, state });
  }
  return placed;
}

/** Writes a catalogue that is made anew beside the old one, as a log of its own. */
async function placeCatalogue(
  disk: Disk,
  { checked, catalogue }: RepairPlan,
  { hash, checkpoint }: { hash: Hash; checkpoint: Uint8Array },
): Promise<PlacedLog> {
  const batch = present(readBatch(checkpoint, metaGroup, hash), "a checkpoint that was made is whole");
  const logNumber = (catalogue?.old?.known.logNumber ?? 0) + 1;
  const folder = `${checked.path}/groups/${metaGroup}/${logNumber}`;
  await disk.makeFolder(folder);
  const path = `${folder}/${segmentName(batch.index)}`;
  const file = present(await disk.open(path, { create: true }), `${path} could not be made`);
  await file.write([checkpoint], 0);
  await file.truncate(checkpoint.length);
  await file.sync();
  await file.close();
  for (const name of [folder, `${checked.path}/groups/${metaGroup}`, `${checked.path}/groups`]) {
    await disk.syncFolder(name);
  }
  const end = endAfter(batch);
  const mark = { end, segment: batch.index, position: checkpoint.length, commitIndex: end.index };
  const { voters } = decodeCheckpoint(batch.payload.subarray(checkpointPrefixBytes));
  const state: GroupState = {
    ...{ vote: { term: batch.term }, life: 0, floor: { term: 0, index: 0 } },
    base: { index: batch.index, offset: batch.baseOffset },
    ...{ placed: true, mark, end, openCut: undefined, note: encodeVoters(voters) },
  };
  return { group: metaGroup, logNumber, state };
}
