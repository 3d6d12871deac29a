/**
 * What a call that names a stream, and not its id, is answered with by a node that lags: the stream of that name that it knows
 * may be deleted, and another one have the name. Who was told that it is gone sees what has the name now, and tries once more.
 * Elsewhere: calls that were told of the stream already, or waited for it, go on with no other (`tail.ts`, `read.ts`).
 * @module
 */
import { TailraceError } from "../../base/errors.ts";
import type { Stream, Streams } from "../../stream/types.ts";
import type { Call } from "./call.ts";
import { type ApiContext, openStreams } from "./context.ts";

/** Does something with the stream that a call names: once more with another, where that one is gone and nothing was done. */
export async function withStream<T>(
  api: ApiContext,
  { name, streamId }: { readonly name: string; readonly streamId?: number | undefined },
  call: Call,
  work: (stream: Stream) => Promise<T>,
): Promise<T> {
  const stream = await call.race(openStreams(api).find(name, streamId, call));
  try {
    return await work(stream);
  } catch (error) {
    if (streamId !== undefined) throw error;
    return await work(await renamed(api, stream, error, call));
  }
}

/**
 * The stream that has the name of one that is gone.
 * @param error What was refused with that one; thrown where it says anything else, or something may have been done, or there
 * is no other.
 * @param find Finds it by its name.
 */
export async function renamed(
  api: ApiContext,
  gone: Stream,
  error: unknown,
  call: Call,
  find: (streams: Streams, name: string) => Promise<Stream> = (streams, name) => streams.find(name, undefined, call),
): Promise<Stream> {
  const isGone = error instanceof TailraceError && error.code === "not_found" && error.facts.fate !== "unknown";
  if (!isGone) throw error;
  const streams = openStreams(api);
  await call.race(streams.caughtUp(call));
  const other = await call.race(find(streams, gone.name));
  if (other.id === gone.id) throw error;
  return other;
}
