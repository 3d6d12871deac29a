/**
 * One stream of a cluster, as one client of this node sees it: what needs the leader goes there, reads are served here, or by a
 * node that has the stream where this one does not. Its log may come to be here, and cease to be, at any time: while it has less
 * than was told before, others are asked, and what was under way when it went is asked of them again.
 * Elsewhere: the way to the leader (`leader-route.ts`), streams that are not here (`remote-view.ts`), series of appends
 * (`routed-series.ts`), which streams there are (`routed-streams.ts`).
 * @module
 */
import { TailraceError } from "../base/errors.ts";
import type { StreamSettings, VersionedSettings } from "../base/stream-settings.ts";
import type { LogDoor } from "../replica/log-door.ts";
import { NotLeaderError, RefusedError } from "../replica/replica-errors.ts";
import { groupOf, LeaderRoute, type RouteHome } from "./leader-route.ts";
import type { LogStream } from "./log-stream.ts";
import type { Patience } from "./peers.ts";
import { pastEnd } from "./refusals.ts";
import type { RemoteView } from "./remote-view.ts";
import { type Asked, noHolder, noLeader, notHereYet } from "./routed-refusals.ts";
import { RoutedSeries } from "./routed-series.ts";
import { wayHere, wayThere } from "./series-ways.ts";
import type {
  AppendAnswer,
  AppendOptions,
  AppendSeries,
  Client,
  ReadRequest,
  ReadResult,
  Receipt,
  Start,
  Stream,
  StreamDescription,
} from "./types.ts";

/** What a stream on its way to clients is made of. */
export interface RoutedStreamParts {
  readonly home: RouteHome;
  /** The stream as this node knows it. */
  readonly local: LogStream;
  /** The same as other nodes tell of it; asked for where this node does not have it. */
  readonly view: () => RemoteView;
  /** That, if it was asked for before. */
  readonly viewed: () => RemoteView | undefined;
  readonly client: Client;
}

export class RoutedStream implements Stream {
  readonly #home: RouteHome;
  readonly #local: LogStream;
  readonly #parts: Pick<RoutedStreamParts, "view" | "viewed">;
  readonly #client: Client;
  readonly #route: LeaderRoute;
  #series: { readonly of: AppendSeries; readonly routed: RoutedSeries } | undefined;

  constructor({ home, local, view, viewed, client }: RoutedStreamParts) {
    this.#home = home;
    this.#local = local;
    this.#parts = { view, viewed };
    this.#client = client;
    this.#route = new LeaderRoute(home, groupOf(local), client);
  }

  get name(): string {
    return this.#local.name;
  }

  get id(): number {
    return this.#local.id;
  }

  get settings(): VersionedSettings {
    return this.#local.settings;
  }

  get logStart(): number {
    return this.#door ? this.#local.logStart : this.#view().logStart;
  }

  get highWatermark(): number {
    return this.#door ? this.#local.highWatermark : this.#view().highWatermark;
  }

  get deleted(): boolean {
    return this.#local.deleted || (this.#door === undefined && this.#view().isDeleted);
  }

  get lagMs(): number | undefined {
    return this.#door ? this.#local.lagMs : this.#view().lagMs;
  }

