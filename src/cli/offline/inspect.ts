/**
 * `tailrace inspect DIR`: what is in a stopped node's folder. Reads it as `verify` does, and changes nothing.
 * @module
 */
import type { StoredBatch } from "../../base/batch.ts";
import { systemHash } from "../../host/hash.ts";
import { formatVersion } from "../../log/format.ts";
import type { ReplayedGroup } from "../../log/journal-replay.ts";
import { CommandError, exitCodes } from "../exit.ts";
import { standardOutput } from "../output.ts";
import { batchView, hex } from "./batch-view.ts";
import { type CheckedFolder, checkFolder } from "./folder-check.ts";
import { JournalFacts } from "./frame-facts.ts";
import type { CheckedJournal } from "./journal-check.ts";
import type { CheckedLog } from "./log-check.ts";
import type { BatchPlace } from "./log-findings.ts";
import { readingFolder } from "./open-folder.ts";
import { plainLines } from "./plain-text.ts";
import { isDamaged } from "./report.ts";
import { StreamFacts, timeOf } from "./stream-facts.ts";
import type { StreamsSeen } from "./streams-seen.ts";
import { explained, withProgress } from "./verify.ts";
import { votersIn } from "./voters.ts";

export interface InspectOptions {
  /** Name or id. */
  readonly stream?: string;
  readonly batch?: number;
  readonly frames?: boolean;
  readonly json?: boolean;
}

/** What was noted on the way through the folder. */
interface Noted {
  readonly journal: JournalFacts;
  readonly streams: Map<number, StreamFacts>;
  /** Batches with the index that was asked for, by stream. */
  readonly batches: Map<number, object>;
}

/** Runs the command; resolves with the exit code. */
export async function inspectFolder(folder: string, options: InspectOptions): Promise<number> {
  if (options.batch !== undefined && options.stream === undefined) {
    throw new CommandError("--batch needs --stream: each stream has its own. Add its name or id.", exitCodes.usage);
  }
  const noted: Noted = { journal: new JournalFacts(), streams: new Map(), batches: new Map() };
  const visit = (batch: StoredBatch, place: BatchPlace) => {
    const facts = noted.streams.get(batch.group) ?? new StreamFacts();
    noted.streams.set(batch.group, facts);
    facts.visit(batch, place);
    if (batch.index === options.batch) noted.batches.set(batch.group, batchView(batch, place));
  };
  return await explained(() =>
    readingFolder(folder, (read) =>
      withProgress(false, ({ stop, ...shown }) => {
        const { stream } = options;
        const wants = (group: number, names: StreamsSeen) => stream === undefined || isNamed(stream, group, names);
        const check = { wants, hash: systemHash, visit, visitFrame: noted.journal.visit.bind(noted.journal), ...shown };
        return checkFolder(read, check, async (checked) => {
          stop();
          await print(viewOf(checked, noted, options), options.json === true);
          if (isDamaged(checked)) {
            process.stderr.write(`tailrace: ${checked.path} is damaged: "tailrace verify" tells where\n`);
          }
          return exitCodes.ok;
        });
      }),
    ),
  );
}

function viewOf(checked: CheckedFolder, noted: Noted, options: InspectOptions): object {
  if (options.stream === undefined) return folderView(checked, noted, options.frames === true);
  const log = chosen(checked, options.stream);
  const { group } = log.known;
  if (options.batch === undefined) return streamView(checked, log, noted.streams.get(group) ?? new StreamFacts());
  const batch = noted.batches.get(group);
  if (batch) return batch;
  const { base } = log.known;
  const range = log.end ? `${base.index} to ${log.end.index - 1}` : "none";
  throw new CommandError(`stream ${options.stream} has no batch ${options.batch} here that is whole; it has ${range}.`);
}

/** A stream is named by its name, or by its id. */
function isNamed(stream: string, group: number, names: StreamsSeen): boolean {
  return names.of(group) === stream || String(group) === stream;
}

