/**
 * `tailrace serve`: runs a node until it is told to stop, or can't go on.
 * @module
 */
import type { Logger } from "pino";
import { present } from "../base/assert.ts";
import type { ClusterOptions } from "../base/cluster-options.ts";
import { defaultLimits, type Limits } from "../base/limits.ts";
import { createNode, type TailraceNode } from "../node.ts";
import { type ClusterFlags, clusterOptions, clusterWarnings } from "./cluster-flags.ts";
import { exitCodes } from "./exit.ts";
import { greet } from "./greeting.ts";
import { isLoopback, parseAddress } from "./listen-address.ts";
import { createLogger } from "./logger.ts";
import { stopSignal } from "./stop-signal.ts";

/** The flags. */
export interface ServeOptions extends Limits, ClusterFlags {
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
  readonly nodeId?: string;
}

/** Runs the command; resolves with the exit code. */
export async function serve(options: ServeOptions): Promise<number> {
  const cluster = clusterOptions(options);
  const logger = await createLogger(options.logLevel);
  endAtBugs(logger);
  const stop = stopSignal();
  // It may wait for other nodes for as long as there are none.
  const node = await Promise.race([start(options, cluster, logger), aborted(stop.signal)]);
  if (node === undefined) {
    // What is open was not acknowledged by anybody, and the next start recovers it as after a kill.
    logger.info("Stopped before it served");
    return exitCodes.ok;
  }
  greet(node, logger);
  const failure = await Promise.race([node.failed, aborted(stop.signal)]);
  // The node has logged why: that is to be the last line.
  if (failure !== undefined) return exitCodes.failed;
  await node.close();
  return exitCodes.ok;
}

function start(options: ServeOptions, cluster: ClusterOptions | undefined, logger: Logger): Promise<TailraceNode> {
  const { data, listen, createOnAppend, segmentMaxBytes, segmentMaxAge, retentionBytes, retentionAge } = options;
  const { retentionInterval, journalFiles, journalFileBytes, shutdownGrace, nodeId } = options;
  const address = present(parseAddress(listen), "the flag was checked");
  if (!isLoopback(address.host)) {
    logger.warn(`Whoever can reach ${listen} can read and write all streams: there are no access rules yet`);
  }
  if (cluster !== undefined) warnOfCluster(cluster, logger);
  return createNode({
    dataFolder: data,
    listen: address,
    logger,
    createOnAppend: createOnAppend === "on",
    limits: limitsOf(options),
    streamDefaults: { segmentMaxBytes, segmentMaxAgeS: segmentMaxAge, retentionBytes, retentionAgeS: retentionAge },
    retentionIntervalMs: retentionInterval * 1000,
    log: { journalFiles, journalFileBytes },
    shutdownGraceMs: shutdownGrace * 1000,
    ...(nodeId === undefined ? {} : { nodeId }),
    ...(cluster === undefined ? {} : { cluster }),
  });
}

function warnOfCluster(cluster: ClusterOptions, logger: Logger): void {
  const { host, port } = cluster.peerListen;
  if (!isLoopback(host)) {
    logger.warn(
      `Whoever can reach port ${port} of ${host} can be a node of the cluster: there are no certificates yet`,
    );
  }
  for (const warning of clusterWarnings(cluster)) logger.warn(warning);
}

/** Each limit is a flag of its own name, among the others. */
function limitsOf(options: Limits): Limits {
  const limits: Record<keyof Limits, number> = { ...defaultLimits };
  for (const name of Object.keys(defaultLimits) as (keyof Limits)[]) limits[name] = options[name];
  return limits;
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
