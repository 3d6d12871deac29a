/** The list of what random runs must have met leaves out no kind of record. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordKind } from "../log/format.ts";
import { mustHappen, notWritten } from "./coverage.ts";

test("each kind of record must be written and replayed, or it is said why not", () => {
  const missing = Object.keys(RecordKind).filter((name) => {
    const isMet = mustHappen.includes(`record written: ${name}`) && mustHappen.includes(`record replayed: ${name}`);
    return isMet === name in notWritten;
  });
  assert.deepEqual(missing, []);
});

test("nothing stands twice on the list", () => {
  assert.equal(new Set(mustHappen).size, mustHappen.length);
});
