/**
 * One replica of one group: its state. What changes it is in the files beside: `election.ts`, `following.ts`,
 * `leading.ts`, `feeding.ts`, `commit.ts`, `reads.ts`, `voters.ts`, `damage.ts`; `step.ts` says which input goes where.
 * @module
 */
import { HeldMessages } from "./held.ts";
import { LogView, type OpenedLog } from "./log-view.ts";
import type { NodeId, ReplicaId } from "./types.ts";

/** Where a replica fetches. */
export interface Source {
  readonly node: NodeId;
  /** Who is asked there, as it was named. */
  readonly replica: ReplicaId;
  /** The newest fetch is one that only a leader answers. */
  asVoter: boolean;
  /** Number of the newest fetch; 0: it waits for the session to open. */
  id: number;
  /** The other side said that the fetch stands. */
  answered: boolean;
  /** The own log is the other side's up to here; 0 until the fetch is answered. */
  matched: number;
  /** The highest commit index that the other side said since. */
  saidCommit: number;
  /** Since when that is more than is committed here; undefined: it is not. */
  behindSinceMs: number | undefined;
  /** It begins the log anew with the checkpoint at this index. */
  restartAt: number | undefined;
  /** A batch from there does not fit, or it says that one here does not; and the own chain was right when recomputed. */
  passed: boolean;
  /** When it asked last. */
  askedAtMs: number;
  /** What it had durable then. */
  askedDurable: number;
  /** When it asks again; 0: it has asked. */
  retryAtMs: number;
  /** It asks again once the log that begins anew is in place, be that before. */
  awaitsLog: boolean;
}

/** What a leader knows of one that fetches, or any replica of one that fetches committed batches only. */
export interface Feed {
  readonly node: NodeId;
  readonly id: number;
  /** First batch that was not sent. */
  next: number;
  credit: number;
  /** Sent, not acknowledged. */
  readonly inFlight: { readonly end: number; readonly bytes: number }[];
  inFlightBytes: number;
  /** Bytes of room that what the driver reads for it has; 0: it reads nothing. */
  readingBytes: number;
  /** The commit index that was told last. */
  toldCommit: number;
}

/** What a leader counts of a replica, as long as it leads. */
export interface Progress {
  /** Held durably, of this leader's log. */
  durable: number;
  /** Highest beat that was echoed while the fetch stood. */
  echoed: number;
  /** It reported less than it had: it forgot, and counts no more. */
  distrusted: boolean;
  /** It left by itself, for a higher term. */
  unfetched: boolean;
}

/** A read that waits until the leader knows that it still leads. */
export interface WaitingRead {
  readonly read: number;
  /** What is committed when it came; undefined until that is known. */
  index: number | undefined;
  /** Beats from this one on answer it. */
  beat: number;
}

/** What a replica does. Each holds only what is true in it. */
export type Role =
  | {
      readonly kind: "follower";
      source: Source | undefined;
      /** When it asks for pre-votes, if no leader is found before. */
      campaignAtMs: number;
    }
  | {
      readonly kind: "prospective";
      source: Source | undefined;
      readonly granted: Set<ReplicaId>;
      againAtMs: number;
    }
  | { readonly kind: "candidate"; readonly granted: Set<ReplicaId>; againAtMs: number }
  | LeaderRole
  /** An invariant does not hold, or nobody can tell whose data is wrong: it answers nothing any more. */
  | { readonly kind: "stopped"; readonly why: string };

/** Leading a term. */
export interface LeaderRole {
  readonly kind: "leader";
  readonly progress: Map<ReplicaId, Progress>;
  /** What it holds is known to be all that was ever committed: reads may be answered. */
  confirmed: boolean;
  /** Its leader change: not asked for, asked for, or at this index. */
  leaderChange: "none" | "asked" | number;
  /** Where what was sent to anybody ends. */
  sentEnd: number;
  /** When it looks whether a majority stands, and calls `lead` again. */
  announceAtMs: number;
  announceGapMs: number;
  /** Since when no majority stands; undefined: one does. */
  aloneSinceMs: number | undefined;
  readonly reads: WaitingRead[];
  handover: { readonly to: ReplicaId; readonly untilMs: number; asked: boolean } | undefined;
  /** A change of voters that waits for an own commit, or whose batch was asked for, or has its place. */
  change: VotersChange | undefined;
}

