/**
 * Cuts text into records, a line each, and gathers them in batches.
 * - A record is the line without its `\n`; a `\r` stays, an empty line is a record with an empty value.
 * - A last line without `\n` gets a header that says so, for `read` to give back the very same bytes.
 * - Batches are cut by bytes and records alone, the same from the same inputs, whatever pieces they come in: a producer's
 *   batch is known by its number, so another cut of one that was appended would lose lines or store them twice.
 * Elsewhere: when a batch is sent (`line-feed.ts`).
 * @module
 */
import { defaultLimits } from "../base/limits.ts";
import { encodeHeader, RecordsWriter } from "../base/records-writer.ts";
import { varintBytes } from "../base/varint.ts";
import type { AppendBatch } from "../client/index.ts";
import { CommandError } from "./exit.ts";

/** A batch is full at this many bytes; a longer record makes it larger. Neither number changes: see above. */
export const batchFullBytes = 256 << 10;
const batchFullRecords = 10_000;

/** Header of a record whose line ended with the input, without a newline. */
export const newlineHeaderName = "tailrace-newline";
const noNewline = encodeHeader(newlineHeaderName, new TextEncoder().encode("none"));
const newline = 0x0a;

/** A batch, and where it came from. */
export interface LineBatch extends AppendBatch {
  /** Bytes of input. */
  readonly inputBytes: number;
  /** Place of its first line: `app.log, line 17`. */
  readonly place: string;
}

/** See the module's description. */
export class LineBatcher {
  readonly #records = new RecordsWriter(batchFullBytes + (64 << 10));
  #source = "";
  /** Number of the line that comes next, from 1. */
  #line = 1;
  /** Bytes of a line whose end has not come. */
  #rest: Uint8Array[] = [];
  #restBytes = 0;
  #inputBytes = 0;
  #place = "";

  /** Another input begins, of this name. */
  begin(source: string): void {
    this.#source = source;
    this.#line = 1;
  }

  get isEmpty(): boolean {
    return this.#records.count === 0;
  }

  get isFull(): boolean {
    return this.#records.byteLength >= batchFullBytes || this.#records.count >= batchFullRecords;
  }

  /**
   * Takes lines of `chunk` from `start` on, until the batch is full or the chunk is used up; returns where it stopped.
   * Keeps no reference to the chunk.
   * @throws {CommandError} for a line that no node takes; the lines before it are in the batch.
   */
  take(chunk: Uint8Array, start: number): number {
    let at = start;
    while (at < chunk.length && !this.isFull) {
      const end = chunk.indexOf(newline, at);
      if (end < 0) {
        this.#keep(new Uint8Array(chunk.subarray(at)));
        return chunk.length;
      }
      if (this.#restBytes === 0) this.#add(chunk, at, end);
      else this.#addWithRest(chunk.subarray(at, end));
      this.#inputBytes++;
      at = end + 1;
    }
    return at;
  }

  /** The input has ended: what has no newline is its last line. The batch must not be full. */
  end(): void {
    if (this.#restBytes === 0) return;
    const line = this.#joinRest();
    this.#add(line, 0, line.length, noNewline);
  }

  /** What has been gathered; empties the batcher but for an unfinished line. */
  takeBatch(): LineBatch {
    const records = this.#records.count;
    const batch = { records, payload: this.#records.take(), inputBytes: this.#inputBytes, place: this.#place };
    this.#inputBytes = 0;
    return batch;
  }

  #add(bytes: Uint8Array, start: number, end: number, headers?: Uint8Array): void {
    this.#checkLength(end - start + (headers?.length ?? 0));
    if (this.isEmpty) this.#place = this.#placeOfLine();
    this.#records.add(bytes, start, end, headers);
    this.#inputBytes += end - start;
    this.#line++;
  }

  #addWithRest(tail: Uint8Array): void {
    this.#keep(tail);
    const line = this.#joinRest();
    this.#add(line, 0, line.length);
  }

  #keep(bytes: Uint8Array): void {
    this.#checkLength(this.#restBytes + bytes.length);
    this.#rest.push(bytes);
    this.#restBytes += bytes.length;
  }

  #joinRest(): Uint8Array {
    const line = this.#rest.length === 1 && this.#rest[0] ? this.#rest[0] : Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restBytes = 0;
    return line;
  }

  #checkLength(valueBytes: number): void {
    const limit = defaultLimits.recordMaxBytes;
    if (1 + varintBytes(valueBytes) + valueBytes <= limit) return;
    throw new CommandError(
      `${this.#placeOfLine()} is longer than a record may be (record_max_bytes is ${limit}). Split it, and append again.`,
    );
  }

  #placeOfLine(): string {
    return `${this.#source}, line ${this.#line}`;
  }
}
