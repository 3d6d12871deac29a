/**
 * What the routes of the REST face have in common: the stream's name in the path, the query, the body.
 * @module
 */
import type { Context } from "hono";
import { invalidField, TailraceError } from "../../base/errors.ts";
import { checkStreamName } from "../../base/stream-name.ts";
import { toPosition } from "../../wire/position.ts";
import type { ApiEnv } from "./app.ts";
import type { Call } from "./call.ts";
import type { ApiContext } from "./context.ts";
import { PlainBody, tooSlow } from "./message-body.ts";

/** What all paths of streams begin with. */
export const restPrefix = "/v1/streams/";

/** What is asked for of a stream: the last part of the path. */
export type RestPart = "records" | "settings";

/** Whether the path asks for this part of a stream. */
export function asksFor(c: Context<ApiEnv>, part: RestPart): boolean {
  return pathOf(c).endsWith(`/${part}`);
}

/**
 * The stream's name: all between `/v1/streams/` and the last part, each part of it decoded once, so that `%2F` and `/`
 * are the same. It is taken from the path as it came, since a URL parser would resolve `..` in it.
 */
export function streamOf(c: Context<ApiEnv>, part: RestPart): string {
  const path = pathOf(c);
  const end = path.length - part.length - 1;
  if (!path.startsWith(restPrefix) || end < restPrefix.length || !asksFor(c, part)) {
    throw invalidField("path", `it is not /v1/streams/NAME/${part}`, "See the documentation of the REST interface");
  }
  let name: string;
  try {
    name = path.slice(restPrefix.length, end).split("/").map(decodeURIComponent).join("/");
  } catch {
    throw invalidField("stream", "the name in the path has a malformed % escape", "Encode it as UTF-8, each byte %XX");
  }
  checkStreamName(name, "stream");
  return name;
}

function pathOf(c: Context<ApiEnv>): string {
  const asked = c.env?.incoming?.url;
  const url = asked?.startsWith("/") === true ? asked : c.req.url.replace(/^[a-z]+:\/\/[^/]*/, "");
  const [path = ""] = url.split("?", 1);
  return path;
}

/** The query's parameters; one that is not known is refused, since a typing error would otherwise read too much. */
export function queryOf(c: Context<ApiEnv>, known: readonly string[]): Map<string, string> {
  const query = new Map<string, string>();
  for (const [name, value] of new URL(c.req.url).searchParams) {
    if (!known.includes(name)) {
      throw invalidField(name.slice(0, 40), "it is not a parameter of this call", `Use ${known.join(", ")}`);
    }
    query.set(name, value);
  }
  return query;
}

/** The body as it came, of at most `request_max_bytes`. */
export async function bodyOf(c: Context<ApiEnv>, api: ApiContext, call: Call): Promise<Uint8Array> {
  const body = new PlainBody(api.limits.requestMaxBytes, c.req.header("content-length"));
  const reader = c.req.raw.body?.getReader();
  if (reader === undefined) return body.finish();
  const timer = api.clock.after(api.bodyTimeoutMs, () => call.end(tooSlow(api.bodyTimeoutMs)));
  let heldBytes = 0;
  try {
    for (let part = await call.race(reader.read()); !part.done; part = await call.race(reader.read())) {
      api.bodyMemory.take(part.value.length);
      heldBytes += part.value.length;
      body.add(part.value);
    }
    return body.finish();
  } catch (error) {
    if (error instanceof TailraceError) throw error;
    // Whatever else the runtime calls it, the client is gone.
    call.end("canceled");
    throw call.ended;
  } finally {
    timer.cancel();
    api.bodyMemory.giveBack(heldBytes);
  }
}

/** A whole number of the query. */
export function bigintOf(query: Map<string, string>, name: string): bigint | undefined {
  const text = query.get(name);
  if (text === undefined) return undefined;
  if (!/^\d{1,20}$/.test(text)) {
    throw invalidField(name, `${JSON.stringify(text.slice(0, 40))} is not a whole number from 0 on`, "Use digits only");
  }
  return BigInt(text);
}

/** One below 2^32. */
export function numberOf(query: Map<string, string>, name: string): number | undefined {
  const value = bigintOf(query, name);
  if (value === undefined) return undefined;
  if (value >= 2n ** 32n) throw invalidField(name, `${value} is too large`, "Use a number below 2^32");
  return Number(value);
}

/** The id of a stream that must still be that one. */
export function idOf(query: Map<string, string>): { streamId?: number } {
  const id = bigintOf(query, "stream_id");
  return id === undefined ? {} : { streamId: toPosition(id, "stream_id") };
}

/** An answer in JSON. */
export function json(body: string, headers: Record<string, string>): Response {
  return new Response(body, { headers: { "content-type": "application/json", ...headers } });
}
