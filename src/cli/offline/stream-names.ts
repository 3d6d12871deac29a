import { BatchKind, type StoredBatch } from "../../base/batch.ts";
import { decodeMetaChange } from "../../wire/catalogue.ts";
import { checkpointPrefixBytes, decodeCheckpoint } from "../../wire/checkpoint.ts";

/** The group of `_meta`, the catalogue of streams. */
export const metaGroup = 0;

/** The names of streams, as the batches tell them that are shown to it. */
export class StreamNames {
  /** Streams that the catalogue has. */
  readonly catalogue = new Map<number, string>();
  readonly #own = new Map<number, string>();

  /** Takes note of a batch; those of a group come in order. */
  visit(batch: StoredBatch): void {
    try {
      if (batch.kind === BatchKind.checkpoint) this.#checkpoint(batch);
      else if (batch.kind === BatchKind.records && batch.group === metaGroup) this.#change(batch);
    } catch {
      // What is no checkpoint or change for this version has no name for it; its bytes are checked elsewhere.
    }
  }

  /** The name of a stream; `undefined`: nothing that was shown tells it. */
  of(group: number): string | undefined {
    return this.#own.get(group) ?? this.catalogue.get(group);
  }

  #checkpoint(batch: StoredBatch): void {
    const { name, catalogue } = decodeCheckpoint(batch.payload.subarray(checkpointPrefixBytes));
    if (name !== "") this.#own.set(batch.group, name);
    if (batch.group !== metaGroup || catalogue === undefined) return;
    this.catalogue.clear();
    for (const { id, creation } of catalogue.streams) this.catalogue.set(id, creation.name);
  }

  #change(batch: StoredBatch): void {
    const change = decodeMetaChange(batch.payload);
    if (change?.kind === "created") this.catalogue.set(batch.index, change.creation.name);
    else if (change?.kind === "deleted") this.catalogue.delete(change.id);
  }
}
