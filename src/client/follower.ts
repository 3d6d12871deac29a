/**
 * Follows a stream for as long as the caller likes: first what is there, by reads, which pack small batches, then what
 * comes, by a tail. When the connection breaks or the node stops, it connects again and goes on after the last record
 * given, so that none is given twice and none left out.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { ErrorDetailSchema, Reason } from "../wire/gen/tailrace/v1/error_pb.ts";
import { Form, PositionSchema, type TailEnd, TailEndReason } from "../wire/gen/tailrace/v1/log_pb.ts";
import type { Batch } from "../wire/gen/tailrace/v1/record_pb.ts";
import { toPosition } from "../wire/position.ts";
import type { TailraceClient } from "./client.ts";
import { RequestError, toRequestError } from "./errors.ts";
import { atOffset, type Freshness, type ReadPart, readParts, recordsOf, type StartPosition } from "./reader.ts";
import { backoffMs, pause } from "./retry.ts";

/** How much it may lag is of its beginning. */
export interface FollowOptions extends Freshness {
  readonly stream: string;
  readonly start: StartPosition;
  readonly signal?: AbortSignal | undefined;
  /** The connection is gone; the next try comes after `delayMs`. Called before each try. */
  readonly onDisconnected?: (why: RequestError, delayMs: number) => void;
  /** It is back, and goes on at the offset. */
  readonly onReconnected?: (offset: number) => void;
}

/** No frame for so long: the connection is dead. The node promises one at least every 5 s. */
const silenceMaxMs = 15_000;

/** Where the follower is. */
interface Place extends Freshness {
  start: StartPosition;
  /** Known from the first answer on; from then on a stream of the same name that is another one is refused. */
  streamId: bigint | undefined;
}

/**
 * Parts in order and without a gap, until the signal aborts, if ever; then it returns. Batches of a tail come one a part, and the
 * first part after each connect may be empty.
 * @throws {RequestError} when the node refuses (the stream is not there, was deleted, records are gone), or when it was
 * not to be reached at the very first try. A connection lost later is no error.
 */
export async function* followParts(client: TailraceClient, options: FollowOptions): AsyncGenerator<ReadPart, void> {
  const { stream, signal = new AbortController().signal } = options;
  const { linearizable, atLeastOffset } = options;
  const place: Place = { start: options.start, streamId: undefined, linearizable, atLeastOffset };
  let failedTries = 0;
  while (!signal.aborted) {
    try {
      for await (const part of partsOfConnection(client, stream, place, signal)) {
        if (failedTries > 0) options.onReconnected?.(part.startOffset);
        failedTries = 0;
        yield part;
      }
    } catch (error) {
      const failure = toRequestError(error, signal);
      if (failure.kind === "aborted") return;
      if (!failure.isPassing || place.streamId === undefined) throw failure;
      const delayMs = Math.max(failure.detail?.retryAfterMs ?? 0, backoffMs(failedTries++));
      options.onDisconnected?.(failure, delayMs);
      await pause(delayMs, signal);
    }
  }
}

/** What one connection gives, keeping `place` where the next one has to go on. Ends by an error only. */
async function* partsOfConnection(
  client: TailraceClient,
  stream: string,
  place: Place,
  signal: AbortSignal,
): AsyncGenerator<ReadPart, void> {
  let due = 0;
  let streamId = 0n;
  for await (const part of readParts(client, { stream, ...place, signal })) {
    due = part.nextOffset;
    streamId = part.streamId;
    Object.assign(place, { start: atOffset(due), streamId });
    yield part;
  }
  for await (const part of tailParts(client, { stream, due, streamId }, signal)) {
    place.start = atOffset(part.nextOffset);
    yield part;
  }
}

async function* tailParts(
  client: TailraceClient,
  from: { readonly stream: string; readonly due: number; readonly streamId: bigint },
  callerSignal: AbortSignal,
): AsyncGenerator<ReadPart, void> {
  const { stream, streamId } = from;
  let due = from.due;
  const abort = new AbortController();
  const signal = AbortSignal.any([callerSignal, abort.signal]);
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  const expectFrame = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => abort.abort(), silenceMaxMs);
  };
  const start = create(PositionSchema, { at: atOffset(due) });
  const request = { streams: [{ stream, start, streamId }], form: Form.PAYLOAD };
  try {
    expectFrame();
    for await (const { frame } of client.log.tail(request, { signal })) {
      expectFrame();
      if (frame.case === "end") throw endOf(stream, frame.value);
      if (frame.case !== "batch") continue;
      const part = partOf(frame.value, due, streamId);
      due = part.nextOffset;
      yield part;
    }
    throw new RequestError("lost", Code.Unavailable, "the node ended the tail without saying why");
  } catch (error) {
    throw toRequestError(error, callerSignal);
  } finally {
    clearTimeout(watchdog);
    abort.abort();
  }
}

/** One batch of a tail as a part; it must begin where the last one ended. */
function partOf(batch: Batch, due: number, streamId: bigint): ReadPart {
  const startOffset = toPosition(batch.startOffset, "start_offset") + batch.skip;
  if (startOffset !== due) {
    const message = `the node sent the records from offset ${startOffset} on where those from ${due} on were due`;
    throw new RequestError("refused", Code.Internal, message);
  }
  return { batches: [batch], streamId, startOffset, nextOffset: startOffset + recordsOf(batch) };
}

/** An end frame as the error that it stands for. */
function endOf(stream: string, end: TailEnd): RequestError {
  if (end.reason === TailEndReason.DELETED) {
    const todo = "Follow it again by its name if a new stream has that now";
    const detail = create(ErrorDetailSchema, { reason: Reason.STREAM_NOT_FOUND, stream, todo });
    return new RequestError("refused", Code.NotFound, `Stream "${stream}" was deleted`, detail);
  }
  const detail = create(ErrorDetailSchema, { reason: Reason.NOT_READY, retryAfterMs: end.retryAfterMs });
  return new RequestError("lost", Code.Unavailable, "the node is stopping", detail);
}
