/**
 * What a user is told. Every refusal says what happened, to which thing, and what to do; the server turns it into a
 * Connect code with a `tailrace.v1.ErrorDetail`, the command line into one line.
 * @module
 */
import type { ProducerStamp } from "./batch.ts";
import type { VersionedSettings } from "./stream-settings.ts";

/** Why a request failed; each is a `tailrace.v1.Reason` of the same name. */
export type Reason =
  | "invalid_field"
  | "stream_not_found"
  | "stream_replaced"
  | "stream_exists"
  | "below_log_start"
  | "past_end"
  | "limit"
  | "disk_full"
  | "not_ready"
  | "damaged"
  | "not_built"
  | "settings_changed"
  | "offset_taken"
  | "fenced"
  | "stale_epoch"
  | "sequence_gap"
  | "unknown_producer"
  | "not_leader"
  | "fate_unknown"
  | "cluster_refused";

/** The Connect code that a reason comes with. */
export type ErrorCode =
  | "invalid_argument"
  | "not_found"
  | "already_exists"
  | "out_of_range"
  | "failed_precondition"
  | "resource_exhausted"
  | "unavailable"
  | "data_loss"
  | "unimplemented";

const codes: Record<Reason, ErrorCode> = {
  invalid_field: "invalid_argument",
  stream_not_found: "not_found",
  stream_replaced: "not_found",
  stream_exists: "already_exists",
  below_log_start: "out_of_range",
  past_end: "out_of_range",
  limit: "resource_exhausted",
  disk_full: "resource_exhausted",
  not_ready: "unavailable",
  damaged: "data_loss",
  not_built: "unimplemented",
  settings_changed: "failed_precondition",
  offset_taken: "failed_precondition",
  fenced: "failed_precondition",
  stale_epoch: "failed_precondition",
  sequence_gap: "failed_precondition",
  unknown_producer: "failed_precondition",
  not_leader: "unavailable",
  fate_unknown: "unavailable",
  cluster_refused: "failed_precondition",
};

/** A limit and by how much it was passed. The name ends in its unit. */
export interface LimitFacts {
  readonly name: string;
  readonly value: number;
  readonly actual?: number;
}

/** How to reach a node. */
export interface NodeAddress {
  readonly nodeId: string;
  /** URL of its api port; empty: not known. */
  readonly url: string;
}

/** The typed part of a refusal: what a program reads. Positions are exclusive ends, times milliseconds. */
export interface ErrorFacts {
  readonly stream?: string;
  readonly streamId?: number;
  readonly logStart?: number;
  readonly nextOffset?: number;
  /** Path of the request's field, in proto names. */
  readonly field?: string;
  readonly limit?: LimitFacts;
  /** The stream's settings in force. */
  readonly settings?: VersionedSettings;
  /** The producer's batch that would be taken. */
  readonly producer?: ProducerStamp;
  /** The fence token in force; empty: none. */
  readonly fence?: Uint8Array;
  readonly retryAfterMs?: number;
  /** The node that leads the stream. */
  readonly leader?: NodeAddress;
  /** What became of an append; absent: the error is not about one, or it surely did nothing. */
  readonly fate?: "nothing_written" | "unknown";
}

/** The words of a refusal. `what` and `why` become the message, `todo` goes beside it. */
export interface ErrorWords {
  readonly what: string;
  readonly why: string;
  readonly todo: string;
}

/** A refusal: someone asked for what cannot be done. Never a bug of ours, so never logged with a stack. */
export class TailraceError extends Error {
  override readonly name = "TailraceError";
  readonly code: ErrorCode;
  readonly reason: Reason;
  /** The cause alone, as the message has it. */
  readonly why: string;
  readonly todo: string;
  readonly facts: ErrorFacts;

  constructor(reason: Reason, words: ErrorWords, facts: ErrorFacts = {}) {
    super(`${words.what}: ${words.why}`);
    this.code = codes[reason];
    this.reason = reason;
    this.why = words.why;
    this.todo = words.todo;
    this.facts = facts;
  }
}

/** A field of a request is wrong: `field` is its path in proto names, `why` completes "FIELD ...". */
export function invalidField(field: string, why: string, todo: string): TailraceError {
  return new TailraceError("invalid_field", { what: `Invalid ${field}`, why, todo }, { field });
}

/** A limit was passed; the message names the limit and its value, as every refusal by a limit must. */
export function limitPassed(what: string, limit: LimitFacts, todo: string, facts: ErrorFacts = {}): TailraceError {
  const met = limit.actual === undefined ? "" : `, not ${limit.actual}`;
  const why = `the limit ${limit.name} is ${limit.value}${met}`;
  return new TailraceError("limit", { what, why, todo }, { ...facts, limit });
}
