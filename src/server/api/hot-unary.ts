/**
 * The two busiest calls, Append and Read, without connect's handlers: gRPC and Connect with protobuf bodies that are not
 * compressed. It does what they do for such a call (deadline, limits, status and details of errors, cancellation) at a
 * fifth of the cost; everything else goes to them.
 * @module
 */
import type { ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, codeToString, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { Call } from "./call.ts";
import type { ApiContext } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import type { HotHandler } from "./hot-handlers.ts";
import { EnvelopedBody, type MessageBody, PlainBody, tooSlow } from "./message-body.ts";
import { connectTimeout, connectTimeoutHeader, grpcTimeout, grpcTimeoutHeader } from "./timeouts.ts";

/** The protocols of this path. */
export type HotProtocol = "grpc" | "connect";

/** The protocol, if the request is one for this path. */
export function hotProtocol({ incoming, isHttp2 }: Exchange): HotProtocol | undefined {
  const { headers, method } = incoming;
  if (method !== "POST") return undefined;
  switch (headers["content-type"]) {
    case "application/grpc":
    case "application/grpc+proto":
      return isHttp2 && isIdentity(headers["grpc-encoding"]) ? "grpc" : undefined;
    case "application/proto":
      return isIdentity(headers["content-encoding"]) ? "connect" : undefined;
    default:
      return undefined;
  }
}

function isIdentity(encoding: string | string[] | undefined): boolean {
  return encoding === undefined || encoding === "identity";
}

/**
 * Takes one call from its first byte to its answer.
 * @returns The outcome's code. Never rejects.
 */
export async function serveHot(
  api: ApiContext,
  exchange: Exchange,
  protocol: HotProtocol,
  handler: HotHandler,
  call: Call,
): Promise<string> {
  const answer = protocol === "grpc" ? grpcAnswer : connectAnswer;
  try {
    startDeadline(api, exchange, protocol, call);
    const request = await readBody(api, exchange, call, bodyOf(api, exchange, protocol, call));
    answer.message(exchange, await handler(request, call));
    return "ok";
  } catch (error) {
    const mapped = api.mapError(error, { callId: call.id, rpc: call.rpc });
    answer.error(exchange, mapped);
    return codeToString(mapped.code);
  }
}

function startDeadline(api: ApiContext, exchange: Exchange, protocol: HotProtocol, call: Call): void {
  const header = exchange.header(protocol === "grpc" ? grpcTimeoutHeader : connectTimeoutHeader);
  if (header === undefined) return;
  const { timeoutMs, error } = protocol === "grpc" ? grpcTimeout(header, call.id) : connectTimeout(header, call.id);
  if (error !== undefined) throw error;
  if (timeoutMs !== undefined) call.endAfter(timeoutMs, api.clock);
}

function bodyOf(api: ApiContext, exchange: Exchange, protocol: HotProtocol, call: Call): MessageBody {
  const maxBytes = api.limits.requestMaxBytes;
  if (protocol === "grpc") return new EnvelopedBody(maxBytes, call.id);
  return new PlainBody(maxBytes, exchange.header("content-length"));
}

function readBody(api: ApiContext, { incoming }: Exchange, call: Call, body: MessageBody): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const stops: (() => void)[] = [];
    let heldBytes = 0;
    const settle = () => {
      for (const stop of stops) stop();
      api.bodyMemory.giveBack(heldBytes);
      heldBytes = 0;
      incoming.off("data", onData);
      incoming.off("end", onEnd);
    };
    const fail = (error: unknown) => {
      settle();
      reject(error);
    };
    const onData = (chunk: Uint8Array) => {
      try {
        api.bodyMemory.take(chunk.length);
        heldBytes += chunk.length;
        body.add(chunk);
      } catch (error) {
        fail(error);
      }
    };
    const onEnd = () => {
      settle();
      try {
        resolve(body.finish());
      } catch (error) {
        reject(error);
      }
    };
    incoming.on("data", onData);
    incoming.on("end", onEnd);
    const timer = api.clock.after(api.bodyTimeoutMs, () => fail(tooSlow(api.bodyTimeoutMs)));
    stops.push(() => timer.cancel());
    stops.push(call.onEnd(fail));
  });
}

interface Answer {
  message(exchange: Exchange, message: Uint8Array): void;
  error(exchange: Exchange, error: ConnectError): void;
}

/** Up to here a message is copied behind its prefix; a larger one is written by itself. */
const copyMaxBytes = 64 << 10;

const grpcAnswer: Answer = {
  message(exchange, message) {
    exchange.writeHead(200, { "content-type": "application/grpc+proto" });
    const isCopied = message.length <= copyMaxBytes;
    const prefix = new Uint8Array(5 + (isCopied ? message.length : 0));
    new DataView(prefix.buffer).setUint32(1, message.length);
    if (isCopied) prefix.set(message, 5);
    else void exchange.write(prefix);
    exchange.end(isCopied ? prefix : message, { "grpc-status": "0" });
  },
  error(exchange, error) {
    // Not in headers alone, as the protocol allows: not all clients find the details there on all runtimes.
    exchange.writeHead(200, { "content-type": "application/grpc+proto" });
    exchange.end(undefined, Object.fromEntries(setTrailerStatus(new Headers(), error)));
  },
};

const connectAnswer: Answer = {
  message(exchange, message) {
    exchange.writeHead(200, { "content-type": "application/proto", "content-length": String(message.length) });
    exchange.end(message);
  },
  error(exchange, error) {
    const body = errorToJsonBytes(error, undefined);
    exchange.writeHead(codeToHttpStatus(error.code), {
      "content-type": "application/json",
      "content-length": String(body.length),
    });
    exchange.end(body);
  },
};
