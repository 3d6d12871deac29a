/**
 * A whole node, put together here and nowhere else: the disk, the data folder, the streams and the port.
 * @module
 */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Logger } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { DiskError, NoRoomError } from "./base/disk-errors.ts";
import { defaultLimits, type Limits, limitName, optionalLimits } from "./base/limits.ts";
import type { StreamSettings } from "./base/stream-settings.ts";
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
import type { NodeState } from "./server/api/context.ts";
import type { ApiSettings } from "./server/api/settings.ts";
import { registerLogMetrics } from "./server/log-metrics.ts";
import { builtInSettings, fillSettings } from "./stream/settings.ts";
import { type LocalStreams, openStreams } from "./stream/streams.ts";

/** How to start a node. What is left out is by default. */
export interface NodeOptions {
  /** Where its data is; made if it is not there. */
  readonly dataFolder: string;
  /** Where its port is; port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly logger: Logger;
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
  let state: NodeState = { kind: "recovering", progress: "opening the data folder" };
  const api = createApi({
    state: () => state,
    limits,
    clock: systemClock,
    logger,
    registry,
    version: packageVersion(),
    // The rest of the time is for the log to close.
    settings: { ...options.api, drainGraceMs: 0.8 * (options.shutdownGraceMs ?? 25_000) },
  });
  // First of all, so that a port in use is found before the data folder is touched.
  const { url } = await api.listen(options.listen);
  logger.info({ url, dataFolder }, `Listening at ${url}, opening the data folder ${dataFolder}`);

  let folder: DataFolder | undefined;
  let streams: LocalStreams;
  try {
    folder = await openFolder(
      dataFolder,
      { ...options.log, appendQueueMaxBytes: limits.appendQueueMaxBytes },
      (progress) => {
        state = { kind: "recovering", progress };
      },
    );
    streams = await openStreams({
      logs: loneLogs(folder, limits),
      limits,
      defaults,
      createOnAppend: options.createOnAppend ?? true,
      clock: systemClock,
      nearLimit: (usedBytes, maxBytes) => warnOfUsage(logger, usedBytes, maxBytes),
      retentionIntervalMs: options.retentionIntervalMs ?? 10_000,
      clusterId: () => systemRandom.bytes(16),
      nowMicros: systemClock.nowMicros,
    });
  } catch (error) {
    state = { kind: "failed", why: "the node could not start" };
    await api.close();
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
  state = { kind: "serving", streams };
  const failed = folder.failed.then((error) => {
    state = { kind: "failed", why: "the node's disk failed" };
    logger.fatal({ err: error }, "The disk failed: nothing more is acknowledged, and the node must end");
    return error;
  });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= closeNode(api, streams, folder, logger);
    return closing;
  };
  return { app: api.app, url, dataFolder, failed, close };
}

async function closeNode(api: Api, streams: LocalStreams, folder: DataFolder, logger: Logger): Promise<void> {
  logger.info("Stopping: open calls may end, new ones are refused");
  await api.close();
  streams.stop();
  await folder.close();
  logger.info("Stopped");
}

function openFolder(dataFolder: string, settings: LogOptions, progress: (text: string) => void): Promise<DataFolder> {
  return openDataFolder({
    path: dataFolder,
    disk: nodeDisk(),
    clock: systemClock,
    hash: systemHash,
    random: systemRandom,
    settings,
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
