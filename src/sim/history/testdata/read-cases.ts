/**
 * What reads show.
 * @module
 */
import { append, at, failed, logOf, read, sees, unknown } from "./build.ts";
import type { Case } from "./case.ts";

const ab = logOf("a", "b");
const [a, b] = [append("a", [1, 2], at(ab, 0)), append("b", [3, 4], at(ab, 1))];
const local = { consistency: { kind: "local" } } as const;

/** Reads of each consistency. */
export const readCases: readonly Case[] = [
  { name: "a read gives all that was acknowledged", log: ab, history: [a, b, read([5, 6], sees(ab, 2))], finds: [] },
  {
    name: "a read misses what was acknowledged before it began",
    log: ab,
    history: [a, b, read([5, 6], sees(ab, 1))],
    finds: ["invariant 8"],
  },
  {
    name: "a read misses what was acknowledged while it went on",
    log: ab,
    history: [a, append("b", [3, 5], at(ab, 1)), read([4, 6], sees(ab, 1))],
    finds: [],
  },
  {
    name: "a read gives what is not acknowledged yet",
    log: ab,
    history: [a, append("b", [3, 6], at(ab, 1)), read([4, 5], sees(ab, 2))],
    finds: [],
  },
  {
    name: "a read gives what is appended after it ended",
    log: ab,
    history: [a, read([3, 4], sees(ab, 2)), append("b", [5, 6], at(ab, 1))],
    finds: ["real time"],
  },
  {
    name: "a read gives less than one before it",
    log: ab,
    history: [a, append("b", [3, 8], at(ab, 1)), read([4, 5], sees(ab, 2)), read([6, 7], sees(ab, 1))],
    finds: ["invariant 7"],
  },
  {
    name: "two reads at once differ in how much they give",
    log: ab,
    history: [a, append("b", [3, 8], at(ab, 1)), read([4, 6], sees(ab, 2)), read([5, 7], sees(ab, 1))],
    finds: [],
  },
  {
    name: "a read gives a batch that is not in the log",
    log: logOf("a"),
    history: [a, append("b", [3, 4], unknown), read([5, 6], sees(ab, 2))],
    finds: ["invariant 7"],
    isExplainedWithoutLog: true,
  },
  {
    name: "a read gives another batch than the log has",
    log: ab,
    history: [a, b, read([5, 6], sees(logOf("a", "c"), 2))],
    finds: ["invariant 7"],
  },
  {
    name: "a read gives a batch with another digest",
    log: ab,
    history: [
      a,
      b,
      read(
        [5, 6],
        sees(
          ab.map((batch) => ({ ...batch, digest: "?" })),
          2,
        ),
      ),
    ],
    finds: ["invariant 7"],
    isExplainedWithoutLog: true,
    onlyDigest: true,
  },
  {
    name: "a read leaves out a batch in the middle",
    log: ab,
    history: [a, b, read([5, 6], sees(ab.slice(1), 2))],
    finds: ["invariant 7"],
  },
  {
    name: "a read leaves out the last batch",
    log: ab,
    history: [a, b, read([5, 6], (returned) => ({ ...sees(ab, 1)(returned), highWatermark: 2 }))],
    finds: ["invariant 7"],
  },
  {
    name: "a read stops at a limit of size",
    log: ab,
    history: [a, b, read([5, 6], (returned) => ({ ...sees(ab, 1)(returned), highWatermark: 2, isLimited: true }))],
    finds: [],
  },
  {
    name: "a read gives nothing, for a limit of size",
    log: ab,
    history: [a, b, read([5, 6], (returned) => ({ ...sees([], 2)(returned), isLimited: true }))],
    finds: ["invariant 7"],
  },
  {
    name: "a read gives a batch at the high watermark",
    log: ab,
    history: [a, b, read([5, 6], (returned) => ({ ...sees(ab, 2)(returned), highWatermark: 1 }))],
    finds: ["invariant 7"],
  },
  {
    name: "a high watermark is within a batch",
    log: logOf({ value: "a", count: 2 }),
    history: [append("a", [1, 2], unknown, { count: 2 }), read([3, 4], sees([], 1))],
    finds: ["invariant 7"],
  },
  {
    name: "a read from within a batch gives that batch",
    log: logOf({ value: "a", count: 3 }, "b"),
    history: [
      append("a", [1, 2], unknown, { count: 3 }),
      append("b", [3, 4], unknown),
      read([5, 6], sees(logOf({ value: "a", count: 3 }, "b"), 4, 2), { from: 2 }),
    ],
    finds: [],
  },
  {
    name: "a read from the end gives nothing, and says where that is",
    log: ab,
    history: [a, b, read([5, 6], sees([], 2), { from: 2 })],
    finds: [],
  },
  {
    name: "a read beyond the end is told of an end that was passed before",
    log: ab,
    history: [a, b, read([5, 6], sees([], 1), { from: 3 })],
    finds: ["invariant 8"],
  },
  { name: "a read that failed shows nothing", log: ab, history: [a, b, read([5, 6], failed)], finds: [] },
  { name: "a local read lags", log: ab, history: [a, b, read([5, 6], sees(ab, 1), local)], finds: [] },
  {
    name: "a local read gives a batch that is not in the log",
    log: logOf("a"),
    history: [a, append("b", [3, 4], unknown), read([5, 6], sees(ab, 2), local)],
    finds: ["invariant 7"],
    isExplainedWithoutLog: true,
  },
  {
    name: "a local read gives what is appended after it ended",
    log: ab,
    history: [a, read([3, 4], sees(ab, 2), local), append("b", [5, 6], at(ab, 1))],
    finds: ["real time"],
  },
  {
    name: "a local read gives less than a local read before it",
    log: ab,
    history: [a, b, read([5, 6], sees(ab, 2), local), read([7, 8], sees(ab, 1), local)],
    finds: [],
  },
  {
    name: "a linearizable read gives less than a local read before it",
    log: ab,
    history: [a, append("b", [3, 8], at(ab, 1)), read([4, 5], sees(ab, 2), local), read([6, 7], sees(ab, 1))],
    finds: ["invariant 7"],
  },
  {
    name: "an at-least read reaches its offset",
    log: ab,
    history: [a, b, read([5, 6], sees(ab, 1), { consistency: { kind: "atLeast", offset: 1 } })],
    finds: [],
  },
  {
    name: "an at-least read does not reach its offset",
    log: ab,
    history: [a, b, read([5, 6], sees(ab, 1), { consistency: { kind: "atLeast", offset: 2 } })],
    finds: ["invariant 7"],
  },
];

/** Reads of batches of unknown fate, in other orders than the log has. */
export const orderCases: readonly Case[] = [
  {
    name: "the log has two batches of unknown fate the other way round than a read proves nothing of",
    log: logOf("b", "a"),
    history: [append("a", [1, 3], unknown), append("b", [2, 4], unknown), read([5, 6], sees(logOf("b", "a"), 2))],
    finds: [],
  },
  {
    name: "a read saw a batch of unknown fate before another one that the log has first",
    log: logOf("b", "a"),
    history: [append("a", [1, 3], unknown), append("b", [2, 4], unknown), read([5, 6], sees(ab, 1))],
    finds: ["invariant 7"],
    isExplainedWithoutLog: true,
  },
  {
    name: "the log lost a batch of unknown fate that a read saw",
    log: [],
    history: [append("a", [1, 2], unknown), read([3, 4], sees(ab, 1))],
    finds: ["invariant 7"],
    isExplainedWithoutLog: true,
  },
];
