/**
 * What a replica must know of a log's past before it appends to it, since its next checkpoint has to tell of it.
 * @module
 */
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { sameBytes } from "../base/bytes.ts";
import { TailraceError } from "../base/errors.ts";
import type { GroupLog, Replica, SegmentLimits } from "../log/types.ts";
import { checkpointPrefixBytes, type DecodedCheckpoint, decodeCheckpoint, type TermStart } from "../wire/checkpoint.ts";

/** A log's past. */
export interface LogPast {
  /** This node's copy of the log, as its voters name it. */
  readonly self: Replica;
  readonly voters: readonly Replica[];
  readonly limits: SegmentLimits;
  /** Where terms begin, from the base on: log start is never below it, so no term that a checkpoint must name is missing. */
  termStarts: TermStart[];
}

/**
 * Reads the last checkpoint and the headers after it.
 * @throws {TailraceError} `not_built`: it holds what this version can't carry on. `damaged`.
 */
export async function readPast(log: GroupLog, diskId: Uint8Array): Promise<LogPast> {
  const batch = await log.lastCheckpoint();
  const past = pastOfCheckpoint(log.group, decodeStoredCheckpoint(batch), diskId);
  for await (const { kind, term, index } of log.headers(batch.index + 1)) {
    if (kind === BatchKind.leaderChange) past.termStarts.push({ term, index });
    else if (kind !== BatchKind.records) throw notBuilt(log.group, `it holds a control batch of kind ${kind}`);
  }
  return past;
}

/**
 * The past of a log that ends with a checkpoint.
 * @throws {TailraceError} `not_built`.
 */
export function pastOfCheckpoint(group: number, checkpoint: DecodedCheckpoint, diskId: Uint8Array): LogPast {
  const { voters, settings } = checkpoint;
  const [self] = voters;
  if (self === undefined || voters.length > 1 || !sameBytes(self.diskId, diskId)) {
    throw notBuilt(group, "its voters are not this data folder alone");
  }
  if (checkpoint.hasMore) throw notBuilt(group, "its checkpoint tells of producers or a fence");
  return {
    self,
    voters,
    limits: { maxBytes: settings.segmentMaxBytes, maxAgeMicros: settings.segmentMaxAgeS * 1e6 },
    termStarts: [...checkpoint.termStarts],
  };
}

/** What a stored checkpoint says, its first 40 bytes left out. */
export function decodeStoredCheckpoint(batch: StoredBatch): DecodedCheckpoint {
  return decodeCheckpoint(batch.payload.subarray(checkpointPrefixBytes));
}

function notBuilt(group: number, why: string): TailraceError {
  const words = {
    what: `Cannot append to the log of group ${group}`,
    why,
    todo: "Start the node with the version of tailrace that wrote it",
  };
  return new TailraceError("not_built", words, { fate: "nothing_written" });
}
