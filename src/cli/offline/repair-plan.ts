/**
 * What a repair keeps of each log, what it moves aside, and what is lost by it. Nothing is changed here.
 * @module
 */
import { sameBytes } from "../../base/bytes.ts";
import type { VersionedSettings } from "../../base/stream-settings.ts";
import type { Mark } from "../../log/group-state.ts";
import type { LogPosition } from "../../log/types.ts";
import type { StoredStream } from "../../wire/catalogue.ts";
import { type Lost, lostWords } from "./finding.ts";
import type { CheckedFolder } from "./folder-check.ts";
import type { CheckedId } from "./id-check.ts";
import type { CheckedJournal } from "./journal-check.ts";
import type { CheckedLog } from "./log-check.ts";
import { streamWords } from "./report.ts";
import { metaGroup } from "./streams-seen.ts";
import { votersIn } from "./voters.ts";

/** What becomes of a log. */
export interface LogPlan {
  readonly log: CheckedLog;
  /** Where it ends; `undefined`: all of it is moved aside. */
  readonly end: LogPosition | undefined;
  /** The end of what is in its segments; `undefined`: none of its batches is. */
  readonly inSegments: Mark | undefined;
  /** Batches that are not its any more; `undefined`: none. */
  readonly lost: Lost | undefined;
  /** How many of those are whole: they are moved aside. */
  readonly wholeBehind: number;
  /** The catalogue does not have it any more. */
  readonly isOrphan: boolean;
}

/** A catalogue that is made anew. */
export interface NewCatalogue {
  /** Of the old one, what there is: it is copied aside. */
  readonly old: CheckedLog | undefined;
  /** Its log begins here: above the id of every stream that ever was. */
  readonly index: number;
  readonly offset: number;
  readonly term: number;
  /** Its time does not go back behind this. */
  readonly sinceMicros: number;
  readonly streams: readonly StoredStream[];
  /** Ids of those of which no log is left. */
  readonly emptied: readonly number[];
  readonly clusterId: Uint8Array | undefined;
  readonly settings: VersionedSettings | undefined;
}

/** What a repair does. */
export interface RepairPlan {
  readonly checked: CheckedFolder;
  /** A byte of `id` is put right. */
  readonly mendsId: boolean;
  /** The journal is written anew, and the folder becomes another disk. */
  readonly isNewDisk: boolean;
  /** Logs name another disk as their voter: a repair that made this folder another disk was cut short. */
  readonly takesOver: boolean;
  /** The folder leaves its cluster: it becomes the only voter of all its logs, in one of its own. */
  readonly isAlone: boolean;
  /** All logs that are kept as they are or in part, or moved aside. */
  readonly logs: readonly LogPlan[];
  /** Then the catalogue's is not among the logs. */
  readonly catalogue: NewCatalogue | undefined;
  /** Streams of the catalogue of which nothing is left: the node makes them anew, empty. */
  readonly emptied: readonly number[];
  /** Streams that become this folder's own, of which it has no more than their beginning: others had them. */
  readonly bare: readonly number[];
}

/** What is asked for, whatever is damaged. */
export interface RepairWish {
  /** The folder is to become another disk. */
  readonly newDiskId?: boolean;
  /** The folder is to leave its cluster; that makes it another disk, too. */
  readonly alone?: boolean;
}

