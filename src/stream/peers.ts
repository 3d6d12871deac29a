/**
 * The other nodes of the cluster, as requests are passed on to them. What they refuse comes back as it was said there; the two
 * errors here are of the way to them.
 * @module
 */
import type { NodeAddress } from "../base/errors.ts";
import type { StreamSettings } from "../base/stream-settings.ts";
import type { AppendAnswer, AppendOptions, ReadRequest, ReadResult, Start, StreamDescription } from "./types.ts";

/** Nothing of the request has left this node. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/** No answer came, or not in time: what became of the request is not known. */
export class LostError extends Error {
  override readonly name = "LostError";
}

/** Whose request it is, and how long an answer is waited for. */
export interface Patience {
  /** Where the client calls from. */
  readonly client: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** A stream that is still the one that is meant. */
export interface StreamRef {
  readonly name: string;
  readonly id: number;
}

/** A read by another node. */
export interface PeerRead extends Omit<ReadRequest, "startOffset"> {
  readonly start: Start;
  /** Nothing older than this is of use: it is waited for, a little. */
  readonly atLeastOffset?: number;
  /** So long it may wait for that, milliseconds. */
  readonly waitMs?: number;
  readonly linearizable?: boolean;
}

/** What it is answered with. */
export interface PeerReadAnswer extends ReadResult {
  readonly logStart: number;
  readonly highWatermark: number;
  readonly lagMs: number | undefined;
}

/** Appends to a stream by one call to another node: they are taken in order, and none behind one that was refused. */
export interface PeerSeries {
  /** False once it failed, or was ended: what is appended then is not sent. */
  readonly isOpen: boolean;
  append(payload: Uint8Array, options: Omit<AppendOptions, "series">): Promise<AppendAnswer>;
  /** Nothing more is sent; what was sent is answered. */
  end(): void;
  /** Answers are waited for no more. */
  abandon(): void;
}

/**
 * Each call is one request to one node, which passes it on to nobody.
 * @throws {UnreachableError | LostError} @throws {TailraceError} What that node says.
 */
export interface Peers {
  /** The name of this node. */
  readonly self: string;
  /** Where clients reach a node. */
  addressOf(node: string): NodeAddress;
  append(
    node: string,
    stream: StreamRef,
    payload: Uint8Array,
    options: Omit<AppendOptions, "series">,
    patience: Patience,
  ): Promise<AppendAnswer>;
  /** Each answer is waited for `forward_max_ms` at the most. */
  openSeries(node: string, stream: StreamRef): PeerSeries;
  fence(node: string, stream: StreamRef, token: Uint8Array, patience: Patience): Promise<number>;
  trim(node: string, stream: StreamRef, offset: number, patience: Patience): Promise<number>;
  update(
    node: string,
    stream: StreamRef,
    change: { readonly settings: Partial<StreamSettings>; readonly expectedVersion: number | undefined },
    patience: Patience,
  ): Promise<void>;
  read(node: string, stream: StreamRef, read: PeerRead, patience: Patience): Promise<PeerReadAnswer>;
  describe(node: string, stream: StreamRef, patience: Patience): Promise<StreamDescription>;
  /** Asked of a group's leader: the index below which a log has all that was acknowledged before the call. */
  confirm(node: string, group: number, patience: Patience): Promise<number>;
  /** Asked of the leader of `_meta`. */
  create(
    node: string,
    name: string,
    settings: Partial<StreamSettings>,
    patience: Patience,
  ): Promise<{ readonly id: number; readonly created: boolean }>;
  /** Asked of the leader of `_meta`. */
  delete(node: string, stream: StreamRef, patience: Patience): Promise<void>;
  /** Ends the log of a group for good. */
  endLog(node: string, group: number, patience: Patience): Promise<void>;
}
