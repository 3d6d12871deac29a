import { BatchKind, type StoredBatch } from "../../base/batch.ts";
import { decodeMetaChange } from "../../wire/catalogue.ts";
import { checkpointPrefixBytes, decodeCheckpoint } from "../../wire/checkpoint.ts";

/** The group of `_meta`, the catalogue of streams. */
export const metaGroup = 0;

/** The names of streams, as the batches tell them that are shown to it. */
export class StreamNames {
  /** Streams that the catalogue has, as far as its log is whole from the base on. */
  readonly catalogue = new Map<number, string>();
  readonly #own = new Map<number, string>();

  /** Takes note of a batch; those of a group come in order. `isConnected`: all before it is whole. */
  visit(batch: StoredBatch, isConnected: boolean): void {
    try {
      if (batch.kind === BatchKind.checkpoint) this.#checkpoint(batch, isConnected);
      else if (batch.kind === BatchKind.records && batch.group === metaGroup) this.#change(batch, isConnected);
    } catch {
      // What is no checkpoint or change for this version has no name for it; its bytes are checked elsewhere.
    }
  }

  /** The name of a stream; `undefined`: nothing that was shown tells it. */
  of(group: number): string | undefined {
    return this.catalogue.get(group) ?? this.#own.get(group);
  }

  #checkpoint(batch: StoredBatch, isConnected: boolean): void {
    const { name, catalogue } = decodeCheckpoint(batch.payload.subarray(checkpointPrefixBytes));
    if (name !== "") this.#own.set(batch.group, name);
    if (batch.group !== metaGroup || catalogue === undefined || !isConnected) return;
    this.catalogue.clear();
    for (const { id, creation } of catalogue.streams) this.catalogue.set(id, creation.name);
  }

  #change(batch: StoredBatch, isConnected: boolean): void {
    const change = decodeMetaChange(batch.payload);
    if (change?.kind === "created") {
      this.#own.set(batch.index, change.creation.name);
      if (isConnected) this.catalogue.set(batch.index, change.creation.name);
    } else if (change?.kind === "deleted" && isConnected) this.catalogue.delete(change.id);
  }
}
