/**
 * What a log that runs in a process of its own is asked to do, and what it says of it: one JSON value a line, written
 * before the process goes on, so that a kill loses nothing that was said.
 * @module
 */

/** What is asked of one process. */
export interface Orders {
  /** The data folder. */
  readonly data: string;
  /** A file for all that the logs hold after the start. */
  readonly dump: string;
  /** What to do then, until the end. Nothing: the folder is closed, and the process ends. */
  readonly load?: LoadOrders;
  /** Payloads of this process have serials from here on. */
  readonly firstSerial: number;
  /** Groups that were never there begin here. */
  readonly firstGroup: number;
  readonly seed: number;
  /** Part of the volume that appends leave; the log's own default if left out. */
  readonly freeSpaceReserve?: number;
}

/** A load without end. */
export interface LoadOrders {
  /** So many groups are kept there. */
  readonly groups: number;
  /** Appends on their way, all groups together. */
  readonly inFlight: number;
  /** Most appends go to so many of the groups, the first ones; one in eight to any. */
  readonly busyGroups: number;
  readonly payloadBytes: { readonly from: number; readonly to: number };
  /** One append in so many is larger than a round that is journaled; 0: none is. */
  readonly largeOneIn: number;
  readonly segmentMaxBytes: number;
  readonly tailMaxBytes: number;
  /** What is done to logs beside appending, all the time. */
  readonly changes: readonly Change[];
  /** The disk may be full: appends may be refused, and changes begin after so many refusals only. */
  readonly changesAfterRefusals?: number;
}

export type Change = "cut" | "remove" | "install" | "trim";

/** A group as the process has it after its start, in the order of the dump. */
export interface FoundGroup {
  readonly group: number;
  readonly baseIndex: number;
  /** Bytes of its batches in the dump. */
  readonly bytes: number;
  readonly term: number;
  readonly damage?: string;
}

/** All that the process has after its start. */
export interface Found {
  readonly groups: readonly FoundGroup[];
  /** Paths of the files below `groups/`, in no order. */
  readonly files: readonly string[];
}

export type Said =
  | readonly ["opening"]
  | readonly ["open", { readonly kind: string; readonly keptBytes: number; readonly cutBytes: number }]
  | readonly ["found", Found]
  /** Something begins, or is over, that the process may be killed in. */
  | readonly ["begins", string]
  | readonly ["over", string]
  | readonly ["making" | "made" | "removing" | "removed", number]
  /** Group, index, serial, first half of the digest in hexadecimal. */
  | readonly ["acked", number, number, number, string]
  /** Group and index. */
  | readonly ["cutting" | "cut" | "trimming" | "trimmed" | "installing" | "installed", number, number]
  /** Group, serial, why: the disk is full, and nothing of it was written. */
  | readonly ["refused", number, number, string]
  /** Group, why: the change that was begun was refused for want of room. */
  | readonly ["unchanged", number, string]
  /** Group and term: a vote of ours is durable. */
  | readonly ["voted", number, number]
  | readonly ["failed", string];
