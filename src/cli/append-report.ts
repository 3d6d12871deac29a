/**
 * What `append` says at its end: what is in the stream, and what to do where not all of it is.
 * @module
 */
import { Code } from "@connectrpc/connect";
import type { AppendError, RequestError } from "../client/index.ts";
import type { AppendResponse } from "../wire/gen/tailrace/v1/log_pb.ts";
import { toPosition } from "../wire/position.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { requestExitCode, requestMessage, sentences, whatFailed } from "./failure.ts";
import type { LineBatch } from "./line-batcher.ts";
import { formatBytes, formatCount, formatRecords, formatSeconds } from "./units.ts";

/** What is durable of an input. */
export class Tally {
  readonly stream: string;
  /** A producer appends: what was there already counts apart, and a second run is safe. */
  readonly hasProducer: boolean;
  /** Appended by this run. */
  records = 0;
  bytes = 0;
  /** There before. */
  recordsBefore = 0;
  bytesBefore = 0;
  #first: AppendResponse | undefined;
  #last: AppendResponse | undefined;

  constructor(stream: string, hasProducer: boolean) {
    this.stream = stream;
    this.hasProducer = hasProducer;
  }

  /** Where the last batch that is durable is; its receipt. */
  get last(): AppendResponse | undefined {
    return this.#last;
  }

  /** A batch is durable. */
  add(batch: LineBatch, appended: AppendResponse | undefined, wasThere: boolean): void {
    this.#last = appended ?? this.#last;
    if (wasThere) {
      this.recordsBefore += batch.records;
      this.bytesBefore += batch.inputBytes;
      return;
    }
    this.#first ??= appended;
    this.records += batch.records;
    this.bytes += batch.inputBytes;
  }

  /** For a person. */
  summary(elapsedMs: number): string {
    const { stream, records, bytes, recordsBefore } = this;
    const before = this.hasProducer && recordsBefore > 0 ? `, ${this.#before()}` : "";
    const appended = `appended ${formatRecords(records)} to ${stream}${before}`;
    const [start, next] = [this.#first?.startOffset, this.#last?.nextOffset];
    if (start === undefined || next === undefined) return appended;
    // Others may have appended in between.
    const isDense = toPosition(next - start, "next_offset") === records;
    const [from, to] = [formatCount(Number(start)), formatCount(Number(next - 1n))];
    const offsets = records === 1 ? `offset ${from}` : `offsets ${from} to ${to}`;
    const place = isDense ? offsets : `between offsets ${from} and ${to}`;
    const rate = `${formatBytes(Math.round((bytes / elapsedMs) * 1000))}/s`;
    return `${appended}: ${place}, ${formatBytes(bytes)} in ${formatSeconds(elapsedMs)}, ${rate}`;
  }

  /** For a program: with the digest it is a receipt. */
  receipt(elapsedMs: number): object {
    const start = this.#first?.startOffset;
    const { nextOffset, streamId, index, digest } = this.#last ?? {};
    return {
      stream: this.stream,
      records: this.records,
      ...(this.hasProducer ? { recordsBefore: this.recordsBefore } : {}),
      bytes: this.bytes,
      seconds: Math.round(elapsedMs) / 1000,
      ...(start === undefined ? {} : { startOffset: Number(start) }),
      ...(nextOffset === undefined ? {} : { nextOffset: Number(nextOffset) }),
      ...(streamId === undefined ? {} : { streamId: Number(streamId) }),
      ...(index === undefined ? {} : { index: Number(index) }),
      ...(digest === undefined || digest.length === 0 ? {} : { digest: Buffer.from(digest).toString("hex") }),
    };
  }

  /** For a sentence about an end that came too early. */
  soFar(): string {
    const { records, recordsBefore } = this;
    const next = this.#last?.nextOffset;
    const end = next === undefined ? "" : `, the last at offset ${next - 1n}`;
    const before = recordsBefore > 0 ? `, ${this.#before()}` : "";
    return `${formatRecords(records)} ${records === 1 ? "was" : "were"} appended${before}${end}`;
  }

  #before(): string {
    return `${formatCount(this.recordsBefore)} ${this.recordsBefore === 1 ? "was" : "were"} there already`;
  }
}

/**
 * Says what of the input is in the stream, what is not, and what may be.
 * @param place Where what is not acknowledged begins.
 */
export function cutShort(error: AppendError, place: string | undefined, tally: Tally): CommandError {
  const { cause } = error;
  if (cause.kind === "unreachable" && error.acknowledged === 0) return refused(cause, tally.stream);
  const from = place === undefined ? "" : `, from ${place}, on`;
  if (error.nothingWritten) {
    const rest = place === undefined ? "" : `; nothing was${from}`;
    return refused(cause, tally.stream, `${tally.soFar()}${rest}`);
  }
  const fate = `what became of ${formatRecords(error.unacknowledged)}${from} is not known`;
  const byCause = todoOf(cause, tally.stream) ?? (cause.code === Code.FailedPrecondition ? cause.todo : undefined);
  const next = tally.last?.nextOffset;
  const byReading = `Read the stream${next === undefined ? "" : ` from offset ${next} on`} to see which of them arrived`;
  const byRunning = "Run the same command again: what is there is not stored twice";
  const todo = byCause ?? (tally.hasProducer ? byRunning : byReading);
  return new CommandError(sentences(whatFailed(cause), `${tally.soFar()}; ${fate}`, todo), exitCodes.fateUnknown);
}

/** A request's failure, with what to do about it on this command line. */
export function refused(cause: RequestError, stream: string, soFar = ""): CommandError {
  const todo = todoOf(cause, stream);
  const message = todo === undefined ? requestMessage(cause) : sentences(whatFailed(cause), todo);
  return new CommandError(sentences(message, soFar), requestExitCode(cause));
}

/** What to do about a condition that did not hold; the node does not know the flags that it came from. */
function todoOf({ conflict }: RequestError, stream: string): string | undefined {
  switch (conflict?.kind) {
    case undefined:
      return undefined;
    case "offsetTaken":
      return `See what is there with "tailrace read ${stream}", then append with --expected-offset ${conflict.nextOffset}`;
    case "fenced":
      return conflict.fence.length === 0
        ? "Leave out --fence, or set the token first with tailrace streams fence"
        : "Stop if another writer is to have the stream; to take it over use tailrace streams fence, then --fence";
    case "staleEpoch": {
      const higher = conflict.expected.epoch + 1;
      return `Stop if another writer has taken over; to take over from it use --epoch ${higher}, which appends the whole input anew`;
    }
    case "sequenceGap":
      return "Run the same command again, with the same input and flags: it goes on where the stream is";
    case "unknownProducer":
      return "The stream is a new one, or has forgotten the producer: see what is there before running the same command again, which appends the whole input anew";
  }
}
