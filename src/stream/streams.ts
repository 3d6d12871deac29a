/**
 * All streams of a node: the catalogue by name, and what a change of it brings with it.
 * - The record in `_meta` is the commit point; logs follow it. At a start logs that the catalogue does not know go, and
 *   those that it misses are made.
 * - Creations of one name share one record, and so do deletions of one stream.
 * @module
 */
import { present } from "../base/assert.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import { limitPassed } from "../base/errors.ts";
import { type Limits, limitName } from "../base/limits.ts";
import { checkStreamName, isSystemName } from "../base/stream-name.ts";
import type { StreamSettings } from "../base/stream-settings.ts";
import type { Clock } from "../host/clock.ts";
import { emptyPart, type LogDoors } from "../replica/log-door.ts";
import type { StoredStream } from "../wire/catalogue.ts";
import { checkpointPrefixBytes, decodeCheckpoint } from "../wire/checkpoint.ts";
import { CreationRate } from "./creation-rate.ts";
import { LogStream } from "./log-stream.ts";
import { type MetaBirth, MetaLog, metaGroup } from "./meta-log.ts";
import { explainNoRoom, nodeStops, streamExists, streamNotFound, streamReplaced, systemStream } from "./refusals.ts";
import { RetentionRounds } from "./retention-rounds.ts";
import { fillSettings, sameSettings } from "./settings.ts";
import { SortedNames } from "./sorted-names.ts";
import { type StreamHome, StreamLog } from "./stream-log.ts";
import type { Client, Stream, StreamPage, Streams } from "./types.ts";
import { Usage, type UsageOptions } from "./usage.ts";

/** What streams are served from, and how. */
export interface StreamsOptions extends MetaBirth {
  readonly logs: LogDoors;
  readonly limits: Limits;
  /** What a new stream gets where its creator says nothing. */
  readonly defaults: StreamSettings;
  /** Whether an append to a stream that is not there creates it. */
  readonly createOnAppend: boolean;
  readonly clock: Clock;
  /** How often retention looks at each stream, at most; milliseconds. */
  readonly retentionIntervalMs: number;
  /** Told when the streams hold almost as much as the limit `stored_max_bytes` allows. */
  readonly nearLimit: UsageOptions["nearLimit"];
}

/** The streams of this node, and the end of serving them. */
export interface LocalStreams extends Streams {
  /** 16 bytes: which cluster the streams are of. */
  readonly clusterId: Uint8Array;
  /** How many there are, the system's not counted. */
  readonly count: number;
  /** Bytes of all their batches, headers included, and the system's own. */
  readonly storedBytes: number;
  /** From now on nothing is taken or given: every call is refused with `not_ready`. */
  stop(): void;
}

/**
 * Opens the catalogue, and the log of every stream in it.
 * @throws {DataFolderError} The catalogue can't be read.
 */
export async function openStreams(options: StreamsOptions): Promise<LocalStreams> {
  const meta = await MetaLog.open(options.logs, options);
  const streams = new CatalogueStreams(options, meta);
  try {
    await streams.settle();
  } catch (error) {
    streams.stop();
    throw error;
  }
  return streams;
}

interface Creation {
  readonly settings: StreamSettings;
  readonly stream: Promise<LogStream>;
}

class CatalogueStreams implements LocalStreams {
  readonly #options: StreamsOptions;
  readonly #meta: MetaLog;
  readonly #home: StreamHome;
  readonly #byName = new Map<string, LogStream>();
  readonly #names: SortedNames;
  readonly #creations = new Map<string, Creation>();
  readonly #creationRate: CreationRate;
  readonly #retention: RetentionRounds;
  readonly #deletions = new Map<number, Promise<number>>();

