/**
 * Settings of a stream between flags, messages and what is printed.
 * @module
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { settingName } from "../base/stream-settings.ts";
import type { StreamSettings, StreamSettingsSchema } from "../wire/gen/tailrace/v1/stream_pb.ts";

/** The flags. Sizes in bytes, ages in seconds; 0: none. */
export interface SettingsOptions {
  readonly segmentMaxBytes?: number;
  readonly segmentMaxAge?: number;
  readonly retentionBytes?: number;
  readonly retentionAge?: number;
  readonly recordMaxBytes?: number;
  readonly batchMaxBytes?: number;
  readonly replicationFactor?: number;
}

const settings = [
  { name: "segmentMaxBytes", option: "segmentMaxBytes" },
  { name: "segmentMaxAgeS", option: "segmentMaxAge" },
  { name: "retentionBytes", option: "retentionBytes" },
  { name: "retentionAgeS", option: "retentionAge" },
  { name: "recordMaxBytes", option: "recordMaxBytes" },
  { name: "batchMaxBytes", option: "batchMaxBytes" },
  { name: "replicationFactor", option: "replicationFactor" },
] as const;

/** The settings that flags give. */
export function givenSettings(options: SettingsOptions): MessageInitShape<typeof StreamSettingsSchema> {
  const given = settings.flatMap(({ name, option }) => {
    const value = options[option];
    return value === undefined ? [] : [[name, BigInt(value)] as const];
  });
  return Object.fromEntries(given);
}

/** For a program: numbers by the names of the API, 0 where there is no limit. */
export function jsonOfSettings(message: StreamSettings | undefined): Record<string, number> {
  return Object.fromEntries(settings.map(({ name }) => [name, Number(message?.[name] ?? 0n)]));
}

/** For a person: name and value of each. */
export function settingLines(message: StreamSettings | undefined): [string, string][] {
  return settings.map(({ name, option }) => {
    const value = message?.[name] ?? 0n;
    return [settingName(option).replaceAll("_", " "), value === 0n ? zeroOf(name) : withUnit(name, value)];
  });
}

function withUnit(name: string, value: bigint): string {
  return name.endsWith("S") ? `${value} s` : String(value);
}

function zeroOf(name: string): string {
  if (name === "replicationFactor") return "by default";
  return name.endsWith("MaxBytes") ? "the node's" : "none";
}
