/**
 * Settings of streams as the API's messages have them.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { type StreamSettings, settingName } from "../../base/stream-settings.ts";
import { settingNames } from "../../stream/settings.ts";
import { type StreamSettings as SettingsMessage, StreamSettingsSchema } from "../../wire/gen/tailrace/v1/stream_pb.ts";
import { fromPosition, toPosition } from "../../wire/position.ts";

/** Settings, every field filled. */
export function settingsMessage(settings: StreamSettings): SettingsMessage {
  return create(StreamSettingsSchema, {
    segmentMaxBytes: fromPosition(settings.segmentMaxBytes),
    segmentMaxAgeS: fromPosition(settings.segmentMaxAgeS),
    retentionBytes: fromPosition(settings.retentionBytes),
    retentionAgeS: fromPosition(settings.retentionAgeS),
    recordMaxBytes: fromPosition(settings.recordMaxBytes),
    batchMaxBytes: fromPosition(settings.batchMaxBytes),
    replicationFactor: fromPosition(settings.replicationFactor),
  });
}

/** Some settings; the others are absent. */
export function givenSettingsMessage(settings: Partial<StreamSettings>): SettingsMessage {
  const given = settingNames.flatMap((name) => {
    const value = settings[name];
    return value === undefined ? [] : [[name, fromPosition(value)] as const];
  });
  return create(StreamSettingsSchema, Object.fromEntries(given));
}

/** The settings that a request gives. @throws {TailraceError} `invalid_field`. */
export function givenSettings(message: SettingsMessage | undefined): Partial<StreamSettings> {
  if (message === undefined) return {};
  return {
    ...given("segmentMaxBytes", message),
    ...given("segmentMaxAgeS", message),
    ...given("retentionBytes", message),
    ...given("retentionAgeS", message),
    ...given("recordMaxBytes", message),
    ...given("batchMaxBytes", message),
    ...given("replicationFactor", message),
  };
}

function given(name: keyof StreamSettings, message: SettingsMessage): Partial<StreamSettings> {
  const value = message[name];
  return value === undefined ? {} : { [name]: toPosition(value, `settings.${settingName(name)}`) };
}
