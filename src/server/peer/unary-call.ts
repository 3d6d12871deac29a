/**
 * A unary call of Connect's protocol without Connect's transport, which takes several times as long as the call itself: for
 * appends that are passed on. It says and understands what that does: deadline, cancellation, errors with their details.
 * @module
 */
import * as http2 from "node:http2";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeFromHttpStatus, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import type { Clock } from "../../host/clock.ts";
import type { PeerConnection } from "./peer-network.ts";

/** A method as generated code describes it. */
export interface UnaryMethod<I extends DescMessage, O extends DescMessage> {
  readonly name: string;
  readonly parent: { readonly typeName: string };
  readonly input: I;
  readonly output: O;
}

/** How long, for whom, and what goes with it. */
export interface UnaryCallOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly headers: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** Largest answer. */
  readonly answerMaxBytes: number;
}

const { HTTP2_HEADER_CONTENT_LENGTH, HTTP2_HEADER_STATUS, NGHTTP2_CANCEL } = http2.constants;
const statusOk = 200;

/**
 * @throws {ConnectError} The other side's error; or `canceled`, `deadline_exceeded`: what became of the request is not known.
 * @throws {Error} What the connection gave, such as that it could not be made.
 */
export async function unaryCall<I extends DescMessage, O extends DescMessage>(
  connection: Pick<PeerConnection, "request">,
  { name, parent, input, output }: UnaryMethod<I, O>,
  request: MessageInitShape<I>,
  options: UnaryCallOptions,
): Promise<MessageShape<O>> {
  const body = toBinary(input, create(input, request));
  const headers = {
    ...options.headers,
    "content-type": "application/proto",
    "content-length": `${body.length}`,
    "connect-protocol-version": "1",
    "connect-timeout-ms": `${options.timeoutMs}`,
  };
  const open = () => connection.request("POST", `/${parent.typeName}/${name}`, headers, {});
  const { status, bytes } = await answerOf(open, body, options);
  if (status === statusOk) return fromBinary(output, bytes);
  throw errorFromJsonBytes(bytes, undefined, new ConnectError(`HTTP status ${status}`, codeFromHttpStatus(status)));
}

interface Answer {
  readonly status: number;
  readonly bytes: Uint8Array;
}

function answerOf(
  open: () => Promise<http2.ClientHttp2Stream>,
  body: Uint8Array,
  { timeoutMs, signal, clock, answerMaxBytes }: Omit<UnaryCallOptions, "headers">,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let stream: http2.ClientHttp2Stream | undefined;
    let isOver = false;
    const settle = () => {
      isOver = true;
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
    };
    const fail = (error: unknown) => {
      if (isOver) return;
      settle();
      stream?.close(NGHTTP2_CANCEL);
      reject(error);
    };
    const onAbort = () => fail(new ConnectError("who asked waits no more", Code.Canceled));
    const timer = clock.after(timeoutMs, () => {
      fail(new ConnectError(`no answer within ${timeoutMs} ms`, Code.DeadlineExceeded));
    });
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) {
      onAbort();
      return;
    }
    open().then((opened) => {
      // An error without a listener would end the process, whatever has become of the call.
      opened.on("error", fail);
      if (isOver) {
        opened.close(NGHTTP2_CANCEL);
        return;
      }
      stream = opened;
      let status = 0;
      let announced: number | undefined;
      const chunks: Uint8Array[] = [];
      let length = 0;
      opened.on("response", (headers) => {
        status = Number(headers[HTTP2_HEADER_STATUS]);
        const contentLength = headers[HTTP2_HEADER_CONTENT_LENGTH];
        announced = contentLength === undefined ? undefined : Number(contentLength);
      });
      opened.on("data", (chunk: Uint8Array) => {
        length += chunk.length;
        if (length > answerMaxBytes) fail(new ConnectError("the answer is too large", Code.ResourceExhausted));
        else chunks.push(chunk);
      });
      opened.on("end", () => {
        if (isOver || status === 0) return;
        // A connection that breaks ends the stream, too: nothing else tells of an answer that is not whole.
        if (length !== announced) {
          fail(new Error(`the answer ended after ${length} of ${announced ?? "an unknown number of"} bytes`));
          return;
        }
        settle();
        resolve({ status, bytes: Buffer.concat(chunks, length) });
      });
      opened.on("close", () => fail(new Error("the connection ended before the answer came")));
      opened.end(body);
    }, fail);
  });
}
