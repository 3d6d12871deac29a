import { TailraceError } from "../../base/errors.ts";
import type { BatchSlice, Stream } from "../../stream/types.ts";
import type { Call } from "./call.ts";
import { type ApiContext, openStreams } from "./context.ts";
import type { ReadQuery } from "./requests.ts";
import { Waker } from "./waker.ts";

/** What a read found. */
export interface ReadAnswer {
  readonly batches: readonly BatchSlice[];
  readonly streamId: number;
  readonly nextOffset: number;
  readonly logStart: number;
  readonly highWatermark: number;
  /** True when no later read of the same stream id, start and end can answer with other records. */
  readonly isImmutable: boolean;
}

/**
 * Reads committed records once, waiting for the first as long as the query says. Fails with a ConnectError.
 * @param request Gives the query, or throws what is wrong with it.
 */
export async function read(api: ApiContext, request: () => ReadQuery, call: Call): Promise<ReadAnswer> {
  try {
    const query = request();
    const stream = openStreams(api).get(query.stream, query.streamId);
    const startOffset = await call.race(stream.resolve(query.start));
    const needsWait = query.waitMs > 0 && !isReadable(stream, startOffset, query);
    if (needsWait) await waitForRecords(api, stream, startOffset, query, call);
    const answer = await call.race(readOnce(stream, startOffset, query));
    api.metrics.read(answer.batches);
    return answer;
  } catch (error) {
    throw api.mapError(error, { callId: call.id, rpc: call.rpc });
  }
}

/** Whether a read would find something, or never could. */
function isReadable(stream: Stream, startOffset: number, { endOffset }: ReadQuery): boolean {
  return stream.deleted || stream.highWatermark > startOffset || (endOffset !== undefined && endOffset <= startOffset);
}

async function readOnce(stream: Stream, startOffset: number, query: ReadQuery): Promise<ReadAnswer> {
  const { endOffset, maxRecords, maxBytes, form } = query;
  const { batches, nextOffset } = await stream.read({
    startOffset,
    ...(endOffset === undefined ? {} : { endOffset }),
    ...(maxRecords === undefined ? {} : { maxRecords }),
    maxBytes,
    controlBatches: form === "stored",
  });
  const { id, logStart, highWatermark } = stream;
  const isBounded = query.start.at === "offset" && endOffset !== undefined && endOffset <= highWatermark;
  return { batches, streamId: id, nextOffset, logStart, highWatermark, isImmutable: isBounded && batches.length > 0 };
}

async function waitForRecords(
  api: ApiContext,
  stream: Stream,
  startOffset: number,
  query: ReadQuery,
  call: Call,
): Promise<void> {
  const waker = new Waker();
  let isOver = false;
  const timer = api.clock.after(query.waitMs, () => {
    isOver = true;
    waker.wake();
  });
  const stops = [stream.watch(waker.wake), api.drain.onDrain(waker.wake), call.onEnd(waker.wake)];
  try {
    while (!isOver && !isReadable(stream, startOffset, query)) {
      if (call.ended !== undefined) throw call.ended;
      // A node that stops answers at once, and with nothing: the client asks again, elsewhere.
      if (api.drain.isDraining) return;
      await waker.sleep();
    }
  } finally {
    timer.cancel();
    for (const stop of stops) stop();
  }
  if (stream.deleted) throw new TailraceError("stream_not_found", deletedWords(stream.name), { stream: stream.name });
}

function deletedWords(name: string) {
  return { what: `Cannot read stream "${name}"`, why: "it was deleted", todo: "Create it again, or read another" };
}
