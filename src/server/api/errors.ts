/**
 * What a client is told when a call fails: a Connect code, a message, and always a `tailrace.v1.ErrorDetail`.
 * @module
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { DiskError } from "../../base/disk-errors.ts";
import { type ErrorCode, type ErrorFacts, type Reason, TailraceError } from "../../base/errors.ts";
import {
  type ErrorDetail,
  ErrorDetailSchema,
  Fate,
  Reason as WireReason,
} from "../../wire/gen/tailrace/v1/error_pb.ts";
import { fromPosition } from "../../wire/position.ts";
import { settingsMessage } from "./settings-message.ts";

/** The call ended before its answer was there: its deadline passed, or the client went. */
export class CallEndedError extends Error {
  override readonly name = "CallEndedError";
  readonly kind: "deadline" | "canceled";

  constructor(kind: "deadline" | "canceled") {
    super(kind === "deadline" ? "The deadline passed before the answer was there" : "The client ended the call");
    this.kind = kind;
  }
}

/** What the error is about. */
export interface ErrorContext {
  /** Id of the call. */
  readonly callId: string;
  readonly rpc: string;
  /** What became of the append that failed; absent: it is not about one. */
  readonly fate?: "nothing_written" | "unknown";
  /** The request's field at fault, where the error does not say. */
  readonly field?: string;
  /** Which request of a stream of appends failed. */
  readonly requestNumber?: number;
}

/**
 * Turns whatever a handler throws into what the client is told, with a detail. What is no one's fault but ours is
 * logged, once.
 */
export type ErrorMapper = (error: unknown, context: ErrorContext) => ConnectError;

/** @param requestMaxBytes The limit that connect's handlers refuse a message by. */
export function errorMapper(logger: Logger, requestMaxBytes: number): ErrorMapper {
  return (error, context) => {
    if (error instanceof ConnectError) {
      return detailOf(error) === undefined ? fromConnect(error, context, requestMaxBytes) : error;
    }
    if (error instanceof TailraceError) return fromTailraceError(error, context);
    if (error instanceof CallEndedError) return fromCallEnded(error, context);
    if (error instanceof DiskError) return fromDiskError(context);
    logger.error({ err: error, callId: context.callId, rpc: context.rpc }, "A call failed by a fault of the node");
    const message = `Internal error in call ${context.callId}: the node's log has the cause`;
    const todo = "Tell whoever runs the node, with the id of the call";
    return withDetail(Code.Internal, message, { ...common(context), todo, fate: fates[context.fate ?? "none"] });
  };
}

/** The detail of an error; absent only in errors that are not of this server. */
export function detailOf(error: ConnectError): ErrorDetail | undefined {
  return error.findDetails(ErrorDetailSchema)[0];
}

/** An error with a detail of its own making, for what never reached a handler. */
export function withDetail(
  code: Code,
  message: string,
  detail: MessageInitShape<typeof ErrorDetailSchema>,
): ConnectError {
  return new ConnectError(message, code, undefined, [
    { desc: ErrorDetailSchema, value: create(ErrorDetailSchema, detail) },
  ]);
}

/** What codes are on the wire. */
export const codes: Record<ErrorCode, Code> = {
  invalid_argument: Code.InvalidArgument,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  out_of_range: Code.OutOfRange,
  failed_precondition: Code.FailedPrecondition,
  resource_exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  data_loss: Code.DataLoss,
  unimplemented: Code.Unimplemented,
};

/** What the reasons are on the wire. */
export const reasons: Record<Reason, WireReason> = {
  invalid_field: WireReason.INVALID_FIELD,
  stream_not_found: WireReason.STREAM_NOT_FOUND,
  stream_replaced: WireReason.STREAM_REPLACED,
  stream_exists: WireReason.STREAM_EXISTS,
  below_log_start: WireReason.BELOW_LOG_START,
  past_end: WireReason.PAST_END,
  limit: WireReason.LIMIT,
  disk_full: WireReason.DISK_FULL,
  not_ready: WireReason.NOT_READY,
  damaged: WireReason.DAMAGED,
  not_built: WireReason.NOT_BUILT,
  settings_changed: WireReason.SETTINGS_CHANGED,
  offset_taken: WireReason.OFFSET_TAKEN,
  fenced: WireReason.FENCED,
  stale_epoch: WireReason.STALE_EPOCH,
  sequence_gap: WireReason.SEQUENCE_GAP,
  unknown_producer: WireReason.UNKNOWN_PRODUCER,
  not_leader: WireReason.NOT_LEADER,
  fate_unknown: WireReason.FATE_UNKNOWN,
  cluster_refused: WireReason.CLUSTER_REFUSED,
};