  append(payload: Uint8Array, options?: AppendOptions & { readonly producer?: undefined }): Promise<Receipt>;
  append(payload: Uint8Array, options: AppendOptions): Promise<AppendAnswer>;
  append(payload: Uint8Array, options: AppendOptions = {}): Promise<AppendAnswer> {
    const { series, ...alone } = options;
    if (series === undefined) return this.#append(payload, alone);
    if (this.#series?.of !== series) this.#series = { of: series, routed: this.#seriesOf(series) };
    return this.#series.routed.append(payload, alone);
  }

  fence(token: Uint8Array): Promise<number> {
    return this.#route.lead({
      asked: this.#asked("fence stream"),
      here: () => this.#local.fence(token),
      there: (node, patience) => this.#home.peers.fence(node, this.#ref, token, patience),
      // Another writer's fence may have come between.
      repeats: false,
    });
  }

  trim(offset: number): Promise<number> {
    return this.#route.lead({
      asked: this.#asked("trim stream"),
      here: () => this.#local.trim(offset),
      there: (node, patience) => this.#home.peers.trim(node, this.#ref, offset, patience),
      repeats: true,
    });
  }

  async update(settings: Partial<StreamSettings>, expectedVersion?: number): Promise<void> {
    await this.#route.lead({
      asked: this.#asked("change the settings of stream"),
      here: () => this.#local.update(settings, expectedVersion),
      there: (node, patience) => this.#home.peers.update(node, this.#ref, { settings, expectedVersion }, patience),
      // Another change may have come between.
      repeats: false,
    });
    // Who asks here how the stream stands is to see the change. It is made, whatever becomes of that.
    if (!this.#route.isHere) await this.confirm().catch(() => {});
  }

  ready(): Promise<void> {
    const asked = this.#asked("read stream");
    return this.#hereOrThere(
      asked,
      () => this.#local.ready(),
      async () => {
        // Another node looks for one that has it: it is not to wait here for what comes elsewhere.
        if (this.#client.routing === "forwarded") throw noHolder(asked);
      },
    );
  }

  async confirm(): Promise<void> {
    const asked = this.#asked("read stream");
    let door: LogDoor | undefined;
    const index = await this.#route.lead({
      asked,
      here: async () => {
        await this.#local.confirm();
        return 0;
      },
      there: async (node, patience) => {
        door = this.#door;
        if (door !== undefined) return await this.#confirmedAt(node, patience);
        await this.#view().confirmAt(node, patience);
        return 0;
      },
      repeats: true,
    });
    if (door === undefined || (await this.#reach(door, index, asked))) return;
    await this.confirm();
  }

  /** Who does not have a group does not look why. Asked for the stream by its name it does: it may be deleted. */
  async #confirmedAt(node: string, patience: Patience): Promise<number> {
    try {
      return await this.#home.peers.confirm(node, this.id, patience);
    } catch (error) {
      if (error instanceof TailraceError && error.reason === "not_ready") await this.#view().confirmAt(node, patience);
      throw error;
    }
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const asked = this.#asked("read stream");
    const { startOffset, ...rest } = request;
    return await this.#hereOrThere(
      asked,
      async () => {
        await this.#checkBegin(startOffset);
        return await this.#local.read(request);
      },
      () => {
        const read = { start: { at: "offset", offset: startOffset } as const, ...rest };
        return this.#view().read(asked, read, this.#client);
      },
    );
  }

  async resolve(start: Start): Promise<number> {
    const asked = this.#asked("read stream");
    return await this.#hereOrThere(
      asked,
      async () => {
        if (start.at === "offset") await this.#checkBegin(start.offset);
        return await this.#local.resolve(start);
      },
      async () => {
        // Nothing but how it stands: an end at the start, which alone would have to be beyond it.
        const endOffset = start.at === "offset" ? start.offset : 0;
        const read = { start, endOffset, maxBytes: 1, controlBatches: false };
        return (await this.#view().read(asked, read, this.#client)).nextOffset;
      },
    );
  }

  watch(listener: () => void): () => void {
    let stopThere: (() => void) | undefined;
    const follow = () => {
      if (this.#door === undefined) {
        stopThere ??= this.#view().watch(listener);
        return;
      }
      stopThere?.();
      stopThere = undefined;
    };
    const stop = this.#local.watch(() => {
      follow();
      listener();
    });
    follow();
    return () => {
      stop();
      stopThere?.();
    };
  }

  describe(): Promise<StreamDescription> {
    const asked = this.#asked("describe stream");
    const describe = (node: string, patience: Patience) => this.#home.peers.describe(node, this.#ref, patience);
    return this.#hereOrThere(
      asked,
      () => this.#local.describe(),
      () => this.#view().ask(asked, describe, this.#client),
    );
  }

  #append(payload: Uint8Array, options: AppendOptions): Promise<AppendAnswer> {
    return this.#route.lead({
      asked: this.#asked("append to stream"),
      here: () => this.#local.append(payload, options),
      there: (node, patience) => this.#home.peers.append(node, this.#ref, payload, options, patience),
      repeats: options.producer !== undefined,
    });
  }

  #seriesOf(series: AppendSeries): RoutedSeries {
    const asked = this.#asked("append to stream");
    const open = () => {
      if (this.#route.isHere) return wayHere(this.#local, this.#route, asked);
      const node = this.#route.elsewhere;
      return node === undefined ? undefined : wayThere(this.#home, node, this.#local, this.#route, asked);
    };
    const anywhere = (payload: Uint8Array, options: AppendOptions) => this.#append(payload, options);
    return new RoutedSeries({ name: this.name, open, anywhere }, series);
  }

  /** That nothing is at an offset is said by a leader that knows; who lags has it once the leader's word is here. */
  async #checkBegin(offset: number): Promise<void> {
    if (offset <= this.highWatermark || this.#route.isHere) return;
    await this.#local.ready();
    if (offset <= this.highWatermark) return;
    await this.confirm();
    const { name, logStart, highWatermark } = this;
    if (offset > highWatermark) throw pastEnd(name, offset, { logStart, nextOffset: highWatermark });
  }

  /** Waits until so much is committed in the log here; false: it ceased to be here before. */
  async #reach(door: LogDoor, index: number, asked: Asked): Promise<boolean> {
    const { clock, limits } = this.#home;
    const isOver = () => door.commit.index >= index || this.#local.log.door !== door;
    if (!isOver()) {
      const maxMs = Math.min(limits.leaderMaxWaitMs, this.#client.remainingMs ?? Number.POSITIVE_INFINITY);
      await new Promise<void>((resolve, reject) => {
        const nextOffset = this.highWatermark;
        const timer = clock.after(maxMs, () => {
          stop();
          reject(notHereYet(asked, `batch ${index - 1}`, { nextOffset }));
        });
        const stop = this.#local.watch(() => {
          if (!isOver()) return;
          stop();
          timer.cancel();
          resolve();
        });
      });
    }
    if (this.#local.log.door !== door) return false;
    await this.#local.ready();
    return true;
  }

  /** Asks the log here, and others where it is not, or ceases to be while it is asked. */
  async #hereOrThere<T>(asked: Asked, here: () => Promise<T>, there: () => Promise<T>): Promise<T> {
    const door = this.#door;
    if (door === undefined) return await this.#there(asked, here, there);
    try {
      const answer = await here();
      if (this.#local.log.door === door) return answer;
    } catch (error) {
      if (this.#local.log.door === door || this.deleted) throw this.#explain(asked, error);
    }
    return await this.#there(asked, here, there);
  }

  /** Asks others. Where none of them can tell, a log here that once had all is better than nothing: it may only be a little late. */
  async #there<T>(asked: Asked, here: () => Promise<T>, there: () => Promise<T>): Promise<T> {
    try {
      return await there();
    } catch (error) {
      const { door } = this.#local.log;
      const isNobody =
        error instanceof TailraceError && (error.reason === "not_ready" || error.reason === "not_leader");
      if (door === undefined || door.isIncomplete || !isNobody) throw error;
    }
    try {
      return await here();
    } catch (error) {
      throw this.#explain(asked, error);
    }
  }

  /** What a replica here can't tell for want of a leader is told as that. */
  #explain(asked: Asked, error: unknown): unknown {
    const isLeaderless = error instanceof NotLeaderError || error instanceof RefusedError;
    return isLeaderless ? noLeader(asked, this.#home.limits) : error;
  }

  /** The log here, unless others are known to have more. What the system itself goes by is never asked of others. */
  get #door(): LogDoor | undefined {
    const { door, isSystem } = this.#local.log;
    if (door === undefined || isSystem) return door;
    const seenOffset = Math.max(this.#parts.viewed()?.highWatermark ?? 0, this.#local.log.left.highWatermark);
    return door.isIncomplete || door.commit.offset < seenOffset ? undefined : door;
  }

  /** The stream as other nodes tell of it, with what this one told before. */
  #view(): RemoteView {
    const view = this.#parts.view();
    view.saw(this.#local.log.left);
    return view;
  }

  get #ref(): { readonly name: string; readonly id: number } {
    return { name: this.name, id: this.id };
  }

  #asked(verb: string): Asked {
    return { what: `Cannot ${verb} "${this.name}"`, stream: this.name };
  }
}
