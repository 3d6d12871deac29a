import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { crc32 } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { type Batch, BatchSchema } from "../wire/gen/tailrace/v1/record_pb.ts";
import { DigestChain } from "./digest-chain.ts";

const streamId = 5;

/** A stored batch as docs/format.md has it, of two records, that follows a digest. */
function batchOf(index: number, before: Uint8Array, change: (header: Buffer) => void = () => {}, kind = 0): Batch {
  const payload = kind === 1 ? Buffer.alloc(44, 1) : Buffer.from(`payload ${index}`);
  if (kind === 1) payload.set(before, 8);
  const header = Buffer.alloc(128);
  header.write("TR", 4);
  header.set([1, kind], 6);
  header.writeUInt32LE(payload.length, 12);
  header.writeBigUInt64LE(BigInt(streamId), 16);
  header.writeBigUInt64LE(BigInt(index), 24);
  header.writeBigUInt64LE(BigInt(index * 2), 32);
  header.writeUInt32LE(2, 40);
  header.writeUInt32LE(2, 44);
  header.writeUInt32LE(crc32(payload), 92);
  header.set(before, 96);
  header.set(createHash("sha256").update(header.subarray(4)).update(payload).digest(), 96);
  change(header);
  header.writeUInt32LE(crc32(header.subarray(4)), 0);
  return create(BatchSchema, { header, payload });
}

function digestOf({ header }: Batch): Uint8Array {
  return header.subarray(96);
}

describe("a chain of digests", () => {
  const first = batchOf(0, new Uint8Array(32));
  const second = batchOf(1, digestOf(first));

  test("is recomputed from batch 0 on", () => {
    const chain = new DigestChain(streamId);
    assert.equal(chain.add(first), undefined);
    assert.equal(chain.add(second), undefined);
    assert.deepEqual([chain.firstIndex, chain.last?.index, chain.last?.nextOffset], [0, 1, 4]);
    assert.deepEqual(chain.last?.digest, Uint8Array.from(digestOf(second)));
  });

  test("begins in the middle with what a batch says of itself, or a checkpoint of the one before", () => {
    const chain = new DigestChain(streamId);
    assert.equal(chain.add(second), undefined);
    assert.equal(chain.firstIndex, undefined);
    assert.equal(chain.add(batchOf(2, digestOf(second))), undefined);
    assert.equal(chain.firstIndex, 2);
    const other = new DigestChain(streamId);
    assert.equal(other.add(batchOf(9, Buffer.alloc(32, 3), undefined, 1)), undefined);
    assert.equal(other.firstIndex, 9);
  });

  const cases: { name: string; batch: Batch; says: RegExp }[] = [
    {
      name: "another digest before it",
      batch: batchOf(1, new Uint8Array(32)),
      says: /digest of batch 1 is not that of its bytes/,
    },
    {
      name: "a digest that was changed",
      batch: batchOf(1, digestOf(first), (header) => header.fill(9, 100, 101)),
      says: /digest of batch 1 is not that of its bytes/,
    },
    { name: "a batch left out", batch: batchOf(2, digestOf(first)), says: /comes after batch 0/ },
    {
      name: "another stream's batch",
      batch: batchOf(1, digestOf(first), (header) => header.writeBigUInt64LE(6n, 16)),
      says: /is another stream's/,
    },
    { name: "no header", batch: create(BatchSchema, { payload: second.payload }), says: /without its header/ },
    {
      name: "a payload that was changed",
      batch: create(BatchSchema, { header: second.header, payload: Buffer.from("payload 2") }),
      says: /not what its checksums say/,
    },
  ];
  for (const { name, batch, says } of cases) {
    test(`tells ${name}`, () => {
      const chain = new DigestChain(streamId);
      assert.equal(chain.add(first), undefined);
      assert.match(chain.add(batch) ?? "", says);
    });
  }

  test("takes no batch 0 that follows something", () => {
    const chain = new DigestChain(streamId);
    assert.match(chain.add(batchOf(0, Buffer.alloc(32, 1))) ?? "", /digest of batch 0/);
  });
});
