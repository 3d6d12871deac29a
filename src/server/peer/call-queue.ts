import type { Call } from "../../raft/types.ts";

/** Requests to one node that are on their way at once. */
const inFlightMax = 2;
/** Calls of one request: each may be about 256 groups. */
const requestMaxCalls = 256;
/** Calls that wait, at most. The oldest go first then: a call that is lost is made again, by the next beat or election. */
const waitingMax = 10_000;

/**
 * Calls to one node. While requests are on their way others gather for the next one: a node that begins to lead thousands
 * of groups, one after the other, says so in some hundred requests.
 */
export class CallQueue {
  readonly #send: (calls: readonly Call[]) => Promise<unknown>;
  #waiting: Call[] = [];
  #inFlight = 0;

  /** @param send Settles when there is an answer, or will be none. */
  constructor(send: (calls: readonly Call[]) => Promise<unknown>) {
    this.#send = send;
  }

  add(calls: readonly Call[]): void {
    this.#waiting.push(...calls);
    if (this.#waiting.length > waitingMax) this.#waiting = this.#waiting.slice(-waitingMax);
    this.#sendWaiting();
  }

  #sendWaiting(): void {
    while (this.#waiting.length > 0 && this.#inFlight < inFlightMax) {
      this.#inFlight++;
      const done = () => {
        this.#inFlight--;
        this.#sendWaiting();
      };
      this.#send(this.#waiting.splice(0, requestMaxCalls)).then(done, done);
    }
  }
}
