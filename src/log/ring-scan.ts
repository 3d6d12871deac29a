/**
 * Finds the ring's end at a start, and tells a torn end from damage.
 * - Files are in the order of the numbers of their first whole frames.
 * - Above `freed` every frame must be there. A bad one with a whole one of a greater number at any later border or in any
 *   file is damage; with none it is the torn end: the next frame was written only after this one's sync returned.
 * @module
 */
import { present } from "../base/assert.ts";
import { roundUp } from "../base/bytes.ts";
import { DataFolderError } from "../base/disk-errors.ts";
import type { DiskFile, DiskReads } from "../host/disk.ts";
import type { Hash } from "../host/hash.ts";
import { FrameKind, frameHeader } from "./format.ts";
import { type Frame, type FrameOwner, FrameReader } from "./frame-reader.ts";

/** A journal file, and the whole frames from its start on. */
export interface Run {
  readonly slot: number;
  readonly path: string;
  readonly file: DiskFile;
  readonly sizeBytes: number;
  /** Numbers of the first and last frame; 0: there is none. */
  readonly first: number;
  readonly last: number;
  readonly lastPosition: number;
  readonly lastBytes: number;
  readonly lastKind: FrameKind;
  readonly freed: number;
  readonly incarnation: number;
  /** How many files the ring had by its last frame. */
  readonly files: number;
}

/** The ring as it was left. */
export interface ScannedRing {
  readonly runs: readonly Run[];
  /** Those above `freed`, in order; the last one holds the newest frame. */
  readonly live: readonly Run[];
  readonly newest: Run;
}

/** The ring, whole or not. */
export interface SurveyedRing {
  readonly runs: readonly Run[];
  readonly live: readonly Run[];
  /** `undefined`: there is no whole frame at a file's beginning. */
  readonly newest: Run | undefined;
  /** Each place where a synced frame is lost. */
  readonly damages: readonly RingDamage[];
}

/** A place of the ring that a torn end does not explain. */
export interface RingDamage {
  readonly path: string;
  readonly position: number;
  readonly why: string;
}

/** Whose ring, and where. */
export interface RingPlace {
  readonly folder: string;
  readonly owner: FrameOwner;
  readonly disk: DiskReads;
  readonly hash: Hash;
}

/** @throws {DataFolderError} The journal is damaged, or missing. */
export async function scanRing(place: RingPlace): Promise<ScannedRing> {
  const { damages, newest, ...ring } = await surveyRing(place);
  const [damage] = damages;
  if (damage) throw damaged(damage);
  return { ...ring, newest: present(newest, "a ring without a frame is damaged") };
}

/** Looks at all of the ring; its files stay open, for the caller to close. */
export async function surveyRing(place: RingPlace): Promise<SurveyedRing> {
  const names = (await place.disk.list(place.folder)) ?? [];
  const slots = names.filter((name) => /^\d+$/.test(name)).map(Number);
  const runs: Run[] = [];
  for (const slot of slots.sort((a, b) => a - b)) runs.push(await scanFile(place, slot));
  const whole = runs.filter(({ last }) => last > 0).sort((a, b) => a.last - b.last);
  const newest = whole.at(-1);
  if (!newest) {
    return { runs, live: [], newest, damages: [{ path: place.folder, position: 0, why: "it holds no whole frame" }] };
  }
  const live = whole.filter(({ last }) => last > newest.freed);
  const damages = [...missingFiles(place, runs, newest), ...gapsIn(live)];
  for (const run of runs) {
    const position = run.last > 0 ? endOf(run) : 0;
    // A file that seems to be free holds nothing that is not freed, unless what it begins with is bad.
    const above = live.includes(run) ? newest.last : newest.freed;
    const beyond = await reader(place, run.file).wholeFrameBeyond(position, above);
    if (!beyond) continue;
    const why = `what stands there is bad, and frame ${beyond.number} at ${beyond.position} is whole`;
    damages.push({ path: run.path, position, why });
  }
  // Where nothing of them is left either, the file that had them can't be told.
  const [oldest] = live;
  if (damages.length === 0 && oldest && oldest.first > newest.freed + 1) {
    const why = `the frames ${newest.freed + 1} to ${oldest.first - 1} are missing`;
    damages.push({ path: oldest.path, position: 0, why });
  }
  return { runs, live, newest, damages };
}

function missingFiles(place: RingPlace, runs: readonly Run[], newest: Run): RingDamage[] {
  if (newest.files <= runs.length) return [];
  const why = `it has ${runs.length} files, and had ${newest.files} by its newest frame`;
  return [{ path: place.folder, position: 0, why }];
}

/** Frames between two runs that are in none. */
function gapsIn(live: readonly Run[]): RingDamage[] {
  const damages: RingDamage[] = [];
  live.forEach((run, i) => {
    const next = live[i + 1];
    if (!next || next.first === run.last + 1) return;
    const why = `frame ${run.last + 1} is bad, and frame ${next.first} after it is whole`;
    damages.push({ path: run.path, position: endOf(run), why });
  });
  return damages;
}

/** All frames above `freed`, in order, each with its position in the ring. */
export async function* replay(place: RingPlace, ring: ScannedRing, fileBytes: number): AsyncGenerator<Frame> {
  for (const run of ring.live) {
    for await (const frame of reader(place, run.file).frames()) {
      yield { ...frame, position: run.slot * fileBytes + frame.position };
    }
  }
}

/** Writes the newest frame again, the same bytes, and syncs it: what the page cache shows may not be on the disk. */
export async function writeAgain(ring: ScannedRing): Promise<void> {
  const { file, lastPosition, lastBytes } = ring.newest;
  const bytes = new Uint8Array(lastBytes);
  await file.read(bytes, lastPosition);
  await file.write([bytes], lastPosition);
  await file.sync();
}

/** Position after the newest frame of a run. */
export function endOf(run: Run): number {
  return run.lastPosition + roundUp(run.lastBytes, frameHeader.border);
}

async function scanFile(place: RingPlace, slot: number): Promise<Run> {
  const path = `${place.folder}/${slot}`;
  const file = present(await place.disk.open(path, { create: false }), `${path} is gone`);
  const sizeBytes = await file.size();
  const run = {
    ...{ slot, path, file, sizeBytes, first: 0, last: 0, lastPosition: 0, lastBytes: 0 },
    ...{ lastKind: FrameKind.frame as FrameKind, freed: 0, incarnation: 0, files: 0 },
  };
  for await (const frame of reader(place, file).frames()) {
    if (run.first === 0) run.first = frame.number;
    run.last = frame.number;
    run.lastPosition = frame.position;
    run.lastBytes = frame.bytes.length;
    run.lastKind = frame.kind;
    run.freed = frame.freed;
    run.incarnation = frame.incarnation;
    run.files = frame.files;
  }
  return run;
}

function reader(place: RingPlace, file: DiskFile): FrameReader {
  return new FrameReader(file, place.owner, place.hash);
}

function damaged({ path, position, why }: RingDamage): DataFolderError {
  return new DataFolderError(
    `The journal is damaged: ${path}, from byte ${position}: ${why}`,
    "In a cluster whose other nodes are well, move the data folder away, and start the node with an empty one, with the same " +
      "--node-id and --seeds: they have what it had. Of a node that is alone keep a copy, and run tailrace repair on the folder",
  );
}
