import type { BodyMemory } from "./body-memory.ts";
import type { Call } from "./call.ts";
import type { Exchange } from "./exchange.ts";

/** So much is taken from the socket ahead of the reader, bytes. */
const aheadMaxBytes = 256 << 10;

/**
 * The body of a request, chunk by chunk. Unlike a stream's own iterator it ends with the call even while it waits, and
 * leaving it early does not tear down the connection that the answer has to go out on.
 */
export class RequestBody implements AsyncIterableIterator<Uint8Array> {
  readonly #exchange: Exchange;
  readonly #memory: BodyMemory;
  /** Whether what was read is held until the body ends, as for a message that is put together of it. */
  readonly #holdsAll: boolean;
  readonly #explain: (reason: unknown) => unknown;
  readonly #chunks: Uint8Array[] = [];
  readonly #stopListening: () => void;
  #bytes = 0;
  #heldBytes = 0;
  #isPaused = false;
  #hasEnded = false;
  #failure: { readonly error: unknown } | undefined;
  #waiting: { resolve(result: IteratorResult<Uint8Array>): void; reject(error: unknown): void } | undefined;

  /** @param options.explain Makes what the reader is told of a failure. */
  constructor(
    exchange: Exchange,
    call: Call,
    options: { memory: BodyMemory; holdsAll: boolean; explain: (reason: unknown) => unknown },
  ) {
    this.#exchange = exchange;
    this.#memory = options.memory;
    this.#holdsAll = options.holdsAll;
    this.#explain = options.explain;
    const { incoming } = exchange;
    const onData = (chunk: Uint8Array) => this.#push(chunk);
    const onEnd = () => this.#end();
    const onGone = () => call.end("canceled");
    incoming.on("data", onData);
    incoming.on("end", onEnd);
    incoming.on("aborted", onGone);
    const stop = call.onEnd((reason) => this.fail(reason));
    this.#stopListening = () => {
      incoming.off("data", onData);
      incoming.off("end", onEnd);
      incoming.off("aborted", onGone);
      stop();
    };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#bytes -= chunk.length;
      if (!this.#holdsAll) this.#giveBack(chunk.length);
      if (this.#isPaused && this.#bytes < aheadMaxBytes) {
        this.#isPaused = false;
        this.#exchange.incoming.resume();
      }
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    if (this.#hasEnded) {
      this.#giveBack(this.#heldBytes);
      return Promise.resolve({ done: true, value: undefined });
    }
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    this.#chunks.length = 0;
    this.#giveBack(this.#heldBytes);
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Ends the body with a failure, after the chunks that are here. */
  fail(reason: unknown): void {
    if (this.#hasEnded) return;
    const error = this.#explain(reason);
    this.#failure = { error };
    this.#hasEnded = true;
    this.#stopListening();
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  #giveBack(bytes: number): void {
    this.#memory.giveBack(bytes);
    this.#heldBytes -= bytes;
  }

  #push(chunk: Uint8Array): void {
    const isHeld = this.#holdsAll || this.#waiting === undefined;
    try {
      if (isHeld) this.#memory.take(chunk.length);
    } catch (error) {
      this.fail(error);
      return;
    }
    if (isHeld) this.#heldBytes += chunk.length;
    if (this.#waiting !== undefined) {
      this.#waiting.resolve({ done: false, value: chunk });
      this.#waiting = undefined;
      return;
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < aheadMaxBytes || this.#isPaused) return;
    this.#isPaused = true;
    this.#exchange.incoming.pause();
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#stopListening();
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
  }
}
