/**
 * The words that `read --from` takes.
 * @module
 */
import type { StartPosition } from "../client/index.ts";
import { positionLimit } from "../wire/position.ts";
import { fromMicros } from "../wire/timestamp.ts";
import { parseDurationMs } from "./units.ts";

/** What `--from` takes, for help and refusals. */
export const startPositionWords =
  "earliest, latest, an offset, -N (N before the end), a time (2026-05-01T12:00:00Z), or an age (10m)";

/**
 * `earliest`, `latest`, an offset, `-N`, an ISO 8601 time (without a zone: local time), or an age such as `10m` or
 * `2h ago`, counted back from `nowMs`. Undefined when it is none of these.
 */
export function parseStartPosition(text: string, nowMs: number): StartPosition | undefined {
  if (text === "earliest") return { case: "earliest", value: true };
  if (text === "latest") return { case: "latest", value: true };
  if (/^-?\d+$/.test(text)) return ofNumber(text);
  const ageMs = parseDurationMs(text.replace(/ ago$/, ""));
  const micros = ageMs === undefined ? parseTimeMicros(text) : Math.max(0, nowMs - ageMs) * 1000;
  return micros === undefined ? undefined : { case: "appendTime", value: fromMicros(micros) };
}

function ofNumber(text: string): StartPosition | undefined {
  const value = BigInt(text.replace("-", ""));
  if (value >= BigInt(positionLimit)) return undefined;
  return text.startsWith("-") ? { case: "beforeEnd", value } : { case: "offset", value };
}

const timePattern = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(Z|[+-]\d\d:?\d\d)?$/i;

/** Microseconds since 1970. */
function parseTimeMicros(text: string): number | undefined {
  const [, date, minutes = "00:00", seconds = "00", fraction = "", zone = ""] = timePattern.exec(text) ?? [];
  if (date === undefined) return undefined;
  const zoneWithColon = zone.toUpperCase().replace(/^([+-]\d\d)(\d\d)$/, "$1:$2");
  const ms = Date.parse(`${date}T${minutes}:${seconds}${zoneWithColon}`);
  if (Number.isNaN(ms)) return undefined;
  return ms * 1000 + Math.ceil(Number(`0.${fraction || "0"}`) * 1e6);
}
