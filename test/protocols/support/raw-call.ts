/**
 * Calls by hand over HTTP/2, for what no library would send.
 * @module
 */
import http2 from "node:http2";

/** What came back. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface RawRequest {
  readonly path: string;
  readonly headers?: http2.OutgoingHttpHeaders;
  readonly method?: string;
  readonly body?: Uint8Array;
  /** Keep the request open after the body. */
  readonly isOpen?: boolean;
  /** Give up after this. */
  readonly timeoutMs?: number;
}

/** One request on a connection of its own, or on `session`. */
export function rawRequest(url: string, request: RawRequest, session = http2.connect(url)): Promise<RawAnswer> {
  const { path, headers = {}, method = "POST", body, isOpen = false, timeoutMs = 10_000 } = request;
  session.on("error", () => {});
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": method, ":path": path, ...headers });
    const timer = setTimeout(() => done(() => reject(new Error(`no answer within ${timeoutMs} ms`))), timeoutMs);
    const chunks: Buffer[] = [];
    let answer: http2.IncomingHttpHeaders = {};
    let trailers: http2.IncomingHttpHeaders = {};
    const done = (settle: () => void) => {
      clearTimeout(timer);
      session.destroy();
      settle();
    };
    stream.on("response", (received) => {
      answer = received;
    });
    stream.on("trailers", (received) => {
      trailers = received;
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", (error) => done(() => reject(error)));
    stream.on("end", () =>
      done(() =>
        resolve({ status: Number(answer[":status"]), headers: answer, trailers, body: Buffer.concat(chunks) }),
      ),
    );
    if (isOpen) {
      if (body !== undefined) stream.write(body);
    } else stream.end(body);
  });
}

/** A unary call with a message of bytes; the answer's message, or why there is none. */
export async function rawCall(
  url: string,
  rpc: string,
  contentType: string,
  message: Uint8Array,
  headers: http2.OutgoingHttpHeaders = {},
): Promise<{ message?: Uint8Array; error?: string }> {
  const isEnveloped = contentType.startsWith("application/grpc");
  const body = isEnveloped ? envelope(message) : message;
  const all = { "content-type": contentType, te: "trailers", ...headers };
  const answer = await rawRequest(url, { path: `/tailrace.v1.${rpc}`, headers: all, body });
  if (!isEnveloped) return answer.status === 200 ? { message: answer.body } : { error: answer.body.toString() };
  const length = answer.body.length >= 5 && answer.body[0] === 0 ? answer.body.readUInt32BE(1) : -1;
  if (length < 0) return { error: JSON.stringify(answer.trailers) + answer.body.toString() };
  return { message: answer.body.subarray(5, 5 + length) };
}

/** A message with its prefix. */
export function envelope(message: Uint8Array, flags = 0): Uint8Array {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(message.length, 1);
  return new Uint8Array(Buffer.concat([prefix, message]));
}
