/**
 * Producers, and fences.
 * @module
 */
import { append, at, control, duplicateOf, fence, logOf, oldDuplicate, refused, set, stamp, unknown } from "./build.ts";
import type { Case } from "./case.ts";

const ab = logOf("a", "b");
const a = append("a", [1, 2], at(ab, 0));
const [p0, p1, p2] = [stamp("p", 0, 0), stamp("p", 0, 1), stamp("p", 0, 2)];
const produced = logOf({ value: "a", producer: p0 }, { value: "b", producer: p1 });
const fenced = logOf("a", { value: "fence x", count: 0, fence: "x" }, "b");

/** Batches that their producers count. */
export const producerCases: readonly Case[] = [
  {
    name: "a producer counts its batches",
    log: produced,
    history: [
      append("a", [1, 2], at(produced, 0), { producer: p0 }),
      append("b", [3, 4], at(produced, 1), { producer: p1 }),
    ],
    finds: [],
  },
  {
    name: "a producer's batch is taken with a gap before it",
    log: logOf({ value: "a", producer: p0 }, { value: "b", producer: p2 }),
    history: [
      append("a", [1, 2], at(produced, 0), { producer: p0 }),
      append("b", [3, 4], at(produced, 1), { producer: p2 }),
    ],
    finds: ["invariant 9"],
  },
  {
    name: "a producer begins with another batch than its first",
    log: logOf({ value: "b", producer: p1 }),
    history: [append("b", [1, 2], at(ab, 0), { producer: p1 })].map((operation) => ({
      ...operation,
      outcome: unknown(operation.invoked),
    })),
    finds: ["invariant 9"],
    isExplainedWithoutLog: true,
  },
  {
    name: "a producer's epoch goes back",
    log: logOf({ value: "a", producer: stamp("p", 1, 0) }, { value: "b", producer: p0 }),
    history: [
      append("a", [1, 2], at(ab, 0), { producer: stamp("p", 1, 0) }),
      append("b", [3, 4], at(ab, 1), { producer: p0 }),
    ],
    finds: ["invariant 9"],
  },
  {
    name: "a producer's new epoch begins at 0",
    log: logOf({ value: "a", producer: p0 }, { value: "b", producer: stamp("p", 1, 0) }),
    history: [
      append("a", [1, 2], at(ab, 0), { producer: p0 }),
      append("b", [3, 4], at(ab, 1), { producer: stamp("p", 1, 0) }),
    ],
    finds: [],
  },
  {
    name: "a retry is told where the first is",
    log: produced.slice(0, 1),
    history: [
      append("a", [1, 2], unknown, { producer: p0 }),
      append("a", [3, 4], duplicateOf(produced, 0), { producer: p0 }),
    ],
    finds: [],
  },
  {
    name: "a retry is told that the first was there, and no more",
    log: produced.slice(0, 1),
    history: [
      append("a", [1, 2], at(produced, 0), { producer: p0 }),
      append("a", [3, 4], oldDuplicate, { producer: p0 }),
    ],
    finds: [],
  },
  {
    name: "a retry is told of a place where the first is not",
    log: produced,
    history: [
      append("a", [1, 2], at(produced, 0), { producer: p0 }),
      append("b", [3, 4], at(produced, 1), { producer: p1 }),
      append("a", [5, 6], duplicateOf(produced, 1), { producer: p0 }),
    ],
    finds: ["invariant 9"],
  },
  {
    name: "a retry is told that it is a duplicate of what was never committed",
    log: [],
    history: [
      append("a", [1, 2], unknown, { producer: p0 }),
      append("a", [3, 4], duplicateOf(produced, 0), { producer: p0 }),
    ],
    finds: ["invariant 9"],
    isExplainedWithoutLog: true,
  },
  {
    name: "an append that nodes sent on twice is told that its own first try was there",
    log: produced.slice(0, 1),
    history: [append("a", [1, 2], duplicateOf(produced, 0), { producer: p0 })],
    finds: [],
  },
  {
    name: "an append without a producer is told that it is a duplicate",
    log: logOf("a"),
    history: [append("a", [1, 2], duplicateOf(ab, 0))],
    finds: ["invariant 9"],
  },
  {
    name: "both tries of a batch were written",
    log: logOf({ value: "a", producer: p0 }, { value: "a", producer: p0 }),
    history: [append("a", [1, 2], unknown, { producer: p0 }), append("a", [3, 4], unknown, { producer: p0 })],
    finds: ["invariant 9", "invariant 9"],
    isExplainedWithoutLog: true,
  },
  {
    name: "both tries of a batch are told to be the first",
    log: produced.slice(0, 1),
    history: [
      append("a", [1, 2], at(produced, 0), { producer: p0 }),
      append("a", [3, 4], at(produced, 0), { producer: p0 }),
    ],
    finds: ["invariant 9"],
  },
  {
    name: "a batch that comes too early is refused with the one that is due",
    log: produced.slice(0, 1),
    history: [
      append("a", [1, 2], at(produced, 0), { producer: p0 }),
      append("c", [3, 4], refused({ kind: "producer", epoch: 0, sequence: 1 }), { producer: p2 }),
    ],
    finds: [],
  },
  {
    name: "a batch that comes too early is refused with one that was taken before",
    log: produced,
    history: [
      append("a", [1, 2], at(produced, 0), { producer: p0 }),
      append("b", [3, 4], at(produced, 1), { producer: p1 }),
      append("d", [5, 6], refused({ kind: "producer", epoch: 0, sequence: 1 }), { producer: stamp("p", 0, 3) }),
    ],
    finds: ["invariant 8"],
  },
  {
    name: "a producer that is not known is to begin at 0",
    log: [],
    history: [append("b", [1, 2], refused({ kind: "producer", epoch: 0, sequence: 0 }), { producer: p1 })],
    finds: [],
  },
  {
    name: "an older epoch is refused with the newer one",
    log: logOf({ value: "a", producer: stamp("p", 1, 0) }),
    history: [
      append("a", [1, 2], at(ab, 0), { producer: stamp("p", 1, 0) }),
      append("b", [3, 4], refused({ kind: "producer", epoch: 1, sequence: 1 }), { producer: p0 }),
    ],
    finds: [],
  },
  {
    name: "a retry is called a duplicate where a newer epoch is known",
    log: logOf({ value: "a", producer: p0 }, { value: "b", producer: stamp("p", 1, 0) }),
    history: [
      append("a", [1, 2], at(ab, 0), { producer: p0 }),
      append("b", [3, 4], at(ab, 1), { producer: stamp("p", 1, 0) }),
      append("a", [5, 6], duplicateOf(ab, 0), { producer: p0 }),
    ],
    finds: ["invariant 8"],
  },
  {
    name: "a batch that is due is refused",
    log: [],
    history: [append("a", [1, 2], refused({ kind: "producer", epoch: 0, sequence: 0 }), { producer: p0 })],
    finds: ["condition"],
  },
  {
    name: "a batch that is there is refused for its offset, and not called a duplicate",
    log: produced,
    history: [
      append("a", [1, 2], at(produced, 0), { producer: p0, expectedOffset: 0 }),
      append("b", [3, 4], at(produced, 1), { producer: p1 }),
      append("a", [5, 6], refused({ kind: "offset", nextOffset: 2 }), { producer: p0, expectedOffset: 0 }),
    ],
    finds: ["invariant 8"],
  },
];

