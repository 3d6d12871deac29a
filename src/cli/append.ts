/**
 * `tailrace append`: lines in, records out.
 * @module
 */
import { AppendError } from "../client/index.ts";
import type { AppendResponse } from "../wire/gen/tailrace/v1/log_pb.ts";
import { toPosition } from "../wire/position.ts";
import { connectTo } from "./connection.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { requestExitCode, requestMessage, sentences, whatFailed } from "./failure.ts";
import { LineFeed } from "./line-feed.ts";
import { type LineSource, openSources } from "./line-source.ts";
import { standardOutput } from "./output.ts";
import { openProgress } from "./progress.ts";
import { stopSignal } from "./stop-signal.ts";
import { formatBytes, formatCount, formatRecords, formatSeconds } from "./units.ts";

export interface AppendOptions {
  readonly server: string;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** What is durable. */
interface Tally {
  bytes: number;
  records: number;
  first: AppendResponse | undefined;
  last: AppendResponse | undefined;
}

/** Runs the command; resolves with the exit code. */
export async function append(stream: string, files: readonly string[], options: AppendOptions): Promise<number> {
  const sources = openSources(files);
  const stop = stopSignal();
  const startedMs = performance.now();
  const tally: Tally = { bytes: 0, records: 0, first: undefined, last: undefined };
  const progress = await openProgress(sources, options.quiet === true);
  const connection = connectTo(options.server);
  const feed = new LineFeed(connection.client, stream, (batch, appended) => {
    tally.bytes += batch.inputBytes;
    tally.records += batch.records;
    tally.first ??= appended;
    tally.last = appended;
    progress.update(tally.bytes, tally.records);
  });
  let inputTrouble: CommandError | undefined;
  try {
    inputTrouble = await takeInputs(feed, sources, stop.signal);
    await feed.finish();
  } catch (error) {
    throw error instanceof AppendError ? cutShort(error, feed.firstUnacknowledged, tally) : error;
  } finally {
    progress.stop();
    connection.close();
  }
  if (inputTrouble) throw new CommandError(sentences(inputTrouble.message, `Before it, ${appendedSoFar(tally)}`));
  const elapsedMs = performance.now() - startedMs;
  if (options.json) await standardOutput().write(`${JSON.stringify(receipt(stream, tally, elapsedMs))}\n`);
  else if (!options.quiet) await standardOutput().write(`${summary(stream, tally, elapsedMs)}\n`);
  return stop.exitCode ?? exitCodes.ok;
}

/** Gives what is wrong with the input, since the lines before it are good and on their way. */
async function takeInputs(
  feed: LineFeed,
  sources: readonly LineSource[],
  signal: AbortSignal,
): Promise<CommandError | undefined> {
  try {
    for (const source of sources) await feed.takeAll(source, signal);
    return undefined;
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
}

/** Says what of the input is in the stream, what is not, and what may be. */
function cutShort(error: AppendError, place: string | undefined, tally: Tally): CommandError {
  const { cause } = error;
  const from = place === undefined ? "" : `, from ${place}, on`;
  if (cause.kind === "unreachable") return new CommandError(requestMessage(cause), exitCodes.unreachable);
  if (error.nothingWritten) {
    const rest = place === undefined ? "" : `; nothing was${from}`;
    return new CommandError(sentences(requestMessage(cause), `${appendedSoFar(tally)}${rest}`), requestExitCode(cause));
  }
  const fate = `what became of ${formatRecords(error.unacknowledged)}${from} is not known`;
  const next = tally.last?.nextOffset;
  const todo = `Read the stream${next === undefined ? "" : ` from offset ${next} on`} to see which of them arrived`;
  return new CommandError(
    sentences(whatFailed(cause), `${appendedSoFar(tally)}; ${fate}`, todo),
    exitCodes.fateUnknown,
  );
}

function appendedSoFar({ records, last }: Tally): string {
  const end = last?.nextOffset === undefined ? "" : `, the last at offset ${last.nextOffset - 1n}`;
  return `${formatRecords(records)} ${records === 1 ? "was" : "were"} appended${end}`;
}

function summary(stream: string, tally: Tally, elapsedMs: number): string {
  const { first, last, bytes, records } = tally;
  if (first?.startOffset === undefined || last?.nextOffset === undefined) return `appended 0 records to ${stream}`;
  const end = last.nextOffset - 1n;
  // Others may have appended in between.
  const isDense = toPosition(last.nextOffset - first.startOffset, "next_offset") === records;
  const [start, stop] = [formatCount(Number(first.startOffset)), formatCount(Number(end))];
  const place = isDense
    ? records === 1
      ? `offset ${start}`
      : `offsets ${start} to ${stop}`
    : `between offsets ${start} and ${stop}`;
  const rate = `${formatBytes(Math.round((bytes / elapsedMs) * 1000))}/s`;
  return `appended ${formatRecords(records)} to ${stream}: ${place}, ${formatBytes(bytes)} in ${formatSeconds(elapsedMs)}, ${rate}`;
}

/** The summary for a program: with the digest it is a receipt. */
function receipt(stream: string, tally: Tally, elapsedMs: number): object {
  const { first, last, bytes, records } = tally;
  return {
    stream,
    records,
    bytes,
    seconds: Math.round(elapsedMs) / 1000,
    ...(first?.startOffset === undefined ? {} : { startOffset: Number(first.startOffset) }),
    ...(last?.nextOffset === undefined ? {} : { nextOffset: Number(last.nextOffset) }),
    ...(last === undefined ? {} : { streamId: Number(last.streamId), index: Number(last.index ?? 0n) }),
    ...(last === undefined ? {} : { digest: Buffer.from(last.digest).toString("hex") }),
  };
}
