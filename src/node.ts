/**
 * A whole node, put together here and nowhere else: the disk, the data folder, the streams and the port.
 * @module
 */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Logger } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { present } from "./base/assert.ts";
import type { ClusterOptions } from "./base/cluster-options.ts";
import { DiskError, NoRoomError } from "./base/disk-errors.ts";
import { defaultLimits, type Limits, limitName, optionalLimits } from "./base/limits.ts";
import type { StreamSettings } from "./base/stream-settings.ts";
import { ClusterNode } from "./cluster/cluster-node.ts";
import { systemClock } from "./host/clock.ts";
import { costlyFileSystem } from "./host/file-system.ts";
import { systemHash } from "./host/hash.ts";
import { nodeDisk } from "./host/node-disk.ts";
import { systemRandom } from "./host/random.ts";
import { openDataFolder } from "./log/data-folder.ts";
import type { LogOptions } from "./log/settings.ts";
import type { DataFolder } from "./log/types.ts";
import { loneLogs } from "./replica/lone.ts";
import { type Api, createApi } from "./server/api/api.ts";
import type { ApiApp } from "./server/api/app.ts";
import type { ServerHealth } from "./server/api/cluster-view.ts";
import type { NodeState } from "./server/api/context.ts";
import { LoneCluster } from "./server/api/lone-cluster.ts";
import type { ApiSettings } from "./server/api/settings.ts";
import type { Incoming, Outgoing } from "./server/listen.ts";
import { registerLogMetrics } from "./server/log-metrics.ts";
import { builtInSettings, fillSettings } from "./stream/settings.ts";
import { type LocalStreams, openStreams } from "./stream/streams.ts";
import type { Streams } from "./stream/types.ts";

/** How to start a node. What is left out is by default. */
export interface NodeOptions {
  /** Where its data is; made if it is not there. */
  readonly dataFolder: string;
  /** Where its port is; port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly logger: Logger;
  /** Its name among others, given at the first start of its data folder and the same ever after; left out: the folder's. */
  readonly nodeId?: string;
  /** How it is one of a cluster; left out: it is alone, and has no port for others. */
  readonly cluster?: ClusterOptions;
  /** Whether an append to a stream that is not there creates it (true). */
  readonly createOnAppend?: boolean;
  /** Limits that clients meet. */
  readonly limits?: Partial<Limits>;
  /** What a stream gets whose creator leaves it out. */
  readonly streamDefaults?: Partial<StreamSettings>;
  /** How often retention looks at each stream, at most; milliseconds (10,000). */
  readonly retentionIntervalMs?: number;
  /** Journal, memory and handles. */
  readonly log?: Omit<LogOptions, "appendQueueMaxBytes">;
  readonly api?: Partial<Omit<ApiSettings, "drainGraceMs">>;
  /** How long `close` may take, milliseconds (25,000): the most of it is for calls to end. */
  readonly shutdownGraceMs?: number;
}

/** A node that serves. */
export interface TailraceNode {
  /** Its routes, for mounting in a server of one's own that is fed by @hono/node-server. */
  readonly app: ApiApp;
  /** Where it listens, such as `http://127.0.0.1:8400`. */
  readonly url: string;
  /** Absolute path. */
  readonly dataFolder: string;
  /** Settles with the error when a write or sync failed for good: it acknowledges nothing more, and must end. */
  readonly failed: Promise<Error>;
  /** Ends tails with a word to reconnect, lets accepted appends finish, closes the log cleanly and the port. */
  close(): Promise<void>;
}

/** The node can't start as it was asked to. Says what to do. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly todo: string;
  constructor(message: string, todo: string) {
    super(message);
    this.todo = todo;
  }
}

/**
 * Starts a node; resolves when it serves. Its port is open before that, and says at /readyz how far the recovery is.
 * @throws {StartError | ListenError | DataFolderError} It can't start: each has a `todo`.
 */