/** Appends that name a fence, or none. */
export const fenceCases: readonly Case[] = [
  {
    name: "an append names the fence in force",
    log: fenced,
    history: [a, fence("x", [3, 4], set(1)), append("b", [5, 6], at(fenced, 2), { fence: "x" })],
    finds: [],
  },
  {
    name: "an append without the fence is taken behind it",
    log: fenced,
    history: [a, fence("x", [3, 4], set(1)), append("b", [5, 6], at(fenced, 2))],
    finds: ["condition"],
  },
  {
    name: "an append without the fence is refused behind it, and taken before it",
    log: fenced.slice(0, 2),
    history: [a, fence("x", [3, 4], set(1)), append("b", [5, 6], refused({ kind: "fence", token: "x" }))],
    finds: [],
  },
  {
    name: "an append without the fence is put before it after it was set",
    log: logOf("a", "b", { value: "fence x", count: 0, fence: "x" }),
    history: [a, fence("x", [3, 4], set(2)), append("b", [5, 6], at(ab, 1))],
    finds: ["real time"],
  },
  {
    name: "a fence was set, and is not in the log",
    log: logOf("a"),
    history: [a, fence("x", [3, 4], set(1))],
    finds: ["invariant 6"],
    isExplainedWithoutLog: true,
  },
  {
    name: "a fence was set with another next offset",
    log: fenced.slice(0, 2),
    history: [a, fence("x", [3, 4], set(2))],
    finds: ["invariant 6"],
  },
  {
    name: "an append is refused for a fence that is set later",
    log: fenced.slice(0, 2),
    history: [a, append("b", [3, 4], refused({ kind: "fence", token: "x" })), fence("x", [5, 6], set(1))],
    finds: ["real time"],
  },
  {
    name: "an append is refused for a fence that was taken away before",
    log: logOf({ value: "fence x", count: 0, fence: "x" }, { value: "fence ", count: 0, fence: "" }),
    history: [
      fence("x", [1, 2], set(0)),
      fence("", [3, 4], set(0)),
      append("b", [5, 6], refused({ kind: "fence", token: "x" })),
    ],
    finds: ["invariant 8"],
  },
  {
    name: "an append is refused for a fence that nobody set",
    log: [],
    history: [append("b", [1, 2], refused({ kind: "fence", token: "x" }))],
    finds: ["invariant 8"],
  },
  {
    name: "an append is refused for the fence that it names",
    log: fenced.slice(0, 2),
    history: [
      a,
      fence("x", [3, 4], set(1)),
      append("b", [5, 6], refused({ kind: "fence", token: "x" }), { fence: "x" }),
    ],
    finds: ["condition"],
  },
  {
    name: "a retry of what is there is refused for a fence that came later, and not called a duplicate",
    log: logOf({ value: "a", producer: p0 }, { value: "fence x", count: 0, fence: "x" }),
    history: [
      append("a", [1, 2], unknown, { producer: p0 }),
      fence("x", [3, 4], set(1)),
      append("a", [5, 6], refused({ kind: "fence", token: "x" }), { producer: p0 }),
    ],
    finds: ["invariant 8"],
  },
  {
    name: "the fence is judged before the offset",
    log: fenced.slice(0, 2),
    history: [
      a,
      fence("x", [3, 4], set(1)),
      append("b", [5, 6], refused({ kind: "offset", nextOffset: 1 }), { expectedOffset: 0 }),
    ],
    finds: ["invariant 8"],
  },
  {
    name: "a fence that no client set is in force",
    log: logOf({ count: 0, fence: "x" }, "a"),
    history: [append("a", [1, 2], at(logOf(control, "a"), 1), { fence: "x" })],
    finds: [],
  },
];
