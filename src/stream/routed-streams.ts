/**
 * All streams of a cluster, as clients of this node see them: each as `routed-stream.ts` has it, creations and deletions by the
 * leader of `_meta`. That a stream is not there is said once this node knows all that `_meta` has.
 * @module
 */
import { TailraceError } from "../base/errors.ts";
import type { Limits } from "../base/limits.ts";
import type { StreamSettings, VersionedSettings } from "../base/stream-settings.ts";
import type { Clock } from "../host/clock.ts";
import type { LogDoor } from "../replica/log-door.ts";
import { NotLeaderError } from "../replica/replica-errors.ts";
import { groupOf, LeaderRoute, type RouteHome } from "./leader-route.ts";
import type { LogStream } from "./log-stream.ts";
import { metaName } from "./meta-log.ts";
import type { Peers } from "./peers.ts";
import { Polls } from "./polls.ts";
import { streamNotFound } from "./refusals.ts";
import { RemoteView } from "./remote-view.ts";
import { type Asked, notKnownYet } from "./routed-refusals.ts";
import { RoutedStream } from "./routed-stream.ts";
import type { LocalStreams } from "./streams.ts";
import type { Client, Stream, StreamPage, Streams } from "./types.ts";

/** The streams of a node, which follow the catalogue. */
export interface KnownStreams extends Streams<LogStream> {
  create: LocalStreams["create"];
  /** Resolves once all that is committed of the catalogue here is known. */
  caughtUp(): Promise<void>;
}

/** What a node's streams are routed by. */
export interface RoutedStreamsOptions {
  /** The streams as this node knows them, with the logs that it has. */
  readonly local: KnownStreams;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly limits: Limits;
  /** Nodes that hold a group, the one to ask first in front; this one may be among them. */
  readonly holders: (group: number) => readonly string[];
  /** Whether an append to a stream that is not there creates it. */
  readonly createOnAppend: boolean;
}

/** Who asks where nobody does: it has all the time. */
const nobody: Client = { address: "" };

export class RoutedStreams implements Streams {
  readonly #local: KnownStreams;
  readonly #home: RouteHome;
  readonly #createOnAppend: boolean;
  /** Of streams that are not here. They go with their streams: many are deleted elsewhere, and nobody tells of those. */
  readonly #views = new WeakMap<LogStream, RemoteView>();

  constructor({ local, createOnAppend, ...options }: RoutedStreamsOptions) {
    this.#local = local;
    this.#createOnAppend = createOnAppend;
    this.#home = { ...options, polls: new Polls(options.clock), leaders: new Map() };
  }

  get(name: string, streamId?: number, client: Client = nobody): Stream {
    return this.#routed(this.#local.get(name, streamId), client);
  }

  async find(name: string, streamId?: number, client: Client = nobody): Promise<Stream> {
    try {
      return this.get(name, streamId, client);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.#routed(this.#local.get(metaName), asItself(client)).confirm();
      await this.#local.caughtUp();
      return this.get(name, streamId, client);
    }
  }

