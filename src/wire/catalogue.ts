/**
 * What `_meta` holds: changes of the catalogue, one a batch, and the whole of it in checkpoints; with numbers where
 * `tailrace.storage.v1` has 64-bit integers.
 * @module
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Catalogue,
  CatalogueSchema,
  MetaChangeSchema,
  type StreamCreated,
  StreamCreatedSchema,
  StreamEntrySchema,
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
}

/** State of `_meta`. */
export interface StoredCatalogue {
  /** 16 bytes. */
  readonly clusterId: Uint8Array;
  readonly streams: readonly StoredStream[];
}

/** One change of the catalogue. */
export type MetaChange =
  | { readonly kind: "created"; readonly creation: StoredCreation }
  | { readonly kind: "deleted"; readonly id: number };

/** The payload of a batch of `_meta`: one record, whose value is the change. */
export function encodeMetaChange(change: MetaChange): Uint8Array {
  const message = create(MetaChangeSchema, {
    change:
      change.kind === "created"
        ? { case: "streamCreated", value: toCreated(change.creation) }
        : { case: "streamDeleted", value: { id: fromPosition(change.id) } },
  });
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
      return { kind: "created", creation: fromCreated(change.value) };
    case "streamDeleted":
      return { kind: "deleted", id: toPosition(change.value.id, "stream_deleted.id") };
    case undefined:
      return undefined;
  }
}

/** The catalogue as a part of a checkpoint. */
export function encodeCatalogue({ clusterId, streams }: StoredCatalogue): Catalogue {
  return create(CatalogueSchema, {
    clusterId,
    streams: streams.map((stream) =>
      create(StreamEntrySchema, {
        id: fromPosition(stream.id),
        createdUs: fromPosition(stream.createdMicros),
        creation: toCreated(stream.creation),
      }),
    ),
  });
}

/** The catalogue of a checkpoint. */
export function decodeCatalogue({ clusterId, streams }: Catalogue): StoredCatalogue {
  return {
    clusterId,
    streams: streams.map(({ id, createdUs, creation }) => ({
      id: toPosition(id, "streams.id"),
      createdMicros: toPosition(createdUs, "streams.created_us"),
      creation: fromCreated(creation ?? create(StreamCreatedSchema)),
    })),
  };
}

function toCreated({ name, startOffset, checkpoint }: StoredCreation): StreamCreated {
  return create(StreamCreatedSchema, { name, startOffset: fromPosition(startOffset), checkpoint });
}

function fromCreated({ name, startOffset, checkpoint }: StreamCreated): StoredCreation {
  return { name, startOffset: toPosition(startOffset, "stream_created.start_offset"), checkpoint };
}