/** Plans a repair. */
export function planRepair(checked: CheckedFolder, { newDiskId = false, alone = false }: RepairWish): RepairPlan {
  const { id, journal, names } = checked;
  const isJournalLost = journal?.isDamaged === true;
  const takesOver = !isJournalLost && journal !== undefined && namesAnother(journal, id);
  const isNewDisk = isJournalLost || alone || (newDiskId && !takesOver);
  const meta = checked.logs.find(({ known }) => known.group === metaGroup);
  const isCatalogueCut = isJournalLost || (meta !== undefined && isDamagedLog(meta));
  const { deleted, catalogue: listed } = names;
  // A creation's place in the catalogue's log is the id: where that is kept and the catalogue has no such stream, it was
  // deleted, whatever the journal forgot.
  const isDeleted = (group: number) => deleted.has(group) || (!listed.has(group) && group < (meta?.end?.index ?? 0));
  const living = checked.logs.filter(({ known }) => !isDeleted(known.group));
  const newestOf = new Map(living.map(({ known: { group } }) => [names.of(group), group]));
  const all = checked.logs.map((log) => {
    const { group } = log.known;
    const name = names.of(group);
    // Without a name it can't be in a catalogue that is made anew, and of two with one name the older was deleted.
    const isNamed = name !== undefined && newestOf.get(name) === group;
    const isOrphan = isCatalogueCut && group !== metaGroup && !isNamed;
    return planLog(log, isOrphan);
  });
  const kept = new Set(all.filter(({ end }) => end !== undefined).map(({ log }) => log.known.group));
  const there = new Set(checked.logs.map(({ known }) => known.group));
  // One that is in no journal that is whole was deleted, or never made.
  const emptied = [...listed.keys()].filter((group) => {
    return !kept.has(group) && !deleted.has(group) && (isNewDisk || there.has(group));
  });
  const metaPlan = all.find(({ log }) => log === meta);
  const isLess = isCatalogueCut && (metaPlan?.end === undefined || metaPlan.lost !== undefined);
  const hasOthers = isCatalogueCut && [...kept].some((group) => group !== metaGroup && !listed.has(group));
  const isMadeAnew = isLess || hasOthers || alone || (isNewDisk && emptied.length > 0);
  const made = isMadeAnew ? newCatalogue(checked, meta, kept, emptied) : undefined;
  const catalogue = made && alone ? ofItsOwn(made) : made;
  const logs = catalogue ? all.filter((plan) => plan !== metaPlan) : all;
  const bare = alone ? living.filter((log) => isBare(log, journal)).map(({ known }) => known.group) : [];
  return {
    ...{ checked, mendsId: id.finding !== undefined, isNewDisk, takesOver, isAlone: alone, logs, catalogue, emptied },
    bare,
  };
}

/** Whether batch 0 is all there is of a log that began anew: it was moved away from the node, or was about to be fetched. */
function isBare({ known, end }: CheckedLog, journal: CheckedJournal | undefined): boolean {
  return known.group !== metaGroup && end?.index === 1 && (journal?.groups.get(known.group)?.state.life ?? 0) > 0;
}

/** The catalogue of another cluster, whose streams are where it is. */
function ofItsOwn(catalogue: NewCatalogue): NewCatalogue {
  return {
    ...catalogue,
    clusterId: undefined,
    streams: catalogue.streams.map((stream) => ({ ...stream, nodes: [] })),
  };
}

/** Indexes that a new catalogue leaves out, for streams of which nothing tells any more. */
const indexesLeftOut = 1000;

function newCatalogue(
  { names, journal, logs }: CheckedFolder,
  meta: CheckedLog | undefined,
  kept: ReadonlySet<number>,
  emptied: readonly number[],
): NewCatalogue {
  const ids = [...kept].filter((group) => group !== metaGroup);
  const highest = Math.max(metaGroup, ...names.catalogue.keys(), ...logs.map(({ known }) => known.group));
  const index = Math.max(meta?.knownEnd.index ?? 0, highest + 1) + indexesLeftOut;
  const vote = journal?.groups.get(metaGroup)?.state.vote;
  return {
    ...{ old: meta, index, offset: meta?.knownEnd.offset ?? index, emptied },
    term: Math.max(meta?.end?.term ?? 0, vote?.term ?? 0),
    sinceMicros: meta?.end?.appendTimeMicros ?? 0,
    streams: [...ids, ...emptied].sort((a, b) => a - b).flatMap((group) => names.stream(group) ?? []),
    clusterId: names.clusterId,
    settings: names.settings,
  };
}

