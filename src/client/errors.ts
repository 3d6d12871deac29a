/**
 * What a caller is told when a request fails: one class, whose `kind` says what is known of it.
 * @module
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorDetail, ErrorDetailSchema } from "../wire/gen/tailrace/v1/error_pb.ts";

/**
 * What is known of a request that failed.
 * - `refused`: the node answered, and said no; `detail` says why.
 * - `unreachable`: there was no connection, so surely nothing was done.
 * - `lost`: the connection broke in mid-request; what became of an append is not known.
 * - `aborted`: the caller's own signal.
 */
export type FailureKind = "refused" | "unreachable" | "lost" | "aborted";

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
  if (connectError.cause instanceof NotConnectedError) {
    return new RequestError("unreachable", code, rawMessage, undefined, error);
  }
  const isCutShort = code === Code.InvalidArgument && rawMessage.includes("missing EndStreamResponse");
  const kind = isCutShort || brokenCodes.includes(code) ? "lost" : "refused";
  return new RequestError(kind, code, rawMessage, undefined, error);
}
