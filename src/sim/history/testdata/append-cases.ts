/**
 * What becomes of appends, alone and under conditions.
 * @module
 */
import { append, at, control, failed, logOf, read, refused, sees, unknown } from "./build.ts";
import type { Case } from "./case.ts";

const ab = logOf("a", "b");
const [a, b] = [append("a", [1, 2], at(ab, 0)), append("b", [3, 4], at(ab, 1))];

/** Appends that ask for nothing. */
export const appendCases: readonly Case[] = [
  { name: "nothing happened", log: [], history: [], finds: [] },
  { name: "one append after the other", log: ab, history: [a, b], finds: [] },
  {
    name: "two appends at once stand in either order",
    log: ab,
    history: [append("b", [1, 4], at(ab, 1)), append("a", [2, 3], at(ab, 0))],
    finds: [],
  },
  {
    name: "an append stands before one that was acknowledged before it began",
    log: ab,
    history: [append("b", [1, 2], at(ab, 1)), append("a", [3, 4], at(ab, 0))],
    finds: ["real time"],
  },
  {
    name: "an acknowledged append is not in the log",
    log: logOf("a"),
    history: [a, b],
    finds: ["invariant 6"],
    isExplainedWithoutLog: true,
  },
  {
    name: "another batch stands where an append was acknowledged",
    log: logOf("b"),
    history: [append("a", [1, 2], at(ab, 0)), append("b", [3, 4], unknown)],
    finds: ["invariant 6"],
    isExplainedWithoutLog: true,
  },
  {
    name: "an append was acknowledged at another place than it has",
    log: logOf("b", "a"),
    history: [append("a", [1, 4], at(ab, 0)), append("b", [2, 3], unknown)],
    finds: ["invariant 6"],
    isExplainedWithoutLog: true,
  },
  {
    name: "an acknowledged append was written twice",
    log: logOf("a", "a"),
    history: [append("a", [1, 2], at(ab, 0))],
    finds: ["fate"],
    isExplainedWithoutLog: true,
  },
  {
    name: "the digest of an acknowledgement is another one's",
    log: logOf("a"),
    history: [append("a", [1, 2], at([{ index: 0, baseOffset: 0, count: 1, digest: "/b" }], 0))],
    finds: ["invariant 6"],
    isExplainedWithoutLog: true,
    onlyDigest: true,
  },
  {
    name: "an append was acknowledged with other offsets than it has",
    log: logOf({ value: "a", count: 2 }),
    history: [append("a", [1, 2], at(logOf("a"), 0), { count: 2 })],
    finds: ["invariant 6"],
  },
  {
    name: "a batch of the log has fewer records than were appended",
    log: logOf("a"),
    history: [append("a", [1, 2], at(logOf("a"), 0), { count: 2 })],
    finds: ["invariant 6"],
  },
  {
    name: "an append that surely failed is nowhere",
    log: logOf("a"),
    history: [a, append("b", [3, 4], failed)],
    finds: [],
  },
  {
    name: "an append that surely failed is in the log",
    log: ab,
    history: [a, append("b", [3, 4], failed)],
    finds: ["fate"],
    isExplainedWithoutLog: true,
  },
  { name: "nobody appended what is in the log", log: ab, history: [a], finds: ["fate"], isExplainedWithoutLog: true },
  {
    name: "records are in the log without a value that anybody gave them",
    log: logOf({ count: 1 }),
    history: [],
    finds: ["fate"],
    isExplainedWithoutLog: true,
  },
  {
    name: "an append of unknown fate was written",
    log: ab,
    history: [a, append("b", [3, 4], unknown)],
    finds: [],
  },
  {
    name: "an append of unknown fate was not written",
    log: logOf("a"),
    history: [a, append("b", [3, 4], unknown)],
    finds: [],
  },
  {
    name: "an append of unknown fate was written long after its client had gone",
    log: logOf("a", "b", "c"),
    history: [a, append("c", [3, 4], unknown), append("b", [5, 6], at(ab, 1))],
    finds: [],
  },
  {
    name: "an append of unknown fate was written before it began",
    log: logOf("b", "a"),
    history: [append("a", [1, 2], at(logOf("b", "a"), 1)), append("b", [3, 4], unknown)],
    finds: ["real time"],
  },
  {
    name: "an append of unknown fate was written twice",
    log: logOf("a", "a"),
    history: [append("a", [1, 2], unknown)],
    finds: ["fate"],
    isExplainedWithoutLog: true,
  },
  {
    name: "control batches stand between those of clients",
    log: logOf(control, "a", control, control),
    history: [append("a", [1, 2], at(logOf(control, "a"), 1)), read([3, 4], sees(logOf(control, "a"), 1))],
    finds: [],
  },
  {
    name: "the log's indexes have a gap",
    log: ab.map((batch) => ({ ...batch, index: batch.index * 2 })),
    history: [a, append("b", [3, 4], unknown)],
    finds: ["log"],
    isExplainedWithoutLog: true,
  },
  {
    name: "the log's offsets have a gap",
    log: ab.map((batch) => ({ ...batch, baseOffset: batch.baseOffset * 2 })),
    history: [a, append("b", [3, 4], unknown)],
    finds: ["log"],
    isExplainedWithoutLog: true,
  },
];

