/**
 * Follows streams: yields batches as they are committed, heartbeats when there are none, and a last frame a stream.
 * - Streams take turns; in its turn a stream gives at most `max_bytes` of batches. Nothing is read before the client has
 *   taken what was: a slow client costs one read of one stream in memory.
 * - The wait for more ends with the call, and when the node stops: then each stream gets a last frame.
 * @module
 */
import { TailraceError } from "../../base/errors.ts";
import type { BatchSlice, Stream } from "../../stream/types.ts";
import type { Call } from "./call.ts";
import type { ApiContext } from "./context.ts";
import { withStream } from "./renamed.ts";
import type { TailedStream, TailQuery } from "./requests.ts";
import { Waker } from "./waker.ts";

/** What a tail says of its stream number `stream`. */
export type TailFrame =
  | { readonly kind: "batch"; readonly stream: number; readonly slice: BatchSlice }
  | { readonly kind: "heartbeat"; readonly stream: number; readonly heartbeat: TailHeartbeat }
  | { readonly kind: "gap"; readonly stream: number; readonly startOffset: number; readonly nextOffset: number }
  | {
      readonly kind: "end";
      readonly stream: number;
      readonly reason: "reached_end" | "deleted" | "reconnect";
      readonly nextOffset: number;
    }
  /** `retryUrl`: another node; empty: none is known. */
  | { readonly kind: "end_all"; readonly retryAfterMs: number; readonly retryUrl: string };

/** How a stream stands. */
export interface TailHeartbeat {
  readonly streamId: number;
  readonly nextOffset: number;
  readonly highWatermark: number;
  readonly caughtUp: boolean;
  readonly logStart: number;
}

/** How long a client should wait before it connects to a node that is back. */
const retryAfterMs = 1000;

/** Yields frames until all streams have ended, the node stops, or the call ends. Fails with a ConnectError. */
export async function* tail(api: ApiContext, request: () => TailQuery, call: Call): AsyncGenerator<TailFrame> {
  const waker = new Waker();
  const stops = [call.onEnd(waker.wake), api.drain.onDrain(waker.wake)];
  api.metrics.tailOpened();
  try {
    const query = request();
    const followed: FollowedStream[] = [];
    for (const [number, start] of query.streams.entries()) {
      const one = await begin(api, number, start, query, call);
      followed.push(one);
      stops.push(one.stream.watch(waker.wake));
    }
    yield* follow(api, followed, query, call, waker);
  } catch (error) {
    throw api.mapError(error, { callId: call.id, rpc: call.rpc });
  } finally {
    for (const stop of stops) stop();
    api.metrics.tailClosed();
  }
}

async function* follow(
  api: ApiContext,
  followed: readonly FollowedStream[],
  query: TailQuery,
  call: Call,
  waker: Waker,
): AsyncGenerator<TailFrame> {
  let open = followed;
  for (const stream of open) yield stream.heartbeat();
  while (open.length > 0) {
    if (call.ended !== undefined) throw call.ended;
    if (api.drain.isDraining) {
      for (const stream of open) yield stream.end("reconnect");
      yield { kind: "end_all", retryAfterMs, retryUrl: api.elsewhere() };
      return;
    }
    let isIdle = true;
    for (const stream of open) {
      for await (const frame of stream.turn(call)) {
        isIdle = false;
        yield frame;
      }
    }
    open = open.filter((stream) => !stream.hasEnded);
    if (isIdle) await sleepUntilDue(api, open, query.heartbeatMs, waker);
  }
}

/** Sleeps until something may have happened, or the next heartbeat is due. */
async function sleepUntilDue(
  api: ApiContext,
  open: readonly FollowedStream[],
  heartbeatMs: number,
  waker: Waker,
): Promise<void> {
  const lastFrameMs = Math.min(...open.map((stream) => stream.lastFrameMs));
  const timer = api.clock.after(Math.max(0, lastFrameMs + heartbeatMs - api.clock.monotonicMs()), waker.wake);
  await waker.sleep();
  timer.cancel();
}

/** One stream of a tail: where its reader stands. */
class FollowedStream {
  hasEnded = false;
  /** When the last frame was made; its silence is counted from there. */
  lastFrameMs = 0;
  readonly stream: Stream;
  readonly #api: ApiContext;
  readonly #number: number;
  readonly #request: TailedStream;
  readonly #query: TailQuery;
  #nextOffset: number;
  /** Control batches take no offset, so their index says which of them were given. */
  #nextIndex: number | undefined;
  /** Whether the client was told that it has all there is, since its start. */
  #wasCaughtUp = false;

