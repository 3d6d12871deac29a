/**
 * The streams of a cluster, as `_meta` says: the changes that are committed, and those that are on their way to it.
 * Every node takes the same changes in the same order and judges each by what came before it, so all come to the same
 * streams; one that does not fit, such as the creation of a name that is there, changes nothing on any of them.
 * Pure: what is done about a change is decided elsewhere (`streams.ts`).
 * @module
 */
import type { ChosenVoters, MetaChange, StoredCatalogue, StoredStream } from "../wire/catalogue.ts";

/** A change with its place in `_meta`. */
interface PlacedChange {
  readonly index: number;
  readonly micros: number;
  readonly change: MetaChange;
}

/** What a change did. */
export type CatalogueEvent =
  | { readonly kind: "created"; readonly stream: StoredStream }
  /** Its nodes are others, or its end began. */
  | { readonly kind: "changed"; readonly stream: StoredStream }
  | { readonly kind: "deleted"; readonly stream: StoredStream };

export class Catalogue {
  readonly clusterId: Uint8Array;
  readonly #streams: StreamTable;
  /** Stamped and not yet committed, in order. */
  #placed: PlacedChange[] = [];
  #end: number;

  /** @param end What `stored` says is of all changes below this index. */
  constructor({ clusterId, streams, chosen }: StoredCatalogue, end: number) {
    this.clusterId = clusterId;
    this.#streams = new StreamTable(streams, chosen);
    this.#end = end;
  }

  /** All changes below this index are in it. */
  get end(): number {
    return this.#end;
  }

  /** The streams that are there. */
  streams(): Iterable<StoredStream> {
    return this.#streams.byId.values();
  }

  /** The stream that was created at `id`, if it is there. */
  stream(id: number): StoredStream | undefined {
    return this.#streams.byId.get(id);
  }

  /** Who a person said is to be a voter of the cluster. */
  get chosen(): ChosenVoters {
    return this.#streams.chosen;
  }

  /** Takes note of a change that has a place and is not yet committed. Whatever stood there or beyond was refused. */
  place(change: MetaChange, index: number, micros: number): void {
    this.#dropRefused(index);
    if (index >= this.#end) this.#placed.push({ index, micros, change });
  }

  /** What is on its way is not known any more: another node leads. */
  forget(): void {
    this.#placed = [];
  }

  /** A change is committed at `index`, after all before it; tells what it did. */
  commit(change: MetaChange, index: number, micros: number): CatalogueEvent[] {
    this.passed(index + 1);
    return this.#streams.apply({ change, index, micros });
  }

  /** All below `end` is in it, or is no change. */
  passed(end: number): void {
    this.#end = Math.max(this.#end, end);
    const first = this.#placed.findIndex(({ index }) => index >= end);
    this.#placed.splice(0, first < 0 ? this.#placed.length : first);
  }

  /** State for a checkpoint at `index`: what all changes before it determined, the ones on their way among them. */
  asOf(index: number): StoredCatalogue {
    this.#dropRefused(index);
    const { clusterId } = this;
    if (this.#placed.length === 0) return { clusterId, streams: [...this.streams()], chosen: this.chosen };
    const table = new StreamTable(this.streams(), this.chosen);
    for (const placed of this.#placed) table.apply(placed);
    return { clusterId, streams: [...table.byId.values()], chosen: table.chosen };
  }

  /** What has a place that is given again was refused. */
  #dropRefused(index: number): void {
    while ((this.#placed.at(-1)?.index ?? -1) >= index) this.#placed.pop();
  }
}

/** What changed between two states of a catalogue, as if each difference had been a change. */
export function differences(before: Catalogue, after: Catalogue): CatalogueEvent[] {
  const events: CatalogueEvent[] = [];
  for (const stream of before.streams()) {
    if (!after.stream(stream.id)) events.push({ kind: "deleted", stream });
  }
  for (const stream of after.streams()) events.push({ kind: before.stream(stream.id) ? "changed" : "created", stream });
  return events;
}

class StreamTable {
  readonly byId = new Map<number, StoredStream>();
  chosen: ChosenVoters;
  readonly #names = new Set<string>();

  constructor(streams: Iterable<StoredStream>, chosen: ChosenVoters) {
    this.chosen = chosen;
    for (const stream of streams) this.#add(stream);
  }

  apply({ change, index, micros }: PlacedChange): CatalogueEvent[] {
    switch (change.kind) {
      case "created": {
        const { creation, nodes } = change;
        if (this.#names.has(creation.name)) return [];
        const stream = { id: index, createdMicros: micros, creation, nodes, isDeleting: false };
        this.#add(stream);
        return [{ kind: "created", stream }];
      }
      case "deleting":
        return this.#change(change.id, { isDeleting: true });
      case "deleted": {
        const stream = this.byId.get(change.id);
        if (!stream) return [];
        this.byId.delete(stream.id);
        this.#names.delete(stream.creation.name);
        return [{ kind: "deleted", stream }];
      }
      case "placed":
        return change.placements.flatMap(({ id, nodes }) => this.#change(id, { nodes }));
      case "chosen":
        this.chosen = { added: change.added, removed: change.removed };
        return [];
    }
  }

  #add(stream: StoredStream): void {
    this.byId.set(stream.id, stream);
    this.#names.add(stream.creation.name);
  }

  #change(id: number, change: Partial<StoredStream>): CatalogueEvent[] {
    const before = this.byId.get(id);
    if (!before) return [];
    const stream = { ...before, ...change };
    this.byId.set(id, stream);
    return [{ kind: "changed", stream }];
  }
}
