/**
 * Looks at a whole data folder: id, journal, and all logs, some at once.
 * @module
 */
import type { StoredBatch } from "../../base/batch.ts";
import type { DiskReads } from "../../host/disk.ts";
import type { Hash } from "../../host/hash.ts";
import type { FolderId } from "../../log/folder-id.ts";
import { adoptedLog } from "./adopted-log.ts";
import type { Finding } from "./finding.ts";
import { type CheckedId, checkId } from "./id-check.ts";
import { type CheckedJournal, checkJournal } from "./journal-check.ts";
import type { PlacedFrame } from "./journal-frames.ts";
import type { KnownLog } from "./known-log.ts";
import { strangers, uncalledFiles } from "./leftover-check.ts";
import { type CheckedLog, checkLog } from "./log-check.ts";
import type { BatchPlace } from "./log-findings.ts";
import type { ReadFolder } from "./open-folder.ts";
import { StreamsSeen } from "./streams-seen.ts";

/** Logs that are looked at at once: while one waits for the disk, another is hashed. */
const atOnce = 4;

/** What to do along the way. */
export interface CheckOptions {
  readonly hash: Hash;
  readonly visit?: (batch: StoredBatch, place: BatchPlace) => void;
  readonly visitFrame?: (frame: PlacedFrame) => void;
  /** Which logs to look at, beside the catalogue; all by default. */
  readonly wants?: (group: number, names: StreamsSeen) => boolean;
  /** Told how many bytes there are, before the first log, and then how many more were looked at. */
  readonly sized?: (bytes: number) => Promise<void>;
  readonly progress?: (bytes: number) => void;
}

/** A folder that was looked at. */
export interface CheckedFolder {
  readonly path: string;
  readonly id: CheckedId;
  /** Absent where `id` can't be read: then nothing else can. */
  readonly journal: CheckedJournal | undefined;
  /** In the order of their ids. */
  readonly logs: readonly CheckedLog[];
  readonly names: StreamsSeen;
  readonly findings: readonly Finding[];
  /** Bytes that were looked at. */
  readonly bytes: number;
}

/**
 * Looks at all of a folder.
 * @param use What to do with what was found, while the journal can still be read from.
 * @throws {DataFolderError} It is no data folder, or was written by a newer version.
 */
export async function checkFolder<T>(
  folder: ReadFolder,
  options: CheckOptions,
  use: (checked: CheckedFolder) => Promise<T>,
): Promise<T> {
  const { disk, path } = folder;
  const id = await checkId(disk, path, options.hash);
  const names = new StreamsSeen();
  if (!id.id) {
    const findings = id.finding ? [id.finding] : [];
    return await use({ path, id, journal: undefined, logs: [], names, findings, bytes: id.bytes.length });
  }
  const journal = await openJournal(folder, id.id, options);
  try {
    const logs = await checkLogs(folder, journal, names, options);
    const findings = [
      ...(id.finding ? [id.finding] : []),
      ...journal.findings,
      ...logs.flatMap((log) => log.findings),
      ...(await leftovers(disk, path, logs)),
    ];
    const bytes = id.bytes.length + journal.bytes + logs.reduce((sum, log) => sum + log.bytes, 0);
    return await use({ path, id, journal, logs, names, findings, bytes });
  } finally {
    await journal.close();
  }
}

async function openJournal(
  { disk, path }: ReadFolder,
  owner: FolderId,
  options: CheckOptions,
): Promise<CheckedJournal> {
  const place = { folder: `${path}/journal`, owner, disk, hash: options.hash };
  return await checkJournal(place, path, options.visitFrame);
}

async function checkLogs(
  { disk, path }: ReadFolder,
  journal: CheckedJournal,
  names: StreamsSeen,
  options: CheckOptions,
): Promise<CheckedLog[]> {
  const { hash, visit, progress } = options;
  const [meta, ...others] = await knownLogs(disk, path, journal, hash);
  const context = {
    ...{ disk, hash, path, isClean: journal.isClean },
    visit: (batch: StoredBatch, place: BatchPlace) => {
      names.visit(batch, place.isConnected);
      visit?.(batch, place);
    },
    ...(progress ? { progress } : {}),
  };
  // The catalogue comes first: it tells the others' names.
  const logs = meta ? [await checkLog(meta, context)] : [];
  const waiting = others.filter(({ group }) => options.wants?.(group, names) ?? true);
  await options.sized?.(journal.bytes + (await segmentBytes(disk, path, waiting)));
  progress?.(journal.bytes);
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) logs.push(await checkLog(next, context));
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return logs.sort((a, b) => a.known.group - b.known.group);
}

/** All logs that the journal knows, `_meta` first; where frames are lost, those too that only have files. */
async function knownLogs(disk: DiskReads, path: string, journal: CheckedJournal, hash: Hash): Promise<KnownLog[]> {
  const known = new Map<number, KnownLog>();
  for (const group of journal.groups.keys()) {
    const log = journal.known(group);
    if (log) known.set(group, log);
  }
  if (journal.isDamaged) {
    for (const name of (await disk.list(`${path}/groups`)) ?? []) {
      const group = Number(name);
      if (!/^\d+$/.test(name) || known.has(group)) continue;
      const log = await adoptedLog(disk, path, group, hash);
      if (log) known.set(group, log);
    }
  }
  return [...known.values()].sort((a, b) => a.group - b.group);
}

async function segmentBytes(disk: DiskReads, path: string, known: readonly KnownLog[]): Promise<number> {
  let bytes = 0;
  for (const { group, logNumber } of known) {
    const folder = `${path}/groups/${group}/${logNumber}`;
    for (const name of (await disk.list(folder)) ?? []) {
      if (!name.endsWith(".log")) continue;
      const file = await disk.open(`${folder}/${name}`, { create: false });
      bytes += (await file?.size()) ?? 0;
      await file?.close();
    }
  }
  return bytes;
}

async function leftovers(disk: DiskReads, path: string, logs: readonly CheckedLog[]): Promise<Finding[]> {
  const found = await strangers(disk, path);
  const groups = new Set(logs.map((log) => String(log.known.group)));
  for (const name of ((await disk.list(`${path}/groups`)) ?? []).sort()) {
    if (groups.has(name)) continue;
    const kind = /^\d+$/.test(name) ? "crash" : "note";
    found.push({ kind, file: `groups/${name}`, position: 0, what: "the journal knows no such stream" });
  }
  for (const log of logs) found.push(...(await uncalledFiles(disk, path, log)));
  return found;
}
