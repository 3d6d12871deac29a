/**
 * All streams of a node: the catalogue by name, and what a change of it brings with it.
 * - The record in `_meta` is the commit point, whichever node appended it; logs follow it. Those that the catalogue does not
 *   know go, and those that it misses are made: at a start, and whenever that is asked for again (`settle`).
 * - Creations of one name share one record, and so do deletions of one stream.
 * @module
 */
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import { limitPassed, TailraceError } from "../base/errors.ts";
import { type Limits, limitName } from "../base/limits.ts";
import { checkStreamName, isSystemName } from "../base/stream-name.ts";
import type { StreamSettings } from "../base/stream-settings.ts";
import type { Clock } from "../host/clock.ts";
import { emptyPart, type LogDoors } from "../replica/log-door.ts";
import type { ChosenVoters, Placement, StoredStream } from "../wire/catalogue.ts";
import { checkpointPrefixBytes, decodeCheckpoint } from "../wire/checkpoint.ts";
import type { CatalogueEvent } from "./catalogue.ts";
import { CreationRate } from "./creation-rate.ts";
import { LogStream } from "./log-stream.ts";
import { type MetaBirth, type MetaListener, MetaLog, metaGroup } from "./meta-log.ts";
import { explainNoRoom, nodeStops, streamExists, streamNotFound, streamReplaced, systemStream } from "./refusals.ts";
import { RetentionRounds } from "./retention-rounds.ts";
import { fillSettings, sameSettings } from "./settings.ts";
import { SortedNames } from "./sorted-names.ts";
import { type StreamHome, StreamLog } from "./stream-log.ts";
import type { Client, StreamPage, Streams } from "./types.ts";
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
  /** Told that the catalogue can't be followed any more: the node is to end. */
  readonly broken: (error: unknown) => void;
}

/** The streams of this node, and the end of serving them. */
export interface LocalStreams extends Streams<LogStream> {
  /** 16 bytes: which cluster the streams are of. */
  readonly clusterId: Uint8Array;
  /** @param current Settings of a stream that is there, where another node may know better; left out: this one knows. */
  create(
    name: string,
    settings: Partial<StreamSettings>,
    client?: Client,
    current?: (there: LogStream) => Promise<StreamSettings>,
  ): Promise<{ stream: LogStream; created: boolean }>;
  /** How many there are, the system's not counted. */
  readonly count: number;
  /** Bytes of all their batches, headers included, and the system's own. */
  readonly storedBytes: number;
  /** The catalogue's entries, for who places streams on nodes. */
  stored(): Iterable<StoredStream>;
  /** Nodes that are to hold a group, the one that is to lead first; none: it is not known, or the node was alone. */
  nodesOf(group: number): readonly string[];
  /** Lets go a stream's log here: it was moved away. @throws {NoRoomError} It is as it was. */
  leave(group: number): Promise<void>;
  /** Appends where streams are held from now on: to the catalogue's leader only. @throws {NotLeaderError} */
  place(placements: readonly Placement[]): Promise<void>;
  /** Who a person said is to be a voter of the cluster. */
  readonly chosenVoters: ChosenVoters;
  /** Says it anew: to the catalogue's leader only. @throws {NotLeaderError} */
  chooseVoters(chosen: ChosenVoters): Promise<void>;
  /** Resolves once all that is committed of the catalogue here is known. */
  caughtUp(): Promise<void>;
  /** Finishes what was left undone between the catalogue and the logs: makings, removals, and the ends of streams. */
  settle(): Promise<void>;
  /** From now on nothing is taken or given: every call is refused with `not_ready`. */
  stop(): void;
}

/**
 * Opens the catalogue, and the log of every stream in it.
 * @throws {DataFolderError} The catalogue can't be read.
 */
export async function openStreams(options: StreamsOptions): Promise<LocalStreams> {
  const meta = await MetaLog.open(options.logs, options);
  await options.logs.prepare(meta.catalogue.streams());
  const streams = new CatalogueStreams(options, meta);
  try {
    await streams.settle();
  } catch (error) {
    streams.stop();
    throw error;
  }
  return streams;
}

/** How long after want of files for it the catalogue is read again, milliseconds. */
const readAgainMs = 100;

interface Creation {
  readonly settings: StreamSettings;
  readonly stream: Promise<LogStream>;
}

