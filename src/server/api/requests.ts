/**
 * Requests as they came over the wire, checked and with numbers for bigints: what the handlers work with.
 * @module
 */
import type { ProducerStamp } from "../../base/batch.ts";
import { allZero } from "../../base/bytes.ts";
import { invalidField, limitPassed, TailraceError } from "../../base/errors.ts";
import { type Limits, limitName } from "../../base/limits.ts";
import { checkStreamName } from "../../base/stream-name.ts";
import type { AppendOptions, Start } from "../../stream/types.ts";
import {
  type AppendRequest,
  type AppendStreamRequest,
  Consistency,
  Form,
  type Position,
  type Producer,
  type ReadRequest,
  Routing,
  type TailRequest,
  type TailStart,
} from "../../wire/gen/tailrace/v1/log_pb.ts";
import { toPosition } from "../../wire/position.ts";
import { toMicros } from "../../wire/timestamp.ts";

/** A batch to append. */
export interface AppendCommand {
  /** Empty in later requests of a stream of appends. */
  readonly stream: string;
  readonly streamId?: number;
  /** A serialized Records, not checked. */
  readonly payload: Uint8Array;
  /** It is not to be passed on to another node. */
  readonly isRefusedElsewhere: boolean;
  /** What it depends on, and the request's field that the payload came in. */
  readonly options: AppendOptions;
}

/** How an answer carries records; `stored` has control batches too. */
export type AnswerForm = "records" | "payload" | "stored";

/** A read of one stream. */
export interface ReadQuery {
  readonly stream: string;
  readonly streamId?: number;
  readonly start: Start;
  readonly endOffset?: number;
  readonly maxRecords?: number;
  readonly maxBytes: number;
  readonly waitMs: number;
  readonly form: AnswerForm;
  /** All that was acknowledged before it is wanted. */
  readonly isLinearizable: boolean;
  /** What is below this is to be there first. */
  readonly atLeastOffset?: number;
  /** Batches below this index are left out. */
  readonly startIndex?: number;
}

/** One stream of a tail. */
export interface TailedStream {
  readonly stream: string;
  readonly streamId?: number;
  readonly start: Start;
  readonly endOffset?: number;
}

/** A tail of one or more streams. */
export interface TailQuery {
  readonly streams: readonly TailedStream[];
  readonly form: AnswerForm;
  readonly maxBytes: number;
  readonly heartbeatMs: number;
}

const producerIdBytes = 16;
const fenceTokenMaxBytes = 64;

/** What an answer holds when the request does not say. */
const defaultMaxBytes = 1 << 20;
const tailHeartbeatMinMs = 100;

/**
 * @param request Its own `records` are not looked at.
 * @param records They, serialized as a Records; empty if there are none.
 */
export function appendCommand(request: AppendRequest | AppendStreamRequest, records: Uint8Array): AppendCommand {
  if (request.codec !== 0) throw notBuilt("codec");
  if (request.routing > Routing.REFUSE) throw notBuilt("routing");
  const { stream, batch } = request;
  if (batch.length > 0 && records.length > 0) {
    throw invalidField("batch", "records are there too", "Send either records or batch");
  }
  const isBatch = batch.length > 0;
  const payload = isBatch ? batch : records;
  const options = { ...conditionsOf(request), field: isBatch ? "batch" : "records" };
  const isRefusedElsewhere = request.routing === Routing.REFUSE;
  return { stream, ...streamIdOf(request.streamId, "stream_id"), payload, isRefusedElsewhere, options };
}

/** What an append depends on, as far as its request says. */
export function conditionsOf({ producer, expectedOffset, fence }: AppendRequest | AppendStreamRequest): AppendOptions {
  return {
    ...(producer === undefined ? {} : { producer: producerOf(producer) }),
    ...(expectedOffset === undefined ? {} : { expectedOffset: toPosition(expectedOffset, "expected_offset") }),
    ...(fence === undefined ? {} : { fence: fenceToken(fence, "fence") }),
  };
}

function producerOf({ id, epoch, sequence }: Producer): ProducerStamp {
  const todo = "Choose 16 random bytes once, and send them with each append";
  if (id.length !== producerIdBytes) throw invalidField("producer.id", `it has ${id.length} bytes, not 16`, todo);
  if (allZero(id)) throw invalidField("producer.id", "it is all zeros", todo);
  return { id, epoch, sequence: toPosition(sequence, "producer.sequence") };
}

/** A fence token. Empty is none. */
export function fenceToken(token: Uint8Array, field: string): Uint8Array {
  if (token.length <= fenceTokenMaxBytes) return token;
  const why = `it has ${token.length} bytes, more than ${fenceTokenMaxBytes}`;
  throw invalidField(field, why, `Use a token of ${fenceTokenMaxBytes} bytes or less`);
}

export function readQuery(request: ReadRequest, limits: Limits): ReadQuery {
  if (request.consistency > Consistency.LINEARIZABLE) throw notBuilt("consistency");
  checkStreamName(request.stream, "stream");
  const { waitMs } = request;
  if (waitMs > limits.readMaxWaitMs) throw overLimit("readMaxWaitMs", waitMs, "wait_ms", limits);
  const start = startOf(request.start, { at: "earliest" }, "start");
  return {
    stream: request.stream,
    ...streamIdOf(request.streamId, "stream_id"),
    start,
    ...endOf(request.endOffset, start, "end_offset"),
    ...(request.maxRecords === 0 ? {} : { maxRecords: request.maxRecords }),
    maxBytes: maxBytesOf(request.maxBytes, limits),
    waitMs,
    form: formOf(request.form),
    isLinearizable: request.consistency === Consistency.LINEARIZABLE,
    ...positionIn("atLeastOffset", request.atLeastOffset, "at_least_offset"),
    ...positionIn("startIndex", request.startIndex, "start_index"),
  };
}