/** Appends at an expected offset. */
export const conditionCases: readonly Case[] = [
  {
    name: "a conditional append stands at its offset",
    log: ab,
    history: [a, append("b", [3, 4], at(ab, 1), { expectedOffset: 1 })],
    finds: [],
  },
  {
    name: "a conditional append was taken at another offset",
    log: ab,
    history: [a, append("b", [3, 4], at(ab, 1), { expectedOffset: 0 })],
    finds: ["condition"],
  },
  {
    name: "a conditional append of unknown fate was taken at another offset",
    log: ab,
    history: [a, append("b", [3, 4], unknown, { expectedOffset: 2 })],
    finds: ["condition"],
    isExplainedWithoutLog: true,
  },
  {
    name: "a conditional append is refused for one that is on its way",
    log: logOf("a"),
    history: [
      append("a", [1, 4], at(ab, 0)),
      append("b", [2, 3], refused({ kind: "offset", nextOffset: 1 }), { expectedOffset: 0 }),
    ],
    finds: [],
  },
  {
    name: "a conditional append is refused for one that began after it was",
    log: logOf("a"),
    history: [
      append("b", [1, 2], refused({ kind: "offset", nextOffset: 1 }), { expectedOffset: 0 }),
      append("a", [3, 4], at(ab, 0)),
    ],
    finds: ["real time"],
  },
  {
    name: "a deposed leader refuses with a next offset that is no more",
    log: ab,
    history: [a, b, append("c", [5, 6], refused({ kind: "offset", nextOffset: 1 }), { expectedOffset: 0 })],
    finds: ["invariant 8"],
  },
  {
    name: "a conditional append is refused with a next offset that never was",
    log: ab,
    history: [a, b, append("c", [5, 6], refused({ kind: "offset", nextOffset: 3 }), { expectedOffset: 0 })],
    finds: ["invariant 8"],
  },
  {
    name: "a conditional append is refused with the very offset that it expects",
    log: logOf("a"),
    history: [a, append("b", [3, 4], refused({ kind: "offset", nextOffset: 1 }), { expectedOffset: 1 })],
    finds: ["condition"],
  },
  {
    name: "an append without a condition is refused for its offset",
    log: logOf("a"),
    history: [a, append("b", [3, 4], refused({ kind: "offset", nextOffset: 1 }))],
    finds: ["condition"],
  },
  {
    name: "an append that was refused is in the log",
    log: ab,
    history: [a, append("b", [3, 4], refused({ kind: "offset", nextOffset: 1 }), { expectedOffset: 0 })],
    finds: ["fate"],
    isExplainedWithoutLog: true,
  },
];
