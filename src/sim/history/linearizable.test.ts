/** All orders are tried: the small histories again, with the log's order given and without. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { linearizable } from "./linearizable.ts";
import { cases } from "./testdata/cases.ts";

describe("linearizable()", () => {
  for (const { name, log, history, finds, onlyDigest, isExplainedWithoutLog } of cases) {
    const expected = finds.length === 0 || onlyDigest === true;
    test(`${name}: ${expected ? "there is an order" : "no order leads to the log"}`, () => {
      assert.equal(linearizable(history, log), expected);
    });

    // Nobody but the log tells where control batches stand that no client asked for.
    if (log.some(({ value, count }) => value === undefined && count === 0)) continue;
    const expectedWithoutLog = finds.length === 0 || isExplainedWithoutLog === true;
    test(`${name}, and the log is not known: ${expectedWithoutLog ? "there is an order" : "no order explains it"}`, () => {
      assert.equal(linearizable(history), expectedWithoutLog);
    });
  }
});
