/**
 * The frames of a journal that count, whether all are there or not.
 * @module
 */
import { present } from "../../base/assert.ts";
import { getU64, roundUp, viewOf } from "../../base/bytes.ts";
import { FrameKind, frameHeader, recordHeader } from "../../log/format.ts";
import { type Frame, FrameReader, type FrameRecord, recordsOf } from "../../log/frame-reader.ts";
import { endOf, type RingPlace, type Run, type SurveyedRing } from "../../log/ring-scan.ts";

/** A record, with its place in the ring. */
export type PlacedRecord = FrameRecord & { readonly ringPosition: number };

/** A frame, the file that it is in, and its records. Good until the next one is asked for. */
export interface PlacedFrame {
  readonly frame: Frame;
  readonly slot: number;
  readonly records: readonly PlacedRecord[];
}

/** Length of a ring's files: of the largest, to the next MiB. */
export function ringFileBytes(runs: readonly Run[]): number {
  return roundUp(Math.max(1, ...runs.map(({ sizeBytes }) => sizeBytes)), 1 << 20);
}

/**
 * The frames that count, in order. Where the ring is damaged, these are all that stand anywhere and are not freed.
 * @throws {DataFolderError} One holds what only a newer tailrace knows.
 */
export async function* countedFrames(place: RingPlace, ring: SurveyedRing): AsyncGenerator<PlacedFrame> {
  const fileBytes = ringFileBytes(ring.runs);
  if (ring.damages.length === 0) {
    for (const { file, slot } of ring.live) {
      for await (const frame of reader(place, file).frames()) yield placed(frame, slot, fileBytes);
    }
    return;
  }
  for (const { run, position } of await standingFrames(place, ring)) {
    for await (const frame of reader(place, run.file).framesBeyond(position)) {
      yield placed(frame, run.slot, fileBytes);
      break;
    }
  }
}

/** Whether something of the frame after the newest one is there: a write that was cut short. */
export async function tornFrameAt({ newest }: SurveyedRing): Promise<number | undefined> {
  if (!newest) return undefined;
  const position = endOf(newest);
  const header = new Uint8Array(frameHeader.bytes);
  if ((await newest.file.read(header, position)) < header.length) return undefined;
  const view = viewOf(header);
  const isFrame = view.getUint32(frameHeader.magicAt, true) === frameHeader.magic;
  return isFrame && getU64(view, frameHeader.numberAt) > newest.last ? position : undefined;
}

/** Every frame that stands at a border and may count, in the order of their numbers. */
async function standingFrames(place: RingPlace, ring: SurveyedRing): Promise<{ run: Run; position: number }[]> {
  const found: { run: Run; position: number; number: number; freed: number }[] = [];
  for (const run of ring.runs) {
    for await (const { position, number, freed } of reader(place, run.file).framesBeyond(0)) {
      found.push({ run, position, number, freed });
    }
  }
  found.sort((a, b) => a.number - b.number);
  const freed = found.at(-1)?.freed ?? 0;
  // A file's first frame is a snapshot: from there on nothing older is needed.
  const first = ring.runs.filter(({ last }) => last > freed).map((run) => run.first);
  const from = Math.min(freed + 1, ...first);
  return found.filter(({ number }) => number >= from);
}

function placed(frame: Frame, slot: number, fileBytes: number): PlacedFrame {
  const records: PlacedRecord[] = [];
  if (hasSoundRecords(frame)) {
    for (const record of recordsOf(frame)) {
      records.push({ ...record, ringPosition: slot * fileBytes + record.position });
    }
  }
  return { frame, slot, records };
}

/** Whether a frame's records fill it as its header says. Its checksum is right, so nothing but a writer's fault can be. */
export function hasSoundRecords({ bytes }: Frame): boolean {
  const view = viewOf(bytes);
  let [at, count] = [frameHeader.bytes as number, 0];
  while (at < bytes.length) {
    if (at + recordHeader.bytes > bytes.length) return false;
    const length = view.getUint32(at + recordHeader.lengthAt, true);
    if (length < recordHeader.bytes || length % 8 !== 0) return false;
    at += length;
    count += 1;
  }
  return at === bytes.length && count === view.getUint32(frameHeader.recordsAt, true);
}

function reader({ owner, hash }: RingPlace, file: Run["file"]): FrameReader {
  return new FrameReader(file, owner, hash);
}

/** Where a frame's kind is named. */
export function frameKindName(kind: FrameKind): string {
  const [name] = present(
    Object.entries(FrameKind).find(([, value]) => value === kind),
    "a frame is of a known kind",
  );
  return name;
}
