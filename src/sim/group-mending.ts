/**
 * Mends a log whose files were spoiled, with what another replica would have: all that was ever read of it.
 * @module
 */
import { sameBytes } from "../base/bytes.ts";
import type { GroupLoad } from "./group-load.ts";
import { type LifeContext, outcomeOf } from "./log-world.ts";
import { must } from "./must.ts";

/** More places than are spoiled in a run. */
const placesMax = 20;

/** Looks for spoiled bytes, and mends them if they are in files that are there. */
export async function mend(load: GroupLoad, life: LifeContext): Promise<void> {
  const { model, log } = load;
  const { disk, trace } = life.world;
  const { changes, group } = model;
  const isOver = () => changes !== model.changes || model.change || load.hasEnded || life.hasFailed();
  try {
    for (let places = 0; places < placesMax && !isOver(); places++) {
      const unfit = await log.selfCheck();
      if (isOver()) return;
      if (!unfit) {
        await isWhole(load, isOver);
        return;
      }
      trace?.(`batch ${unfit.index} of group ${group} is not what it was`);
      disk.count("damage: found by a self-check");
      const known = model.batches.slice(unfit.index - model.base);
      const bytes = Buffer.concat(known.flatMap(({ header, payload }) => [header, payload]));
      const { belowIndex } = await log.repair(unfit.index, bytes);
      trace?.(`batches ${unfit.index} to ${belowIndex - 1} of group ${group} are mended`);
      disk.count("damage: mended");
    }
  } catch (error) {
    // Of a log that is not as it was at the start, or a file that is gone, nothing is mended.
    if (!isOver()) outcomeOf(error, `mending group ${group}`, life, model);
  }
}

/** Its chain is whole: if it has all that it had, it is as if it had never been spoiled. */
async function isWhole({ model, log, reads }: GroupLoad, isOver: () => unknown): Promise<void> {
  const { end, group } = model;
  const last = model.batchAt(end - 1);
  if (log.damage !== undefined || log.durableEnd.index < end || !last) return;
  const digest = await log.digestAt(end - 1);
  if (isOver()) return;
  const isSame = digest !== undefined && sameBytes(digest, last.digest);
  must(isSame, `group ${group}: its chain is whole up to ${end}, and is another`);
  model.isSpoiled = false;
  reads.unblock();
}
