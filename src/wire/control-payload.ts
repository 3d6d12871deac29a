import { type DescMessage, fromBinary, type JsonValue, toJson } from "@bufbuild/protobuf";
import { BatchKind } from "../base/batch.ts";
import { checkpointPrefixBytes } from "./checkpoint.ts";
import {
  CheckpointSchema,
  FenceSchema,
  LeaderChangeSchema,
  MetaChangeSchema,
  SettingsSchema,
  TrimSchema,
  VotersSchema,
} from "./gen/tailrace/storage/v1/storage_pb.ts";
import { RecordsSchema } from "./gen/tailrace/v1/record_pb.ts";

const schemas: Partial<Record<BatchKind, DescMessage>> = {
  [BatchKind.checkpoint]: CheckpointSchema,
  [BatchKind.leaderChange]: LeaderChangeSchema,
  [BatchKind.voters]: VotersSchema,
  [BatchKind.settings]: SettingsSchema,
  [BatchKind.trim]: TrimSchema,
  [BatchKind.fence]: FenceSchema,
};

/**
 * The message in a control batch's payload, as protobuf's JSON: bytes in base64, 64-bit numbers as text, and nothing that
 * is zero. `undefined`: the kind has none. Throws on bytes that are none.
 */
export function controlPayloadJson(kind: BatchKind, payload: Uint8Array): JsonValue | undefined {
  const schema = schemas[kind];
  if (schema === undefined) return undefined;
  const message = kind === BatchKind.checkpoint ? payload.subarray(checkpointPrefixBytes) : payload;
  return toJson(schema, fromBinary(schema, message));
}

/** The same of the changes in a batch of records of `_meta`. */
export function metaChangesJson(payload: Uint8Array): JsonValue[] {
  const { records } = fromBinary(RecordsSchema, payload);
  return records.map(({ value }) => toJson(MetaChangeSchema, fromBinary(MetaChangeSchema, value)));
}
