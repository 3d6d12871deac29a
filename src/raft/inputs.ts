/**
 * What comes into the node machine from the driver.
 * @module
 */
import type { OpenedGroup } from "./group.ts";
import type { Batch, BatchInfo, Before, Call, FollowerMessage, LeaderMessage, NodeId, ReplicaId } from "./types.ts";

/** Names one session of a follower here: of the same disk a greater (incarnation, number) ends the lesser. */
export interface Hello {
  readonly from: NodeId;
  readonly disk: string;
  readonly incarnation: number;
  readonly number: number;
}

/** Something that concerns one group. */
export type GroupInput =
  /** A promise is durable. */
  | { readonly kind: "saved" }
  /** A batch was stamped in this term, here. */
  | { readonly kind: "appended"; readonly batch: BatchInfo }
  /** The disk has all below `end`; `generation` as of when that was written. */
  | { readonly kind: "synced"; readonly generation: number; readonly end: number }
  /** What was stamped from `end` on is not there: there was no room. */
  | { readonly kind: "takenBack"; readonly end: number }
  /** What was to be written in a generation was refused. */
  | { readonly kind: "refused"; readonly generation: number }
  /** Batches for one that fetches, as the log was in a generation. */
  | {
      readonly kind: "read";
      readonly to: ReplicaId;
      readonly id: number;
      readonly generation: number;
      readonly batches: readonly Batch[];
    }
  /** A client's append waits, or anything else that needs a leader. */
  | { readonly kind: "wanted" }
  | { readonly kind: "linearize"; readonly read: number }
  | { readonly kind: "change"; readonly voters: readonly ReplicaId[]; readonly force: boolean }
  | { readonly kind: "transfer"; readonly to: ReplicaId | undefined }
  /**
   * A replica that has the group, for one that is no voter: its own log may name nobody that is there, and where it follows
   * may be another than the leader, who alone can make it a voter.
   */
  | { readonly kind: "hint"; readonly from: ReplicaId }
  | { readonly kind: "cannotWrite" }
  /** Files below a committed checkpoint were dropped. */
  | { readonly kind: "baseMoved"; readonly index: number; readonly before: Before }
  /** A read met bytes of this log that are not what they were. */
  | { readonly kind: "damaged" }
  | { readonly kind: "checked"; readonly badAt: number | undefined }
  /**
   * The damaged range is whole, or stays as it is since it is below where others' logs begin: it goes with the trim that let
   * them. The digests of the batches from `from` to the end, as they are now.
   */
  | {
      readonly kind: "repaired";
      readonly isWhole: boolean;
      readonly from: number;
      readonly digests: readonly Uint8Array[];
    };

/** Something that happened. */
export type Input =
  /** Time passed. */
  | { readonly kind: "tick" }
  | { readonly kind: "open"; readonly opened: OpenedGroup }
  /** The group is here no more, and will not be again. */
  | { readonly kind: "close"; readonly group: number }
  /**
   * What the cluster's own log says is known up to here, and those of its groups that are to be here are open: one below
   * that is not is gone, one above not yet here.
   */
  | { readonly kind: "known"; readonly below: number }
  | { readonly kind: "group"; readonly group: number; readonly input: GroupInput }
  /** The session that was asked for is open; or it broke, or could not be opened. `refused`: nobody listens there. */
  | { readonly kind: "sessionOpened"; readonly to: NodeId; readonly number: number }
  | { readonly kind: "sessionClosed"; readonly to: NodeId; readonly number: number; readonly refused: boolean }
  /** A follower opened a session here; it is over. */
  | { readonly kind: "accepted"; readonly hello: Hello }
  | { readonly kind: "ended"; readonly hello: Hello }
  | { readonly kind: "fromFollower"; readonly hello: Hello; readonly messages: readonly FollowerMessage[] }
  | {
      readonly kind: "fromLeader";
      readonly node: NodeId;
      readonly number: number;
      readonly messages: readonly LeaderMessage[];
    }
  | { readonly kind: "called"; readonly from: NodeId; readonly calls: readonly Call[] };
