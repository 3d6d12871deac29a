/**
 * Takes lines as they come and sends them in batches: a full one at once, an unfinished one when its first line has
 * waited 5 ms, so that what trickles in is there promptly and what pours in travels in large pieces.
 * With a producer time plays no part, since another run has to cut the same batches: an unfinished one is sent at the end
 * of the input only, and never when the input was cut short; what an earlier run has appended is passed over.
 * Elsewhere: cutting lines (`line-batcher.ts`), having many batches in flight (the client's `Appender`).
 * @module
 */
import { Appender, type AppenderOptions, type TailraceClient } from "../client/index.ts";
import type { AppendResponse } from "../wire/gen/tailrace/v1/log_pb.ts";
import type { EarlierRun } from "./earlier-run.ts";
import { type LineBatch, LineBatcher } from "./line-batcher.ts";
import type { LineSource } from "./line-source.ts";

/** A line waits at most so long for more to come. */
const lineMaxWaitMs = 5;

export interface LineFeedOptions extends Omit<AppenderOptions<LineBatch>, "producer" | "onAppended"> {
  /** With a producer: what an earlier run of it has appended. */
  readonly earlier?: EarlierRun | undefined;
  /** Append only if this is the stream's next offset; each batch has to follow the one before it. */
  readonly expectedOffset?: number | undefined;
  /**
   * Called for each batch when it is durable, in order.
   * @param appended Absent where the batch was not sent, since an earlier run did.
   * @param wasThere The batch was in the stream before.
   */
  readonly onAppended: (batch: LineBatch, appended: AppendResponse | undefined, wasThere: boolean) => void;
}

/** See the module's description. */
export class LineFeed {
  readonly #batcher = new LineBatcher();
  readonly #appender: Appender<LineBatch>;
  readonly #earlier: EarlierRun | undefined;
  readonly #onAppended: LineFeedOptions["onAppended"];
  /** Places of the batches that are sent and not acknowledged. */
  readonly #places: string[] = [];
  /** Batches that were cut. */
  #batches = 0;
  #expectedOffset: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** A line has waited long enough, and goes as soon as there is room in flight. */
  #isDue = false;
  #hasEnded = false;
  #isCutShort = false;
  /** Ends the wait for a chunk. */
  #interrupt: (() => void) | undefined;

  constructor(client: TailraceClient, { earlier, expectedOffset, onAppended, ...options }: LineFeedOptions) {
    this.#earlier = earlier;
    this.#expectedOffset = expectedOffset;
    this.#onAppended = onAppended;
    this.#appender = new Appender(client, {
      ...options,
      ...(earlier === undefined ? {} : { producer: { ...earlier.producer, sequence: earlier.batches } }),
      onAppended: (batch: LineBatch, appended, wasThere) => {
        this.#places.shift();
        onAppended(batch, appended, wasThere);
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

  /** Whether an input was not taken to its end. */
  get isCutShort(): boolean {
    return this.#isCutShort;
  }

  /**
   * Takes a whole input, or until the signal aborts; a line that is unfinished then is dropped.
   * @throws {AppendError} for what was sent.
   * @throws {CommandError} when the input can't be read, or holds a line that is too long; `finish` may follow.
   * @throws {OtherInputError}
   */
  async takeAll(source: LineSource, signal: AbortSignal): Promise<void> {
    this.#batcher.begin(source.name);
    let isWhole = false;
    const stop = () => this.#interrupt?.();
    signal.addEventListener("abort", stop);
    try {
      const chunks = source.chunks()[Symbol.asyncIterator]();
      while (!signal.aborted && !this.#hasEnded) {
        const chunk = await this.#untilInterrupted(chunks.next());
        if (chunk === undefined) break;
        if (chunk.done) {
          this.#batcher.end();
          isWhole = true;
          break;
        }
        await this.#takeChunk(chunk.value);
      }
    } finally {
      if (!isWhole) this.#isCutShort = true;
      signal.removeEventListener("abort", stop);
    }
  }

  /**
   * Sends what is left, and resolves when all is durable.
   * @throws {AppendError}
   * @throws {OtherInputError}
   */
  async finish(): Promise<void> {
    clearTimeout(this.#timer);
    // Another run would cut that batch elsewhere.
    const isToBeDropped = this.#earlier !== undefined && this.#isCutShort;
    if (!this.#batcher.isEmpty && !isToBeDropped) await this.#send();
    if (!this.#isCutShort) this.#earlier?.checkCount(this.#batches);
    await this.#appender.finish();
  }

  /** Gives up what is not durable, if anything; the appender would connect again. */
  close(): void {
    clearTimeout(this.#timer);
    this.#appender.close();
  }

  async #takeChunk(chunk: Uint8Array): Promise<void> {
    let at = 0;
    while (at < chunk.length) {
      at = this.#batcher.take(chunk, at);
      if (this.#batcher.isFull) await this.#send();
    }
    if (this.#earlier !== undefined) return;
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
    const number = this.#batches++;
    const expectedOffset = this.#expectedOffset;
    if (expectedOffset !== undefined) this.#expectedOffset = expectedOffset + batch.records;
    if (this.#earlier !== undefined && number < this.#earlier.batches)
      return this.#passOver(this.#earlier, batch, number);
    this.#places.push(batch.place);
    return this.#appender.send(expectedOffset === undefined ? batch : { ...batch, expectedOffset });
  }

  async #passOver(earlier: EarlierRun, batch: LineBatch, number: number): Promise<void> {
    const isLast = number === earlier.batches - 1;
    this.#onAppended(batch, isLast ? await earlier.checkLast(batch) : undefined, true);
  }

  /** Undefined when the wait was cut short. One promise a wait: races with one that lives long would pile up on it. */
  #untilInterrupted<T>(wait: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#interrupt = () => resolve(undefined);
      wait.then(resolve, reject);
    });
  }
}