/** Whether there is anything to do. */
export function isNeeded({ mendsId, isNewDisk, takesOver, logs, catalogue }: RepairPlan): boolean {
  return mendsId || isNewDisk || takesOver || catalogue !== undefined || logs.some(isChanged);
}

/** Whether a log is another after the repair. */
export function isChanged({ log, isOrphan }: LogPlan): boolean {
  return isOrphan || isDamagedLog(log);
}

/** What a repair does and what is lost by it, line by line. */
export function planLines(plan: RepairPlan): string[] {
  const { checked, mendsId, isNewDisk, takesOver, isAlone, logs, catalogue, emptied, bare } = plan;
  const lines: string[] = [];
  if (isAlone) {
    lines.push(
      "cluster: this folder begins one of its own, with another id, and is the only voter of each of its streams. What only " +
        "others had is lost, and others that come back are refused",
    );
  }
  if (mendsId) lines.push("id: the byte that is wrong is put right; nothing is lost");
  if (checked.journal?.isDamaged) {
    lines.push(
      "journal: written anew from all that is whole. What its lost frames said is forgotten: terms and votes, streams that " +
        "were created or deleted, and the batches that are told below",
    );
  }
  if (isNewDisk) lines.push("disk id: a new one, so that this folder is no more taken for what it was");
  if (takesOver && !isAlone)
    lines.push("voters: a repair was cut short; each stream is told that this disk is its voter");
  if (catalogue) {
    const { streams, index } = catalogue;
    lines.push(
      `catalogue (_meta): made anew from what tells of streams, ${streams.length} of them; new streams get ids above ${index}. ` +
        "What is lost of it is forgotten: deletions, and streams of which nothing else is left",
    );
  }
  for (const log of logs.filter(isChanged)) lines.push(logLine(checked, log));
  for (const group of [...emptied, ...bare])
    lines.push(`${streamWords(checked, group)}: begins anew, empty, when the node starts`);
  return lines;
}

function logLine(checked: CheckedFolder, { log, end, lost, wholeBehind, isOrphan }: LogPlan): string {
  const parts: string[] = [];
  if (isOrphan) parts.push("the catalogue does not have it, so all of it is moved aside");
  else if (end === undefined) parts.push("nothing of it is kept");
  else parts.push(`batches ${log.known.base.index} to ${end.index - 1} are kept, up to offset ${end.offset}`);
  if (lost === undefined) parts.push("nothing is lost");
  else parts.push(`lost: ${lostWords(lost)}`);
  if (wholeBehind > 0) parts.push(`${wholeBehind} of those batches are whole, and are moved aside`);
  if (end !== undefined && lost !== undefined)
    parts.push(`offsets from ${end.offset} on will be given to other records`);
  return `${streamWords(checked, log.known.group)}: ${parts.join("; ")}`;
}

/** Whether a log's only voter is another disk. */
function namesAnother(journal: CheckedJournal, { id }: CheckedId): boolean {
  return [...journal.groups.values()].some(({ state }) => {
    const [voter, ...more] = votersIn(state.note);
    return voter !== undefined && more.length === 0 && id !== undefined && !sameBytes(voter.diskId, id.diskId);
  });
}

function planLog(log: CheckedLog, isOrphan: boolean): LogPlan {
  const { known, knownEnd, batches } = log;
  const end = isOrphan ? undefined : log.end;
  const from = end ?? known.base;
  const isLess = knownEnd.index > from.index;
  return {
    log,
    end,
    inSegments: isOrphan ? undefined : log.inSegments,
    lost: isLess
      ? { firstIndex: from.index, endIndex: knownEnd.index, firstOffset: from.offset, endOffset: knownEnd.offset }
      : undefined,
    wholeBehind: batches - (from.index - known.base.index),
    isOrphan,
  };
}

function isDamagedLog({ findings }: CheckedLog): boolean {
  return findings.some(({ kind }) => kind === "damage");
}
