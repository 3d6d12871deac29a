/** The list of what random runs must have met leaves out no kind of record. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordKind } from "../log/format.ts";
import { mustHappen } from "./coverage.ts";

test("each kind of record must be written and replayed", () => {
  const missing = Object.keys(RecordKind).filter(
    (name) => !mustHappen.includes(`record written: ${name}`) || !mustHappen.includes(`record replayed: ${name}`),
  );
  assert.deepEqual(missing, []);
});

test("nothing stands twice on the list", () => {
  assert.equal(new Set(mustHappen).size, mustHappen.length);
});
