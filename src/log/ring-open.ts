/**
 * Opens the journal's files at a start: makes the first one of a new folder, or finds what an old one holds.
 * @module
 */
import { present } from "../base/assert.ts";
import { allZero } from "../base/bytes.ts";
import { DataFolderError, DiskError } from "../base/disk-errors.ts";
import type { Disk } from "../host/disk.ts";
import type { Hash } from "../host/hash.ts";
import type { Random } from "../host/random.ts";
import { checkNode, type FolderId, makeId, readId, writeId } from "./folder-id.ts";
import { FrameKind, frameHeader, idFile } from "./format.ts";
import { FrameBuilder } from "./frame-writer.ts";
import { JournalReplay } from "./journal-replay.ts";
import type { RingState } from "./ring.ts";
import { endOf, type Run, replay, scanRing, writeAgain } from "./ring-scan.ts";
import { type LogOptions, type LogSettings, logSettings } from "./settings.ts";
import type { SyncCounts } from "./types.ts";

/** The journal as a start found or made it. */
export interface OpenedRing {
  readonly id: FolderId;
  readonly ring: RingState;
  readonly settings: LogSettings;
  readonly replayed: JournalReplay;
  readonly kind: "created" | "clean" | "recovered";
}

/** What opening stands on. */
export interface RingSurroundings {
  readonly path: string;
  readonly disk: Disk;
  readonly hash: Hash;
  readonly random: Random;
  readonly options: LogOptions;
  readonly syncs: SyncCounts;
  /** The node that the folder is to be of. */
  readonly nodeId?: string;
}

const mebibyte = 1 << 20;

/** @throws {DataFolderError} The folder holds something else, or its journal or `id` is damaged. */
export async function openRing(around: RingSurroundings): Promise<OpenedRing> {
  const { disk, path, hash, nodeId } = around;
  const file = await disk.open(`${path}/id`, { create: false });
  if (!file) return await createRing(around);
  const bytes = new Uint8Array(idFile.bytes);
  const read = await file.read(bytes, 0);
  await file.close();
  const id = readId(bytes.subarray(0, read), `${path}/id`, hash);
  if (nodeId !== undefined) checkNode(id, nodeId, path);
  return await findRing(around, id);
}

async function createRing(around: RingSurroundings): Promise<OpenedRing> {
  const { disk, path, hash, random, options, syncs, nodeId } = around;
  await refuseStrangers(disk, path);
  const id = makeId(random, nodeId);
  const settings = logSettings(await fittedTo(disk, path, options));
  const folder = `${path}/journal`;
  await disk.makeFolder(folder);
  // Left by a first start that was cut short.
  await disk.remove(`${folder}/0`);
  const first = present(await disk.open(`${folder}/0`, { create: true }), "the first journal file could not be made");
  const filledBytes = Math.min(settings.journalFillBytes, settings.journalFileBytes);
  const frame = new FrameBuilder(new Uint8Array(frameHeader.border));
  const owner = { diskId: id.diskId, crcKey: id.crcKey };
  const stamp = { kind: FrameKind.snapshot, files: 1, number: 1, incarnation: 1, freed: 0, ...owner };
  await first.write([frame.finish(stamp, hash), new Uint8Array(filledBytes - frameHeader.border)], 0);
  await first.sync();
  syncs.journalFill += 1;
  await disk.makeFolder(`${path}/groups`);
  await writeIdFile(around, id);
  const files = [{ slot: 0, file: first, filledBytes, firstFrame: 1 }];
  const ring = { files, slot: 0, head: frameHeader.border, nextNumber: 2, freed: 0, incarnation: 1 };
  return { id, ring, settings, replayed: new JournalReplay(hash), kind: "created" };
}

/** The folders above may have been made for this one, by this start or by one that was cut short. */
async function syncNamesAbove(disk: Disk, path: string): Promise<void> {
  for (let end = path.lastIndexOf("/"); end >= 0; end = path.lastIndexOf("/", end - 1)) {
    await disk.syncFolder(path.slice(0, Math.max(end, 1))).catch((error: unknown) => {
      // Where the system does not let us sync one, whoever made it has to see to it.
      if (!(error instanceof DiskError && ["EACCES", "EPERM", "EINVAL"].includes(error.code ?? ""))) throw error;
    });
    if (end === 0) return;
  }
}