async function print(view: object, asJson: boolean): Promise<void> {
  await standardOutput().write(asJson ? `${JSON.stringify(view)}\n` : `${plainLines(view).join("\n")}\n`);
}

function chosen({ logs, names }: CheckedFolder, stream: string): CheckedLog {
  const named = logs.filter(({ known }) => isNamed(stream, known.group, names));
  const log = named.find(({ known }) => names.of(known.group) === stream) ?? named[0];
  if (log) return log;
  throw new CommandError(
    `there is no stream ${stream} in this folder. Leave out --stream to see which are.`,
    exitCodes.notFound,
  );
}

function folderView(checked: CheckedFolder, noted: Noted, withFrames: boolean): object {
  const { path, id, journal, logs, names } = checked;
  return {
    folder: path,
    format: formatVersion,
    nodeId: id.id?.nodeId ?? "unreadable",
    diskId: id.id ? hex(id.id.diskId) : "unreadable",
    ...(journal ? { journal: journalView(journal, noted.journal, withFrames) } : {}),
    streams: logs.map((log) => {
      const { known, segments, end, tailBatches, records, bytes } = log;
      const facts = noted.streams.get(known.group);
      return {
        ...{ id: known.group, name: names.of(known.group) ?? "-", segments: segments.length },
        ...{ records, bytes, nextOffset: end?.offset ?? known.base.offset, nextIndex: end?.index ?? known.base.index },
        ...{ tailBatches, lastAppend: timeOf(facts?.lastMicros ?? 0) },
      };
    }),
  };
}

function journalView({ ring, isClean }: CheckedJournal, facts: JournalFacts, withFrames: boolean): object {
  const { newest, runs, live } = ring;
  return {
    cleanStop: isClean,
    incarnation: newest?.incarnation ?? 0,
    newestFrame: newest?.last ?? 0,
    freed: newest?.freed ?? 0,
    files: runs.map((run) => ({
      ...{ file: `journal/${run.slot}`, bytes: run.sizeBytes, firstFrame: run.first, lastFrame: run.last },
      state: live.includes(run) ? "counts" : "free",
    })),
    records: facts.records,
    ...(withFrames ? { frames: facts.frames } : {}),
  };
}

function streamView(checked: CheckedFolder, log: CheckedLog, facts: StreamFacts): object {
  const { known, segments, end, tailBatches, batches, records, bytes } = log;
  const { group, logNumber, base, mark } = known;
  return {
    name: checked.names.of(group) ?? "-",
    ...{ id: group, logNumber, batches, records, bytes },
    base,
    end: end && { index: end.index, offset: end.offset, term: end.term, digest: hex(end.digest) },
    mark: {
      ...{ index: mark.end.index, offset: mark.end.offset, segment: mark.segment, position: mark.position },
      ...{ term: mark.end.term, time: timeOf(mark.end.appendTimeMicros), committed: mark.commitIndex },
      digest: hex(mark.end.digest),
    },
    cutOpen: known.isCutOpen,
    ...promisedView(checked.journal?.groups.get(group)),
    kinds: facts.kinds,
    tail: { batches: tailBatches, firstIndex: tailBatches > 0 && end ? end.index - tailBatches : undefined },
    segments: segments.map(({ firstIndex, sizeBytes }, i) => ({
      ...{ firstIndex, bytes: sizeBytes, sealed: i < segments.length - 1 },
    })),
    checkpoints: facts.checkpoints,
    producers: facts.producers,
    lastCheckpoint: facts.checkpoint,
    controlBatchesAfter: facts.later,
  };
}

/** What the journal keeps of a replica beside its log. */
function promisedView(group: ReplayedGroup | undefined): object {
  if (!group) return {};
  const { vote, life, floor, note, placed } = group.state;
  const { votedFor } = vote;
  return {
    vote: { term: vote.term, ...(votedFor ? { diskId: hex(votedFor.diskId), life: votedFor.life } : {}) },
    ...{ life, floor, placed },
    note: votersIn(note).map((voter) => ({ diskId: hex(voter.diskId), life: voter.life })),
  };
}
