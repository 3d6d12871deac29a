/**
 * Reads what is committed, batch by batch, up to where the stream stood when the reading began.
 * @module
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Consistency, Form, PositionSchema, type ReadResponse } from "../wire/gen/tailrace/v1/log_pb.ts";
import type { Batch } from "../wire/gen/tailrace/v1/record_pb.ts";
import { fromPosition, toPosition } from "../wire/position.ts";
import type { TailraceClient } from "./client.ts";
import { RequestError, toRequestError } from "./errors.ts";

/** Where to start: one member of the message `Position`'s `at`. */
export type StartPosition = NonNullable<MessageInitShape<typeof PositionSchema>["at"]>;

/** How much a read may lag; left out: it gives what the node that is asked knows to be committed. */
export interface Freshness {
  /** It has all that was acknowledged, by any node, before it began. */
  readonly linearizable?: boolean | undefined;
  /** It has what is below this offset, such as `next_offset` of an append: it is waited for. */
  readonly atLeastOffset?: number | undefined;
}

export interface ReadOptions extends Freshness {
  readonly stream: string;
  readonly start: StartPosition;
  /** Read only if the stream is still this one. */
  readonly streamId?: bigint | undefined;
  /** At most this many records. */
  readonly maxRecords?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Batches in order and without a gap. */
export interface ReadPart {
  /** In form PAYLOAD: mind `skip` and `take`. */
  readonly batches: readonly Batch[];
  readonly streamId: bigint;
  /** Offset of the first record, or where it will be if there is none. */
  readonly startOffset: number;
  /** Where to go on. */
  readonly nextOffset: number;
}

/** Reads wait for nothing, so one that takes so long is on a dead connection. */
const answerMaxMs = 30_000;
/** An offset that the node does not have yet is waited for so long. */
const offsetMaxWaitMs = 10_000;
/** Largest count that one request can carry. */
const requestMaxRecords = 2 ** 32 - 1;

/**
 * Reads from `start` to the high watermark as it is at the first answer, then ends. The next part is asked for while one
 * is looked at. The first part may be empty: it tells where reading begins.
 * @throws {RequestError}
 */
export async function* readParts(client: TailraceClient, options: ReadOptions): AsyncGenerator<ReadPart, void> {
  const abort = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, abort.signal]) : abort.signal;
  let left = options.maxRecords ?? Number.POSITIVE_INFINITY;
  const ask = (start: StartPosition, streamId?: bigint, endOffset?: bigint): Promise<ReadResponse> => {
    const request = {
      stream: options.stream,
      start: create(PositionSchema, { at: start }),
      form: Form.PAYLOAD,
      maxRecords: left > requestMaxRecords ? 0 : left,
      ...(streamId === undefined ? {} : { streamId }),
      ...(endOffset === undefined ? {} : { endOffset }),
      ...(endOffset === undefined ? freshnessOf(options) : {}),
    };
    const answer = client.log.read(request, { signal, timeoutMs: answerMaxMs });
    answer.catch(() => {}); // It is thrown where it is awaited; when the caller stops before that, nobody needs it.
    return answer;
  };
  try {
    let answer = await ask(options.start, options.streamId);
    const end = answer.highWatermark;
    while (true) {
      const { batches, streamId, nextOffset } = answer;
      const records = batches.reduce((sum, batch) => sum + recordsOf(batch), 0);
      left -= records;
      const isLast = nextOffset >= end || left <= 0;
      if (records === 0 && !isLast) {
        throw new RequestError(
          "refused",
          Code.Internal,
          `the node gave no records from offset ${nextOffset} to ${end}`,
        );
      }
      const following = isLast ? undefined : ask({ case: "offset", value: nextOffset }, streamId, end);
      const next = toPosition(nextOffset, "next_offset");
      yield { batches, streamId, startOffset: next - records, nextOffset: next };
      if (following === undefined) return;
      answer = await following;
    }
  } catch (error) {
    throw toRequestError(error, options.signal);
  } finally {
    abort.abort();
  }
}

/** What the first request says: the others end where its answer did. */
function freshnessOf({ linearizable, atLeastOffset }: Freshness) {
  return {
    ...(linearizable ? { consistency: Consistency.LINEARIZABLE } : {}),
    ...(atLeastOffset === undefined ? {} : { atLeastOffset: fromPosition(atLeastOffset), waitMs: offsetMaxWaitMs }),
  };
}

/** Number of records of a batch that were asked for. */
export function recordsOf(batch: Batch): number {
  return batch.take === 0 ? batch.recordCount - batch.skip : batch.take;
}

/** The start position of an offset. */
export function atOffset(offset: number): StartPosition {
  return { case: "offset", value: fromPosition(offset) };
}