  constructor(
    api: ApiContext,
    number: number,
    request: TailedStream,
    query: TailQuery,
    stream: Stream,
    startOffset: number,
  ) {
    this.#api = api;
    this.#number = number;
    this.#request = request;
    this.#query = query;
    this.stream = stream;
    this.#nextOffset = startOffset;
  }

  heartbeat(): TailFrame {
    const { id, highWatermark, logStart } = this.stream;
    const caughtUp = this.#nextOffset >= highWatermark;
    this.#wasCaughtUp ||= caughtUp;
    const heartbeat = { streamId: id, nextOffset: this.#nextOffset, highWatermark, caughtUp, logStart };
    return this.#frame({ kind: "heartbeat", stream: this.#number, heartbeat });
  }

  end(reason: "reached_end" | "deleted" | "reconnect"): TailFrame {
    this.hasEnded = true;
    return this.#frame({ kind: "end", stream: this.#number, reason, nextOffset: this.#nextOffset });
  }

  /** What the stream has to say now: nothing if nothing happened. */
  async *turn(call: Call): AsyncGenerator<TailFrame> {
    const { stream } = this;
    if (stream.deleted) {
      yield this.end("deleted");
      return;
    }
    yield* this.#batches(call);
    if (this.hasEnded) return;
    const { endOffset } = this.#request;
    if (endOffset !== undefined && this.#nextOffset >= endOffset) yield this.end("reached_end");
    else if (!this.#wasCaughtUp && this.#nextOffset >= stream.highWatermark) yield this.heartbeat();
    else if (this.#api.clock.monotonicMs() - this.lastFrameMs >= this.#query.heartbeatMs) yield this.heartbeat();
  }

  async *#batches(call: Call): AsyncGenerator<TailFrame> {
    const slices = await this.#read(call);
    if (!Array.isArray(slices)) {
      yield slices;
      return;
    }
    this.#api.metrics.read(slices);
    for (const slice of slices) {
      const { batch, skip, take } = slice;
      if (take > 0) this.#nextOffset = batch.baseOffset + skip + take;
      this.#nextIndex = batch.index + 1;
      yield this.#frame({ kind: "batch", stream: this.#number, slice });
      if (call.ended !== undefined) throw call.ended;
    }
  }

  /** The next batches, or what to say in their stead. */
  async #read(call: Call): Promise<BatchSlice[] | TailFrame> {
    const { maxBytes, form } = this.#query;
    const { endOffset } = this.#request;
    const isStored = form === "stored";
    const startOffset = this.#nextOffset;
    if (endOffset !== undefined && startOffset >= endOffset) return [];
    if (!isStored && startOffset >= this.stream.highWatermark) return [];
    const bound = {
      ...(endOffset === undefined ? {} : { endOffset }),
      ...(this.#nextIndex === undefined ? {} : { startIndex: this.#nextIndex }),
    };
    try {
      const read = this.stream.read({ startOffset, ...bound, maxBytes, controlBatches: isStored });
      const { batches } = await call.race(read);
      return [...batches];
    } catch (error) {
      if (this.stream.deleted) return this.end("deleted");
      const { logStart } = this.stream;
      const isGap = error instanceof TailraceError && error.reason === "below_log_start" && logStart > startOffset;
      if (!isGap || this.#request.start.at !== "earliest") throw error;
      this.#nextOffset = logStart;
      this.#nextIndex = undefined;
      return this.#frame({ kind: "gap", stream: this.#number, startOffset, nextOffset: logStart });
    }
  }

  #frame(frame: TailFrame): TailFrame {
    this.lastFrameMs = this.#api.clock.monotonicMs();
    return frame;
  }
}

/** Finds the stream and where to start. A refusal says which of the request's streams it is about. */
async function begin(
  api: ApiContext,
  number: number,
  request: TailedStream,
  query: TailQuery,
  call: Call,
): Promise<FollowedStream> {
  let field = "stream";
  try {
    const named = { name: request.stream, streamId: request.streamId };
    return await withStream(api, named, call, async (stream) => {
      field = "start";
      const startOffset = await call.race(stream.resolve(request.start));
      return new FollowedStream(api, number, request, query, stream, startOffset);
    });
  } catch (error) {
    throw api.mapError(error, { callId: call.id, rpc: call.rpc, field: `streams[${number}].${field}` });
  }
}
