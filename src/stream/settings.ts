import { invalidField } from "../base/errors.ts";
import { type Limits, limitName } from "../base/limits.ts";
import { type StreamSettings, settingName } from "../base/stream-settings.ts";

/** What a stream gets where neither its creator nor the node says otherwise. */
export const builtInSettings: StreamSettings = {
  segmentMaxBytes: 64 << 20,
  segmentMaxAgeS: 7 * 24 * 60 * 60,
  retentionBytes: 0,
  retentionAgeS: 0,
  recordMaxBytes: 0,
  batchMaxBytes: 0,
  replicationFactor: 0,
};

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly unit: "bytes" | "seconds" | "nodes";
  /** What 0 means; absent: it is out of bounds. */
  readonly zero?: string;
}

function boundsOf(name: keyof StreamSettings, limits: Limits): Bounds {
  switch (name) {
    case "segmentMaxBytes":
      return { min: 1 << 20, max: 1 << 30, unit: "bytes" };
    case "segmentMaxAgeS":
      return { min: 60, max: 366 * 24 * 60 * 60, unit: "seconds" };
    case "retentionBytes":
      return { min: 1 << 20, max: 2 ** 50, unit: "bytes", zero: "no limit" };
    case "retentionAgeS":
      return { min: 1, max: 100 * 366 * 24 * 60 * 60, unit: "seconds", zero: "no limit" };
    case "recordMaxBytes":
    case "batchMaxBytes":
      return { min: 1, max: limits[name], unit: "bytes", zero: `the node's ${limitName(name)}` };
    case "replicationFactor":
      return { min: 1, max: 7, unit: "nodes", zero: "three" };
  }
}

/** Names of all settings. */
export const settingNames: readonly (keyof StreamSettings)[] = [
  "segmentMaxBytes",
  "segmentMaxAgeS",
  "retentionBytes",
  "retentionAgeS",
  "recordMaxBytes",
  "batchMaxBytes",
  "replicationFactor",
];

/**
 * Settings as given, the rest as in `others`.
 * @param limits The node's, which those of a stream may not pass.
 * @throws {TailraceError} `invalid_field`, naming the field within `settings`. What is not given is not looked at.
 */
export function fillSettings(given: Partial<StreamSettings>, others: StreamSettings, limits: Limits): StreamSettings {
  const setting = (name: keyof StreamSettings): number => {
    const value = given[name];
    return value === undefined ? others[name] : checked(name, value, limits);
  };
  return {
    segmentMaxBytes: setting("segmentMaxBytes"),
    segmentMaxAgeS: setting("segmentMaxAgeS"),
    retentionBytes: setting("retentionBytes"),
    retentionAgeS: setting("retentionAgeS"),
    recordMaxBytes: setting("recordMaxBytes"),
    batchMaxBytes: setting("batchMaxBytes"),
    replicationFactor: setting("replicationFactor"),
  };
}

/** Whether two streams behave the same. */
export function sameSettings(a: StreamSettings, b: StreamSettings): boolean {
  return settingNames.every((name) => a[name] === b[name]);
}

/** The limits of appends to a stream: the node's, or the stream's own where they are narrower. */
export function limitsOf(settings: StreamSettings, limits: Limits): Limits {
  const recordMaxBytes = narrower(limits.recordMaxBytes, settings.recordMaxBytes);
  const batchMaxBytes = narrower(limits.batchMaxBytes, settings.batchMaxBytes);
  const isNode = recordMaxBytes === limits.recordMaxBytes && batchMaxBytes === limits.batchMaxBytes;
  return isNode ? limits : { ...limits, recordMaxBytes, batchMaxBytes };
}

function narrower(node: number, own: number): number {
  return own === 0 ? node : Math.min(node, own);
}

function checked(name: keyof StreamSettings, value: number, limits: Limits): number {
  const { min, max, unit, zero } = boundsOf(name, limits);
  if (value === 0 && zero !== undefined) return value;
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  const none = zero === undefined ? "" : `, or 0: ${zero}`;
  throw invalidField(
    `settings.${settingName(name)}`,
    `${value} is not from ${min} to ${max}`,
    `Use ${min} to ${max} ${unit}${none}`,
  );
}
