import { BatchKind, type StoredBatch } from "../../base/batch.ts";
import type { VersionedSettings } from "../../base/stream-settings.ts";
import { decodeMetaChange, type StoredStream } from "../../wire/catalogue.ts";
import { checkpointPrefixBytes, decodeCheckpoint } from "../../wire/checkpoint.ts";

/** The group of `_meta`, the catalogue of streams. */
export const metaGroup = 0;

/** What a stream's own log doesn't say of it. */
const alone = { nodes: [], isDeleting: false } as const;

/** The streams of a folder, as the batches tell of them that are shown to it. */
export class StreamsSeen {
  /** Streams that the catalogue has, as far as its log is whole from the base on. */
  readonly catalogue = new Map<number, StoredStream>();
  /** What anything else says of a stream: its own checkpoints, or a part of the catalogue's log that is whole. */
  readonly #seen = new Map<number, StoredStream>();
  /** Streams of which a deletion is there; no id is ever used again. */
  readonly deleted = new Set<number>();
  /** Of the catalogue, as far as a checkpoint of its log was shown. */
  clusterId: Uint8Array | undefined;
  settings: VersionedSettings | undefined;

  /** Takes note of a batch; those of a group come in order. `isConnected`: all before it is whole. */
  visit(batch: StoredBatch, isConnected: boolean): void {
    try {
      if (batch.kind === BatchKind.checkpoint) this.#checkpoint(batch, isConnected);
      else if (batch.kind === BatchKind.records && batch.group === metaGroup) this.#change(batch, isConnected);
    } catch {
      // What is no checkpoint or change for this version tells of no stream; its bytes are checked elsewhere.
    }
  }

  /** What is known of a stream; `undefined`: nothing that was shown tells of it. */
  stream(group: number): StoredStream | undefined {
    return this.catalogue.get(group) ?? this.#seen.get(group);
  }

  /** The name of a stream. */
  of(group: number): string | undefined {
    return this.stream(group)?.creation.name;
  }

  #checkpoint(batch: StoredBatch, isConnected: boolean): void {
    const { group, appendTimeMicros: createdMicros, baseOffset: startOffset } = batch;
    const { name, catalogue, settings } = decodeCheckpoint(batch.payload.subarray(checkpointPrefixBytes));
    if (!this.#seen.has(group) && name !== "") {
      // Of what came before batch 0 a checkpoint says zeros, and a creation's says the same.
      const checkpoint = batch.payload.slice();
      checkpoint.fill(0, 0, checkpointPrefixBytes);
      this.#seen.set(group, { ...alone, id: group, createdMicros, creation: { name, startOffset, checkpoint } });
    }
    if (group !== metaGroup || catalogue === undefined) return;
    this.clusterId = catalogue.clusterId.slice();
    this.settings = settings;
    if (isConnected) this.catalogue.clear();
    for (const stream of catalogue.streams) this.#note(stream, isConnected);
  }

  #change(batch: StoredBatch, isConnected: boolean): void {
    const change = decodeMetaChange(batch.payload);
    switch (change?.kind) {
      case "created": {
        const { creation, nodes } = change;
        const { index: id, appendTimeMicros: createdMicros } = batch;
        this.#note({ id, createdMicros, creation, nodes, isDeleting: false }, isConnected);
        return;
      }
      case "deleting": {
        const stream = this.stream(change.id);
        if (stream) this.#note({ ...stream, isDeleting: true }, isConnected);
        return;
      }
      case "deleted":
        this.deleted.add(change.id);
        if (isConnected) this.catalogue.delete(change.id);
        return;
      case "placed":
        for (const { id, nodes } of change.placements) {
          const stream = this.stream(id);
          if (stream) this.#note({ ...stream, nodes }, isConnected);
        }
        return;
      case "chosen":
      case undefined:
        return;
    }
  }

  #note(noted: StoredStream, isConnected: boolean): void {
    const { id, creation } = noted;
    // The bytes that were shown are good only for now.
    const stream = { ...noted, creation: { ...creation, checkpoint: creation.checkpoint.slice() } };
    this.#seen.set(id, stream);
    if (isConnected) this.catalogue.set(id, stream);
  }
}
