import { limitPassed, type TailraceError } from "../../base/errors.ts";

/** How long a client should wait whose request found no room. */
const retryAfterMs = 1000;

/** Counts the bytes of requests that are on their way in, all calls together, and keeps them within a limit. */
export class BodyMemory {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that are held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Holds `bytes` more; they must be given back. @throws {TailraceError} `limit`; then they are not held. */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#maxBytes) throw this.#full(bytes);
    this.#bytes += bytes;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }

  #full(bytes: number): TailraceError {
    const limit = { name: "request_bodies_max_bytes", value: this.#maxBytes, actual: this.#bytes + bytes };
    const todo = "Send it again in a moment: the node takes in too much at once";
    return limitPassed("Cannot take the request", limit, todo, { retryAfterMs, fate: "nothing_written" });
  }
}
