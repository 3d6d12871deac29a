/**
 * Requests that are passed on to another node, and its answers, as the API's messages have them.
 * @module
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { BatchKind } from "../../base/batch.ts";
import { invalidField } from "../../base/errors.ts";
import type { PeerRead, PeerReadAnswer } from "../../stream/peers.ts";
import { builtInSettings } from "../../stream/settings.ts";
import type { AppendAnswer, AppendOptions, BatchSlice, Start, StreamDescription } from "../../stream/types.ts";
import {
  type AppendResponse,
  Consistency,
  Form,
  PositionSchema,
  type ReadRequestSchema,
  type ReadResponse,
} from "../../wire/gen/tailrace/v1/log_pb.ts";
import type { Batch } from "../../wire/gen/tailrace/v1/record_pb.ts";
import { type Stream as StreamMessage, StreamState } from "../../wire/gen/tailrace/v1/stream_pb.ts";
import { fromPosition, toPosition } from "../../wire/position.ts";
import { fromMicros, toMicros } from "../../wire/timestamp.ts";
import { givenSettings } from "../api/settings-message.ts";

/** What an append depends on, as fields of its request. */
export function conditions({
  producer,
  fence,
  expectedOffset,
}: Pick<AppendOptions, "producer" | "fence" | "expectedOffset">) {
  return {
    ...(producer === undefined ? {} : { producer: { ...producer, sequence: fromPosition(producer.sequence) } }),
    ...(fence === undefined ? {} : { fence }),
    ...(expectedOffset === undefined ? {} : { expectedOffset: fromPosition(expectedOffset) }),
  };
}

/** What another node's leader took. */
export function appendAnswer(answer: AppendResponse): AppendAnswer {
  const streamId = toPosition(answer.streamId, "stream_id");
  const { startOffset, nextOffset, index, appendTime, digest, duplicate } = answer;
  if (startOffset === undefined || nextOffset === undefined || index === undefined || appendTime === undefined) {
    return { streamId, duplicate: true };
  }
  return {
    streamId,
    startOffset: toPosition(startOffset, "start_offset"),
    nextOffset: toPosition(nextOffset, "next_offset"),
    index: toPosition(index, "index"),
    appendTimeMicros: toMicros(appendTime, "append_time"),
    digest,
    ...(duplicate ? { duplicate } : {}),
  };
}

/** A read as its request says it. Without control batches payloads are all that is needed. */
export function readRequest(read: PeerRead): MessageInitShape<typeof ReadRequestSchema> {
  const { start, endOffset, startIndex, maxRecords, maxBytes, controlBatches, atLeastOffset, waitMs, linearizable } =
    read;
  return {
    start: create(PositionSchema, { at: startPosition(start) }),
    maxBytes,
    form: controlBatches ? Form.STORED : Form.PAYLOAD,
    ...(endOffset === undefined ? {} : { endOffset: fromPosition(endOffset) }),
    ...(startIndex === undefined ? {} : { startIndex: fromPosition(startIndex) }),
    ...(maxRecords === undefined ? {} : { maxRecords }),
    ...(atLeastOffset === undefined ? {} : { atLeastOffset: fromPosition(atLeastOffset) }),
    ...(waitMs === undefined ? {} : { waitMs }),
    ...(linearizable ? { consistency: Consistency.LINEARIZABLE } : {}),
  };
}

function startPosition(start: Start): NonNullable<MessageInitShape<typeof PositionSchema>["at"]> {
  switch (start.at) {
    case "offset":
      return { case: "offset", value: fromPosition(start.offset) };
    case "time":
      return { case: "appendTime", value: fromMicros(start.micros) };
    case "before_end":
      return { case: "beforeEnd", value: fromPosition(start.count) };
    case "earliest":
    case "latest":
      return { case: start.at, value: true };
  }
}

/** What was read there. */
export function readAnswer(answer: ReadResponse, group: number): PeerReadAnswer {
  return {
    batches: answer.batches.map((batch) => sliceOf(batch, group)),
    nextOffset: toPosition(answer.nextOffset, "next_offset"),
    logStart: toPosition(answer.logStart, "log_start"),
    highWatermark: toPosition(answer.highWatermark, "high_watermark"),
    lagMs: answer.lagMs,
  };
}

/** A batch as if it had been read here; its header, which says who wrote it, is there in form STORED only. */
function sliceOf(message: Batch, group: number): BatchSlice {
  const { recordCount, payload, header, digest, skip, take, kind, codec, appendTime } = message;
  if (appendTime === undefined) throw invalidField("append_time", "it is missing", "Ask another node");
  const batch = {
    kind: kindOf(kind),
    ...{ codec, payloadBytes: payload.length, group, recordCount, digest, header, payload },
    index: toPosition(message.index, "index"),
    baseOffset: toPosition(message.startOffset, "start_offset"),
    term: toPosition(message.term, "term"),
    appendTimeMicros: toMicros(appendTime, "append_time"),
  };
  return { batch, skip, take: take === 0 ? recordCount - skip : take };
}

/** @throws {TailraceError} It is of a later version. */
function kindOf(number: number): BatchKind {
  const kind = Object.values(BatchKind).find((known) => known === number);
  if (kind === undefined) throw invalidField("kind", `${number} is not known here`, "Ask another node");
  return kind;
}

const states = new Map<StreamState, StreamDescription["state"]>([
  [StreamState.UNSPECIFIED, "normal"],
  [StreamState.READ_ONLY, "read_only"],
  [StreamState.DELETING, "deleting"],
]);

/** How the stream stands there. */
export function description(stream: StreamMessage): StreamDescription {
  const { firstAppendTime: first, lastAppendTime: last, settings, created } = stream;
  return {
    name: stream.name,
    id: toPosition(stream.id, "id"),
    createdMicros: created === undefined ? 0 : toMicros(created, "created"),
    settings: {
      ...builtInSettings,
      ...givenSettings(settings),
      version: toPosition(stream.settingsVersion, "settings_version"),
    },
    logStart: toPosition(stream.logStart, "log_start"),
    highWatermark: toPosition(stream.highWatermark, "high_watermark"),
    ...(first === undefined ? {} : { firstAppendTimeMicros: toMicros(first, "first_append_time") }),
    ...(last === undefined ? {} : { lastAppendTimeMicros: toMicros(last, "last_append_time") }),
    storedBytes: toPosition(stream.storedBytes, "stored_bytes"),
    digest: stream.digest,
    nextIndex: toPosition(stream.nextIndex, "next_index"),
    state: states.get(stream.state) ?? "normal",
    fence: stream.fence,
  };
}
