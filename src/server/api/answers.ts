/**
 * What the handlers give, as the messages of the API.
 * @module
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { unreachable } from "../../base/assert.ts";
import type { AppendAnswer, BatchSlice } from "../../stream/types.ts";
import { type BatchForm, toBatchMessage } from "../../wire/batch-message.ts";
import {
  type AppendResponse,
  AppendResponseSchema,
  type ReadResponse,
  ReadResponseSchema,
  TailEndReason,
  type TailResponse,
  TailResponseSchema,
} from "../../wire/gen/tailrace/v1/log_pb.ts";
import type { Batch } from "../../wire/gen/tailrace/v1/record_pb.ts";
import { fromPosition } from "../../wire/position.ts";
import { fromMicros } from "../../wire/timestamp.ts";
import type { ReadAnswer } from "./read.ts";
import type { AnswerForm } from "./requests.ts";
import type { TailFrame } from "./tail.ts";

/** How an answer is encoded: as JSON its records must be messages, as protobuf the stored bytes do. */
export type Encoding = "json" | "protobuf";

export function appendResponse(receipt: AppendAnswer): AppendResponse {
  const streamId = fromPosition(receipt.streamId);
  if (receipt.startOffset === undefined) return create(AppendResponseSchema, { streamId, duplicate: true });
  return create(AppendResponseSchema, {
    streamId,
    startOffset: fromPosition(receipt.startOffset),
    nextOffset: fromPosition(receipt.nextOffset),
    index: fromPosition(receipt.index),
    appendTime: fromMicros(receipt.appendTimeMicros),
    digest: receipt.digest,
    duplicate: receipt.duplicate ?? false,
  });
}

export function readResponse(answer: ReadAnswer, form: AnswerForm, encoding: Encoding): ReadResponse {
  return create(ReadResponseSchema, {
    batches: answer.batches.map((slice) => batchMessage(slice, form, encoding)),
    streamId: fromPosition(answer.streamId),
    nextOffset: fromPosition(answer.nextOffset),
    logStart: fromPosition(answer.logStart),
    highWatermark: fromPosition(answer.highWatermark),
    ...lagOf(answer),
  });
}

/** No number of milliseconds that the field can't hold. */
function lagOf({ lagMs }: ReadAnswer): { lagMs?: number } {
  return lagMs === undefined ? {} : { lagMs: Math.min(Math.ceil(lagMs), 2 ** 32 - 1) };
}

const endReasons = {
  reached_end: TailEndReason.REACHED_END,
  deleted: TailEndReason.DELETED,
  reconnect: TailEndReason.RECONNECT,
};

export function tailResponse(frame: TailFrame, form: AnswerForm, encoding: Encoding): TailResponse {
  switch (frame.kind) {
    case "batch":
      return create(TailResponseSchema, {
        stream: frame.stream,
        frame: { case: "batch", value: batchMessage(frame.slice, form, encoding) },
      });
    case "heartbeat": {
      const { streamId, nextOffset, highWatermark, caughtUp, logStart } = frame.heartbeat;
      const value = {
        streamId: fromPosition(streamId),
        nextOffset: fromPosition(nextOffset),
        highWatermark: fromPosition(highWatermark),
        caughtUp,
        logStart: fromPosition(logStart),
      };
      return create(TailResponseSchema, { stream: frame.stream, frame: { case: "heartbeat", value } });
    }
    case "gap": {
      const value = { startOffset: fromPosition(frame.startOffset), nextOffset: fromPosition(frame.nextOffset) };
      return create(TailResponseSchema, { stream: frame.stream, frame: { case: "gap", value } });
    }
    case "end": {
      const value = { reason: endReasons[frame.reason], nextOffset: fromPosition(frame.nextOffset) };
      return create(TailResponseSchema, { stream: frame.stream, frame: { case: "end", value } });
    }
    case "end_all": {
      const { retryAfterMs, retryUrl } = frame;
      const value = { reason: TailEndReason.RECONNECT, all: true, retryAfterMs, retryUrl };
      return create(TailResponseSchema, { stream: 0, frame: { case: "end", value } });
    }
    default:
      return unreachable(frame);
  }
}

function batchMessage({ batch, skip, take }: BatchSlice, form: AnswerForm, encoding: Encoding): Batch {
  const batchForm: BatchForm = form === "records" && encoding === "protobuf" ? "recordBytes" : form;
  return toBatchMessage(batch, skip, take, batchForm);
}

/** A read's answer as protobuf. */
export function readResponseBytes(answer: ReadAnswer, form: AnswerForm): Uint8Array {
  return toBinary(ReadResponseSchema, readResponse(answer, form, "protobuf"));
}
