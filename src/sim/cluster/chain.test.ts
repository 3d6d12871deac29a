import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Chain } from "./chain.ts";

describe("Chain", () => {
  test("who leads a term has to hold what was committed in lower terms, not what was in its own and in higher ones", () => {
    const chain = new Chain(1);
    const digests = ["a", "b", "c", "d"];
    for (const [index, digest] of digests.entries())
      chain.link({ index, term: index, before: digests[index - 1] }, digest);
    chain.committedTo("n1", { term: 0, commit: 1 }, digests);
    chain.committedTo("n1", { term: 3, commit: 4 }, digests);
    // What a leader of a lower term had committed, and heard of late.
    chain.committedTo("n2", { term: 1, commit: 2 }, digests);
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((term) => chain.committedEndBefore(term)),
      [0, 1, 2, 2, 4],
    );
    assert.equal(chain.committedEnd, 4);
  });
});
