/**
 * Appends of a series that go to another node by one call. Success is an answer for each, never the end of the call.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { TailraceError } from "../../base/errors.ts";
import { RequestQueue } from "../../base/request-queue.ts";
import type { Clock, Timer } from "../../host/clock.ts";
import { LostError, type PeerSeries, UnreachableError } from "../../stream/peers.ts";
import type { AppendAnswer, AppendOptions } from "../../stream/types.ts";
import {
  type AppendStreamRequest,
  AppendStreamRequestSchema,
  type LogService,
} from "../../wire/gen/tailrace/v1/log_pb.ts";
import { appendAnswer, conditions } from "./forward-messages.ts";

/** How a series goes to another node. */
export interface ForwardSeriesOptions {
  readonly log: Client<typeof LogService>;
  readonly headers: HeadersInit;
  /** Which stream it is, as the first request says. */
  readonly stream: { readonly stream: string; readonly streamId: bigint };
  readonly clock: Clock;
  /** Longest wait for an answer, milliseconds. */
  readonly answerMaxMs: number;
  /** What a failure of the call means. */
  readonly explain: (error: unknown) => unknown;
}

interface Unanswered {
  readonly resolve: (answer: AppendAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/** One that nothing was sent on for so long is ended: the other node need not keep it. */
const idleMaxMs = 1_000;

export class ForwardSeries implements PeerSeries {
  readonly #options: ForwardSeriesOptions;
  readonly #requests = new RequestQueue<AppendStreamRequest>();
  readonly #unanswered: Unanswered[] = [];
  readonly #abort = new AbortController();
  #timer: Timer | undefined;
  #isFirst = true;
  #isOpen = true;

  constructor(options: ForwardSeriesOptions) {
    this.#options = options;
    void this.#run();
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  append(payload: Uint8Array, options: Omit<AppendOptions, "series">): Promise<AppendAnswer> {
    if (!this.#isOpen) return Promise.reject(new UnreachableError("the call has ended"));
    const request = create(AppendStreamRequestSchema, {
      batch: payload,
      ...(this.#isFirst ? this.#options.stream : {}),
      ...conditions(options),
    });
    this.#isFirst = false;
    return new Promise((resolve, reject) => {
      if (this.#unanswered.push({ resolve, reject }) === 1) this.#expectAnswer();
      this.#requests.push(request);
    });
  }

  end(): void {
    this.#isOpen = false;
    this.#requests.close();
    if (this.#unanswered.length === 0) this.#timer?.cancel();
  }

  abandon(): void {
    this.#abort.abort();
    this.#fail(new LostError("no answer is waited for any more"));
  }

  async #run(): Promise<void> {
    const { log, headers } = this.#options;
    try {
      for await (const { appended } of log.appendStream(this.#requests, { headers, signal: this.#abort.signal })) {
        const answer = appended && appendAnswer(appended);
        const next = this.#unanswered.shift();
        if (answer === undefined || next === undefined) throw new LostError("an answer belongs to no append");
        next.resolve(answer);
        this.#expectAnswer();
      }
      this.#fail(new LostError("the node ended the call before it had answered all of it"));
    } catch (error) {
      this.#fail(error instanceof LostError ? error : this.#explained(error));
    }
  }

  /** A refusal that says what can't be is none: what became of the append is not known. */
  #explained(error: unknown): unknown {
    try {
      return this.#options.explain(error);
    } catch (failure) {
      return new LostError(String(failure));
    }
  }

  /** The next answer comes in time, or none is waited for and the call ends after a while. */
  #expectAnswer(): void {
    const { clock, answerMaxMs } = this.#options;
    this.#timer?.cancel();
    if (this.#unanswered.length > 0) this.#timer = clock.after(answerMaxMs, () => this.abandon());
    else if (this.#isOpen) this.#timer = clock.after(idleMaxMs, () => this.end());
  }

  /** All that is not answered failed: the first by this, and what is behind a refusal was not looked at. */
  #fail(error: unknown): void {
    this.end();
    this.#timer?.cancel();
    const [first, ...behind] = this.#unanswered.splice(0);
    first?.reject(error);
    const other = isNothingDone(error) ? new UnreachableError("an append before it was refused") : error;
    for (const { reject } of behind) reject(other);
  }
}

/** Whether surely nothing came of the append that failed so, nor of any behind it. */
function isNothingDone(error: unknown): boolean {
  if (error instanceof UnreachableError) return true;
  return error instanceof TailraceError && error.facts.fate !== "unknown";
}
