/**
 * Settings of a stream as its log keeps them: in checkpoints, and as the payload of settings batches.
 * @module
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { VersionedSettings } from "../base/stream-settings.ts";
import { type Settings, SettingsSchema } from "./gen/tailrace/storage/v1/storage_pb.ts";
import { fromPosition, toPosition } from "./position.ts";

/** Settings as a message; a field that is 0 takes no byte, so older versions wrote the same. */
export function settingsMessage(settings: VersionedSettings): Settings {
  return create(SettingsSchema, {
    version: fromPosition(settings.version),
    segmentMaxBytes: fromPosition(settings.segmentMaxBytes),
    segmentMaxAgeS: fromPosition(settings.segmentMaxAgeS),
    retentionBytes: fromPosition(settings.retentionBytes),
    retentionAgeS: fromPosition(settings.retentionAgeS),
    recordMaxBytes: fromPosition(settings.recordMaxBytes),
    batchMaxBytes: fromPosition(settings.batchMaxBytes),
    replicationFactor: fromPosition(settings.replicationFactor),
  });
}

/** Settings of a message. */
export function settingsOf(message: Settings): VersionedSettings {
  return {
    version: toPosition(message.version, "settings.version"),
    segmentMaxBytes: toPosition(message.segmentMaxBytes, "settings.segment_max_bytes"),
    segmentMaxAgeS: toPosition(message.segmentMaxAgeS, "settings.segment_max_age_s"),
    retentionBytes: toPosition(message.retentionBytes, "settings.retention_bytes"),
    retentionAgeS: toPosition(message.retentionAgeS, "settings.retention_age_s"),
    recordMaxBytes: toPosition(message.recordMaxBytes, "settings.record_max_bytes"),
    batchMaxBytes: toPosition(message.batchMaxBytes, "settings.batch_max_bytes"),
    replicationFactor: toPosition(message.replicationFactor, "settings.replication_factor"),
  };
}

/** The payload of a settings batch. */
export function encodeSettings(settings: VersionedSettings): Uint8Array {
  return toBinary(SettingsSchema, settingsMessage(settings));
}

/** Reads the payload of a settings batch. Throws on bytes that are none. */
export function decodeSettings(payload: Uint8Array): VersionedSettings {
  return settingsOf(fromBinary(SettingsSchema, payload));
}
