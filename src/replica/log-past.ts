/**
 * What a replica must know of a log's past before it appends to it, since its next checkpoint has to tell of it.
 * @module
 */
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { sameBytes } from "../base/bytes.ts";
import { TailraceError } from "../base/errors.ts";
import type { VersionedSettings } from "../base/stream-settings.ts";
import type { GroupLog, Replica, SegmentLimits } from "../log/types.ts";
import type { StoredCreation } from "../wire/catalogue.ts";
import {
  type CheckpointState,
  checkpointPrefixBytes,
  decodeCheckpoint,
  decodeFence,
  decodeTrim,
  decodeVoters,
  encodeCheckpoint,
  type StoredReplica,
  type TermStart,
} from "../wire/checkpoint.ts";
import { decodeSettings } from "../wire/settings.ts";
import type { LogOwner, StreamPart } from "./log-door.ts";

/** What a log says of its stream, and what leading it takes. */
export interface FoundPast {
  /** Absent where it can't be read. */
  readonly part: StreamPart | undefined;
  /** Or why it can't be led: `not_built` or `damaged`. It can be read for all that. */
  readonly past: LogPast | TailraceError;
}

/** A log's past. */
export interface LogPast {
  /** This node's copy of the log, as its voters name it. */
  readonly self: Replica;
  readonly voters: readonly Replica[];
  /** When its segments end. */
  limits: SegmentLimits;
  /** Where terms begin, from the base on: log start is never below it, so no term that a checkpoint must name is missing. */
  termStarts: TermStart[];
}

/** Reads the last checkpoint and the control batches after it. @throws {Error} It can't now: for want of files, perhaps. */
export async function readPast(log: GroupLog, diskId: Uint8Array): Promise<FoundPast> {
  let part: StreamPart | undefined;
  try {
    const batch = await log.lastCheckpoint();
    const checkpoint = decodeStoredCheckpoint(batch);
    part = checkpoint;
    const termStarts = [...checkpoint.termStarts];
    let { settings, voters } = checkpoint;
    let refusal: TailraceError | undefined;
    for await (const { kind, term, index, payload } of log.controlBatches(batch.index + 1)) {
      switch (kind) {
        case BatchKind.fence:
          part = { ...part, fence: decodeFence(payload) };
          break;
        case BatchKind.leaderChange:
          termStarts.push({ term, index });
          break;
        case BatchKind.trim:
          part = { ...part, logStart: decodeTrim(payload).logStart };
          break;
        case BatchKind.settings: {
          const later = decodeSettings(payload);
          if (later.version > settings.version) settings = later;
          part = { ...part, settings };
          break;
        }
        case BatchKind.voters:
          voters = decodeVoters(payload);
          break;
        default:
          refusal ??= notBuilt(log.group, `it holds a control batch of kind ${kind}`);
      }
    }
    const past = refusal ?? { ...pastOfCheckpoint(log.group, { ...checkpoint, settings, voters }, diskId), termStarts };
    return { part, past };
  } catch (error) {
    const isForGood = error instanceof TailraceError && (error.reason === "not_built" || error.reason === "damaged");
    if (isForGood) return { part, past: error };
    throw error;
  }
}

/**
 * Tells a log's owner of its producers: those of the last checkpoint, and all that came behind it. Only who appends needs
 * them, and pays for looking at every header there.
 */
export async function recallProducers(log: GroupLog, owner: Pick<LogOwner, "restoring" | "produced">): Promise<void> {
  const batch = await log.lastCheckpoint();
  owner.restoring(decodeStoredCheckpoint(batch));
  for await (const header of log.headers(batch.index + 1)) {
    const { producer } = header;
    if (producer) owner.produced({ ...header, producer });
  }
}

/**
 * The past of a log that ends with a checkpoint.
 * @throws {TailraceError} `not_built`.
 */
export function pastOfCheckpoint(group: number, checkpoint: CheckpointState, diskId: Uint8Array): LogPast {
  const { voters, settings } = checkpoint;
  const [self] = voters;
  if (self === undefined || voters.length > 1 || !sameBytes(self.diskId, diskId)) {
    const todo = 'Start the data folder that its voters name; one that was copied or repaired needs "tailrace repair"';
    throw notBuilt(group, "its voters are not this data folder alone", todo);
  }
  return {
    self,
    voters,
    limits: segmentLimitsOf(settings),
    termStarts: [...checkpoint.termStarts],
  };
}

/** Shortest age of a segment that retention asks for, seconds: as short as a segment's own may be. */
const retainedSegmentMinAgeS = 60;

/**
 * When segments end. Records go with their segment, when the newest one is old enough: one that grew for longer than they
 * are kept would keep its first ones for long.
 */
export function segmentLimitsOf({ segmentMaxBytes, segmentMaxAgeS, retentionAgeS }: VersionedSettings): SegmentLimits {
  const keptS = retentionAgeS === 0 ? segmentMaxAgeS : Math.max(retentionAgeS, retainedSegmentMinAgeS);
  return { maxBytes: segmentMaxBytes, maxAgeMicros: Math.min(segmentMaxAgeS, keptS) * 1e6 };
}

/** What a stored checkpoint says, its first 40 bytes left out. */
export function decodeStoredCheckpoint(batch: StoredBatch): CheckpointState {
  return decodeCheckpoint(batch.payload.subarray(checkpointPrefixBytes));
}

/** What to say at the creation of a stream with these voters. */
export function creationOf(part: StreamPart, startOffset: number, voters: readonly StoredReplica[]): StoredCreation {
  const state = encodeCheckpoint({ ...part, voters, termStarts: [] });
  // Term and digest of the batch before batch 0 are zeros.
  const checkpoint = new Uint8Array(checkpointPrefixBytes + state.length);
  checkpoint.set(state, checkpointPrefixBytes);
  return { name: part.name, startOffset, checkpoint };
}

function notBuilt(
  group: number,
  why: string,
  todo = "Start the node with the version of tailrace that wrote it",
): TailraceError {
  const words = { what: `Cannot append to the log of group ${group}`, why, todo };
  return new TailraceError("not_built", words, { fate: "nothing_written" });
}
