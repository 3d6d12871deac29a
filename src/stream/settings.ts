import { invalidField } from "../base/errors.ts";
import type { StreamSettings } from "./types.ts";

/** What a stream gets where neither its creator nor the node says otherwise. */
export const builtInSettings: StreamSettings = { segmentMaxBytes: 64 << 20, segmentMaxAgeS: 7 * 24 * 60 * 60 };

const bounds = {
  segmentMaxBytes: { field: "segment_max_bytes", min: 1 << 20, max: 1 << 30, unit: "bytes" },
  segmentMaxAgeS: { field: "segment_max_age_s", min: 60, max: 366 * 24 * 60 * 60, unit: "seconds" },
} as const;

/**
 * Settings as given, the rest by default.
 * @throws {TailraceError} `invalid_field`, naming the field within `settings`.
 */
export function fillSettings(given: Partial<StreamSettings>, defaults: StreamSettings): StreamSettings {
  return {
    segmentMaxBytes: checked("segmentMaxBytes", given.segmentMaxBytes ?? defaults.segmentMaxBytes),
    segmentMaxAgeS: checked("segmentMaxAgeS", given.segmentMaxAgeS ?? defaults.segmentMaxAgeS),
  };
}

/** Whether two streams behave the same. */
export function sameSettings(a: StreamSettings, b: StreamSettings): boolean {
  return a.segmentMaxBytes === b.segmentMaxBytes && a.segmentMaxAgeS === b.segmentMaxAgeS;
}

function checked(name: keyof StreamSettings, value: number): number {
  const { field, min, max, unit } = bounds[name];
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalidField(`settings.${field}`, `${value} is not from ${min} to ${max}`, `Use ${min} to ${max} ${unit}`);
}
