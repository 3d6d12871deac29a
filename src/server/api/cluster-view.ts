/**
 * What the api port knows of the cluster, and may ask of it. What a lone node is in it: `lone-cluster.ts`.
 * @module
 */

/** The cluster, as one of its nodes knows it. */
export interface ClusterStatus {
  /** 32 hexadecimal digits. */
  readonly id: string;
  /** The node that leads `_meta`; undefined: none is known. */
  readonly leader: string | undefined;
  /** The term that it leads in. */
  readonly term: number;
  /** Nodes whose votes count in `_meta`, in order. */
  readonly voters: readonly string[];
  readonly votersWanted: number;
  /** Streams that there are, the system's not counted. */
  readonly streams: number;
  /** Streams that this node holds, and `_meta`, that have no leader it knows of. */
  readonly leaderless: Some<LeaderlessStream>;
  /** All nodes that are known, in the order of their ids. */
  readonly servers: readonly ServerStatus[];
}

/** Of many only the first. */
export interface Some<T> {
  readonly count: number;
  readonly first: readonly T[];
}

export interface LeaderlessStream {
  readonly name: string;
  /** Nodes whose votes count for it. */
  readonly voters: readonly string[];
}

/** A node. */
export interface ServerStatus {
  readonly id: string;
  /** Empty: not known. */
  readonly apiUrl: string;
  /** `HOST:PORT`; empty: it has no peer port. */
  readonly peerAddress: string;
  readonly region: string;
  /** What it was started as. */
  readonly role: "voter" | "observer";
  readonly version: string;
  readonly state: "alive" | "suspect" | "dead" | "left";
  /** Since when it is so, microseconds since 1970 by this node's clock; undefined: since before that was looked at. */
  readonly stateSinceMicros: number | undefined;
  readonly isSelf: boolean;
  /** Names of streams that it leads, of those that this node holds. */
  readonly leads: Some<string>;
  /** Streams that are placed on it. */
  readonly holds: number;
  /** Undefined: not known. */
  readonly health: ServerHealth | undefined;
  /** Where it is the furthest behind, of what this node leads and it holds; undefined: nowhere. */
  readonly lag: ServerLag | undefined;
}

/** What a node can do. `why` is a sentence for a person. */
export type ServerHealth =
  | { readonly kind: "serving" }
  | { readonly kind: "degraded"; readonly why: string }
  | { readonly kind: "stopping"; readonly why: string };

/** How far a node is behind. What is not known is left out. */
export interface ServerLag {
  /** The stream in which it is the furthest behind. */
  readonly stream: string;
  /** Committed batches that it lacks. */
  readonly batches?: number;
  /** Their bytes, about. */
  readonly bytes?: number;
  /** How long ago the first of them was appended. */
  readonly ms?: number;
  readonly reason: LagReason;
  /** Streams in which it is behind at all. */
  readonly streams: number;
}

/** `catching_up`: it gets what it lacks. `slow`: all that it may be sent at once is on its way. */
export type LagReason = "catching_up" | "not_following" | "slow";

/** What is to be led by another. `to`: by this node; undefined: by whoever of those that may leads the least. */
export type LeadershipRequest =
  | { readonly kind: "stream"; readonly name: string; readonly to: string | undefined }
  | { readonly kind: "node"; readonly id: string; readonly to: string | undefined }
  | { readonly kind: "spread" };

/** Streams that another leads now, and those that were to go over and did not; why the first of those did not. */
export interface LeadershipMoved {
  readonly moved: number;
  readonly failed: number;
  readonly failure: string | undefined;
}

/**
 * What changes a cluster. Whichever node is asked, it is done, or refused with `cluster_refused` (not as things are),
 * `invalid_field` (no such node or stream) or `not_ready` (nobody can say it now, or it is not done yet).
 * `mayPassOn`: this node may have another one do it. What was passed on goes no further.
 */
export interface ClusterChanges {
  /** Resolves with the nodes whose votes count, once that of this one is among them. */
  addVoter(node: string, mayPassOn: boolean): Promise<readonly string[]>;
  /** Resolves with them, once that of this one is not. `force`: whether or not the others are up. */
  removeVoter(node: string, force: boolean, mayPassOn: boolean): Promise<readonly string[]>;
  transferLeadership(request: LeadershipRequest, mayPassOn: boolean): Promise<LeadershipMoved>;
}

/** The cluster that a node is one of. */
export interface ClusterView extends ClusterChanges {
  /** @param namesMax Streams to name in each list. */
  describe(namesMax: number): Promise<ClusterStatus>;
  /** Calls `listener` when what is known of nodes, voters or leaders changes, until the returned function is called. */
  onChange(listener: () => void): () => void;
}
