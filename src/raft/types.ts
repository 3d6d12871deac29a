/**
 * What the replication core speaks of: names, batches, messages, and settings. Positions are numbers below 2^53, ends
 * exclusive; times are milliseconds of a clock that only goes forward.
 * @module
 */
import type { BatchKind } from "../base/batch.ts";

/** A node's name. */
export type NodeId = string;

/** `NODE/DISK/LIFE`: a node, its disk, and how often the group's log was lost on it. One that forgot is another replica. */
export type ReplicaId = string;

/** Name of a replica. */
export function replicaId(node: NodeId, disk: string, life: number): ReplicaId {
  return `${node}/${disk}/${life}`;
}

/** The node that a replica is on. */
export function nodeOf(replica: ReplicaId): NodeId {
  return replica.slice(0, replica.lastIndexOf("/", replica.lastIndexOf("/") - 1));
}

/** The node and the disk that a replica is on, as a session names itself. */
export function diskOf(replica: ReplicaId): string {
  return replica.slice(0, replica.lastIndexOf("/"));
}

/** What of a batch replication needs to know. */
export interface BatchInfo {
  readonly index: number;
  readonly term: number;
  /** Stands for the whole log up to and with this batch: equal digests, equal logs. */
  readonly digest: Uint8Array;
  readonly kind: BatchKind;
  /** Of a voters batch and of a checkpoint: who counts from here on. */
  readonly voters?: readonly ReplicaId[];
  /** Of a checkpoint: what it says of the batch before it. */
  readonly before?: Before;
}

/** A batch that stands before a place. */
export interface Before {
  readonly term: number;
  readonly digest: Uint8Array;
}

/** A batch with its stored bytes, header and all. */
export interface Batch extends BatchInfo {
  readonly bytes: Uint8Array;
}

/** Where a log ends: its last batch's term, and the index after it. */
export interface LogEnd {
  readonly term: number;
  readonly end: number;
}

/** Follower to leader, in a session; nothing overtakes anything. Each carries the sender's term. */
export type FollowerMessage =
  | {
      readonly kind: "fetch";
      readonly group: number;
      readonly term: number;
      /** Number of the fetch: answers to an older one are dropped. */
      readonly id: number;
      readonly replica: ReplicaId;
      readonly next: number;
      /** The batch before `next`. */
      readonly before: Before;
      readonly durable: number;
      /** Bytes that may be on their way, not yet acknowledged. One batch may come whatever it is. */
      readonly credit: number;
      readonly committedOnly: boolean;
    }
  | {
      readonly kind: "ack";
      readonly group: number;
      readonly term: number;
      readonly durable: number;
      readonly credit: number;
    }
  | { readonly kind: "unfetch"; readonly group: number; readonly term: number }
  | { readonly kind: "badBatch"; readonly group: number; readonly term: number; readonly index: number }
  | { readonly kind: "echo"; readonly n: number };

/** Leader to follower, in a session. Small ones may overtake batches. */
export type LeaderMessage =
  | {
      readonly kind: "following";
      readonly group: number;
      readonly term: number;
      readonly id: number;
      readonly commit: number;
    }
  | {
      readonly kind: "batches";
      readonly group: number;
      readonly term: number;
      readonly id: number;
      readonly commit: number;
      readonly batches: readonly Batch[];
      /** Not said by the leader: who received it found that the batch at this index does not fit what is before it. */
      readonly bad?: number;
    }
  | { readonly kind: "commit"; readonly group: number; readonly term: number; readonly commit: number }
  | {
      readonly kind: "diverged";
      readonly group: number;
      readonly term: number;
      readonly id: number;
      readonly atTerm: number;
      readonly end: number;
    }
  | {
      readonly kind: "restart";
      readonly group: number;
      readonly term: number;
      readonly id: number;
      /** The leader's base: a committed checkpoint. */
      readonly base: number;
      readonly before: Before;
    }
  | { readonly kind: "notLeader"; readonly group: number; readonly term: number; readonly leader: ReplicaId | null }
  | { readonly kind: "notYet"; readonly group: number }
  | { readonly kind: "gone"; readonly group: number }
  /** The leader's own chain is right there, and the follower's too, it says: nobody can tell who is wrong. */
  | { readonly kind: "disagree"; readonly group: number; readonly term: number; readonly index: number }
  | { readonly kind: "beat"; readonly n: number; readonly echoed: number };

