/**
 * What all of a simulated cluster shares.
 * @module
 */
import type { Hash } from "../../host/hash.ts";
import type { NodeId, ReplicaId } from "../../raft/types.ts";
import type { SimDisk, Tally } from "../disk.ts";
import type { Timeline } from "../timeline.ts";
import type { Archive } from "./archive.ts";
import type { Invariants } from "./invariants.ts";
import type { SimNetwork } from "./network.ts";
import type { ClusterPlan } from "./plan.ts";

/** A group as the cluster's own log would have it: what was said at its creation. */
export interface GroupRecord {
  readonly group: number;
  readonly voters: readonly ReplicaId[];
  readonly appendTimeMicros: number;
  /** Its deletion was asked for: it takes no more, once its log says so. */
  isDeleting: boolean;
  /** Its log was closed, and the cluster's own log says that it is gone. */
  isDeleted: boolean;
}

/** A run's world. */
export interface World {
  readonly seed: number;
  readonly plan: ClusterPlan;
  readonly timeline: Timeline;
  readonly network: SimNetwork;
  readonly invariants: Invariants;
  readonly hash: Hash;
  readonly groups: Map<number, GroupRecord>;
  /** Groups of which a node's bytes were changed, and which node: until they are whole again. */
  readonly spoiled: Map<number, NodeId>;
  /** Batches that were read before files were dropped, by group and digest. */
  readonly archive: Archive;
  readonly tally: Tally;
  readonly trace: ((line: string) => void) | undefined;
  /** Ends the run: something that must hold does not. */
  readonly fail: (error: unknown) => void;
  readonly spoilDisk: ((disk: SimDisk) => void) | undefined;
}

/** Counts something that happened. */
export function count({ tally }: Pick<World, "tally">, what: string): void {
  tally.set(what, (tally.get(what) ?? 0) + 1);
}
