import type { Disk } from "../../host/disk.ts";
import type { Hash } from "../../host/hash.ts";
import { segmentName } from "../../log/format.ts";
import type { GroupState } from "../../log/group-state.ts";
import type { PlacedLog } from "./new-journal.ts";
import { cutFile } from "./repair-cut.ts";
import { isChanged, type RepairPlan } from "./repair-plan.ts";
import { flushTail } from "./tail-flush.ts";
import type { VotersSeen } from "./voters.ts";

/**
 * Brings all that is kept of each log to its segments, durably, and tells what a new journal has to say of it. The old
 * journal stays right meanwhile: what it has is in segments now, too.
 */
export async function placeLogs(disk: Disk, plan: RepairPlan, voters: VotersSeen, hash: Hash): Promise<PlacedLog[]> {
  const { path, journal } = plan.checked;
  const placed: PlacedLog[] = [];
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