  constructor(options: StreamsOptions, meta: MetaLog) {
    const { logs, limits, clock, retentionIntervalMs: intervalMs } = options;
    this.#options = options;
    this.#meta = meta;
    this.#creationRate = new CreationRate(limits.streamCreationsMaxPerS, clock);
    this.#home = {
      logs,
      limits,
      usage: new Usage({ maxBytes: limits.storedMaxBytes, nearLimit: options.nearLimit }),
      idOf: (name) => this.#byName.get(name)?.id,
      rolled: (log) => this.#rolled(log),
      isStopped: false,
    };
    this.#retention = new RetentionRounds({ clock, intervalMs, streams: () => this.#byName.values() });
    this.#byName.set(meta.part.name, metaStream(meta, this.#home));
    for (const stored of meta.catalogue.streams()) {
      const stream = streamOf(stored, this.#home);
      const door = logs.open(stream.id, stream.log);
      if (door !== undefined) stream.log.attach(door);
      this.#byName.set(stream.name, stream);
    }
    this.#names = new SortedNames(this.#byName.keys());
  }

  get clusterId(): Uint8Array {
    return this.#meta.catalogue.clusterId;
  }

  get storedBytes(): number {
    return this.#home.usage.usedBytes;
  }

  get count(): number {
    return this.#byName.size - 1;
  }

  /** Finishes what a crash left undone between a record of the catalogue and what follows it. */
  async settle(): Promise<void> {
    const { logs } = this.#options;
    const leftovers = [...logs.groups()].filter(
      (group) => group !== metaGroup && this.#meta.catalogue.stream(group) === undefined,
    );
    await Promise.all(leftovers.map((group) => logs.remove(group).catch(leaveForLater)));
    const unmade = [...this.#byName.values()].filter(({ log }) => log.door === undefined);
    await Promise.all(unmade.map(({ log }) => log.make().catch(leaveForLater)));
  }

  get(name: string, streamId?: number): Stream {
    this.#checkServed();
    return this.#find(name, streamId, "stream");
  }

  async getForAppend(name: string, streamId?: number, client?: Client): Promise<Stream> {
    this.#checkServed();
    if (isSystemName(name)) throw systemStream(name, "stream", "appended to");
    const mayCreate = this.#options.createOnAppend && streamId === undefined && !this.#byName.has(name);
    if (!mayCreate) return this.#find(name, streamId, "stream");
    checkStreamName(name, "stream");
    const creation = this.#creations.get(name) ?? this.#startCreation(name, this.#options.defaults, client);
    return await creation.stream;
  }

  async create(
    name: string,
    given: Partial<StreamSettings>,
    client?: Client,
  ): Promise<{ stream: Stream; created: boolean }> {
    this.#checkServed();
    checkStreamName(name, "name");
    if (isSystemName(name)) throw systemStream(name, "name", "created");
    const { defaults, limits } = this.#options;
    const settings = fillSettings(given, defaults, limits);
    const there = this.#byName.get(name) ?? this.#creations.get(name);
    if (there instanceof LogStream) {
      // What it was created with counts no more where that was changed.
      const isThere = await there.ready().then(
        () => true,
        (error: unknown) => (there.deleted ? false : Promise.reject(error)),
      );
      if (!isThere) return await this.create(name, given, client);
    }
    if (there !== undefined && !sameSettings(there.settings, settings)) {
      throw streamExists(name, there.settings, settings);
    }
    const creation = there ?? this.#startCreation(name, settings, client);
    const stream = creation instanceof LogStream ? creation : await creation.stream;
    try {
      await stream.log.make();
    } catch (error) {
      throw explainNoRoom(error, `Cannot create stream "${name}"`, { stream: name });
    }
    return { stream, created: there === undefined };
  }

  async delete(name: string, streamId?: number): Promise<number> {
    this.#checkServed();
    if (isSystemName(name)) throw systemStream(name, "name", "deleted");
    const stream = this.#find(name, streamId, "name");
    let deletion = this.#deletions.get(stream.id);
    if (deletion === undefined) {
      deletion = this.#delete(stream).finally(() => this.#deletions.delete(stream.id));
      this.#deletions.set(stream.id, deletion);
    }
    return await deletion;
  }

  list(request: { prefix: string; after?: string; limit: number }): StreamPage {
    this.#checkServed();
    const { names, hasMore } = this.#names.page(request);
    const streams = names.flatMap((name) => this.#byName.get(name) ?? []);
    const last = names.at(-1);
    return hasMore && last !== undefined ? { streams, next: last } : { streams };
  }

  stop(): void {
    this.#home.isStopped = true;
    this.#retention.stop();
  }

  #rolled(log: StreamLog): void {
    const stream = this.#byName.get(log.name);
    if (stream?.log === log) this.#retention.rolled(stream);
  }

  #find(name: string, streamId: number | undefined, field: string): LogStream {
    const stream = this.#byName.get(name);
    if (stream === undefined) {
      checkStreamName(name, field);
      throw streamNotFound(name);
    }
    if (streamId !== undefined && streamId !== stream.id) throw streamReplaced(name, streamId, stream.id);
    return stream;
  }