/** A change of voters that is under way. */
export interface VotersChange {
  readonly voters: readonly ReplicaId[];
  readonly force: boolean;
  asked: boolean;
  /** Where its batch stands. */
  index: number | undefined;
}

/** What is promised: kept across restarts before anything that depends on it is sent. */
export interface Promises {
  readonly term: number;
  readonly votedFor: ReplicaId | null;
}

/** Below it, a replica does not campaign, and votes only for logs at or above it. */
export interface LogFloor {
  readonly term: number;
  /** Index of the last batch that was held. */
  readonly index: number;
}

/** What a group is opened with. */
export interface OpenedGroup {
  readonly group: number;
  readonly self: ReplicaId;
  readonly promises: Promises;
  readonly floor: LogFloor;
  readonly log: OpenedLog;
}

/** One replica of one group. */
export interface Group {
  readonly group: number;
  readonly self: ReplicaId;
  term: number;
  votedFor: ReplicaId | null;
  floor: LogFloor;
  readonly log: LogView;
  role: Role;
  /** Who leads, as far as is known: an address to fetch from. */
  leaderHint: ReplicaId | null;
  readonly feeds: Map<ReplicaId, Feed>;
  fetchId: number;
  /** Promises that are on their way to the disk, and what waits for them, in order. */
  saving: number;
  readonly held: HeldMessages;
  /** Whose batch did not fit, while the own chain is recomputed. */
  suspect: Suspect | undefined;
  /** Its own bytes are damaged, and being replaced: it neither fetches nor campaigns. */
  repairing: boolean;
}

/** What did not fit. */
export interface Suspect {
  /** What the followed one sent; what a follower says that it has; what the followed one says of the own log; a read of it. */
  readonly kind: "source" | "follower" | "leader" | "self";
  readonly node: NodeId;
  readonly index: number;
  /** The other side found its own chain right. */
  readonly otherPassed: boolean;
}

/** A replica as it wakes: a follower that knows no leader. */
export function openGroup(opened: OpenedGroup, campaignAtMs: number): Group {
  const { group, self, promises, floor } = opened;
  const log = new LogView(opened.log);
  // A lone voter's log is committed as far as it is there: there is nobody to ask.
  const isAlone = log.voters.every((voter) => voter === self);
  if (isAlone) log.commitTo(log.end);
  // A term that only the log has was taken from its leader: no vote was given in it.
  const isNewer = log.last.term > promises.term;
  return {
    ...{ group, self, floor, log, leaderHint: null, feeds: new Map(), fetchId: 0, saving: 0, held: new HeldMessages() },
    term: isNewer ? log.last.term : promises.term,
    votedFor: isNewer ? null : promises.votedFor,
    role: { kind: "follower", source: undefined, campaignAtMs: isAlone ? Number.POSITIVE_INFINITY : campaignAtMs },
    ...{ suspect: undefined, repairing: false },
  };
}

/** Where a replica fetches, if it does. */
export function sourceOf({ role }: Group): Source | undefined {
  return role.kind === "follower" || role.kind === "prospective" ? role.source : undefined;
}

/** Whether it asks for pre-votes, or for votes. */
export function isAsking({ role }: Group): boolean {
  return role.kind === "prospective" || role.kind === "candidate";
}

/** Whether it has all that is committed, as who leads or is followed says, or is alone; false: it has not, or nobody says. */
export function isCaughtUp(g: Group): boolean {
  if (g.role.kind === "leader" || g.log.voters.every((voter) => voter === g.self)) return true;
  const source = sourceOf(g);
  return source?.answered === true && source.behindSinceMs === undefined && source.restartAt === undefined;
}

/** Whether more than half of the voters are in `counted`. */
export function isMajority(voters: readonly ReplicaId[], counted: (voter: ReplicaId) => boolean): boolean {
  return 2 * voters.filter(counted).length > voters.length;
}

/** What most of the voters have reached: the highest value that a majority is at or above. */
export function majorityValue(voters: readonly ReplicaId[], reached: (voter: ReplicaId) => number): number {
  const values = voters.map(reached).sort((a, b) => b - a);
  return values[Math.floor(values.length / 2)] ?? 0;
}
