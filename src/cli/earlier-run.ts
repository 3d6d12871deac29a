/**
 * What a stream has of an input already, when the same producer appended it before.
 * @module
 */
import {
  appendBatch,
  atOffset,
  type Producer,
  producerPlace,
  RequestError,
  readParts,
  type TailraceClient,
} from "../client/index.ts";
import type { AppendResponse } from "../wire/gen/tailrace/v1/log_pb.ts";
import { toPosition } from "../wire/position.ts";
import { CommandError } from "./exit.ts";
import { sentences } from "./failure.ts";
import type { LineBatch } from "./line-batcher.ts";

/** The input is not the one that the producer appended before. */
export class OtherInputError extends CommandError {}

/** Whose batches they are, and where. */
interface Writer {
  readonly stream: string;
  readonly producer: Producer;
  /** See `AppendOptions`. */
  readonly triesMax: number;
}

/**
 * The batches of an input that an earlier run of it has appended. They are cut from the input again, and not sent again;
 * the last of them is compared with what the stream has, for it shows whether the input has grown or changed since.
 */
export class EarlierRun {
  /** How many there are. */
  readonly batches: number;
  /** Whose they are. */
  readonly producer: Producer;
  readonly #client: TailraceClient;
  readonly #writer: Writer;

  private constructor(client: TailraceClient, writer: Writer, batches: number) {
    this.#client = client;
    this.#writer = writer;
    this.producer = writer.producer;
    this.batches = batches;
  }

  /**
   * Asks the stream.
   * @throws {RequestError} also when the producer is in a higher epoch.
   */
  static async find(client: TailraceClient, writer: Writer): Promise<EarlierRun> {
    const { sequence } = await producerPlace(client, writer.stream, writer.producer);
    return new EarlierRun(client, writer, sequence);
  }

  /**
   * Compares the last of them; gives what its append was answered.
   * @throws {OtherInputError} The stream has another one.
   * @throws {RequestError}
   */
  async checkLast(batch: LineBatch): Promise<AppendResponse> {
    const { stream, producer, triesMax } = this.#writer;
    const appended = await appendBatch(this.#client, {
      ...{ stream, triesMax, payload: batch.payload },
      producer: { ...producer, sequence: this.batches - 1 },
    });
    if (!(await this.#isSame(batch, appended))) throw otherInput(`the stream has other lines from ${batch.place}, on`);
    return appended;
  }

  /**
   * Compares how many batches the whole input makes.
   * @throws {OtherInputError} They are fewer than the stream has.
   */
  checkCount(batches: number): void {
    if (batches >= this.batches) return;
    throw otherInput(`it makes ${batches} ${batches === 1 ? "batch" : "batches"}, and the stream has ${this.batches}`);
  }

  async #isSame(batch: LineBatch, { startOffset, nextOffset, streamId }: AppendResponse): Promise<boolean> {
    if (startOffset === undefined || nextOffset === undefined) return true;
    if (nextOffset - startOffset !== BigInt(batch.records)) return false;
    const { stream } = this.#writer;
    const start = atOffset(toPosition(startOffset, "start_offset"));
    try {
      for await (const { batches } of readParts(this.#client, { stream, streamId, start, maxRecords: batch.records })) {
        const [stored] = batches;
        if (stored) return Buffer.compare(stored.payload, batch.payload) === 0;
      }
    } catch (error) {
      // Trimmed, or gone by its age: there is nothing to compare with any more.
      if (!(error instanceof RequestError) || error.detail?.logStart === undefined) throw error;
    }
    return true;
  }
}

function otherInput(why: string): OtherInputError {
  const what = `The input is not the one that this producer appended before: ${why}. Nothing more was appended`;
  const todo =
    "Give the same input with the same flags again; to append another one take another --producer, or a higher --epoch";
  return new OtherInputError(sentences(what, todo));
}
