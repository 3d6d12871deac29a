import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatRecords,
  formatSeconds,
  parseBytes,
  parseDurationMs,
} from "./units.ts";

describe("numbers as people read them", () => {
  const cases: { said: string; expected: string }[] = [
    { said: formatCount(0), expected: "0" },
    { said: formatCount(999), expected: "999" },
    { said: formatCount(1000), expected: "1,000" },
    { said: formatCount(1234567), expected: "1,234,567" },
    { said: formatRecords(1), expected: "1 record" },
    { said: formatRecords(2000), expected: "2,000 records" },
    { said: formatBytes(0), expected: "0 B" },
    { said: formatBytes(999), expected: "999 B" },
    { said: formatBytes(1000), expected: "1.0 kB" },
    { said: formatBytes(999_960), expected: "1.0 MB" },
    { said: formatBytes(20_123_456), expected: "20.1 MB" },
    { said: formatBytes(5e15), expected: "5000.0 TB" },
    { said: formatSeconds(21), expected: "0.02 s" },
    { said: formatSeconds(75_400), expected: "75 s" },
    { said: formatDuration(-5), expected: "0.0 s" },
    { said: formatDuration(1460), expected: "1.5 s" },
    { said: formatDuration(119_999), expected: "119 s" },
    { said: formatDuration(5 * 60_000 + 59_000), expected: "5 min" },
    { said: formatDuration(3 * 3_600_000), expected: "3 h" },
    { said: formatDuration(50 * 3_600_000), expected: "2 d" },
  ];
  for (const { said, expected } of cases) test(expected, () => assert.equal(said, expected));
});

describe("parseBytes()", () => {
  const cases = [
    { text: "1048576", bytes: 1048576 },
    { text: "64MiB", bytes: 64 << 20 },
    { text: "64 mib", bytes: 64 << 20 },
    { text: "1GB", bytes: 1e9 },
    { text: "5b", bytes: 5 },
    { text: "", bytes: undefined },
    { text: "MiB", bytes: undefined },
    { text: "-1", bytes: undefined },
    { text: "1.5GB", bytes: undefined },
    { text: "1constructor", bytes: undefined },
  ];
  for (const { text, bytes } of cases) test(`"${text}"`, () => assert.equal(parseBytes(text), bytes));
});

describe("parseDurationMs()", () => {
  const cases = [
    { text: "500ms", ms: 500 },
    { text: "90s", ms: 90_000 },
    { text: "10m", ms: 600_000 },
    { text: "2 h", ms: 7_200_000 },
    { text: "7d", ms: 604_800_000 },
    { text: "1w", ms: 604_800_000 },
    { text: "10", ms: undefined },
    { text: "m", ms: undefined },
    { text: "10 parsecs", ms: undefined },
  ];
  for (const { text, ms } of cases) test(`"${text}"`, () => assert.equal(parseDurationMs(text), ms));
});
