/** Which rules small histories break, in which words that is said, and how long a large one takes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AssertionError } from "../../base/assert.ts";
import { checkHistory } from "./check.ts";
import type { LogBatch, Operation } from "./history.ts";
import { append, at, failed, fence, logOf, read, refused, sees, set, stamp, unknown } from "./testdata/build.ts";
import { cases } from "./testdata/cases.ts";

function sentences(history: readonly Operation[], log: readonly LogBatch[]): string[] {
  return checkHistory(history, new Map([["s", log]])).map(({ sentence }) => sentence);
}

describe("checkHistory()", () => {
  for (const { name, log, history, finds } of cases) {
    test(`${name}: ${finds.length === 0 ? "nothing is wrong" : finds.join(", ")}`, () => {
      const violations = checkHistory(history, new Map([["s", log]]));
      assert.deepEqual(
        violations.map(({ rule }) => rule),
        finds,
        violations.map(({ sentence }) => sentence).join("\n"),
      );
    });
  }

  test("streams have nothing to do with each other", () => {
    const [ab, c] = [logOf("a", "b"), logOf("c")];
    const history = [
      append("a", [1, 2], at(ab, 0)),
      append("c", [3, 4], at(c, 0), { stream: "other" }),
      append("b", [5, 6], at(ab, 1)),
      read([7, 8], sees(c, 1), { stream: "other" }),
      append("d", [9, 10], failed, { stream: "empty" }),
    ];
    const logs = { s: ab, other: c };
    assert.deepEqual(checkHistory(history, new Map(Object.entries(logs))), []);
  });

  test("each stream is looked at, those too that only have a history or a log", () => {
    const history = [append("a", [1, 2], at(logOf("a"), 0), { stream: "lost" })];
    const found = checkHistory(history, new Map([["made up", logOf("b")]]));
    assert.deepEqual(
      found.map(({ rule }) => rule),
      ["fate", "invariant 6"],
    );
  });

  test("a value belongs to one batch, and a moment to one event: else the recording is wrong", () => {
    const p = stamp("p", 0, 0);
    const mistakes = [
      [append("a", [1, 2], unknown), append("a", [3, 4], unknown)],
      [append("a", [1, 2], unknown, { producer: p }), append("a", [3, 4], unknown, { producer: p, count: 2 })],
      [append("a", [1, 2], unknown, { producer: p }), append("a", [3, 4], unknown, { producer: stamp("p", 0, 1) })],
      [append("a", [1, 2], at(logOf("a"), 0)), read([2, 3], sees(logOf("a"), 1))],
    ];
    for (const history of mistakes) assert.throws(() => sentences(history, logOf("a")), AssertionError);
  });
});

describe("a violation is told in a sentence", () => {
  const [ab, a] = [logOf("a", "b"), append("a", [1, 2], at(logOf("a"), 0))];
  const cases = [
    {
      name: "of a read that misses an append",
      history: [a, append("b", [3, 4], at(ab, 1)), read([5, 6], sees(ab, 1))],
      log: ab,
      sentence:
        "invariant 8: linearizable read from 0 of stream s by client 3 (t=500..600) ends at offset 1; " +
        'append "b" to stream s by client 1 (t=300..400) is at index 1, offsets 1 to 2, and was over before that began',
    },
    {
      name: "that names who showed it first, and nobody who came after",
      history: [
        a,
        append("b", [3, 4], at(ab, 1)),
        read([5, 6], sees(ab, 1), { consistency: { kind: "local" } }),
        read([7, 8], sees(ab, 1)),
      ],
      log: ab,
      sentence:
        "invariant 8: linearizable read from 0 of stream s by client 3 (t=700..800) ends at offset 1; " +
        'append "b" to stream s by client 1 (t=300..400) is at index 1, offsets 1 to 2, and was over before that began',
    },
    {
      name: "of an append that was lost",
      history: [a, append("b", [3, 4], at(ab, 1), { producer: stamp("p", 2, 0) })],
      log: logOf("a"),
      sentence:
        'invariant 6: append "b" of producer p (2/0) to stream s by client 1 (t=300..400) was acknowledged at index 1, ' +
        "and is not in the log",
    },
    {
      name: "of an append that goes on for ever",
      history: [a, { ...append("b", [3, 4], unknown, { expectedOffset: 3 }), outcome: { kind: "unknown" } as const }],
      log: ab,
      sentence:
        'condition: append "b" to stream s by client 1 (t=300..) is at index 1, at offset 1, and was to be taken at 3 only',
    },
    {
      name: "of a refusal that came true too late",
      history: [a, append("b", [3, 4], refused({ kind: "fence", token: "x" })), fence("x", [5, 6], set(1))],
      log: logOf("a", { value: "fence x", count: 0, fence: "x" }),
      sentence:
        'real time: fence "x" of stream s by client 2 (t=500..600) is at index 1, offsets 1 to 1; append "b" to stream s ' +
        'by client 1 (t=300..400) was told that fence "x" is in force, and was over before that began',
    },
    {
      name: "of a local read of something else",
      history: [a, read([3, 4], sees(logOf("b"), 1), { consistency: { kind: "local" } })],
      log: logOf("a"),
      sentence:
        'invariant 7: local read from 0 of stream s by client 3 (t=300..400) gives batch 0 "b" (offsets 0 to 1, digest /b), ' +
        'where the log has batch 0 "a" (offsets 0 to 1, digest /a)',
    },
  ];
  for (const { name, history, log, sentence } of cases) {
    test(name, () => assert.deepEqual(sentences(history, log), [sentence]));
  }
});

test("10,000 operations are checked in less than 50 ms", () => {
  const values = Array.from({ length: 5_000 }, (_, i) => `${i}`);
  const log = logOf(...values).map((batch) => ({ ...batch, digest: `digest ${batch.index}` }));
  const history = values.flatMap((value, i) => [
    append(value, [4 * i + 1, 4 * i + 4], at(log, i)),
    read([4 * i + 2, 4 * i + 3], sees(log.slice(Math.max(i - 10, 0), i), i, i - 10), { from: Math.max(i - 10, 0) }),
  ]);
  const logs = new Map([["s", log]]);
  const tookMs = Array.from({ length: 20 }, () => {
    const begin = performance.now();
    assert.deepEqual(checkHistory(history, logs), []);
    return performance.now() - begin;
  });
  const [least = Number.NaN] = tookMs.sort((a, b) => a - b);
  assert.ok(least < 50, `${history.length} operations took ${least} ms`);
});