/** A position, where the request has it. */
function positionIn<Name extends string>(
  name: Name,
  value: bigint | undefined,
  field: string,
): { [key in Name]?: number } {
  const given: { [key in Name]?: number } = {};
  if (value !== undefined) given[name] = toPosition(value, field);
  return given;
}

export function tailQuery(request: TailRequest, limits: Limits): TailQuery {
  const count = request.streams.length;
  if (count === 0) throw invalidField("streams", "it names no stream", "Name 1 stream or more to follow");
  if (count > limits.tailMaxStreams) throw overLimit("tailMaxStreams", count, "streams", limits);
  const streams = request.streams.map((stream, at) => tailedStream(stream, `streams[${at}]`));
  const seen = new Set<string>();
  for (const [at, { stream }] of streams.entries()) {
    if (seen.has(stream)) {
      throw invalidField(`streams[${at}].stream`, `"${stream}" is there twice`, "Name each stream once");
    }
    seen.add(stream);
  }
  const heartbeatMs = request.heartbeatMs === 0 ? limits.tailHeartbeatMs : request.heartbeatMs;
  if (heartbeatMs > limits.tailHeartbeatMs) throw overLimit("tailHeartbeatMs", heartbeatMs, "heartbeat_ms", limits);
  if (heartbeatMs < Math.min(tailHeartbeatMinMs, limits.tailHeartbeatMs)) {
    throw invalidField("heartbeat_ms", `it is less than ${tailHeartbeatMinMs}`, "Use 0 for the default");
  }
  return { streams, form: formOf(request.form), maxBytes: maxBytesOf(request.maxBytes, limits), heartbeatMs };
}

function tailedStream(request: TailStart, field: string): TailedStream {
  checkStreamName(request.stream, `${field}.stream`);
  const start = startOf(request.start, { at: "latest" }, `${field}.start`);
  return {
    stream: request.stream,
    ...streamIdOf(request.streamId, `${field}.stream_id`),
    start,
    ...endOf(request.endOffset, start, `${field}.end_offset`),
  };
}

/** The id of a stream that must still be that one; none if the request leaves it open. */
export function streamIdOf(streamId: bigint | undefined, field: string): { streamId?: number } {
  return streamId === undefined ? {} : { streamId: toPosition(streamId, field) };
}

function startOf(position: Position | undefined, absent: Start, field: string): Start {
  if (position === undefined) return absent;
  const { at } = position;
  switch (at.case) {
    case "offset":
      return { at: "offset", offset: toPosition(at.value, `${field}.offset`) };
    case "appendTime":
      return { at: "time", micros: toMicros(at.value, `${field}.append_time`) };
    case "earliest":
    case "latest":
      if (!at.value) throw invalidField(`${field}.${at.case}`, "it is false", "Set it to true, or set another start");
      return { at: at.case };
    case "beforeEnd":
      return { at: "before_end", count: toPosition(at.value, `${field}.before_end`) };
    case undefined:
      throw invalidField(field, "it is empty", "Set offset, append_time, earliest, latest or before_end");
  }
}

function endOf(endOffset: bigint | undefined, start: Start, field: string): { endOffset?: number } {
  if (endOffset === undefined) return {};
  const end = toPosition(endOffset, field);
  if (start.at === "offset" && end < start.offset) {
    throw invalidField(
      field,
      `${end} is before the start, ${start.offset}`,
      "Ends are exclusive: use the start or more",
    );
  }
  return { endOffset: end };
}

function maxBytesOf(maxBytes: number, limits: Limits): number {
  if (maxBytes > limits.readMaxBytes) throw overLimit("readMaxBytes", maxBytes, "max_bytes", limits);
  return maxBytes === 0 ? Math.min(defaultMaxBytes, limits.readMaxBytes) : maxBytes;
}

/** How the answer is to carry records. */
export function formOf(form: Form | number): AnswerForm {
  switch (form) {
    case Form.UNSPECIFIED:
      return "records";
    case Form.PAYLOAD:
      return "payload";
    case Form.STORED:
      return "stored";
    default:
      throw invalidField("form", `${form} is not one that this version knows`, "Use RECORDS, PAYLOAD or STORED");
  }
}

/** A field that this version does not build. It is refused, since to ignore it would be to obey half of the request. */
export function notBuilt(field: string): TailraceError {
  const words = {
    what: `Cannot obey ${field}`,
    why: "this version of tailrace does not build it",
    todo: `Leave ${field} out`,
  };
  return new TailraceError("not_built", words, { field });
}

function overLimit(limit: keyof Limits, actual: number, field: string, limits: Limits): TailraceError {
  const facts = { name: limitName(limit), value: limits[limit], actual };
  return limitPassed(`Cannot take ${field}`, facts, `Ask for ${limits[limit]} or less`, { field });
}
