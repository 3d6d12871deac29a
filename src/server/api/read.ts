import { TailraceError } from "../../base/errors.ts";
import type { BatchSlice, Stream } from "../../stream/types.ts";
import type { Call } from "./call.ts";
import { type ApiContext, openStreams } from "./context.ts";
import { renamed } from "./renamed.ts";
import type { ReadQuery } from "./requests.ts";
import { Waker } from "./waker.ts";

/** What a read found. */
export interface ReadAnswer {
  readonly batches: readonly BatchSlice[];
  readonly streamId: number;
  readonly nextOffset: number;
  readonly logStart: number;
  readonly highWatermark: number;
  /** How long ago this node last had all that was committed, as far as it was told; undefined: nobody tells it. */
  readonly lagMs: number | undefined;
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
    let stream = await call.race(openStreams(api).find(query.stream, query.streamId, call));
    const endMs = api.clock.monotonicMs() + query.waitMs;
    let startOffset: number | undefined;
    for (let isLast = query.streamId !== undefined; startOffset === undefined; isLast = true) {
      try {
        if (query.isLinearizable) await call.race(stream.confirm());
        if (query.atLeastOffset !== undefined) await waitForOffset(api, stream, query.atLeastOffset, endMs, call);
        startOffset = await call.race(stream.resolve(query.start));
      } catch (error) {
        if (isLast) throw error;
        stream = await renamed(api, stream, error, call);
      }
    }
    await waitUntil(api, stream, () => isReadable(stream, startOffset, query), endMs, call);
    if (query.waitMs > 0 && stream.deleted) throw deleted(stream);
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
  const { endOffset, startIndex, maxRecords, maxBytes, form } = query;
  const { highWatermark: seenBefore } = stream;
  const { batches, nextOffset } = await stream.read({
    startOffset,
    ...(endOffset === undefined ? {} : { endOffset }),
    ...(startIndex === undefined ? {} : { startIndex }),
    ...(maxRecords === undefined ? {} : { maxRecords }),
    maxBytes,
    controlBatches: form === "stored",
  });
  const { id, logStart, highWatermark, lagMs } = stream;
  // What is committed while it reads may not be in it. Where others were asked, this node may know only by the answer.
  const isBounded = query.start.at === "offset" && endOffset !== undefined;
  const isWhole = isBounded && (endOffset <= seenBefore || endOffset <= nextOffset);
  // A linearizable read says how the stream stands now.
  const isImmutable = isWhole && batches.length > 0 && !query.isLinearizable;
  return { batches, streamId: id, nextOffset, logStart, highWatermark, lagMs, isImmutable };
}

/** Waits until this node has what is below an offset. @throws {TailraceError} `not_ready`: not in time. */
async function waitForOffset(
  api: ApiContext,
  stream: Stream,
  atLeast: number,
  endMs: number,
  call: Call,
): Promise<void> {
  await call.race(stream.ready());
  await waitUntil(api, stream, () => stream.deleted || stream.highWatermark >= atLeast, endMs, call);
  if (stream.deleted) throw deleted(stream);
  const { highWatermark: nextOffset, name, logStart } = stream;
  if (nextOffset < atLeast) throw notHereYet(name, atLeast, { nextOffset, logStart });
}

/** Waits until it holds, the time is over, or the node stops. */
async function waitUntil(
  api: ApiContext,
  stream: Stream,
  holds: () => boolean,
  endMs: number,
  call: Call,
): Promise<void> {
  const leftMs = endMs - api.clock.monotonicMs();
  if (leftMs <= 0 || holds()) return;
  const waker = new Waker();
  let isOver = false;
  const timer = api.clock.after(leftMs, () => {
    isOver = true;
    waker.wake();
  });
  const stops = [stream.watch(waker.wake), api.drain.onDrain(waker.wake), call.onEnd(waker.wake)];
  try {
    while (!isOver && !holds()) {
      if (call.ended !== undefined) throw call.ended;
      // A node that stops answers at once, and with nothing: the client asks again, elsewhere.
      if (api.drain.isDraining) return;
      await waker.sleep();
    }
  } finally {
    timer.cancel();
    for (const stop of stops) stop();
  }
}

function deleted({ name }: Stream): TailraceError {
  const words = {
    what: `Cannot read stream "${name}"`,
    why: "it was deleted",
    todo: "Create it again, or read another",
  };
  return new TailraceError("stream_not_found", words, { stream: name });
}

/** How long a client should wait for what others have already. */
const lagRetryAfterMs = 200;

function notHereYet(name: string, atLeast: number, facts: { nextOffset: number; logStart: number }): TailraceError {
  const words = {
    what: `Cannot read stream "${name}" as of offset ${atLeast}`,
    why: `this node has it up to ${facts.nextOffset}`,
    todo: "Try again, give more wait_ms, or ask the stream's leader",
  };
  return new TailraceError("not_ready", words, { stream: name, ...facts, retryAfterMs: lagRetryAfterMs });
}
