/**
 * How what was asked of a replica may fail.
 * @module
 */
import { TailraceError } from "../base/errors.ts";
import { type NodeId, nodeOf, type ReplicaId } from "../raft/types.ts";

/** Whether the log's own bytes are not what they were. */
export function isDamaged(error: unknown): boolean {
  return error instanceof TailraceError && error.reason === "damaged";
}

/** Who leads instead: nothing was written. */
export class NotLeaderError extends Error {
  override readonly name = "NotLeaderError";
  readonly leader: ReplicaId | null;
  /** The node that it is on. */
  readonly leaderNode: NodeId | undefined;

  constructor(group: number, leader: ReplicaId | null) {
    super(`Group ${group} is not led here${leader === null ? "" : `, but by ${leader}`}`);
    this.leader = leader;
    this.leaderNode = leader === null ? undefined : nodeOf(leader);
  }
}

/** Nobody knows whether an append is in the log, or will be. */
export class FateUnknownError extends Error {
  override readonly name = "FateUnknownError";
}

/** What was asked for was not done, and is not under way. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
}

/** Nothing comes behind the batch that ends a stream. It was judged by a batch that is committed below `end`, or not at all. */
export class ClosedError extends Error {
  override readonly name = "ClosedError";
  readonly end: number;

  constructor(group: number, end: number) {
    super(`Group ${group} is closed: its stream is deleted`);
    this.end = end;
  }
}

/** Whether another leader, or the end of the stream, is why something was not done here, or nobody knows whether it was. */
export function isOfLeaders(error: unknown): boolean {
  return [NotLeaderError, FateUnknownError, RefusedError, ClosedError].some((kind) => error instanceof kind);
}
