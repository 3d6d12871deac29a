/**
 * What a node asks of the network between nodes. What comes from it is told to the driver (`raft-driver.ts`).
 * @module
 */
import type { Hello } from "../raft/inputs.ts";
import type { Call, FollowerMessage, LeaderMessage, NodeId } from "../raft/types.ts";

/** A part of another node's log. */
export interface StoredRange {
  /** One behind the other; empty: they are not there. */
  readonly batches: Uint8Array;
  /** Where the log begins there: what is below was let go by a committed trim. */
  readonly baseIndex: number;
}

/** The ways to other nodes. Each call returns at once; what is said may never arrive, but nothing is made up. */
export interface PeerNet {
  /** Opens a session to a node that is followed. */
  open(to: NodeId, hello: Hello): void;
  /** Ends a session that was opened here. */
  closeSession(to: NodeId, number: number): void;
  /** Ends a session that another node opened. */
  end(hello: Hello): void;
  /** In the order of the calls, or not at all any more. */
  toLeader(to: NodeId, number: number, messages: readonly FollowerMessage[]): void;
  /** Batches in the order of the calls; others may overtake them. */
  toFollower(hello: Hello, messages: readonly LeaderMessage[]): void;
  call(to: NodeId, calls: readonly Call[]): void;
  /** Stored batches of another node's log from an index on, as many as fit, one at least. @throws {Error} */
  range(to: NodeId, group: number, from: number, maxBytes: number): Promise<StoredRange>;
}
