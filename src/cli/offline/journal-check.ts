/**
 * Looks at the journal: that its frames are there, and what they say of each group.
 * @module
 */
import { present } from "../../base/assert.ts";
import type { StoredBatch } from "../../base/batch.ts";
import { batchBytes, readBatch } from "../../log/batch-reader.ts";
import { FrameKind, RecordKind } from "../../log/format.ts";
import { JournalReplay, type ReplayedGroup } from "../../log/journal-replay.ts";
import { type RingPlace, type Run, type SurveyedRing, surveyRing } from "../../log/ring-scan.ts";
import type { Finding } from "./finding.ts";
import {
  countedFrames,
  hasSoundRecords,
  type PlacedFrame,
  type PlacedRecord,
  ringFileBytes,
  tornFrameAt,
} from "./journal-frames.ts";
import type { JournaledBatch, JournaledBatches, KnownLog } from "./known-log.ts";

/** The journal, looked at. */
export interface CheckedJournal {
  readonly ring: SurveyedRing;
  readonly findings: readonly Finding[];
  readonly isDamaged: boolean;
  readonly isClean: boolean;
  readonly frames: number;
  readonly bytes: number;
  readonly groups: ReadonlyMap<number, ReplayedGroup>;
  /** What it knows of a group. */
  known(group: number): KnownLog | undefined;
  /** Closes its files: batches can't be read from it any more. */
  close(): Promise<void>;
}

/**
 * Reads the whole journal.
 * @param path The data folder.
 * @param visit Called for each frame that counts.
 * @throws {DataFolderError} It was written by a newer version.
 */
export async function checkJournal(
  place: RingPlace,
  path: string,
  visit: (frame: PlacedFrame) => void = () => {},
): Promise<CheckedJournal> {
  const ring = await surveyRing(place);
  const findings: Finding[] = ring.damages.map(({ path: file, position, why }) => ({
    ...{ kind: "damage" as const, file: file.slice(path.length + 1), position },
    what: `${why}: what the lost frames said can't be known`,
  }));
  const replayed = new JournalReplay(place.hash);
  const isDamaged = findings.length > 0;
  const copies = isDamaged ? new JournaledCopies(place) : undefined;
  let frames = 0;
  for await (const placed of countedFrames(place, ring)) {
    const { frame, slot, records } = placed;
    const bad = records.find((record) => !isSound(place, record));
    if (bad || !hasSoundRecords(frame)) {
      const position = bad?.position ?? frame.position;
      const what = `frame ${frame.number} is whole, and what it says can't be`;
      findings.push({ kind: "damage", file: `journal/${slot}`, position, what });
    }
    const sound = bad ? records.filter((record) => isSound(place, record)) : records;
    replayed.apply(
      frame,
      sound.map((record) => ({ ...record, position: record.ringPosition })),
    );
    copies?.apply(sound);
    visit(placed);
    frames += 1;
  }
  replayed.finish();
  const torn = await tornFrameAt(ring);
  if (torn !== undefined && !isDamaged) {
    const what = "the newest frame is not whole: it was cut short, or damaged since, which look the same";
    findings.push({ kind: "crash", file: `journal/${ring.newest?.slot}`, position: torn, what });
  }
  const source = new RingBatches(ring.runs, place);
  return {
    ...{ ring, findings, isDamaged, frames, groups: replayed.groups },
    isClean: ring.newest?.lastKind === FrameKind.clean && !isDamaged,
    bytes: ring.runs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    known: (group) => {
      const known = replayed.groups.get(group);
      return known && knownLog(group, known, copies?.of(group, known, source) ?? tailOf(group, known, source));
    },
    close: async () => {
      for (const { file } of ring.runs) await file.close();
    },
  };
}

/** Whether a record that carries a batch has a whole one of its group. */
function isSound(place: RingPlace, { kind, body, group }: PlacedRecord): boolean {
  if (kind !== RecordKind.batch && kind !== RecordKind.made) return true;
  return readBatch(body, group, place.hash) !== undefined;
}

function knownLog(group: number, { logNumber, state }: ReplayedGroup, journaled: JournaledBatches): KnownLog {
  const { base, mark, openCut } = state;
  return { group, logNumber, base, mark, isCutOpen: openCut !== undefined, journaled };
}

/** Reads batches out of the ring's files. */
class RingBatches {
  readonly #runs: readonly Run[];
  readonly #place: RingPlace;
  readonly #fileBytes: number;

  constructor(runs: readonly Run[], place: RingPlace) {
    this.#runs = runs;
    this.#place = place;
    this.#fileBytes = ringFileBytes(runs);
  }

  async read(group: number, at: { ringPosition: number; bytes: number }): Promise<JournaledBatch> {
    const slot = Math.floor(at.ringPosition / this.#fileBytes);
    const position = at.ringPosition - slot * this.#fileBytes;
    const run = present(
      this.#runs.find((candidate) => candidate.slot === slot),
      `the ring has no file ${slot}`,
    );
    const bytes = new Uint8Array(at.bytes);
    await run.file.readRecent(bytes, position);
    const batch = present(readBatch(bytes, group, this.#place.hash), "a batch of a whole frame was read before");
    return { batch, file: `journal/${slot}`, position };
  }
}

/** A group's tail, in a journal that is whole. */
function tailOf(group: number, { tail }: ReplayedGroup, source: RingBatches): JournaledBatches {
  return {
    endIndex: tail.count > 0 ? tail.endIndex : 0,
    at: async (index) => {
      if (index < tail.startIndex || index >= tail.endIndex) return [];
      return [await source.read(group, tail.entry(index))];
    },
  };
}

interface CopyPlace {
  readonly ringPosition: number;
  readonly bytes: number;
}

/**
 * All batches that stand anywhere in a journal of which frames are lost. Which of them were cut off again can't be told
 * by position any more; but no other batch follows the one before it by its digest.
 */
class JournaledCopies {
  readonly #place: RingPlace;
  readonly #logs = new Map<string, Map<number, CopyPlace[]>>();

  constructor(place: RingPlace) {
    this.#place = place;
  }

  apply(records: readonly PlacedRecord[]): void {
    for (const { kind, group, logNumber, body, ringPosition } of records) {
      if (kind !== RecordKind.batch && kind !== RecordKind.made) continue;
      const batch: StoredBatch = present(readBatch(body, group, this.#place.hash), "a sound record has a batch");
      const log = `${group}/${logNumber}`;
      const places = this.#logs.get(log) ?? new Map<number, CopyPlace[]>();
      this.#logs.set(log, places);
      const copies = places.get(batch.index) ?? [];
      places.set(batch.index, [{ ringPosition, bytes: batchBytes(batch) }, ...copies]);
    }
  }

  of(group: number, { logNumber }: ReplayedGroup, source: RingBatches): JournaledBatches {
    const places = this.#logs.get(`${group}/${logNumber}`) ?? new Map<number, CopyPlace[]>();
    let endIndex = 0;
    for (const index of places.keys()) endIndex = Math.max(endIndex, index + 1);
    return {
      endIndex,
      at: async (index) => await Promise.all((places.get(index) ?? []).map((copy) => source.read(group, copy))),
    };
  }
}
