/**
 * Mends bytes of a log's segments in place, with those of another replica.
 * - They are taken only if the chain says that they are the very bytes that were lost: the batch behind them, or the end
 *   that the journal knows, has a digest that covers theirs; and they follow what is before them.
 * - So they are as long as what they replace, and writing them needs no record: a sector has what was damaged, or what is
 *   right, and a crash between leaves less to mend. Nothing that was right is changed.
 * @module
 */
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { sameBytes } from "../base/bytes.ts";
import { batchBytes, checkpointPrefix, digestFollows, readBatch } from "./batch-reader.ts";
import type { ChangedLog } from "./log-changes.ts";
import { missingIn, type Segment } from "./segment.ts";
import { BatchRefusedError, positionAfter, type VerifiedBatch, verifyStored } from "./stored-batch.ts";
import type { LogPosition } from "./types.ts";

interface Place {
  readonly segment: Segment;
  readonly position: number;
}

/** A batch, and where it stands. */
interface Mended {
  readonly place: Place;
  readonly batch: StoredBatch;
}

/**
 * Mends a log from `index` on with as many of these stored batches as it takes. Gives the index up to which it did.
 * @throws {BatchRefusedError} They are not what was there. @throws {TailraceError} `damaged`: what is before them is, too.
 */
export async function mendLog(log: ChangedLog, index: number, bytes: Uint8Array): Promise<number> {
  const { state, segments, context } = log;
  const refuse = (why: string) => new BatchRefusedError(state.group, { index, why });
  if (index < state.base.index || index >= state.flushed.end.index) throw refuse("it is in no segment");
  const after = await placeBefore(log, index, bytes);
  if (!after) throw refuse("no checkpoint is given for the base");
  const run = verifyStored(bytes, { after, group: state.group, hash: context.hash });
  const mended: Mended[] = [];
  let place = await firstPlace(log, index);
  for (const verified of run.batches) {
    const { batch, end } = verified;
    place = beginningAt(log, batch.index) ?? place;
    // A segment begins where a checkpoint stands, and nowhere else: a file that is gone is not made anew.
    const begins = batch.kind === BatchKind.checkpoint;
    if (!place || begins !== (place.position === 0))
      throw missingIn(segments.folder, `batch ${batch.index}`, state.group);
    mended.push({ place, batch });
    place = { ...place, position: endOf({ place, batch }) };
    if (await isFollowed(log, verified, place)) {
      await write(log, mended);
      return end.index;
    }
    if (end.index === state.flushed.end.index) break;
  }
  throw refuse(run.refused?.why ?? "what comes behind it does not follow");
}

/** What comes before it, as far as this log tells; of the base only its checkpoint does. */
async function placeBefore(log: ChangedLog, index: number, bytes: Uint8Array): Promise<LogPosition | undefined> {
  const { state, reader, context } = log;
  if (index > state.base.index) return positionAfter(await reader.headerAt(index - 1));
  const base = readBatch(bytes, state.group, context.hash);
  const said = base && checkpointPrefix(base.payload);
  return said && { index, offset: state.base.offset, appendTimeMicros: 0, term: said.term, digest: said.digest };
}

async function firstPlace(log: ChangedLog, index: number): Promise<Place | undefined> {
  const begun = beginningAt(log, index);
  if (begun) return begun;
  const { segment, position } = await log.segments.placeAfter(index - 1);
  const holder = log.segments.beginningAt(segment);
  return holder && { segment: holder, position };
}

function beginningAt({ segments }: ChangedLog, index: number): Place | undefined {
  const segment = segments.beginningAt(index);
  return segment && { segment, position: 0 };
}

/** Whether what stands behind a batch follows it: then it is the one that stood there. */
async function isFollowed(log: ChangedLog, { end }: VerifiedBatch, behind: Place): Promise<boolean> {
  const { flushed } = log.state;
  if (end.index === flushed.end.index) return sameBytes(end.digest, flushed.end.digest);
  const { segment, position } = beginningAt(log, end.index) ?? behind;
  const next = await segment.batchAt(position);
  return next?.index === end.index && digestFollows(next, end.digest, log.context.hash);
}

async function write({ state, segments, context }: ChangedLog, mended: readonly Mended[]): Promise<void> {
  for (const segment of new Set(mended.map(({ place }) => place.segment))) {
    await context.handles.use(segment.path, false, async (file) => {
      if (!file) throw missingIn(segments.folder, `batch ${segment.firstIndex}`, state.group);
      for (const { place, batch } of mended) {
        if (place.segment === segment) await file.write([batch.header, batch.payload], place.position);
      }
      context.counters.syncs.other += 1;
      await file.sync();
    });
    const ends = mended.filter(({ place }) => place.segment === segment).map(endOf);
    segment.mended(Math.max(...ends));
  }
}

function endOf({ place, batch }: Mended): number {
  return place.position + batchBytes(batch);
}
