/**
 * The streams of a cluster, as `_meta` says: the changes that are committed, and those that are on their way to it.
 * Pure: what is done about a change is decided elsewhere (`streams.ts`).
 * @module
 */
import { assert } from "../base/assert.ts";
import type { MetaChange, StoredCatalogue, StoredStream } from "../wire/catalogue.ts";

/** A change with its place in `_meta`. */
interface PlacedChange {
  readonly index: number;
  readonly micros: number;
  readonly change: MetaChange;
}

export class Catalogue {
  readonly clusterId: Uint8Array;
  readonly #streams: Map<number, StoredStream>;
  /** Stamped and not yet committed, in order. */
  readonly #placed: PlacedChange[] = [];

  constructor({ clusterId, streams }: StoredCatalogue) {
    this.clusterId = clusterId;
    this.#streams = new Map(streams.map((stream) => [stream.id, stream]));
  }

  /** The streams that are there. */
  streams(): Iterable<StoredStream> {
    return this.#streams.values();
  }

  /** The stream that was created at `id`, if it is there. */
  stream(id: number): StoredStream | undefined {
    return this.#streams.get(id);
  }

  /** Takes note of a change that has a place and is not yet committed. Whatever stood there or beyond was refused. */
  place(change: MetaChange, index: number, micros: number): void {
    this.#dropRefused(index);
    this.#placed.push({ index, micros, change });
  }

  /** A change was refused. */
  unplace(change: MetaChange): void {
    // They are committed or refused in order: it is the first.
    const at = this.#placed.findIndex((placed) => placed.change === change);
    if (at >= 0) this.#placed.splice(at, 1);
  }

  /** A change is committed at `index`. */
  commit(change: MetaChange, index: number, micros: number): void {
    this.unplace(change);
    apply(this.#streams, { change, index, micros });
  }

  /** State for a checkpoint at `index`: what all changes before it determined, the ones on their way among them. */
  asOf(index: number): StoredCatalogue {
    this.#dropRefused(index);
    if (this.#placed.length === 0) return { clusterId: this.clusterId, streams: [...this.#streams.values()] };
    const streams = new Map(this.#streams);
    for (const placed of this.#placed) apply(streams, placed);
    return { clusterId: this.clusterId, streams: [...streams.values()] };
  }

  /** What has a place that is given again was refused. */
  #dropRefused(index: number): void {
    while ((this.#placed.at(-1)?.index ?? -1) >= index) this.#placed.pop();
  }
}

function apply(streams: Map<number, StoredStream>, { change, index, micros }: PlacedChange): void {
  switch (change.kind) {
    case "created":
      assert(!streams.has(index), "an index of _meta is one change's");
      streams.set(index, { id: index, createdMicros: micros, creation: change.creation });
      return;
    case "deleted":
      assert(streams.delete(change.id), "only a stream that is there is deleted");
      return;
  }
}