/** Outside sessions, gathered per node; may be lost, doubled, late. */
export type Call =
  | {
      readonly kind: "vote";
      readonly group: number;
      readonly term: number;
      readonly from: ReplicaId;
      readonly to: ReplicaId;
      /** A pre-vote asks in the present term and raises none. */
      readonly pre: boolean;
      readonly last: LogEnd;
    }
  | {
      readonly kind: "voted";
      readonly group: number;
      readonly term: number;
      readonly from: ReplicaId;
      readonly to: ReplicaId;
      readonly pre: boolean;
      /** The term that was asked for. */
      readonly asked: number;
      readonly granted: boolean;
      /** Where a leader may be. */
      readonly leader: ReplicaId | null;
    }
  | {
      readonly kind: "lead";
      readonly group: number;
      readonly term: number;
      readonly from: ReplicaId;
      readonly to: ReplicaId;
    }
  | {
      readonly kind: "stepUp";
      readonly group: number;
      readonly term: number;
      readonly from: ReplicaId;
      readonly to: ReplicaId;
    }
  /** Answer to a `lead` of a lower term: a message that carries a term. */
  | {
      readonly kind: "outdated";
      readonly group: number;
      readonly term: number;
      readonly from: ReplicaId;
      readonly to: ReplicaId;
    };

/** What a control batch that the core asks for says. */
export type ControlBatch =
  | { readonly kind: "leaderChange"; readonly term: number }
  | { readonly kind: "voters"; readonly voters: readonly ReplicaId[] };

/** Numbers of one node's replication. Times are milliseconds. */
export interface RaftSettings {
  readonly beatMs: number;
  readonly electionMinMs: number;
  readonly electionMaxMs: number;
  /** How soon after a refused connection an election begins. */
  readonly refusedMinMs: number;
  readonly refusedMaxMs: number;
  /** What each rank waits more than the one before it. */
  readonly rankMs: number;
  /** Batches that a replica may be behind and still count for a change of voters. */
  readonly catchUpMaxBatches: number;
  /** Bytes of batches in one message. */
  readonly messageMaxBytes: number;
  /** Bytes on their way to one replica of a group, not yet acknowledged. */
  readonly creditBytes: number;
  /** Bytes on their way to one node, all its groups together: no more are begun. */
  readonly sessionCreditBytes: number;
  /** Groups in one call. */
  readonly callMaxGroups: number;
  /**
   * Groups of a node that ask for votes at once; the others wait. Thousands that ask together would all ask again before the
   * first is answered, and none would ever lead.
   */
  readonly askingMaxGroups: number;
  /** Linearizable reads of one group that wait. */
  readonly readsMax: number;
  /**
   * Batches of one group that wait to be committed: no more are taken. Each has its digest in memory, on every replica, and
   * followers that stand but whose disks do not answer would let them be ever more.
   */
  readonly uncommittedMaxBatches: number;
}

/** Within one region. */
export const lanSettings: RaftSettings = {
  ...{ beatMs: 100, electionMinMs: 1000, electionMaxMs: 1500, refusedMinMs: 50, refusedMaxMs: 200, rankMs: 150 },
  ...{
    catchUpMaxBatches: 1000,
    messageMaxBytes: 256 * 1024,
    creditBytes: 1024 * 1024,
    sessionCreditBytes: 8 * 1024 * 1024,
    callMaxGroups: 256,
    askingMaxGroups: 256,
    readsMax: 1000,
    uncommittedMaxBatches: 10_000,
  },
};

/** Between regions. */
export const wanSettings: RaftSettings = { ...lanSettings, beatMs: 500, electionMinMs: 4000, electionMaxMs: 6000 };