  #startCreation(name: string, settings: StreamSettings, client: Client | undefined): Creation {
    const { streamsMax } = this.#options.limits;
    if (this.count + this.#creations.size >= streamsMax) {
      const todo = "Delete streams that are not needed, or raise the node's limit";
      const limit = { name: limitName("streamsMax"), value: streamsMax };
      throw limitPassed(`Cannot create stream "${name}"`, limit, todo, { stream: name, fate: "nothing_written" });
    }
    this.#home.usage.check(0, `Cannot create stream "${name}"`, name);
    if (client !== undefined) this.#creationRate.take(client.address, name);
    const stream = this.#create(name, settings).finally(() => this.#creations.delete(name));
    const creation = { settings, stream };
    this.#creations.set(name, creation);
    return creation;
  }

  async #create(name: string, settings: StreamSettings): Promise<LogStream> {
    const part = { name, settings: { version: 1, ...settings }, ...emptyPart };
    const creation = this.#options.logs.describeNew(part, 0);
    try {
      const id = await this.#meta.append({ kind: "created", creation });
      const stored = present(this.#meta.catalogue.stream(id), "a creation that is committed is in the catalogue");
      const stream = streamOf(stored, this.#home);
      this.#byName.set(name, stream);
      this.#names.add(name);
      return stream;
    } catch (error) {
      throw explainNoRoom(error, `Cannot create stream "${name}"`, { stream: name });
    }
  }

  async #delete(stream: LogStream): Promise<number> {
    const { id, name } = stream;
    stream.log.markDeleting(true);
    try {
      await this.#meta.append({ kind: "deleted", id });
    } catch (error) {
      stream.log.markDeleting(false);
      throw explainNoRoom(error, `Cannot delete stream "${name}"`, { stream: name });
    }
    this.#byName.delete(name);
    this.#names.delete(name);
    // Deleted it is, whatever becomes of its log: without room that goes at the next start.
    await stream.log.end().catch(leaveForLater);
    return id;
  }

  #checkServed(): void {
    if (this.#home.isStopped) throw nodeStops();
  }
}

function metaStream(meta: MetaLog, home: StreamHome): LogStream {
  const creation = { name: meta.part.name, startOffset: 0, checkpoint: new Uint8Array(0) };
  const log = new StreamLog({ id: metaGroup, createdMicros: meta.createdMicros, creation }, meta.part, home);
  log.attach(meta.door);
  return new LogStream(log);
}

function streamOf(stored: StoredStream, home: StreamHome): LogStream {
  const { name, settings } = decodeCheckpoint(stored.creation.checkpoint.subarray(checkpointPrefixBytes));
  return new LogStream(new StreamLog(stored, { name, settings, ...emptyPart }, home));
}

function leaveForLater(error: unknown): void {
  if (!(error instanceof NoRoomError)) throw error;
}
