/**
 * `tailrace append`: lines in, records out.
 * @module
 */
import { AppendError, type AppenderOptions, RequestError, type TailraceClient } from "../client/index.ts";
import { cutShort, refused, Tally } from "./append-report.ts";
import { connectTo } from "./connection.ts";
import { EarlierRun, OtherInputError } from "./earlier-run.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { sentences } from "./failure.ts";
import type { LineBatch } from "./line-batcher.ts";
import { LineFeed } from "./line-feed.ts";
import { type LineSource, openSources } from "./line-source.ts";
import { standardOutput } from "./output.ts";
import { openProgress } from "./progress.ts";
import { stopSignal } from "./stop-signal.ts";

export interface AppendCommandOptions {
  readonly server: string;
  /** 16 bytes; absent: nothing is sent twice. */
  readonly producer?: Uint8Array;
  /** Of the producer. */
  readonly epoch?: number;
  /** Tries of one batch beyond the first, with a producer. */
  readonly retries?: number;
  readonly expectedOffset?: number;
  readonly fence?: Uint8Array;
  readonly routing?: "pass-on" | "refuse";
  readonly quiet?: boolean;
  readonly json?: boolean;
}

const retriesByDefault = 10;

/** Runs the command; resolves with the exit code. */
export async function append(stream: string, files: readonly string[], options: AppendCommandOptions): Promise<number> {
  checkFlags(options);
  const sources = openSources(files);
  const stop = stopSignal();
  const startedMs = performance.now();
  const tally = new Tally(stream, options.producer !== undefined);
  const progress = await openProgress(sources, options.quiet === true);
  const connection = connectTo(options.server);
  let inputTrouble: CommandError | undefined;
  let feed: LineFeed | undefined;
  try {
    const { fence, expectedOffset, retries = retriesByDefault } = options;
    const triesMax = 1 + retries;
    const earlier = await earlierRun(connection.client, stream, triesMax, options);
    feed = new LineFeed(connection.client, {
      ...{ stream, earlier, fence, expectedOffset, triesMax, refuseElsewhere: options.routing === "refuse" },
      ...(options.quiet ? {} : notices()),
      onAppended: (batch, appended, wasThere) => {
        tally.add(batch, appended, wasThere);
        progress.update(tally.bytes + tally.bytesBefore, tally.records + tally.recordsBefore);
      },
    });
    inputTrouble = await takeInputs(feed, sources, stop.signal);
    await feed.finish();
  } catch (error) {
    if (error instanceof AppendError) throw cutShort(error, feed?.firstUnacknowledged, tally);
    throw error instanceof RequestError ? refused(error, stream) : error;
  } finally {
    progress.stop();
    feed?.close();
    connection.close();
  }
  if (inputTrouble) throw new CommandError(sentences(inputTrouble.message, `Before it, ${tally.soFar()}`));
  const elapsedMs = performance.now() - startedMs;
  if (options.json) await standardOutput().write(`${JSON.stringify(tally.receipt(elapsedMs))}\n`);
  else if (!options.quiet) await standardOutput().write(`${tally.summary(elapsedMs)}\n`);
  if (tally.hasProducer && feed.isCutShort && !options.quiet) {
    process.stderr.write("tailrace: stopped before the end of the input. Run the same command again for the rest.\n");
  }
  return stop.exitCode ?? exitCodes.ok;
}

/** Flags that mean something with another only. */
function checkFlags({ producer, epoch, retries }: AppendCommandOptions): void {
  if (producer !== undefined) return;
  const flag = epoch !== undefined ? "--epoch" : retries !== undefined ? "--retries" : undefined;
  if (flag !== undefined)
    throw new CommandError(`${flag} goes with --producer. Add one, or leave it out.`, exitCodes.usage);
}

async function earlierRun(
  client: TailraceClient,
  stream: string,
  triesMax: number,
  { producer: id, epoch }: AppendCommandOptions,
): Promise<EarlierRun | undefined> {
  return id === undefined ? undefined : await EarlierRun.find(client, { stream, producer: { id, epoch }, triesMax });
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
    if (error instanceof CommandError && !(error instanceof OtherInputError)) return error;
    throw error;
  }
}

/** Tells on stderr when the connection goes and comes back, once each. */
function notices(): Pick<AppenderOptions<LineBatch>, "onDisconnected" | "onReconnected"> {
  let isConnected = true;
  return {
    onDisconnected(why) {
      if (isConnected) process.stderr.write(`tailrace: ${sentences(why.message, "Trying to connect again")}\n`);
      isConnected = false;
    },
    onReconnected() {
      process.stderr.write("tailrace: connected again, going on\n");
      isConnected = true;
    },
  };
}
