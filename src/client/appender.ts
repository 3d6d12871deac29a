/**
 * Appends batch after batch to one stream without waiting for the answer to the last.
 * - At most `maxInFlight` batches are sent and not yet answered; that is all the memory it takes.
 * - Success is an answer for each batch, never the end of the call: a broken connection can look like an end.
 * - Nothing is sent twice: what became of an unanswered batch is not known, and whoever appends decides.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Fate } from "../wire/gen/tailrace/v1/error_pb.ts";
import {
  type AppendResponse,
  type AppendStreamRequest,
  AppendStreamRequestSchema,
} from "../wire/gen/tailrace/v1/log_pb.ts";
import type { TailraceClient } from "./client.ts";
import { RequestError, toRequestError } from "./errors.ts";
import { RequestQueue } from "./request-queue.ts";

/** Records to append together, atomically. */
export interface AppendBatch {
  /** A serialized `tailrace.v1.Records`; must not change afterwards. */
  readonly payload: Uint8Array;
  /** How many records it holds. */
  readonly records: number;
}

export interface AppenderOptions<B extends AppendBatch> {
  readonly stream: string;
  /** Most batches that are sent and not yet answered (32). */
  readonly maxInFlight?: number;
  /** Called for each batch when it is durable, in order. */
  readonly onAppended?: (batch: B, appended: AppendResponse) => void;
}

/** An appender failed. Batches are acknowledged in order, so what is not acknowledged is the end of what was sent. */
export class AppendError extends Error {
  override readonly name = "AppendError";
  override readonly cause: RequestError;
  /** Records that are durable. */
  readonly acknowledged: number;
  /** Records that were sent and not acknowledged. */
  readonly unacknowledged: number;
  /** Whether those that are not acknowledged are surely not appended; otherwise nobody knows. */
  readonly nothingWritten: boolean;

  constructor(cause: RequestError, acknowledged: number, unacknowledged: number) {
    super(cause.message);
    this.cause = cause;
    this.acknowledged = acknowledged;
    this.unacknowledged = unacknowledged;
    const refusedWhole = cause.kind === "refused" && cause.detail?.fate !== Fate.UNKNOWN;
    this.nothingWritten = unacknowledged === 0 || cause.kind === "unreachable" || refusedWhole;
  }
}

/** See the module's description. The call is opened at once, so that a node that is not there is noticed at once. */
export class Appender<B extends AppendBatch = AppendBatch> {
  readonly #stream: string;
  readonly #maxInFlight: number;
  readonly #onAppended: (batch: B, appended: AppendResponse) => void;
  readonly #requests = new RequestQueue<AppendStreamRequest>();
  readonly #abort = new AbortController();
  readonly #inFlight: B[] = [];
  /** Wakes the `send` that waits for room. */
  #wake: (() => void) | undefined;
  #acknowledged = 0;
  #isFirst = true;
  #isFinished = false;
  #failure: AppendError | undefined;
  readonly #answers: Promise<void>;

  constructor(client: TailraceClient, options: AppenderOptions<B>) {
    this.#stream = options.stream;
    this.#maxInFlight = options.maxInFlight ?? 32;
    this.#onAppended = options.onAppended ?? (() => {});
    this.#answers = this.#takeAnswers(client);
  }

  /** Records that are durable. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Whether `send` would not have to wait. */
  get hasRoom(): boolean {
    return this.#inFlight.length < this.#maxInFlight;
  }

  /** Resolves when the appender has failed or finished; never rejects. */
  get ended(): Promise<void> {
    return this.#answers;
  }

  /**
   * Sends a batch, as soon as there is room for it among those in flight. One call at a time.
   * @throws {AppendError} for this batch or one before it.
   */
  async send(batch: B): Promise<void> {
    while (!this.hasRoom && !this.#failure) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure) throw this.#failure;
    this.#inFlight.push(batch);
    const stream = this.#isFirst ? this.#stream : "";
    this.#isFirst = false;
    this.#requests.push(create(AppendStreamRequestSchema, { stream, batch: batch.payload }));
  }

  /**
   * Sends no more, and resolves when all that was sent is durable.
   * @throws {AppendError} if not all of it was acknowledged.
   */
  async finish(): Promise<void> {
    this.#isFinished = true;
    this.#requests.close();
    await this.#answers;
    if (this.#failure) throw this.#failure;
  }

  /** Gives up: closes the call and forgets what is in flight. */
  close(): void {
    this.#isFinished = true;
    this.#abort.abort();
  }

  async #takeAnswers(client: TailraceClient): Promise<void> {
    const { signal } = this.#abort;
    try {
      for await (const { appended } of client.log.appendStream(this.#requests, { signal })) {
        const batch = this.#inFlight.shift();
        if (batch === undefined || appended === undefined) {
          throw new RequestError("lost", Code.Internal, "the node gave an answer that belongs to no batch");
        }
        this.#acknowledged += batch.records;
        this.#onAppended(batch, appended);
        this.#wakeSender();
      }
      if (this.#inFlight.length > 0 || !this.#isFinished) {
        throw new RequestError("lost", Code.Unavailable, "the node ended the call before it had answered all of it");
      }
    } catch (error) {
      const unacknowledged = this.#inFlight.reduce((sum, batch) => sum + batch.records, 0);
      this.#failure = new AppendError(toRequestError(error, signal), this.#acknowledged, unacknowledged);
    } finally {
      this.#abort.abort();
      this.#requests.close();
      this.#wakeSender();
    }
  }

  #wakeSender(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