export async function createNode(options: NodeOptions): Promise<TailraceNode> {
  if (process.platform === "win32") {
    throw new StartError("tailrace does not run on Windows", "Run it on Linux, in WSL or in a container");
  }
  const { logger } = options;
  const limits = checkedLimits(options.limits ?? {});
  const defaults = fillSettings(options.streamDefaults ?? {}, builtInSettings, limits);
  warnOfFewThreads(logger);
  const dataFolder = path.resolve(options.dataFolder);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const version = packageVersion();
  const createOnAppend = options.createOnAppend ?? true;
  let state: NodeState = { kind: "recovering", progress: "opening the data folder" };
  const progress = (text: string) => {
    state = { kind: "recovering", progress: text };
  };
  let broken: (error: unknown) => void = () => {};
  const fault = new Promise<Error>((resolve) => {
    broken = (error) => resolve(error instanceof Error ? error : new Error(String(error)));
  });
  let cluster: ClusterNode | undefined;
  let folder: DataFolder | undefined;
  let closing: Promise<void> | undefined;
  const health = () => healthOf(state, folder, closing !== undefined);
  const api = createApi({
    elsewhere: () => cluster?.elsewhere ?? "",
    state: () => state,
    limits,
    clock: systemClock,
    logger,
    registry,
    version,
    settings: options.api ?? {},
  });
  // First of all, so that a port in use is found before the data folder is touched.
  const { url, host, port } = await api.listen(options.listen);
  logger.info({ url, dataFolder }, `Listening at ${url}, opening the data folder ${dataFolder}`);

  let streams: LocalStreams;
  let served: Streams;
  try {
    if (options.cluster) {
      const place = { cluster: options.cluster, dataFolder, version, api: { host, port } };
      const passedOn = (incoming: Incoming, outgoing: Outgoing) => api.serve(incoming, outgoing);
      const told = { logger, registry, progress, broken, health };
      cluster = await ClusterNode.listen({ ...place, ...told, limits, createOnAppend, passedOn });
    }
    folder = await openFolder(options, dataFolder, limits, progress);
    const logs = cluster ? await cluster.join(folder) : loneLogs(folder, limits);
    streams = await openStreams({
      ...{ logs, limits, defaults, clock: systemClock, broken },
      createOnAppend,
      nearLimit: (usedBytes, maxBytes) => warnOfUsage(logger, usedBytes, maxBytes),
      retentionIntervalMs: options.retentionIntervalMs ?? 10_000,
      clusterId: () => systemRandom.bytes(16),
      nowMicros: systemClock.nowMicros,
    });
    served = (await cluster?.serve(streams)) ?? streams;
  } catch (error) {
    state = { kind: "failed", why: "the node could not start" };
    await api.close();
    await cluster?.close(failedLeaveMaxMs);
    await folder?.close();
    throw explainStart(error, dataFolder);
  }
  registerLogMetrics(registry, () => folder.metrics, {
    count: () => streams.count,
    max: limits.streamsMax,
    storedBytes: () => streams.storedBytes,
    storedMaxBytes: limits.storedMaxBytes,
  });
  warnOfFileSystem(dataFolder, logger);
  tellOfStart(folder, logger);
  const clusterId = Buffer.from(streams.clusterId).toString("hex");
  const view =
    cluster?.view() ?? new LoneCluster({ id: folder.nodeId, clusterId, apiUrl: url, version, streams, health });
  state = { kind: "serving", streams: served, cluster: view };
  const failed = Promise.race([
    folder.failed.then((error) => {
      state = { kind: "failed", why: "the node's disk failed" };
      logger.fatal({ err: error }, "The disk failed: nothing more is acknowledged, and the node must end");
      return error;
    }),
    fault.then((error) => {
      state = { kind: "failed", why: "the node met a fault of its own" };
      logger.fatal({ err: error }, "The node ends by a fault of its own; please report it");
      return error;
    }),
  ]);
  const close = (): Promise<void> => {
    closing ??= closeNode({ api, streams, folder, cluster, logger, graceMs: options.shutdownGraceMs ?? 25_000 });
    return closing;
  };
  return { app: api.app, url, dataFolder, failed, close };
}

async function closeNode(node: {
  api: Api;
  streams: LocalStreams;
  folder: DataFolder;
  cluster: ClusterNode | undefined;
  logger: Logger;
  graceMs: number;
}): Promise<void> {
  const { api, streams, folder, cluster, logger, graceMs } = node;
  logger.info("Stopping: open calls may end, new ones are refused");
  const endMs = systemClock.monotonicMs() + graceMs;
  const leftMs = (share: number) => Math.max(endMs - share * graceMs - systemClock.monotonicMs(), 0);
  // Others lead before calls are refused here: what still comes is passed on to them.
  await cluster?.handOver(leftMs(stopping.handedOver));
  const answerMaxMs = (stopping.drained - stopping.answered) * graceMs;
  await api.close({ drainMaxMs: leftMs(stopping.drained), answerMaxMs, giveUp: () => cluster?.giveUp() });
  streams.stop();
  await cluster?.close(leftMs(stopping.left));
  await folder.close();
  logger.info("Stopped");
}

/** How long a node that could not start may take to tell others that it goes, milliseconds. */
const failedLeaveMaxMs = 1_000;

/** What of the time for stopping is left, at the latest, after each part of it: the last is for the log to close. */
const stopping = { handedOver: 0.7, drained: 0.35, answered: 0.25, left: 0.15 };

function openFolder(
  { nodeId, log }: NodeOptions,
  dataFolder: string,
  limits: Limits,
  progress: (text: string) => void,
): Promise<DataFolder> {
  return openDataFolder({
    path: dataFolder,
    ...(nodeId === undefined ? {} : { nodeId }),
    disk: nodeDisk(),
    clock: systemClock,
    hash: systemHash,
    random: systemRandom,
    settings: { ...log, appendQueueMaxBytes: limits.appendQueueMaxBytes },
    progress: (done, all) => progress(`${done} of ${all} streams are read`),
  });
}