/** The commit point of a first start: from now on the folder is one. */
async function writeIdFile(around: RingSurroundings, id: FolderId): Promise<void> {
  const { disk, path, hash, syncs } = around;
  await disk.syncFolder(`${path}/journal`);
  const draft = present(await disk.open(`${path}/id.new`, { create: true }), "the id file could not be made");
  await draft.write([writeId(id, hash)], 0);
  await draft.sync();
  await draft.close();
  await disk.syncFolder(path);
  await syncNamesAbove(disk, path);
  await disk.rename(`${path}/id.new`, `${path}/id`);
  await disk.syncFolder(path);
  syncs.other += 1;
  syncs.folder += 3;
}

async function findRing(around: RingSurroundings, id: FolderId): Promise<OpenedRing> {
  const { disk, path, hash, syncs } = around;
  const place = { folder: `${path}/journal`, owner: id, disk, hash };
  const scanned = await scanRing(place);
  const { newest, runs } = scanned;
  const settings = logSettings(await fittedTo(disk, path, around.options, runs));
  const clean = newest.lastKind === FrameKind.clean;
  // After a clean stop too: its frame may be in the page cache only.
  await writeAgain(scanned);
  // And so may the names of the id and of a journal file that was just made.
  for (const folder of [path, place.folder]) await disk.syncFolder(folder);
  syncs.other += 1;
  syncs.folder += 2;
  const replayed = new JournalReplay(hash);
  const fileBytes = settings.journalFileBytes;
  for await (const frame of replay(place, scanned, fileBytes)) replayed.apply(frame);
  replayed.finish();
  // A file whose making had no room is made anew: as a free one it would be counted on.
  const isMade = (run: Run) => run.last > 0 || run.sizeBytes >= Math.min(settings.journalFillBytes, fileBytes);
  for (const run of runs) if (!isMade(run)) await run.file.close();
  const ring: RingState = {
    files: runs.filter(isMade).map((run) => ({
      slot: run.slot,
      file: run.file,
      filledBytes: run.sizeBytes - (run.sizeBytes % frameHeader.border),
      firstFrame: scanned.live.includes(run) ? run.first : 0,
    })),
    slot: newest.slot,
    head: endOf(newest),
    nextNumber: newest.last + 1,
    freed: newest.freed,
    incarnation: newest.incarnation + 1,
  };
  return { id, ring, settings, replayed, kind: clean ? "clean" : "recovered" };
}

/** Without `id` only what a first start that was cut short leaves may be there. */
async function refuseStrangers(disk: Disk, path: string): Promise<void> {
  const ours = new Set(["lock", "journal", "groups", "id.new"]);
  const names = (await disk.list(path)) ?? [];
  const journal = (await disk.list(`${path}/journal`)) ?? [];
  const groups = (await disk.list(`${path}/groups`)) ?? [];
  const isUsed = journal.includes("0") && (await isUsedJournal(disk, `${path}/journal/0`));
  const stranger =
    names.find((name) => !ours.has(name)) ??
    journal.filter((name) => name !== "0").map((name) => `journal/${name}`)[0] ??
    groups.map((name) => `groups/${name}`)[0] ??
    (isUsed ? "a journal" : undefined);
  if (stranger === undefined) return;
  throw new DataFolderError(
    `${path} is no data folder of tailrace: it has ${stranger} in it, and no id file`,
    "Name an empty or a new folder, or restore the id file of this one",
  );
}

/** A first start writes one frame and zeros behind it, and has its id before it writes another. */
async function isUsedJournal(disk: Disk, path: string): Promise<boolean> {
  const file = await disk.open(path, { create: false });
  if (!file) return false;
  try {
    const piece = new Uint8Array(mebibyte);
    for (let at: number = frameHeader.border; ; at += piece.length) {
      const read = await file.read(piece, at);
      if (!allZero(piece.subarray(0, read))) return true;
      if (read < piece.length) return false;
    }
  } finally {
    await file.close();
  }
}

/** The ring takes at most 1/16 of the volume, at least 4 MiB; a ring that is there keeps the size of its files. */
async function fittedTo(
  disk: Disk,
  path: string,
  options: LogOptions,
  runs: readonly { slot: number; sizeBytes: number }[] = [],
): Promise<LogOptions> {
  const files = options.journalFiles ?? 4;
  const unit = options.journalUnitBytes ?? mebibyte;
  const { totalBytes } = await disk.space(path);
  const share = Math.floor(totalBytes / 16 / files / unit) * unit;
  const wanted = Math.min(options.journalFileBytes ?? 64 * mebibyte, Math.max(share, unit));
  const largest = Math.max(0, ...runs.map(({ sizeBytes }) => Math.ceil(sizeBytes / unit) * unit));
  const slots = Math.max(0, ...runs.map(({ slot }) => slot + 1));
  return { ...options, journalFileBytes: Math.max(wanted, largest), journalFiles: Math.max(files, slots) };
}