const fates = { none: Fate.UNSPECIFIED, nothing_written: Fate.NOTHING_WRITTEN, unknown: Fate.UNKNOWN };

/** Connect's handlers have no detail for what they refuse themselves, and call what they can't parse INTERNAL. */
function fromConnect({ code, rawMessage }: ConnectError, context: ErrorContext, requestMaxBytes: number): ConnectError {
  const detail = { ...common(context), fate: fates[context.fate ?? "none"] };
  if (code === Code.ResourceExhausted) {
    return withDetail(code, `Cannot take the request: the limit request_max_bytes is ${requestMaxBytes}`, {
      ...detail,
      reason: WireReason.LIMIT,
      todo: "Send less in one request",
      limit: { name: "request_max_bytes", value: BigInt(requestMaxBytes) },
    });
  }
  const isUnparsed = code === Code.Internal && rawMessage.startsWith("parse binary");
  const isInvalid = isUnparsed || code === Code.InvalidArgument;
  return withDetail(isInvalid ? Code.InvalidArgument : code, rawMessage, {
    ...detail,
    reason: isInvalid ? WireReason.INVALID_FIELD : WireReason.UNSPECIFIED,
    todo: "Send the messages that the method takes, as your protobuf or Connect library writes them",
  });
}

function fromTailraceError(error: TailraceError, context: ErrorContext): ConnectError {
  const { facts } = error;
  // A refusal without a word on it surely did nothing, whatever else may have been under way.
  const fate = context.fate === undefined ? "none" : (facts.fate ?? "nothing_written");
  return withDetail(codes[error.code], error.message, {
    ...common(context),
    ...fromFacts(facts),
    reason: reasons[error.reason],
    todo: error.todo,
    fate: fates[fate],
  });
}

function fromCallEnded(error: CallEndedError, context: ErrorContext): ConnectError {
  const code = error.kind === "deadline" ? Code.DeadlineExceeded : Code.Canceled;
  const todo =
    context.fate === "unknown"
      ? "Read the stream to see whether the records are there before they are sent again"
      : "Try again with more time";
  return withDetail(code, error.message, { ...common(context), todo, fate: fates[context.fate ?? "none"] });
}

/** The node says once what failed, and ends. */
function fromDiskError(context: ErrorContext): ConnectError {
  const isAppend = context.fate === "unknown";
  const message = isAppend
    ? "The node's disk failed: what became of the append is not known"
    : "The node's disk failed";
  const todo = isAppend
    ? "Read the stream, once the node is back, to see whether the records are there before they are sent again"
    : "Try again when the node is back";
  return withDetail(Code.Internal, message, { ...common(context), todo, fate: fates[context.fate ?? "none"] });
}

function common({ callId, field, requestNumber }: ErrorContext) {
  return {
    requestId: callId,
    ...(field === undefined ? {} : { field }),
    ...(requestNumber === undefined ? {} : { requestNumber: BigInt(requestNumber) }),
  };
}

function fromFacts(facts: ErrorFacts) {
  const { stream, streamId, logStart, nextOffset, field, limit, settings, producer, fence, retryAfterMs, leader } =
    facts;
  return {
    ...(stream === undefined ? {} : { stream }),
    ...(streamId === undefined ? {} : { streamId: fromPosition(streamId) }),
    ...(logStart === undefined ? {} : { logStart: fromPosition(logStart) }),
    ...(nextOffset === undefined ? {} : { nextOffset: fromPosition(nextOffset) }),
    ...(field === undefined ? {} : { field }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(leader === undefined ? {} : { leader }),
    ...(producer === undefined ? {} : { producer: { ...producer, sequence: fromPosition(producer.sequence) } }),
    ...(fence === undefined ? {} : { fence }),
    ...(settings === undefined
      ? {}
      : { settings: settingsMessage(settings), settingsVersion: fromPosition(settings.version) }),
    ...(limit === undefined
      ? {}
      : {
          limit: {
            name: limit.name,
            value: BigInt(limit.value),
            ...(limit.actual === undefined ? {} : { actual: BigInt(limit.actual) }),
          },
        }),
  };
}
