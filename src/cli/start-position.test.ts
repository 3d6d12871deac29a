import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { toMicros } from "../wire/timestamp.ts";
import { parseStartPosition } from "./start-position.ts";

const nowMs = Date.UTC(2026, 4, 1, 12);

/** A position in short: the case and its value, times as microseconds. */
function short(text: string): unknown {
  const position = parseStartPosition(text, nowMs);
  if (position?.case !== "appendTime") return position && [position.case, position.value];
  return ["appendTime", toMicros(position.value as Timestamp, "time")];
}

describe("parseStartPosition()", () => {
  const utc = (...parts: [number, number, number, ...number[]]) => Date.UTC(...parts) * 1000;
  const local = (...parts: [number, number, number, ...number[]]) => new Date(...parts).getTime() * 1000;
  const cases: { text: string; expected: unknown }[] = [
    { text: "earliest", expected: ["earliest", true] },
    { text: "latest", expected: ["latest", true] },
    { text: "0", expected: ["offset", 0n] },
    { text: "9007199254740991", expected: ["offset", 9007199254740991n] },
    { text: "9007199254740992", expected: undefined },
    { text: "-10", expected: ["beforeEnd", 10n] },
    { text: "2026-05-01T11:00:00Z", expected: ["appendTime", utc(2026, 4, 1, 11)] },
    { text: "2026-05-01 11:00Z", expected: ["appendTime", utc(2026, 4, 1, 11)] },
    { text: "2026-05-01T11:00:00.123456Z", expected: ["appendTime", utc(2026, 4, 1, 11) + 123456] },
    { text: "2026-05-01T11:00:00.1234567Z", expected: ["appendTime", utc(2026, 4, 1, 11) + 123457] },
    { text: "2026-05-01T13:00:00+02:00", expected: ["appendTime", utc(2026, 4, 1, 11)] },
    { text: "2026-05-01T13:00:00+0200", expected: ["appendTime", utc(2026, 4, 1, 11)] },
    { text: "2026-05-01T11:00", expected: ["appendTime", local(2026, 4, 1, 11)] },
    { text: "2026-05-01", expected: ["appendTime", local(2026, 4, 1)] },
    { text: "2026-13-01", expected: undefined },
    { text: "10m", expected: ["appendTime", (nowMs - 600_000) * 1000] },
    { text: "2h ago", expected: ["appendTime", (nowMs - 7_200_000) * 1000] },
    { text: "99999w", expected: ["appendTime", 0] },
    { text: "", expected: undefined },
    { text: "yesterday", expected: undefined },
    { text: "1.5", expected: undefined },
    { text: "--1", expected: undefined },
  ];
  for (const { text, expected } of cases) test(`"${text}"`, () => assert.deepEqual(short(text), expected));
});
