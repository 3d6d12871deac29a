/**
 * `tailrace serve`: runs a node until it is told to stop, or can't go on.
 * @module
 */
import type { Logger } from "pino";
import { present } from "../base/assert.ts";
import type { Limits } from "../base/limits.ts";
import { createNode, type TailraceNode } from "../node.ts";
import { exitCodes } from "./exit.ts";
import { greet } from "./greeting.ts";
import { isLoopback, parseAddress } from "./listen-address.ts";
import { createLogger } from "./logger.ts";
import { stopSignal } from "./stop-signal.ts";

/** The flags. */
export interface ServeOptions extends Limits {
  readonly data: string;
  /** HOST:PORT, checked. */
  readonly listen: string;
  readonly logLevel: string;
  /** `on` or `off`. */
  readonly createOnAppend: string;
  readonly segmentMaxBytes: number;
  /** Seconds. */
  readonly segmentMaxAge: number;
  /** 0: none. */
  readonly retentionBytes: number;
  /** Seconds; 0: none. */
  readonly retentionAge: number;
  /** Seconds. */
  readonly retentionInterval: number;
  readonly journalFiles: number;
  readonly journalFileBytes: number;
  /** Seconds. */
  readonly shutdownGrace: number;
}

/** Runs the command; resolves with the exit code. */
export async function serve(options: ServeOptions): Promise<number> {
  const logger = await createLogger(options.logLevel);
  endAtBugs(logger);
  const stop = stopSignal();
  const node = await start(options, logger);
  greet(node, logger);
  const failure = await Promise.race([node.failed, aborted(stop.signal)]);
  // The node has logged why: that is to be the last line.
  if (failure !== undefined) return exitCodes.failed;
  await node.close();
  return exitCodes.ok;
}

function start(options: ServeOptions, logger: Logger): Promise<TailraceNode> {
  const { data, listen, logLevel: _, createOnAppend, segmentMaxBytes, segmentMaxAge, ...more } = options;
  const { retentionBytes, retentionAge, retentionInterval, journalFiles, journalFileBytes, shutdownGrace, ...limits } =
    more;
  const address = present(parseAddress(listen), "the flag was checked");
  if (!isLoopback(address.host)) {
    logger.warn(`Whoever can reach ${listen} can read and write all streams: there are no access rules yet`);
  }
  return createNode({
    dataFolder: data,
    listen: address,
    logger,
    createOnAppend: createOnAppend === "on",
    limits,
    streamDefaults: { segmentMaxBytes, segmentMaxAgeS: segmentMaxAge, retentionBytes, retentionAgeS: retentionAge },
    retentionIntervalMs: retentionInterval * 1000,
    log: { journalFiles, journalFileBytes },
    shutdownGraceMs: shutdownGrace * 1000,
  });
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined));
  });
}

/** A bug must not leave a node that half works: it is logged and ends the process, and the next start recovers. */
function endAtBugs(logger: Logger): void {
  const end = (error: unknown) => {
    logger.fatal({ err: error }, "The node ends by a fault of its own; please report it");
    process.exit(exitCodes.failed);
  };
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
}
