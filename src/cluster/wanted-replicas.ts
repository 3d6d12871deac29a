/**
 * How many replicas each stream is to have, as who leads the catalogue finds out. Settings are in the streams' own logs, which
 * others lead, and may alone have: they are asked again and again, some at a time. Until a stream's are known it stays as it is.
 * @module
 */
import type { VersionedSettings } from "../base/stream-settings.ts";
import type { Clock } from "../host/clock.ts";
import type { StoredStream } from "../wire/catalogue.ts";

export interface WantedReplicasOptions {
  readonly clock: Clock;
  /** Settings of a stream as they are now. */
  readonly ask: (stream: StoredStream) => Promise<VersionedSettings>;
}

/** Streams that are asked about at once. */
const asksMax = 32;
/** How long what was found counts, milliseconds. */
const againMs = 5_000;

export class WantedReplicas {
  readonly #options: WantedReplicasOptions;
  readonly #asking = new Set<number>();
  #askedAtMs = new Map<number, number>();
  #known = new Map<number, VersionedSettings>();

  constructor(options: WantedReplicasOptions) {
    this.#options = options;
  }

  /** The setting `replication_factor` of a stream; undefined: it is not known. */
  factorOf(stream: number): number | undefined {
    return this.#known.get(stream)?.replicationFactor;
  }

  /** Another node leads the catalogue: what was found is not kept up to date any more. */
  forget(): void {
    this.#askedAtMs.clear();
    this.#known.clear();
  }

  /** Asks about those of which that is the longest ago. @param streams All that there are. */
  look(streams: Iterable<StoredStream>): void {
    const nowMs = this.#options.clock.monotonicMs();
    const [askedAtMs, known] = [this.#askedAtMs, this.#known];
    this.#askedAtMs = new Map();
    this.#known = new Map();
    const due: StoredStream[] = [];
    for (const stream of streams) {
      const { id } = stream;
      const atMs = askedAtMs.get(id);
      const settings = known.get(id);
      if (atMs !== undefined) this.#askedAtMs.set(id, atMs);
      if (settings !== undefined) this.#known.set(id, settings);
      const isDue = atMs === undefined || nowMs >= atMs + againMs;
      if (isDue && !stream.isDeleting && !this.#asking.has(id)) due.push(stream);
    }
    due.sort((a, b) => (this.#askedAtMs.get(a.id) ?? 0) - (this.#askedAtMs.get(b.id) ?? 0));
    for (const stream of due.slice(0, Math.max(asksMax - this.#asking.size, 0))) void this.#ask(stream, nowMs);
  }

  async #ask(stream: StoredStream, nowMs: number): Promise<void> {
    const { id } = stream;
    this.#asking.add(id);
    this.#askedAtMs.set(id, nowMs);
    try {
      const settings = await this.#options.ask(stream);
      // What was asked before another node led meanwhile does not count.
      const isOlder = settings.version < (this.#known.get(id)?.version ?? 0);
      if (this.#askedAtMs.get(id) === nowMs && !isOlder) this.#known.set(id, settings);
    } catch {
      // Nobody leads it, or it is deleted by now: it is asked about again.
    } finally {
      this.#asking.delete(id);
    }
  }
}
