/**
 * What `_meta` holds: changes of the catalogue, one a batch, and the whole of it in checkpoints; with numbers where
 * `tailrace.storage.v1` has 64-bit integers.
 * @module
 */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type Catalogue,
  CatalogueSchema,
  MetaChangeSchema,
  type StreamCreated,
  StreamCreatedSchema,
  StreamEntrySchema,
  type VotersChosen,
} from "./gen/tailrace/storage/v1/storage_pb.ts";
import { RecordsSchema } from "./gen/tailrace/v1/record_pb.ts";
import { fromPosition, toPosition } from "./position.ts";

/** What was said when a stream was created: all that batch 0 of its log needs. */
export interface StoredCreation {
  readonly name: string;
  /** Offset of the first record. */
  readonly startOffset: number;
  /** Payload of batch 0, a checkpoint, its first 40 bytes included. */
  readonly checkpoint: Uint8Array;
}

/** One stream of the catalogue. */
export interface StoredStream {
  /** Index of its creation in `_meta`. */
  readonly id: number;
  /** Append time of that batch. */
  readonly createdMicros: number;
  readonly creation: StoredCreation;
  /** Nodes that hold it, the one that is to lead first; none: the node is alone. */
  readonly nodes: readonly string[];
  /** Its end has begun. */
  readonly isDeleting: boolean;
}

/** State of `_meta`. */
export interface StoredCatalogue {
  /** 16 bytes. */
  readonly clusterId: Uint8Array;
  readonly streams: readonly StoredStream[];
  /** Who a person said is to be a voter of the cluster. */
  readonly chosen: ChosenVoters;
}

/** Nodes that are to be voters of the cluster, and such as are not, whatever their number. */
export interface ChosenVoters {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** Nobody said anything. */
export const noneChosen: ChosenVoters = { added: [], removed: [] };

/** One change of the catalogue. */
export type MetaChange =
  | { readonly kind: "created"; readonly creation: StoredCreation; readonly nodes: readonly string[] }
  | { readonly kind: "deleting"; readonly id: number }
  | { readonly kind: "deleted"; readonly id: number }
  | { readonly kind: "placed"; readonly placements: readonly Placement[] }
  | ({ readonly kind: "chosen" } & ChosenVoters);

/** Where a stream is held: by these nodes, the one that is to lead first. */
export interface Placement {
  readonly id: number;
  readonly nodes: readonly string[];
}

/** The payload of a batch of `_meta`: one record, whose value is the change. */
export function encodeMetaChange(change: MetaChange): Uint8Array {
  const message = create(MetaChangeSchema, { change: changeMessage(change) });
  const value = toBinary(MetaChangeSchema, message);
  return toBinary(RecordsSchema, create(RecordsSchema, { records: [{ value }] }));
}

/** The change in a batch of `_meta`; `undefined`: of a kind that this version does not know. */
export function decodeMetaChange(payload: Uint8Array): MetaChange | undefined {
  const { records } = fromBinary(RecordsSchema, payload);
  const [only] = records;
  if (only === undefined || records.length > 1) return undefined;
  const { change } = fromBinary(MetaChangeSchema, only.value);
  switch (change.case) {
    case "streamCreated":
      return { kind: "created", creation: fromCreated(change.value), nodes: change.value.nodeIds };
    case "streamDeleting":
      return { kind: "deleting", id: toPosition(change.value.id, "stream_deleting.id") };
    case "streamDeleted":
      return { kind: "deleted", id: toPosition(change.value.id, "stream_deleted.id") };
    case "streamsPlaced": {
      const placements = change.value.placements.map(({ id, nodeIds: nodes }) => {
        return { id: toPosition(id, "placements.id"), nodes };
      });
      return { kind: "placed", placements };
    }
    case "votersChosen":
      return { kind: "chosen", ...fromChosen(change.value) };
    case undefined:
      return undefined;
  }
}

function changeMessage(change: MetaChange): NonNullable<MessageInitShape<typeof MetaChangeSchema>["change"]> {
  switch (change.kind) {
    case "created":
      return { case: "streamCreated", value: toCreated(change.creation, change.nodes) };
    case "deleting":
      return { case: "streamDeleting", value: { id: fromPosition(change.id) } };
    case "deleted":
      return { case: "streamDeleted", value: { id: fromPosition(change.id) } };
    case "placed": {
      const placements = change.placements.map(({ id, nodes }) => ({ id: fromPosition(id), nodeIds: [...nodes] }));
      return { case: "streamsPlaced", value: { placements } };
    }
    case "chosen":
      return { case: "votersChosen", value: toChosen(change) };
  }
}

/** The catalogue as a part of a checkpoint. */
export function encodeCatalogue({ clusterId, streams, chosen }: StoredCatalogue): Catalogue {
  return create(CatalogueSchema, {
    clusterId,
    ...(chosen.added.length + chosen.removed.length === 0 ? {} : { chosen: toChosen(chosen) }),
    streams: streams.map((stream) =>
      create(StreamEntrySchema, {
        id: fromPosition(stream.id),
        createdUs: fromPosition(stream.createdMicros),
        creation: toCreated(stream.creation, []),
        nodeIds: [...stream.nodes],
        deleting: stream.isDeleting,
      }),
    ),
  });
}

/** The catalogue of a checkpoint. */
export function decodeCatalogue({ clusterId, streams, chosen }: Catalogue): StoredCatalogue {
  return {
    clusterId,
    chosen: chosen ? fromChosen(chosen) : noneChosen,
    streams: streams.map(({ id, createdUs, creation, nodeIds, deleting }) => ({
      id: toPosition(id, "streams.id"),
      createdMicros: toPosition(createdUs, "streams.created_us"),
      creation: fromCreated(creation ?? create(StreamCreatedSchema)),
      nodes: nodeIds,
      isDeleting: deleting,
    })),
  };
}

function toCreated({ name, startOffset, checkpoint }: StoredCreation, nodes: readonly string[]): StreamCreated {
  return create(StreamCreatedSchema, {
    ...{ name, startOffset: fromPosition(startOffset), checkpoint },
    nodeIds: [...nodes],
  });
}

function fromCreated({ name, startOffset, checkpoint }: StreamCreated): StoredCreation {
  return { name, startOffset: toPosition(startOffset, "stream_created.start_offset"), checkpoint };
}

function toChosen({ added, removed }: ChosenVoters): { addedNodeIds: string[]; removedNodeIds: string[] } {
  return { addedNodeIds: [...added], removedNodeIds: [...removed] };
}

function fromChosen({ addedNodeIds: added, removedNodeIds: removed }: VotersChosen): ChosenVoters {
  return { added, removed };
}
