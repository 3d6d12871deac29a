/**
 * What the replication core must know of a log before its group votes and fetches.
 * @module
 */
import { present } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import type { GroupLog } from "../log/types.ts";
import type { OpenedGroup } from "../raft/group.ts";
import type { TermStart, VoterSet } from "../raft/log-view.ts";
import type { ReplicaId } from "../raft/types.ts";
import { decodeTrim } from "../wire/checkpoint.ts";
import { beforeOf, hexOf, votersIn } from "./core-batch.ts";

/** What is read of a log before its group takes part. */
export interface FoundGroup {
  readonly opened: OpenedGroup;
  /** Its trims, and the base that each lets it have. */
  readonly trims: readonly { readonly index: number; readonly baseIndex: number }[];
}

/** Reads it. The log is quiet, and all of it durable. */
export async function openedGroup(log: GroupLog, self: ReplicaId): Promise<FoundGroup> {
  const { group, base, durableEnd, vote, floor } = log;
  const [first] = await log.read({ from: { index: base.index }, belowIndex: base.index + 1, maxBytes: 1 });
  const checkpoint = present(first, `group ${group} has no batch at its base`);
  const terms: TermStart[] = [];
  const sets: VoterSet[] = [];
  const trims: { index: number; baseIndex: number }[] = [];
  for await (const control of log.controlBatches(base.index)) {
    const { index, term } = control;
    if (term > (terms.at(-1)?.term ?? -1)) terms.push({ term, index });
    const voters = votersIn(control);
    if (voters) sets.push({ index, voters: voters.map((voter) => (isUnnamed(voter, self) ? self : voter)) });
    if (control.kind === BatchKind.trim) trims.push({ index, baseIndex: decodeTrim(control.payload).baseIndex });
  }
  const commit = Math.max(log.commit.index, base.index + 1);
  const digests: Uint8Array[] = [];
  for await (const header of log.headers(commit - 1)) digests.push(header.digest.slice());
  const inForce = sets.findLastIndex(({ index }) => index < commit);
  const opened = {
    group,
    self,
    promises: { term: vote.term, votedFor: vote.votedFor ? votedFor(vote.votedFor, sets) : null },
    floor,
    log: {
      base: { index: base.index, before: beforeOf(checkpoint.payload) },
      ...{ terms, end: durableEnd.index, digests, commit, voterSets: sets.slice(Math.max(inForce, 0)) },
    },
  };
  return { opened, trims };
}

/** A node that was alone named its replica by the disk only: on that disk it is known who was meant. */
function isUnnamed(voter: ReplicaId, self: ReplicaId): boolean {
  return voter.startsWith("/") && self.endsWith(voter);
}

/** The journal keeps a disk and a life: the node that has it is the one that the voters name. One of none is nobody's name. */
function votedFor(vote: { readonly diskId: Uint8Array; readonly life: number }, sets: readonly VoterSet[]): ReplicaId {
  const end = `/${hexOf(vote.diskId)}/${vote.life}`;
  for (const { voters } of sets) for (const voter of voters) if (voter.endsWith(end)) return voter;
  return `?${end}`;
}
