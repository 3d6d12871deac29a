/**
 * Appends batch after batch to one stream without waiting for the answer to the last.
 * - At most `maxInFlight` batches are sent and not yet answered; that is all the memory it takes.
 * - Success is an answer for each batch, never the end of the call: a broken connection can look like an end.
 * - Without a producer nothing is sent twice: what became of an unanswered batch is not known, and whoever appends decides.
 * - With one it connects again, and sends all that is not answered, in order, under the same numbers: the stream has each
 *   once.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { RequestQueue } from "../base/request-queue.ts";
import { ErrorDetailSchema, Fate } from "../wire/gen/tailrace/v1/error_pb.ts";
import {
  type AppendResponse,
  type AppendStreamRequest,
  AppendStreamRequestSchema,
  Routing,
} from "../wire/gen/tailrace/v1/log_pb.ts";
import { fromPosition } from "../wire/position.ts";
import { defaultTriesMax, type Producer, producerMessage } from "./append.ts";
import type { TailraceClient } from "./client.ts";
import { RequestError, toRequestError, withUnknownFate } from "./errors.ts";
import { backoffMs, pause } from "./retry.ts";

/** Records to append together, atomically. */
export interface AppendBatch {
  /** A serialized `tailrace.v1.Records`; must not change afterwards. */
  readonly payload: Uint8Array;
  /** How many records it holds. */
  readonly records: number;
  /** Append only if this is the stream's next offset. */
  readonly expectedOffset?: number | undefined;
}

export interface AppenderOptions<B extends AppendBatch> {
  readonly stream: string;
  /** Most batches that are sent and not yet answered (32). */
  readonly maxInFlight?: number;
  /** Who appends; its batches are numbered from `sequence` (0) on. */
  readonly producer?: (Producer & { readonly sequence?: number | undefined }) | undefined;
  /** Append only if this fence token is in force; absent: only if none is. */
  readonly fence?: Uint8Array | undefined;
  /** Whether the node is to refuse them where another one leads the stream, whose address the refusal has. */
  readonly refuseElsewhere?: boolean | undefined;
  /** Most tries between two answers, with a producer only (10). */
  readonly triesMax?: number | undefined;
  /**
   * Called for each batch when it is durable, in order.
   * @param wasThere It was in the stream before this appender sent it, as far as that is known.
   */
  readonly onAppended?: (batch: B, appended: AppendResponse, wasThere: boolean) => void;
  /** The connection is gone; the next try comes after `delayMs`. Called before each try. */
  readonly onDisconnected?: ((why: RequestError, delayMs: number) => void) | undefined;
  /** It is back: a batch was answered. */
  readonly onReconnected?: (() => void) | undefined;
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
    this.nothingWritten = unacknowledged === 0 || cause.nothingWritten;
  }
}

/** A batch without its answer. */
interface InFlight<B> {
  readonly batch: B;
  /** Number of the batch in the producer's epoch. */
  readonly sequence: number;
  /** It was sent on a connection that was lost. */
  mayBeThere: boolean;
}

/** See the module's description. The call is opened at once, so that a node that is not there is noticed at once. */
export class Appender<B extends AppendBatch = AppendBatch> {
  readonly #client: TailraceClient;
  readonly #options: AppenderOptions<B>;
  readonly #maxInFlight: number;
  readonly #inFlight: InFlight<B>[] = [];
  readonly #abort = new AbortController();
  /** Where requests go while there is a call; absent while the next one is waited for. */
  #requests: RequestQueue<AppendStreamRequest> | undefined;
  /** Wakes the `send` that waits for room. */
  #wake: (() => void) | undefined;
  #sequence: number;
  #acknowledged = 0;
  /** Tries since the last answer. */
  #failedTries = 0;
  /** A batch was new to the stream, so those behind it are: one that is a duplicate was sent twice by a node on the way. */
  #hasAppended = false;
  /** Known from the first answer on: a new stream of the name is not appended to. */
  #streamId: bigint | undefined;
  /** The call's next request is its first, which names the stream. */
  #isFirst = true;
  #isFinished = false;
  #failure: AppendError | undefined;
  readonly #ended: Promise<void>;

