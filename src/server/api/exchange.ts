import type { Http2ServerResponse } from "node:http2";
import type { Clock } from "../../host/clock.ts";
import type { Incoming, Outgoing } from "../listen.ts";

/** How long a client that was answered before its body had come may go on sending. */
const lingerMs = 500;

const http2NoError = 0;
const http2InternalError = 2;

/** One HTTP request and its response, over HTTP/1.1 or HTTP/2, with what both do differently put away. */
export class Exchange {
  readonly incoming: Incoming;
  readonly outgoing: Outgoing;
  readonly isHttp2: boolean;
  readonly #clock: Clock;
  #isClosed = false;
  #onClose: ((isComplete: boolean) => void) | undefined;

  constructor(incoming: Incoming, outgoing: Outgoing, clock: Clock) {
    this.incoming = incoming;
    this.outgoing = outgoing;
    this.#clock = clock;
    this.isHttp2 = incoming.httpVersionMajor === 2;
    // A client that goes in the middle is no error of ours; without listeners it would end the process.
    incoming.on("error", () => {});
    outgoing.on("error", () => {});
    outgoing.on("close", this.#close);
    // Over HTTP/2 it comes before the answer has left, and "close" follows at once; over HTTP/1.1 that may take its time.
    if (!this.isHttp2) outgoing.on("finish", this.#close);
  }

  /** True when nothing more can be written: all was, or the client is gone. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Calls `listener` once: with true when the response was written whole, with false when the client went before. */
  onClose(listener: (isComplete: boolean) => void): void {
    this.#onClose = listener;
  }

  readonly #close = (): void => {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose?.(this.outgoing.writableEnded);
  };

  /** A request header; of several the first. */
  header(name: string): string | undefined {
    const value = this.incoming.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  writeHead(status: number, headers: Record<string, string>): void {
    if (this.#isClosed || this.outgoing.headersSent) return;
    const isBodyLeft = !this.incoming.complete;
    if (isBodyLeft && !this.isHttp2) headers["connection"] = "close";
    this.outgoing.writeHead(status, headers);
  }

  /** Writes; resolves when the client has taken enough for more, or is gone. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#isClosed) return undefined;
    const { outgoing } = this;
    // The two kinds have write() with other signatures, so their union can't be called.
    const isFlushed = isHttp2Response(outgoing) ? outgoing.write(chunk) : outgoing.write(chunk);
    if (isFlushed) return undefined;
    return new Promise((resolve) => {
      const done = () => {
        outgoing.off("drain", done);
        outgoing.off("close", done);
        resolve();
      };
      outgoing.on("drain", done);
      outgoing.on("close", done);
    });
  }

  /** Ends the response. What is left of the request's body is not waited for. */
  end(chunk?: Uint8Array, trailers?: Record<string, string>): void {
    if (this.#isClosed) return;
    const { outgoing, incoming } = this;
    if (trailers !== undefined) outgoing.addTrailers(trailers);
    const isBodyLeft = !incoming.complete;
    if (chunk === undefined) outgoing.end();
    else outgoing.end(chunk);
    if (isBodyLeft) this.#dropBody();
  }

  /** Cuts the exchange off, answered or not. */
  destroy(): void {
    const { incoming, outgoing } = this;
    if (isHttp2Response(outgoing)) outgoing.stream?.close(http2InternalError);
    else incoming.socket.destroy();
  }

  /** Lets the client read the answer, then cuts off what it still sends. */
  #dropBody(): void {
    const { incoming, outgoing } = this;
    incoming.resume();
    this.#clock.after(lingerMs, () => {
      if (incoming.complete) return;
      if (isHttp2Response(outgoing)) outgoing.stream?.close(http2NoError);
      else incoming.socket.destroy();
    });
  }
}

function isHttp2Response(outgoing: Outgoing): outgoing is Http2ServerResponse {
  return "stream" in outgoing;
}
