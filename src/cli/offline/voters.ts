/**
 * Who counts in a log's majority, and making a folder that became another disk the voter of its own logs.
 * @module
 */
import { BatchKind, type StoredBatch } from "../../base/batch.ts";
import { sameBytes } from "../../base/bytes.ts";
import type { DataFolder, GroupLog } from "../../log/types.ts";
import {
  checkpointPrefixBytes,
  decodeCheckpoint,
  decodeVoters,
  encodeLeaderChange,
  encodeVoters,
  type StoredReplica,
} from "../../wire/checkpoint.ts";

/** Logs that are written to at once: they share the journal's frames. */
const atOnce = 500;

/** The voters that a note names; none, if it is no note of voters. */
export function votersIn(note: Uint8Array): StoredReplica[] {
  try {
    return decodeVoters(note).filter(({ diskId }) => diskId.length === 16);
  } catch {
    return [];
  }
}

/** The voters of each log, as its batches tell them that are shown to it. */
export class VotersSeen {
  readonly #voters = new Map<number, readonly StoredReplica[]>();

  /** Takes note of a batch; those of a group come in order. */
  visit({ kind, group, payload }: StoredBatch): void {
    if (kind === BatchKind.voters) this.#voters.set(group, votersIn(payload));
    if (kind !== BatchKind.checkpoint) return;
    try {
      this.#voters.set(group, decodeCheckpoint(payload.subarray(checkpointPrefixBytes)).voters);
    } catch {
      // A checkpoint of something else than a stream names nobody.
    }
  }

  /** A log's note: its voters, serialized. */
  noteOf(group: number): Uint8Array {
    return encodeVoters(this.#voters.get(group) ?? []);
  }
}

/**
 * Makes the folder's disk the voter of all logs whose only voter is another disk, by a term of its own and a voters batch in
 * each. Gives how many that were. @param alone Also of those that have more voters, or none that is known.
 */
export async function takeOver(folder: DataFolder, alone: boolean): Promise<number> {
  const self = { diskId: folder.diskId, life: 0 };
  const logs = [...folder.groups()]
    .flatMap((group) => folder.log(group) ?? [])
    .filter((log) => (alone ? !isOwn(log, self) : isOfAnother(log, self)));
  const waiting = [...logs];
  const work = async () => {
    for (let log = waiting.shift(); log; log = waiting.shift()) await nameVoter(log, self);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return logs.length;
}

function isOfAnother({ note }: GroupLog, self: StoredReplica): boolean {
  const [voter, ...more] = votersIn(note);
  return voter !== undefined && more.length === 0 && !sameBytes(voter.diskId, self.diskId);
}

function isOwn({ note }: GroupLog, self: StoredReplica): boolean {
  const [voter, ...more] = votersIn(note);
  return voter !== undefined && more.length === 0 && sameBytes(voter.diskId, self.diskId);
}

/** The term begins with its leader, as each does; then the new voter counts. Both go into one frame. */
async function nameVoter(log: GroupLog, self: StoredReplica): Promise<void> {
  const term = Math.max(log.vote.term, log.durableEnd.term) + 1;
  const begun = log.append({
    kind: BatchKind.leaderChange,
    payload: encodeLeaderChange(self),
    recordCount: 0,
    begins: { term, votedFor: self },
  });
  const voters = encodeVoters([self]);
  const named = log.append({ kind: BatchKind.voters, payload: voters, recordCount: 0, note: voters });
  await Promise.all([begun, named]);
}
