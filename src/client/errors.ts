/**
 * What a caller is told when a request fails: one class, whose `kind` says what is known of it.
 * @module
 */
import { clone } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { wasNotTaken } from "../base/http2-errors.ts";
import { type ErrorDetail, ErrorDetailSchema, Fate, Reason } from "../wire/gen/tailrace/v1/error_pb.ts";
import { toPosition } from "../wire/position.ts";

/**
 * What is known of a request that failed.
 * - `refused`: the node answered, and said no; `detail` says why.
 * - `unreachable`: there was no connection, or the node took no more requests on it, so surely nothing was done.
 * - `lost`: the connection broke in mid-request; what became of an append is not known.
 * - `aborted`: the caller's own signal.
 */
export type FailureKind = "refused" | "unreachable" | "lost" | "aborted";

/** Where a producer is: the batch that would be taken from it next. */
export interface ProducerPlace {
  readonly epoch: number;
  /** Number of the batch in its epoch, from 0. */
  readonly sequence: number;
}

/** What an append depended on and did not find, with what is true instead. */
export type Conflict =
  /** Another append came first. */
  | { readonly kind: "offsetTaken"; readonly nextOffset: number }
  /** Another fence token is in force; empty: none is. */
  | { readonly kind: "fenced"; readonly fence: Uint8Array }
  /** The producer is in a higher epoch. */
  | { readonly kind: "staleEpoch"; readonly expected: ProducerPlace }
  /** Batches before this one are missing, or a new epoch was not begun at 0. */
  | { readonly kind: "sequenceGap"; readonly expected: ProducerPlace }
  /** The stream does not know the producer, and this was not its first batch. */
  | { readonly kind: "unknownProducer"; readonly expected: ProducerPlace };

/** A request failed. The message is one sentence without a full stop. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly kind: FailureKind;
  readonly code: Code;
  /** What the node said beside the message; absent when it was not the node that spoke. */
  readonly detail: ErrorDetail | undefined;

  constructor(kind: FailureKind, code: Code, message: string, detail?: ErrorDetail, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
    this.code = code;
    this.detail = detail;
  }

  /** What to do, a sentence; empty when nobody said. */
  get todo(): string {
    return this.detail?.todo ?? "";
  }

  /** What an append was refused for, where it depended on something; absent for all other failures. */
  get conflict(): Conflict | undefined {
    return this.detail && conflictOf(this.detail);
  }

  /** Whether the append surely did nothing: with `false` nobody knows. Of other requests that is not said. */
  get nothingWritten(): boolean {
    return this.kind === "unreachable" || (this.kind === "refused" && this.detail?.fate !== Fate.UNKNOWN);
  }

  /** Whether the same request may fare better later: what failed is the way to the node, or the node is not ready. */
  get isPassing(): boolean {
    if (this.kind === "lost" || this.kind === "unreachable") return true;
    // Who was not to pass it on will say the same again: the leader, which it names, is another node.
    return this.code === Code.Unavailable && this.detail?.reason !== Reason.NOT_LEADER;
  }

  /** Whether to send an append with a producer again: it may fare better, or it has to be learnt what became of it. */
  get isWorthATry(): boolean {
    return this.isPassing || (!this.nothingWritten && this.code !== Code.FailedPrecondition && this.kind !== "aborted");
  }
}

function conflictOf({ reason, nextOffset, fence, producer }: ErrorDetail): Conflict | undefined {
  const { epoch = 0, sequence = 0n } = producer ?? {};
  const expected = { epoch, sequence: toPosition(sequence, "producer.sequence") };
  switch (reason) {
    case Reason.OFFSET_TAKEN:
      return { kind: "offsetTaken", nextOffset: toPosition(nextOffset ?? 0n, "next_offset") };
    case Reason.FENCED:
      return { kind: "fenced", fence: fence ?? new Uint8Array(0) };
    case Reason.STALE_EPOCH:
      return { kind: "staleEpoch", expected };
    case Reason.SEQUENCE_GAP:
      return { kind: "sequenceGap", expected };
    case Reason.UNKNOWN_PRODUCER:
      return { kind: "unknownProducer", expected };
    default:
      return undefined;
  }
}

/** Thrown by a transport that could not connect: no byte of the request has left. */
export class NotConnectedError extends Error {
  override readonly name = "NotConnectedError";
}

/** Codes that a broken connection shows itself by, in one runtime or another, when no answer of a node is in them. */
const brokenCodes: readonly Code[] = [
  Code.Canceled,
  Code.Unknown,
  Code.Aborted,
  Code.Unavailable,
  Code.Internal,
  Code.DeadlineExceeded,
];

/**
 * Any error of a call as a RequestError.
 * @param signal The caller's own signal, to tell an abort from a loss.
 */
export function toRequestError(error: unknown, signal?: AbortSignal): RequestError {
  if (error instanceof RequestError) return error;
  const connectError = ConnectError.from(error);
  const { code, rawMessage } = connectError;
  if (signal?.aborted) return new RequestError("aborted", Code.Canceled, rawMessage, undefined, error);
  const [detail] = connectError.findDetails(ErrorDetailSchema);
  if (detail) return new RequestError("refused", code, rawMessage, detail, error);
  if (connectError.cause instanceof NotConnectedError || wasNotTaken(connectError.cause)) {
    return new RequestError("unreachable", code, rawMessage, undefined, error);
  }
  const isCutShort = code === Code.InvalidArgument && rawMessage.includes("missing EndStreamResponse");
  const kind = isCutShort || brokenCodes.includes(code) ? "lost" : "refused";
  return new RequestError(kind, code, rawMessage, undefined, error);
}

/** The failure of an append that was sent before, and may have been written then: what became of it is not known. */
export function withUnknownFate(failure: RequestError): RequestError {
  const { kind, code, message, detail } = failure;
  if (!failure.nothingWritten) return failure;
  if (kind !== "refused") return new RequestError("lost", code, message, detail, failure);
  const unknown = detail && Object.assign(clone(ErrorDetailSchema, detail), { fate: Fate.UNKNOWN });
  return new RequestError(kind, code, message, unknown, failure);
}
