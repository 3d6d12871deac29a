/**
 * Appends one batch, by a unary call, which browsers can make too; and what writers agree by: a producer's place, a fence.
 * Elsewhere: batch after batch without waiting (`appender.ts`).
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  type AppendResponse,
  type Producer as ProducerMessage,
  ProducerSchema,
  Routing,
} from "../wire/gen/tailrace/v1/log_pb.ts";
import { fromPosition, positionLimit, toPosition } from "../wire/position.ts";
import type { TailraceClient } from "./client.ts";
import { type ProducerPlace, RequestError, toRequestError, withUnknownFate } from "./errors.ts";
import { backoffMs, pause } from "./retry.ts";

/** A writer whose batches are stored once each, however often they are sent. */
export interface Producer {
  /** Chosen at random, once: 16 bytes, not all zero. */
  readonly id: Uint8Array;
  /** A higher one shuts lower ones out, and begins at sequence 0 (0). */
  readonly epoch?: number | undefined;
}

export interface AppendOptions {
  readonly stream: string;
  /** A serialized `tailrace.v1.Records`. */
  readonly payload: Uint8Array;
  /** Who appends, and the number of this batch: what makes it safe to send it again. */
  readonly producer?: (Producer & { readonly sequence: number }) | undefined;
  /** Append only if this is the stream's next offset. */
  readonly expectedOffset?: number | undefined;
  /** Append only if this fence token is in force; absent: only if none is. */
  readonly fence?: Uint8Array | undefined;
  /** Append only if the stream is still this one. */
  readonly streamId?: bigint | undefined;
  /** Whether the node is to refuse it where another one leads the stream, whose address the refusal has. */
  readonly refuseElsewhere?: boolean | undefined;
  /** Most tries in all, with a producer only (10): without one a batch is sent once. */
  readonly triesMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Tries in all, where nobody says: about half a minute, for a node that starts again. */
export const defaultTriesMax = 10;

/**
 * Appends a batch; resolves when it is durable. With a producer it is sent again when its fate is not known, and an answer
 * with `duplicate` is a success too: it was there.
 * @throws {RequestError} with its `conflict`, where something that it depends on is otherwise.
 */
export async function appendBatch(client: TailraceClient, options: AppendOptions): Promise<AppendResponse> {
  const { stream, payload, producer, expectedOffset, fence, streamId, signal = new AbortController().signal } = options;
  const triesMax = producer === undefined ? 1 : (options.triesMax ?? defaultTriesMax);
  const request = {
    stream,
    batch: payload,
    ...(producer === undefined ? {} : { producer: producerMessage(producer, producer.sequence) }),
    ...(expectedOffset === undefined ? {} : { expectedOffset: fromPosition(expectedOffset) }),
    ...(fence === undefined ? {} : { fence }),
    ...(streamId === undefined ? {} : { streamId }),
    ...(options.refuseElsewhere ? { routing: Routing.REFUSE } : {}),
  };
  let mayBeThere = false;
  for (let failedTries = 0; ; ) {
    try {
      return await client.log.append(request, { signal });
    } catch (error) {
      const failure = toRequestError(error, signal);
      if (!failure.isWorthATry || failedTries + 1 >= triesMax) throw mayBeThere ? withUnknownFate(failure) : failure;
      mayBeThere ||= !failure.nothingWritten;
      await pause(Math.max(failure.detail?.retryAfterMs ?? 0, backoffMs(failedTries++)), signal);
    }
  }
}

/** A sequence that no producer comes to. */
const beyondAll = positionLimit - 1;
/** Serialized Records: one record, with nothing in it. */
const emptyRecord = Uint8Array.of(0x0a, 0);

/**
 * Where a producer is in a stream: the batch of its epoch that would be taken next; 0 for one that the stream does not
 * know. Appends nothing: it asks for what is surely refused, and the refusal tells.
 * @throws {RequestError} with the conflict `staleEpoch` when it is in a higher epoch.
 */
export async function producerPlace(
  client: TailraceClient,
  stream: string,
  producer: Producer,
): Promise<ProducerPlace> {
  try {
    await client.log.append({ stream, batch: emptyRecord, producer: producerMessage(producer, beyondAll) });
  } catch (error) {
    const failure = toRequestError(error);
    const { conflict } = failure;
    if (conflict?.kind === "sequenceGap" || conflict?.kind === "unknownProducer") return conflict.expected;
    if (conflict?.kind !== "staleEpoch") throw failure;
    const [epoch, known] = [producer.epoch ?? 0, conflict.expected.epoch];
    const message = `Cannot append to stream "${stream}" in the producer's epoch ${epoch}: it is in epoch ${known}`;
    throw new RequestError("refused", failure.code, message, failure.detail, failure);
  }
  throw new RequestError("refused", Code.Internal, "the node took a batch out of its turn");
}

/**
 * Takes a stream over: from then on an append that names another token, or none, is refused. Safe to repeat.
 * @param token At most 64 bytes; empty: none, so that appends that name none are taken again.
 * @returns the stream's id, and the offset of the first record that can be appended under the token.
 * @throws {RequestError}
 */
export async function fenceStream(
  client: TailraceClient,
  stream: string,
  token: Uint8Array,
): Promise<{ readonly streamId: bigint; readonly nextOffset: number }> {
  try {
    const { streamId, nextOffset } = await client.log.fence({ stream, token });
    return { streamId, nextOffset: toPosition(nextOffset, "next_offset") };
  } catch (error) {
    throw toRequestError(error);
  }
}

/** A producer as requests carry it. */
export function producerMessage({ id, epoch = 0 }: Producer, sequence: number): ProducerMessage {
  return create(ProducerSchema, { id, epoch, sequence: fromPosition(sequence) });
}