class CatalogueStreams implements LocalStreams, MetaListener {
  readonly #options: StreamsOptions;
  readonly #meta: MetaLog;
  readonly #home: StreamHome;
  readonly #byName = new Map<string, LogStream>();
  readonly #names: SortedNames;
  readonly #creations = new Map<string, Creation>();
  readonly #creationRate: CreationRate;
  readonly #retention: RetentionRounds;
  readonly #deletions = new Map<number, Promise<number>>();
  #settling: Promise<void> | undefined;
  /** Logs that are being let go, by the streams' ids. */
  readonly #endings = new Map<number, Promise<void>>();

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
      const door = logs.open(stored, stream.log);
      if (door !== undefined) stream.log.attach(door);
      this.#byName.set(stream.name, stream);
    }
    this.#names = new SortedNames(this.#byName.keys());
    meta.follow(this);
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

  stored(): Iterable<StoredStream> {
    return this.#meta.catalogue.streams();
  }

  nodesOf(group: number): readonly string[] {
    return this.#meta.catalogue.stream(group)?.nodes ?? [];
  }

  async leave(group: number): Promise<void> {
    const name = this.#meta.catalogue.stream(group)?.creation.name;
    const stream = name === undefined ? undefined : this.#byName.get(name);
    if (stream?.id === group) await stream.log.leave();
  }

  async place(placements: readonly Placement[]): Promise<void> {
    await this.#meta.append({ kind: "placed", placements });
  }

  get chosenVoters(): ChosenVoters {
    return this.#meta.catalogue.chosen;
  }

  async chooseVoters(chosen: ChosenVoters): Promise<void> {
    await this.#meta.append({ kind: "chosen", ...chosen });
  }

  caughtUp(): Promise<void> {
    return this.#meta.reached(this.#meta.door.commit.index);
  }

  settle(): Promise<void> {
    this.#settling ??= this.#settle().finally(() => {
      this.#settling = undefined;
    });
    return this.#settling;
  }

  async #settle(): Promise<void> {
    const { logs } = this.#options;
    const { catalogue } = this.#meta;
    const isKnown = (group: number) => logs.isAlone || group < catalogue.end;
    const leftovers = [...logs.groups()].filter(
      (group) => group !== metaGroup && isKnown(group) && catalogue.stream(group) === undefined,
    );
    await Promise.all(leftovers.map((group) => logs.remove(group).catch(leaveForLater)));
    const closed = [...this.#byName.values()].filter(({ log }) => log.door === undefined && logs.holds(log.stored));
    const here = closed.filter(({ id }) => logs.isHere(id));
    await logs.prepare(here.map(({ log }) => log.stored)).catch(leaveForLater);
    for (const { log } of here) {
      const door = log.door === undefined && !log.isDeleted ? logs.open(log.stored, log) : undefined;
      if (door !== undefined) log.attach(door);
    }
    const unmade = closed.filter(({ id }) => !logs.isHere(id));
    await Promise.all(unmade.map(({ log }) => log.make().catch(leaveForLater)));
    logs.known(catalogue.end);
  }

  changed(events: readonly CatalogueEvent[]): void {
    const { logs } = this.#options;
    for (const event of events) this.#follow(event);
    logs.known(this.#meta.catalogue.end);
  }

  delayed(again: () => void): void {
    this.#options.clock.after(readAgainMs, again);
  }

  broken(error: unknown): void {
    this.#options.broken(error);
  }

  get(name: string, streamId?: number): LogStream {
    this.#checkServed();
    return this.#find(name, streamId, "stream");
  }

  async find(name: string, streamId?: number): Promise<LogStream> {
    return this.get(name, streamId);
  }

  async getForAppend(name: string, streamId?: number, client?: Client): Promise<LogStream> {
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
    current: (there: LogStream) => Promise<StreamSettings> = settingsHere,
  ): Promise<{ stream: LogStream; created: boolean }> {
    this.#checkServed();
    checkStreamName(name, "name");
    if (isSystemName(name)) throw systemStream(name, "name", "created");
    const { defaults, limits } = this.#options;
    const settings = fillSettings(given, defaults, limits);
    const there = this.#byName.get(name) ?? this.#creations.get(name);
    let settingsThere = there?.settings;
    if (there instanceof LogStream) {
      // What it was created with counts no more where that was changed.
      const found = await current(there).catch((error: unknown) => (there.deleted ? undefined : Promise.reject(error)));
      if (found === undefined) return await this.create(name, given, client, current);
      settingsThere = found;
    }
    if (there !== undefined && settingsThere !== undefined && !sameSettings(settingsThere, settings)) {
      // One that is on its way may come to nothing, and who is told of it goes on to look for it.
      if (!(there instanceof LogStream)) await there.stream;
      throw streamExists(name, settingsThere, settings);
    }
    const creation = there ?? this.#startCreation(name, settings, client);
    const stream = creation instanceof LogStream ? creation : await creation.stream;
    try {
      if (this.#options.logs.holds(stream.log.stored)) await stream.log.make();
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

  list(request: { prefix: string; after?: string; limit: number }): StreamPage<LogStream> {
    this.#checkServed();
    const { names, hasMore } = this.#names.page(request);
    const streams = names.flatMap((name) => this.#byName.get(name) ?? []);
    const last = names.at(-1);
    return hasMore && last !== undefined ? { streams, next: last } : { streams };
  }

  stop(): void {
    this.#home.isStopped = true;
    this.#retention.stop();
    this.#meta.stop();
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
    const { creation, nodes } = this.#options.logs.describeNew(part, 0);
    try {
      const id = await this.#meta.append({ kind: "created", creation, nodes });
      // One of the name may have been there, created through another leader.
      const stream = this.#byName.get(name);
      if (stream === undefined) throw streamNotFound(name, `it was deleted (its id was ${id})`);
      return stream;
    } catch (error) {
      throw explainNoRoom(error, `Cannot create stream "${name}"`, { stream: name });
    }
  }

  async #delete(stream: LogStream): Promise<number> {
    const { id, name } = stream;
    const { logs } = this.#options;
    try {
      // Where nobody else may append, its end in the catalogue is the end of its log.
      if (stream.log.stored.nodes.length > 0) {
        await this.#meta.append({ kind: "deleting", id });
        await logs.close(id);
      } else stream.log.markDeleting(true);
      await this.#meta.append({ kind: "deleted", id });
    } catch (error) {
      if (!stream.log.stored.isDeleting) stream.log.markDeleting(false);
      throw explainNoRoom(error, `Cannot delete stream "${name}"`, { stream: name });
    }
    await this.#endings.get(id);
    return id;
  }

  /** What a change of the catalogue brings with it on this node. */
  #follow({ kind, stream: stored }: CatalogueEvent): void {
    const { name } = stored.creation;
    switch (kind) {
      case "created": {
        const stream = streamOf(stored, this.#home);
        this.#byName.set(name, stream);
        this.#names.add(name);
        // It may be here already: what is committed was not known when the node started.
        const door = this.#options.logs.open(stored, stream.log);
        if (door === undefined) this.#hold(stream);
        else stream.log.attach(door);
        return;
      }
      case "changed": {
        const stream = this.#byName.get(name);
        if (stream?.id !== stored.id) return;
        stream.log.changed(stored);
        this.#hold(stream);
        return;
      }
      case "deleted": {
        const stream = this.#byName.get(name);
        if (stream?.id !== stored.id) return;
        this.#byName.delete(name);
        this.#names.delete(name);
        // Deleted it is, whatever becomes of its log: without room that goes at the next start.
        const ending = stream.log
          .end()
          .catch(leaveForLater)
          .finally(() => this.#endings.delete(stored.id));
        this.#endings.set(stored.id, ending);
        ending.catch((error: unknown) => this.#unexpected(error));
        return;
      }
    }
  }

  /** A log whose voters are others' to know is made at once, and where the node is alone with the first append. */
  #hold({ log }: LogStream): void {
    const { logs } = this.#options;
    const isNext = log.stored.nodes.length > 0 && log.door === undefined && logs.holds(log.stored);
    // One that is here, and could not be opened, is seen to by `settle`.
    if (!isNext || logs.isHere(log.stored.id)) return;
    log
      .make()
      .catch(leaveForLater)
      .catch((error: unknown) => this.#unexpected(error));
  }

  /** Nobody waits for it. What the disk says, the data folder tells the node; a node that stops makes and ends no logs. */
  #unexpected(error: unknown): void {
    if (this.#home.isStopped || error instanceof DiskError || error instanceof TailraceError) return;
    this.broken(error);
  }

  #checkServed(): void {
    if (this.#home.isStopped) throw nodeStops();
  }
}

function metaStream(meta: MetaLog, home: StreamHome): LogStream {
  const creation = { name: meta.part.name, startOffset: 0, checkpoint: new Uint8Array(0) };
  const stored = { id: metaGroup, createdMicros: meta.createdMicros, creation, nodes: [], isDeleting: false };
  const log = new StreamLog(stored, meta.part, home);
  log.attach(meta.door);
  return new LogStream(log);
}

function streamOf(stored: StoredStream, home: StreamHome): LogStream {
  const { name, settings } = decodeCheckpoint(stored.creation.checkpoint.subarray(checkpointPrefixBytes));
  return new LogStream(new StreamLog(stored, { name, settings, ...emptyPart }, home));
}

async function settingsHere(there: LogStream): Promise<StreamSettings> {
  await there.ready();
  return there.settings;
}

/** Want of room passes, and so may a limit of this node, which others that have the stream may not meet. */
function leaveForLater(error: unknown): void {
  const isLimit = error instanceof TailraceError && error.reason === "limit";
  if (!isLimit && !(error instanceof NoRoomError)) throw error;
}