/** What the system says when a folder can't be used, as something a person can act on. */
function explainStart(error: unknown, dataFolder: string): unknown {
  const what = `Cannot use the data folder ${dataFolder}`;
  if (error instanceof RangeError) return new StartError(`${what}: ${error.message}`, "Change the journal's settings");
  if (error instanceof NoRoomError) return new StartError(`${what}: ${error.message}`, "Free space on its volume");
  if (!(error instanceof DiskError)) return error;
  switch (error.code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new StartError(
        `${what}: ${error.message}`,
        "Give the user that runs the node the right to write there, or choose another folder",
      );
    case "ENOTDIR":
    case "EEXIST":
      return new StartError(`${what}: a file is in its way`, "Choose another folder, or move the file");
    default:
      return new StartError(`${what}: ${error.message}`, "Nothing was lost that the disk still has; see to the disk");
  }
}

/** Largest values of limits that formats lean on: a checkpoint of `_meta` holds all streams, and a batch its payload. */
const limitsAtMost: Partial<Limits> = { streamsMax: 10_000, batchMaxBytes: (8 << 20) - 128 };

function checkedLimits(given: Partial<Limits>): Limits {
  const limits = { ...defaultLimits, ...given };
  for (const name of Object.keys(defaultLimits) as (keyof Limits)[]) {
    const value = limits[name];
    const most = limitsAtMost[name] ?? Number.MAX_SAFE_INTEGER;
    const least = optionalLimits.includes(name) ? 0 : 1;
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new StartError(
        `The limit ${limitName(name)} can't be ${value}`,
        `Use a whole number from ${least} to ${most}`,
      );
    }
  }
  return limits;
}

/** What a person should know of the start: one line, and one for each log that is damaged. */
function tellOfStart(folder: DataFolder, logger: Logger): void {
  const { report } = folder;
  const seconds = (report.durationMs / 1000).toFixed(3);
  switch (report.kind) {
    case "created":
      logger.info("Made the data folder");
      break;
    case "clean":
      logger.info(report, `Opened the data folder after a clean stop: ${report.groups} logs, ${seconds} s`);
      break;
    case "recovered":
      logger.info(
        report,
        `Recovered after an unclean stop: kept ${report.tailBatches} batches in the journal and ${report.keptBytes} bytes ` +
          `in segments, cut ${report.cutBytes} bytes, dropped ${report.droppedBatches} batches, ${seconds} s`,
      );
      break;
  }
  for (const group of folder.groups()) {
    const damage = folder.log(group)?.damage;
    if (damage === undefined) continue;
    logger.error({ streamId: group, damage }, `The stream with id ${group} is damaged and takes no appends: ${damage}`);
  }
}

/** What a node can do. */
function healthOf(state: NodeState, opened: DataFolder | undefined, isStopping: boolean): ServerHealth {
  if (isStopping) return { kind: "stopping", why: "it was told to stop, and hands over what it leads" };
  if (state.kind === "failed") return { kind: "degraded", why: state.why };
  if (state.kind === "recovering") return { kind: "degraded", why: `it is not ready: ${state.progress}` };
  const folder = present(opened, "a node that serves has its data folder open");
  const { noRoom } = folder;
  if (noRoom !== undefined) return { kind: "degraded", why: `it takes no appends: ${noRoom}` };
  const damaged = [...folder.groups()].filter((group) => folder.log(group)?.damage !== undefined).length;
  if (damaged === 0) return { kind: "serving" };
  return { kind: "degraded", why: `${damaged} of its streams are damaged and take no appends: see "tailrace repair"` };
}

function warnOfFileSystem(dataFolder: string, logger: Logger): void {
  const costly = costlyFileSystem(dataFolder);
  if (costly === undefined) return;
  logger.warn({ dataFolder, fileSystem: costly.name }, `The data folder is on ${costly.name}: ${costly.cost}`);
}

function warnOfUsage(logger: Logger, usedBytes: number, maxBytes: number): void {
  const percent = Math.round((100 * usedBytes) / maxBytes);
  logger.warn(
    { usedBytes, maxBytes },
    `The streams hold ${usedBytes} bytes, ${percent} % of the limit stored_max_bytes: at ${maxBytes} appends are ` +
      "refused. Trim or delete streams, keep less of them, or raise the limit",
  );
}

/** Syncs and reads share the threads of the runtime: where they are few, each waits for the others. */
function warnOfFewThreads(logger: Logger): void {
  if ("Deno" in globalThis) return;
  const threads = Number(process.env["UV_THREADPOOL_SIZE"] ?? defaultThreads);
  if (threads >= fewThreads) return;
  logger.warn(
    { threads },
    `The disk is served by ${threads} threads, which is few: set UV_THREADPOOL_SIZE=16 before the node starts`,
  );
}

const defaultThreads = 4;
const fewThreads = 8;

function packageVersion(): string {
  const { version }: { version: string } = JSON.parse(
    fs.readFileSync(new URL("../package.json", import.meta.url), "utf8"),
  );
  return version;
}