  async getForAppend(name: string, streamId?: number, client: Client = nobody): Promise<Stream> {
    if (!this.#createOnAppend || streamId !== undefined || this.#isKnown(name)) {
      return await this.find(name, streamId, client);
    }
    try {
      return (await this.#create(name, client, () => this.#createdByAppend(name, client))).stream;
    } catch (error) {
      // Somebody created it as it is, which was not known here: an append goes to whatever has the name.
      if (!(error instanceof TailraceError && error.reason === "stream_exists")) throw error;
      return await this.find(name, undefined, client);
    }
  }

  async create(
    name: string,
    settings: Partial<StreamSettings>,
    client: Client = nobody,
  ): Promise<{ stream: Stream; created: boolean }> {
    const current = (there: LogStream) => this.#currentSettings(there, client);
    return await this.#create(name, client, () => this.#local.create(name, settings, client, current), settings);
  }

  async delete(name: string, streamId?: number, client: Client = nobody): Promise<number> {
    const asked = { what: `Cannot delete stream "${name}"`, stream: name };
    let known: number | undefined;
    try {
      known = (await this.find(name, streamId, client)).id;
      const id = await this.#metaRoute(client).lead({
        asked,
        here: () => this.#local.delete(name, streamId, client),
        there: (node, patience) => this.#home.peers.delete(node, name, streamId, patience),
        repeats: known !== undefined,
      });
      await this.#home.polls.until(() => !this.#isKnown(name, id), this.#home.limits.leaderMaxWaitMs);
      return id;
    } catch (error) {
      const isGone = known !== undefined && isNotFound(error) && hasUnknownFate(error);
      if (isGone && known !== undefined) return known;
      throw error;
    }
  }

  list(request: { prefix: string; after?: string; limit: number }, client: Client = nobody): StreamPage {
    const { streams, ...rest } = this.#local.list(request, client);
    return { streams: streams.map((stream) => this.#routed(stream, client)), ...rest };
  }

  /** Nobody waits for a leader any more: who does is told what is known. */
  giveUp(): void {
    this.#home.polls.end();
  }

  /** Settings of a stream, as some node tells that has it; where they matter as its leader does, who knows all changes. */
  async settingsOf(
    name: string,
    id: number,
    matters: (settings: VersionedSettings) => boolean,
  ): Promise<VersionedSettings> {
    const local = this.#local.get(name, id);
    const stream = this.#routed(local, nobody);
    if (local.log.door) await local.ready();
    const { settings } = local.log.door ? local : await stream.describe();
    if (!matters(settings)) return settings;
    await stream.confirm();
    return (await stream.describe()).settings;
  }

  /** Ends a log for good, wherever it is led. @param door The log, where it is here. */
  async endLog(group: number, door: (LogDoor & { end(): Promise<void> }) | undefined): Promise<void> {
    const gone = () => streamNotFound(`with id ${group}`);
    const route = new LeaderRoute(this.#home, { id: group, door, gone }, nobody);
    await route.lead({
      asked: { what: `Cannot end the log of the stream with id ${group}`, stream: "" },
      here: () => door?.end() ?? Promise.reject(new NotLeaderError(group, null)),
      there: (node, patience) => this.#home.peers.endLog(node, group, patience),
      repeats: true,
    });
  }

  /** Creates a stream by the leader of `_meta`, and waits until it is known here. */
  async #create(
    name: string,
    client: Client,
    here: () => Promise<{ stream: LogStream; created: boolean }>,
    settings: Partial<StreamSettings> = {},
  ): Promise<{ stream: Stream; created: boolean }> {
    const asked = { what: `Cannot create stream "${name}"`, stream: name };
    const { id, created } = await this.#metaRoute(client).lead({
      asked,
      here: async () => {
        const { stream, created: isNew } = await here();
        return { id: stream.id, created: isNew };
      },
      there: (node, patience) => this.#home.peers.create(node, name, settings, patience),
      // A second time it is there, with the same settings.
      repeats: true,
    });
    return { stream: await this.#known(name, id, asked, client), created };
  }

  async #createdByAppend(name: string, client: Client): Promise<{ stream: LogStream; created: boolean }> {
    return { stream: await this.#local.getForAppend(name, undefined, client), created: true };
  }

  /** What the leader of `_meta` has said is known here once its change is. */
  async #known(name: string, id: number, asked: Asked, client: Client): Promise<Stream> {
    const { polls, limits } = this.#home;
    const isHere = await polls.until(() => this.#isKnown(name, id), limits.leaderMaxWaitMs);
    if (!isHere) throw notKnownYet(asked, limits);
    // Another node that passed the creation on asks for no more than whether it was made: this one may not have the stream.
    return client.routing === "forwarded" ? this.#local.get(name, id) : this.get(name, id, client);
  }

  /** Settings of a stream as its leader has them; this node may lag behind, or not have it. */
  async #currentSettings(there: LogStream, client: Client): Promise<StreamSettings> {
    const stream = this.#routed(there, asItself(client));
    try {
      await stream.confirm();
      return (await stream.describe()).settings;
    } catch (error) {
      // While nobody leads it nobody changes it either.
      const isNobody = error instanceof TailraceError && ["not_ready", "fate_unknown"].includes(error.reason);
      if (isNobody) return there.settings;
      throw error;
    }
  }

  #isKnown(name: string, id?: number): boolean {
    try {
      return this.#local.get(name, id) !== undefined;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  #metaRoute(client: Client): LeaderRoute {
    return new LeaderRoute(this.#home, groupOf(this.#local.get(metaName)), client);
  }

  #routed(local: LogStream, client: Client): RoutedStream {
    const parts = { home: this.#home, local, view: () => this.#viewOf(local), viewed: () => this.#views.get(local) };
    return new RoutedStream({ ...parts, client });
  }

  #viewOf(stream: LogStream): RemoteView {
    const { name, id } = stream;
    const known = this.#views.get(stream);
    if (known !== undefined) return known;
    const view = new RemoteView(this.#home, groupOf(stream), { name, id });
    this.#views.set(stream, view);
    return view;
  }
}

/** What this node has to know for a client's call, whoever the call may be passed on to. */
function asItself({ address, remainingMs }: Client): Client {
  return { address, remainingMs };
}

function isNotFound(error: unknown): error is TailraceError {
  return error instanceof TailraceError && error.code === "not_found";
}

/** Whether an earlier try of the same may have been done. */
function hasUnknownFate({ facts }: TailraceError): boolean {
  return facts.fate === "unknown";
}
