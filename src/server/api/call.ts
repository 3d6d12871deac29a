import type { Clock, Timer } from "../../host/clock.ts";
import type { Client, Routing } from "../../stream/types.ts";
import type { Incoming } from "../listen.ts";
import { clientAddress } from "./client-address.ts";
import { CallEndedError } from "./errors.ts";

/** Longest deadline that a runtime's timer can hold; a later one is as good as none. */
const timerMaxMs = 2 ** 31 - 1;

/** Of a request that another node passed on: that node's name, for who looks at the traffic. */
export const forwardedHeader = "tailrace-forwarded";
/** Of a request that another node passed on: where its client calls from. */
export const forwardedForHeader = "tailrace-forwarded-for";

/** One call of one client, from its first byte to its answer. */
export class Call implements Client {
  /** Names the call in the answer's error and in the log. */
  readonly id: string;
  /** `Service/Method`, or the route of the REST face. */
  readonly rpc: string;
  #routing: Routing;
  readonly #incoming: Incoming | undefined;
  #ended: Error | undefined;
  #listeners: Set<(reason: Error) => void> | undefined;
  #deadline: Timer | undefined;
  #leftMs: (() => number) | undefined;

  /**
   * @param incoming The request; absent where the app is mounted in a server that has none.
   * @param isPassedOn By another node: it goes no further.
   */
  constructor(id: string, rpc: string, incoming: Incoming | undefined, isPassedOn = false) {
    this.id = id;
    this.rpc = rpc;
    this.#incoming = incoming;
    this.#routing = isPassedOn ? "forwarded" : "pass_on";
  }

  /** What is done with it where another node has to serve it. */
  get routing(): Routing {
    return this.#routing;
  }

  /** The client wants it refused where another node has to serve it. */
  refuseElsewhere(): void {
    if (this.#routing === "pass_on") this.#routing = "refuse";
  }

  /** Milliseconds until its deadline; absent: it has none. */
  get remainingMs(): number | undefined {
    return this.#leftMs?.();
  }

  /** Where it comes from. */
  get address(): string {
    const incoming = this.#incoming;
    if (incoming === undefined) return "";
    const behind = this.#routing === "forwarded" ? incoming.headers[forwardedForHeader] : undefined;
    return typeof behind === "string" ? behind : clientAddress(incoming);
  }

  /** Why the call is over before its answer; absent while it is not. */
  get ended(): Error | undefined {
    return this.#ended;
  }

  /** Ends the call when `timeoutMs` have passed. */
  endAfter(timeoutMs: number, clock: Clock): void {
    if (timeoutMs <= 0) this.end("deadline");
    else if (timeoutMs <= timerMaxMs) {
      const endMs = clock.monotonicMs() + timeoutMs;
      this.#leftMs = () => endMs - clock.monotonicMs();
      this.#deadline = clock.after(timeoutMs, () => this.end("deadline"));
    }
  }

  /** Ends the call, unless it has ended: for one of the two usual reasons, or for another. */
  end(why: "deadline" | "canceled" | Error): void {
    this.#deadline?.cancel();
    if (this.#ended !== undefined) return;
    const reason = typeof why === "string" ? new CallEndedError(why) : why;
    this.#ended = reason;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener(reason);
  }

  /** The answer is on its way: nothing is left to wait for. */
  finish(): void {
    this.#deadline?.cancel();
    this.#listeners = undefined;
  }

  /** Calls `listener` when the call ends early, at once if it has; until the returned function is called. */
  onEnd(listener: (reason: Error) => void): () => void {
    if (this.#ended !== undefined) {
      listener(this.#ended);
      return () => {};
    }
    this.#listeners ??= new Set();
    const listeners = this.#listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /**
   * The outcome of `work`, or the call's early end by its deadline, whichever is first. For work that goes on whether the
   * client is there or not; without a deadline it costs nothing.
   */
  raceDeadline<T>(work: Promise<T>): Promise<T> {
    return this.#deadline === undefined && this.#ended === undefined ? work : this.race(work);
  }

  /** The outcome of `work`, or the call's early end, whichever is first. */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = this.onEnd(reject);
      work.then(
        (value) => {
          stop();
          resolve(value);
        },
        (error: unknown) => {
          stop();
          reject(error);
        },
      );
    });
  }
}
