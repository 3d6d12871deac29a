/**
 * A stream whose log is on other nodes only, as far as their answers told of it: read by asking one of them, watched by a read
 * there that waits. What was seen once is not taken back: who is asked next is to have it too.
 * @module
 */
import { TailraceError } from "../base/errors.ts";
import { othersWith, type RoutedGroup, type RouteHome } from "./leader-route.ts";
import {
  LostError,
  type Patience,
  type PeerRead,
  type PeerReadAnswer,
  type StreamRef,
  UnreachableError,
} from "./peers.ts";
import { type Asked, noHolder } from "./routed-refusals.ts";
import type { Client } from "./types.ts";

/** What asks for nothing but how the stream stands. */
const nothing = { start: { at: "earliest" }, endOffset: 0, maxBytes: 1, controlBatches: false } as const;
/** How long a read at another node waits for what this one has seen already. */
const seenMaxWaitMs = 1_000;
/** After a watch that could not be kept, it is kept again. */
const watchAgainMs = 500;

export class RemoteView {
  readonly #home: RouteHome;
  readonly #group: RoutedGroup;
  readonly #stream: StreamRef;
  readonly #listeners = new Set<() => void>();
  /** Where the last answer came from: asked first. */
  #node: string | undefined;
  #logStart = 0;
  #highWatermark = 0;
  #lagMs: number | undefined;
  #isDeleted = false;
  #isWatching = false;

  constructor(home: RouteHome, group: RoutedGroup, stream: StreamRef) {
    this.#home = home;
    this.#group = group;
    this.#stream = stream;
  }

  get logStart(): number {
    return this.#logStart;
  }

  get highWatermark(): number {
    return this.#highWatermark;
  }

  get lagMs(): number | undefined {
    return this.#lagMs;
  }

  get isDeleted(): boolean {
    return this.#isDeleted;
  }

  /** This node told so much of it when it had its log. */
  saw({ logStart, highWatermark }: { readonly logStart: number; readonly highWatermark: number }): void {
    this.#logStart = Math.max(this.#logStart, logStart);
    this.#highWatermark = Math.max(this.#highWatermark, highWatermark);
  }

  /** Reads at one that has the stream. */
  async read(asked: Asked, read: PeerRead, client: Client): Promise<PeerReadAnswer> {
    // Where there are records to come, nobody waits for them.
    const hasMore = read.start.at === "offset" && read.start.offset < this.#highWatermark;
    const seen = { atLeastOffset: this.#highWatermark, waitMs: hasMore ? seenMaxWaitMs : 0 };
    return await this.ask(asked, (node, patience) => this.readAt(node, { ...seen, ...read }, patience), client);
  }

  /** Reads at one node, and keeps what it tells of the stream. */
  async readAt(node: string, read: PeerRead, patience: Patience): Promise<PeerReadAnswer> {
    const answer = await this.#home.peers.read(node, this.#stream, read, patience);
    this.#node = node;
    this.#logStart = Math.max(this.#logStart, answer.logStart);
    this.#highWatermark = Math.max(this.#highWatermark, answer.highWatermark);
    this.#lagMs = answer.lagMs;
    return answer;
  }

  /** Sees at a node how the stream stands, with all that was acknowledged before the call. */
  async confirmAt(node: string, patience: Patience): Promise<void> {
    await this.readAt(node, { ...nothing, linearizable: true }, patience);
  }

  /** Asks those that have the stream, one after the other, until one answers. */
  async ask<T>(asked: Asked, ask: (node: string, patience: Patience) => Promise<T>, client: Client): Promise<T> {
    const { limits } = this.#home;
    if (client.routing === "forwarded") throw noHolder(asked);
    const holders = othersWith(this.#home, this.#group);
    const nodes = new Set([
      ...(this.#node !== undefined && holders.includes(this.#node) ? [this.#node] : []),
      ...holders,
    ]);
    let last: unknown = noHolder(asked);
    for (const node of nodes) {
      const timeoutMs = Math.min(limits.forwardMaxMs, client.remainingMs ?? Number.POSITIVE_INFINITY);
      try {
        return await ask(node, { client: client.address, timeoutMs, signal: new AbortController().signal });
      } catch (error) {
        this.#heard(error);
        if (!mayElsewhere(error)) throw error;
        if (error instanceof TailraceError) last = error;
      }
    }
    throw last;
  }

  /** Calls `listener` when there is more, and at deletion, until the returned function is called. */
  watch(listener: () => void): () => void {
    const entry = (): void => listener();
    this.#listeners.add(entry);
    if (!this.#isWatching) void this.#watch();
    return () => this.#listeners.delete(entry);
  }

  async #watch(): Promise<void> {
    const { clock, limits } = this.#home;
    this.#isWatching = true;
    const asked = { what: `Cannot follow stream "${this.#stream.name}"`, stream: this.#stream.name };
    while (this.#listeners.size > 0 && !this.#isDeleted) {
      const before = this.#highWatermark;
      const next = {
        ...nothing,
        atLeastOffset: before + 1,
        waitMs: Math.min(limits.readMaxWaitMs, limits.forwardMaxMs / 2),
      };
      try {
        await this.ask(asked, (node, patience) => this.readAt(node, next, patience), { address: "" });
      } catch (error) {
        // A node that has nothing new within the time says so; one that says anything else is asked again a little later.
        const isQuiet =
          error instanceof TailraceError && error.reason === "not_ready" && error.facts.nextOffset !== undefined;
        if (!isQuiet && !this.#isDeleted) await new Promise<void>((resolve) => clock.after(watchAgainMs, resolve));
      }
      if (this.#highWatermark > before || this.#isDeleted) for (const listener of [...this.#listeners]) listener();
    }
    this.#isWatching = false;
  }

  #heard(error: unknown): void {
    if (error instanceof TailraceError && error.code === "not_found") this.#isDeleted = true;
  }
}

/** Whether another node may do better. */
function mayElsewhere(error: unknown): boolean {
  if (error instanceof UnreachableError || error instanceof LostError) return true;
  return error instanceof TailraceError && (error.reason === "not_ready" || error.reason === "not_leader");
}