  constructor(client: TailraceClient, options: AppenderOptions<B>) {
    this.#client = client;
    this.#options = options;
    this.#maxInFlight = options.maxInFlight ?? 32;
    this.#sequence = options.producer?.sequence ?? 0;
    this.#ended = this.#run();
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
    return this.#ended;
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
    const inFlight = { batch, sequence: this.#sequence++, mayBeThere: false };
    this.#inFlight.push(inFlight);
    this.#request(inFlight);
  }

  /**
   * Sends no more, and resolves when all that was sent is durable.
   * @throws {AppendError} if not all of it was acknowledged.
   */
  async finish(): Promise<void> {
    this.#isFinished = true;
    this.#requests?.close();
    await this.#ended;
    if (this.#failure) throw this.#failure;
  }

  /** Gives up: closes the call and forgets what is in flight. */
  close(): void {
    this.#isFinished = true;
    this.#abort.abort();
  }

  /** One call after the other until all is answered, or one fails for good. */
  async #run(): Promise<void> {
    for (;;) {
      const failure = await this.#runCall();
      if (failure === undefined) return;
      if (!this.#goesOnAfter(failure)) return this.#fail(failure);
      if (!failure.nothingWritten) for (const inFlight of this.#inFlight) inFlight.mayBeThere = true;
      const delayMs = Math.max(failure.detail?.retryAfterMs ?? 0, backoffMs(this.#failedTries++));
      this.#options.onDisconnected?.(failure, delayMs);
      await pause(delayMs, this.#abort.signal);
      if (this.#isFinished && this.#inFlight.length === 0) return;
    }
  }

  #goesOnAfter(failure: RequestError): boolean {
    const { producer, triesMax = defaultTriesMax } = this.#options;
    if (producer === undefined || this.#abort.signal.aborted || this.#failedTries + 1 >= triesMax) return false;
    // A node that was never there is more likely a wrong address than one that starts again.
    const wasNeverThere = failure.kind === "unreachable" && this.#failedTries === 0 && this.#streamId === undefined;
    return failure.isWorthATry && !wasNeverThere;
  }

  /** Opens a call, sends what is not answered, and takes answers; gives why it ended if not all is answered. */
  async #runCall(): Promise<RequestError | undefined> {
    const abort = new AbortController();
    const requests = new RequestQueue<AppendStreamRequest>();
    this.#requests = requests;
    this.#isFirst = true;
    for (const inFlight of this.#inFlight) this.#request(inFlight);
    if (this.#isFinished) requests.close();
    const signal = AbortSignal.any([this.#abort.signal, abort.signal]);
    try {
      for await (const { appended } of this.#client.log.appendStream(requests, { signal })) this.#take(appended);
      if (this.#inFlight.length === 0 && this.#isFinished) return undefined;
      const message = "the node ended the call before it had answered all of it";
      return new RequestError("lost", Code.Unavailable, message);
    } catch (error) {
      return toRequestError(error, this.#abort.signal);
    } finally {
      this.#requests = undefined;
      abort.abort();
      requests.close();
    }
  }

  #request({ batch, sequence }: InFlight<B>): void {
    if (this.#requests === undefined) return;
    const { stream, producer, fence, refuseElsewhere } = this.#options;
    const { payload, expectedOffset } = batch;
    this.#requests.push(
      create(AppendStreamRequestSchema, {
        batch: payload,
        ...(this.#isFirst ? { stream } : {}),
        ...(this.#isFirst && refuseElsewhere ? { routing: Routing.REFUSE } : {}),
        ...(this.#isFirst && this.#streamId !== undefined ? { streamId: this.#streamId } : {}),
        ...(producer === undefined ? {} : { producer: producerMessage(producer, sequence) }),
        ...(fence === undefined ? {} : { fence }),
        ...(expectedOffset === undefined ? {} : { expectedOffset: fromPosition(expectedOffset) }),
      }),
    );
    this.#isFirst = false;
  }

  #take(appended: AppendResponse | undefined): void {
    const [first] = this.#inFlight;
    if (first === undefined || appended === undefined) {
      throw new RequestError("lost", Code.Internal, "the node gave an answer that belongs to no batch");
    }
    checkSame(first, appended);
    this.#inFlight.shift();
    this.#acknowledged += first.batch.records;
    this.#streamId = appended.streamId;
    if (this.#failedTries > 0) this.#options.onReconnected?.();
    this.#failedTries = 0;
    this.#hasAppended ||= !appended.duplicate;
    const wasThere = appended.duplicate && !first.mayBeThere && !this.#hasAppended;
    this.#options.onAppended?.(first.batch, appended, wasThere);
    this.#wakeSender();
  }

  #fail(failure: RequestError): void {
    const unacknowledged = this.#inFlight.reduce((sum, { batch }) => sum + batch.records, 0);
    const mayBeThere = this.#inFlight.some((inFlight) => inFlight.mayBeThere);
    const cause = mayBeThere ? withUnknownFate(failure) : failure;
    this.#failure = new AppendError(cause, this.#acknowledged, unacknowledged);
    this.#wakeSender();
  }

  #wakeSender(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/** A stream does not compare what a batch of the same number holds; how many records is seen from here. */
function checkSame({ batch, sequence }: InFlight<AppendBatch>, appended: AppendResponse): void {
  const { duplicate, startOffset, nextOffset } = appended;
  if (!duplicate || startOffset === undefined || nextOffset === undefined) return;
  const has = nextOffset - startOffset;
  if (has === fromPosition(batch.records)) return;
  const message = `the stream has another batch ${sequence} of this producer: of ${has} records, not ${batch.records}`;
  const todo =
    "Use the producer for one series of batches only; see what is there, and begin a higher epoch for another";
  // Those behind it are on their way.
  const detail = create(ErrorDetailSchema, { todo, fate: Fate.UNKNOWN });
  throw new RequestError("refused", Code.FailedPrecondition, message, detail);
}
