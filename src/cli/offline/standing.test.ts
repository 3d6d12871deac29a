import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { present } from "../../base/assert.ts";
import { BatchKind, type StoredBatch } from "../../base/batch.ts";
import { systemHash } from "../../host/hash.ts";
import { readBatch } from "../../log/batch-reader.ts";
import { checkpointPayload, type Stamp, stampHeader } from "../../log/batch-writer.ts";
import { type ChainEnd, endAfter, whyNotAfter } from "./standing.ts";

const group = 3;
const zeros = new Uint8Array(32);

function stamped(stamp: Partial<Stamp>, payload: Uint8Array, before: Uint8Array): StoredBatch {
  const bytes = new Uint8Array(128 + payload.length);
  bytes.set(payload, 128);
  const usual = {
    kind: BatchKind.records,
    group,
    index: 8,
    baseOffset: 20,
    recordCount: 2,
    term: 4,
    appendTimeMicros: 700,
  };
  stampHeader(bytes, payload, { ...usual, ...stamp }, before, systemHash, bytes);
  return present(readBatch(bytes, group, systemHash), "it was just written");
}

const seventh = stamped({ index: 7, baseOffset: 18 }, Uint8Array.of(7), zeros);
const end = endAfter(seventh);
const payload = Uint8Array.of(8);
/** A chain whose last batch is damaged: what comes may be any batch from there on. */
const broken: ChainEnd = { ...end, digest: undefined };

describe("whyNotAfter()", () => {
  test("has nothing against the next batch, nor against the next checkpoint", () => {
    assert.equal(whyNotAfter(end, stamped({}, payload, end.digest), systemHash), undefined);
    const state = checkpointPayload(end.term, end.digest, new Uint8Array(3));
    const checkpoint = stamped({ kind: BatchKind.checkpoint, recordCount: 0 }, state, end.digest);
    assert.equal(whyNotAfter(end, checkpoint, systemHash), undefined);
  });

  const cases: { name: string; batch: StoredBatch; says: RegExp }[] = [
    {
      name: "an index left out",
      batch: stamped({ index: 9 }, payload, end.digest),
      says: /batch 9 stands where 8 should/,
    },
    { name: "the same index again", batch: stamped({ index: 7 }, payload, end.digest), says: /batch 7 stands/ },
    {
      name: "an offset left out",
      batch: stamped({ baseOffset: 21 }, payload, end.digest),
      says: /at offset 21, not 20/,
    },
    {
      name: "a term that goes back",
      batch: stamped({ term: 3 }, payload, end.digest),
      says: /of term 3, after one of 4/,
    },
    {
      name: "a time that goes back",
      batch: stamped({ appendTimeMicros: 699 }, payload, end.digest),
      says: /earlier time/,
    },
    { name: "another batch's digest", batch: stamped({}, payload, zeros), says: /digest that does not follow/ },
    {
      name: "a checkpoint that tells of another batch before it",
      batch: stamped(
        { kind: BatchKind.checkpoint, recordCount: 0 },
        checkpointPayload(end.term, zeros, new Uint8Array(3)),
        end.digest,
      ),
      says: /tells of another batch before it/,
    },
    {
      name: "a checkpoint that tells of another term before it",
      batch: stamped(
        { kind: BatchKind.checkpoint, recordCount: 0 },
        checkpointPayload(end.term - 1, end.digest, new Uint8Array(3)),
        end.digest,
      ),
      says: /tells of another batch before it/,
    },
  ];
  for (const { name, batch, says } of cases) {
    test(`tells ${name}`, () => assert.match(whyNotAfter(end, batch, systemHash) ?? "", says));
  }

  test("behind a damaged batch takes any later one, and holds a checkpoint to what it says itself", () => {
    const later = stamped({ index: 12, baseOffset: 40 }, payload, zeros);
    assert.equal(whyNotAfter(broken, later, systemHash), undefined);
    assert.match(whyNotAfter(broken, stamped({ index: 6 }, payload, zeros), systemHash) ?? "", /batch 6 stands/);
    const before = new Uint8Array(32).fill(5);
    const state = checkpointPayload(4, before, new Uint8Array(3));
    const stamp = { kind: BatchKind.checkpoint, recordCount: 0, index: 12, baseOffset: 40 };
    assert.equal(whyNotAfter(broken, stamped(stamp, state, before), systemHash), undefined);
    assert.match(whyNotAfter(broken, stamped(stamp, state, zeros), systemHash) ?? "", /digest that does not follow/);
  });
});
