/**
 * The one message that the body of a unary request holds, put together from the chunks that it comes in.
 * @module
 */
import { Code, type ConnectError } from "@connectrpc/connect";
import { limitPassed, type TailraceError } from "../../base/errors.ts";
import { Reason } from "../../wire/gen/tailrace/v1/error_pb.ts";
import { withDetail } from "./errors.ts";

/** Gathers a body. Both calls throw what is wrong with it, as early as it can be known. */
export interface MessageBody {
  add(chunk: Uint8Array): void;
  /** The message, once all has come. */
  finish(): Uint8Array;
}

const prefixBytes = 5;

/** gRPC's: a byte of flags, four of length, the message. */
export class EnvelopedBody implements MessageBody {
  readonly #maxBytes: number;
  readonly #callId: string;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** Of the message; -1 before the prefix is here. */
  #length = -1;

  constructor(maxBytes: number, callId: string) {
    this.#maxBytes = maxBytes;
    this.#callId = callId;
  }

  add(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#length < 0 && this.#bytes >= prefixBytes) this.#readPrefix();
    if (this.#length >= 0 && this.#bytes > prefixBytes + this.#length) {
      throw protocolError(Code.Unimplemented, "The request has more than one message", this.#callId);
    }
  }

  finish(): Uint8Array {
    if (this.#bytes === 0) throw protocolError(Code.Unimplemented, "The request has no message", this.#callId);
    if (this.#bytes !== prefixBytes + this.#length) {
      throw protocolError(Code.InvalidArgument, "The request's message is cut off", this.#callId);
    }
    return joined(this.#chunks, this.#bytes).subarray(prefixBytes);
  }

  #readPrefix(): void {
    const start = joined(this.#chunks, this.#bytes);
    this.#chunks = [start];
    const view = new DataView(start.buffer, start.byteOffset, prefixBytes);
    if (view.getUint8(0) !== 0) {
      const message = "The request's message is marked as compressed, and grpc-encoding does not say how";
      throw protocolError(Code.InvalidArgument, message, this.#callId);
    }
    this.#length = view.getUint32(1);
    if (this.#length > this.#maxBytes) throw tooLarge(this.#maxBytes, this.#length);
  }
}

/** Connect's: the message alone. */
export class PlainBody implements MessageBody {
  readonly #maxBytes: number;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  /** @param promised The request's `content-length`, if it has one. */
  constructor(maxBytes: number, promised: string | undefined) {
    this.#maxBytes = maxBytes;
    if (promised !== undefined && Number(promised) > maxBytes) throw tooLarge(maxBytes, Number(promised));
  }

  add(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) throw tooLarge(this.#maxBytes);
  }

  finish(): Uint8Array {
    return joined(this.#chunks, this.#bytes);
  }
}

/** Refuses a request that is larger than the node takes. */
function tooLarge(maxBytes: number, actual?: number): TailraceError {
  const limit = { name: "request_max_bytes", value: maxBytes, ...(actual === undefined ? {} : { actual }) };
  return limitPassed("Cannot take the request", limit, "Send less in one request", { fate: "nothing_written" });
}

/** Refuses a request of one message that does not come. */
export function tooSlow(timeoutMs: number): TailraceError {
  const limit = { name: "body_timeout_ms", value: timeoutMs };
  return limitPassed("Cannot wait longer for the request", limit, "Send it faster", { fate: "nothing_written" });
}

function protocolError(code: Code, message: string, requestId: string): ConnectError {
  const todo = "Send one message, as your gRPC library does";
  return withDetail(code, message, { requestId, reason: Reason.INVALID_FIELD, todo });
}

function joined(chunks: Uint8Array[], bytes: number): Uint8Array {
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return only;
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
