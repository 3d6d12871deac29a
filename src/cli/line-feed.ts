/**
 * Takes lines as they come and sends them in batches: a full one at once, an unfinished one when its first line has
 * waited 5 ms, so that what trickles in is there promptly and what pours in travels in large pieces.
 * Elsewhere: cutting lines (`line-batcher.ts`), having many batches in flight (the client's `Appender`).
 * @module
 */
import { Appender, type TailraceClient } from "../client/index.ts";
import type { AppendResponse } from "../wire/gen/tailrace/v1/log_pb.ts";
import { type LineBatch, LineBatcher } from "./line-batcher.ts";
import type { LineSource } from "./line-source.ts";

/** A line waits at most so long for more to come. */
const lineMaxWaitMs = 5;

/** See the module's description. */
export class LineFeed {
  readonly #batcher = new LineBatcher();
  readonly #appender: Appender<LineBatch>;
  /** Places of the batches that are sent and not acknowledged. */
  readonly #places: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** A line has waited long enough, and goes as soon as there is room in flight. */
  #isDue = false;
  #hasEnded = false;
  /** Ends the wait for a chunk. */
  #interrupt: (() => void) | undefined;

  constructor(
    client: TailraceClient,
    stream: string,
    onAppended: (batch: LineBatch, appended: AppendResponse) => void,
  ) {
    this.#appender = new Appender(client, {
      stream,
      onAppended: (batch: LineBatch, appended) => {
        this.#places.shift();
        onAppended(batch, appended);
        if (this.#isDue) this.#sendDue();
      },
    });
    // A node that goes away must be noticed while no input comes, too.
    void this.#appender.ended.then(() => {
      this.#hasEnded = true;
      this.#interrupt?.();
    });
  }

  /** Place of the first line that is not acknowledged; undefined when all that were sent are. */
  get firstUnacknowledged(): string | undefined {
    return this.#places[0];
  }

  /**
   * Takes a whole input, or until the signal aborts; a line that is unfinished then is dropped.
   * @throws {AppendError} for what was sent.
   * @throws {CommandError} when the input can't be read, or holds a line that is too long; `finish` may follow.
   */
  async takeAll(source: LineSource, signal: AbortSignal): Promise<void> {
    this.#batcher.begin(source.name);
    const stop = () => this.#interrupt?.();
    signal.addEventListener("abort", stop);
    try {
      const chunks = source.chunks()[Symbol.asyncIterator]();
      while (!signal.aborted && !this.#hasEnded) {
        const chunk = await this.#untilInterrupted(chunks.next());
        if (chunk === undefined) break;
        if (chunk.done) {
          this.#batcher.end();
          break;
        }
        await this.#takeChunk(chunk.value);
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /**
   * Sends what is left, and resolves when all is durable.
   * @throws {AppendError}
   */
  async finish(): Promise<void> {
    clearTimeout(this.#timer);
    if (!this.#batcher.isEmpty) await this.#send();
    await this.#appender.finish();
  }

  async #takeChunk(chunk: Uint8Array): Promise<void> {
    let at = 0;
    while (at < chunk.length) {
      at = this.#batcher.take(chunk, at);
      if (this.#batcher.isFull) await this.#send();
    }
    if (this.#batcher.isEmpty || this.#timer !== undefined || this.#isDue) return;
    this.#timer = setTimeout(() => this.#sendDue(), lineMaxWaitMs);
  }

  #sendDue(): void {
    this.#timer = undefined;
    this.#isDue = !this.#batcher.isEmpty && !this.#appender.hasRoom;
    if (this.#batcher.isEmpty || this.#isDue) return;
    // There is room, so it is sent in this turn; its failure shows at the next call.
    this.#send().catch(() => {});
  }

  #send(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isDue = false;
    const batch = this.#batcher.takeBatch();
    this.#places.push(batch.place);
    return this.#appender.send(batch);
  }

  /** Undefined when the wait was cut short. One promise a wait: races with one that lives long would pile up on it. */
  #untilInterrupted<T>(wait: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#interrupt = () => resolve(undefined);
      wait.then(resolve, reject);
    });
  }
}
