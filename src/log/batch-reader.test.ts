import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BatchKind } from "../base/batch.ts";
import { DataFolderError } from "../base/disk-errors.ts";
import { systemHash } from "../host/hash.ts";
import { digestFollows, readBatch, readHeader } from "./batch-reader.ts";
import { stampHeader } from "./batch-writer.ts";

const group = 3;
const before = new Uint8Array(32).fill(1);

/** A batch, with some bytes of its header put otherwise before its CRC is computed. */
function batchWith(bytes: { readonly [at: number]: number } = {}): Uint8Array {
  const payload = Uint8Array.from({ length: 40 }, (_, at) => at);
  const batch = new Uint8Array(168);
  batch.set(payload, 128);
  const stamp = { kind: BatchKind.records, group, index: 4, baseOffset: 90, recordCount: 3, term: 2 };
  stampHeader(batch.subarray(0, 128), payload, { ...stamp, appendTimeMicros: 77 }, before, systemHash, batch);
  for (const [at, byte] of Object.entries(bytes)) batch[Number(at)] = byte;
  new DataView(batch.buffer).setUint32(0, systemHash.crc32(batch.subarray(4, 128)), true);
  return batch;
}

describe("reading a batch", () => {
  test("gives what was stamped", () => {
    const bytes = batchWith();
    assert.deepEqual(readBatch(bytes, group, systemHash), {
      ...{ kind: BatchKind.records, codec: 0, payloadBytes: 40, group, index: 4, baseOffset: 90, recordCount: 3 },
      ...{ term: 2, appendTimeMicros: 77, digest: bytes.slice(96, 128), producer: undefined },
      ...{ header: bytes.slice(0, 128), payload: bytes.slice(128) },
    });
  });

  test("gives who wrote it", () => {
    const producer = { id: new Uint8Array(16).fill(200), epoch: 0xffff_fffe, sequence: 2 ** 53 - 1 };
    const batch = new Uint8Array(128);
    const stamp = { kind: BatchKind.records, group, index: 4, baseOffset: 90, recordCount: 3, term: 2 };
    stampHeader(batch, new Uint8Array(0), { ...stamp, appendTimeMicros: 77, producer }, before, systemHash, batch);
    assert.deepEqual(readBatch(batch, group, systemHash)?.producer, producer);
  });

  test("takes no notice of what stands behind it", () => {
    const longer = new Uint8Array(300).fill(0xee);
    longer.set(batchWith());
    assert.equal(readBatch(longer, group, systemHash)?.payload.length, 40);
  });

  test("finds none where any bit is flipped", () => {
    for (let at = 0; at < 168; at++) {
      const bytes = batchWith();
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      assert.equal(readBatch(bytes, group, systemHash), undefined, `byte ${at}`);
    }
  });

  test("finds none in a part of it", () => {
    for (let length = 0; length < 168; length++) {
      assert.equal(readBatch(batchWith().subarray(0, length), group, systemHash), undefined, `${length} bytes`);
    }
  });

  test("finds none of another group", () => {
    assert.equal(readBatch(batchWith(), group + 1, systemHash), undefined);
  });

  const unsound = [
    { name: "a payload longer than a batch may be", bytes: { 15: 1 } },
    { name: "an index beyond 2^53", bytes: { 31: 1 } },
    { name: "an offset beyond 2^53", bytes: { 39: 1 } },
    { name: "a term beyond 2^53", bytes: { 55: 1 } },
    { name: "a time beyond 2^53", bytes: { 63: 1 } },
  ];
  for (const { name, bytes } of unsound) {
    test(`finds none with ${name}, though its CRC is right`, () => {
      assert.equal(readHeader(batchWith(bytes), group, systemHash), undefined);
    });
  }

  const newer = [
    { name: "codec", bytes: { 8: 1 } },
    { name: "padding", bytes: { 9: 1 } },
    { name: "offset span", bytes: { 44: 2 } },
    { name: "version", bytes: { 6: 2 } },
    { name: "kind", bytes: { 7: 200 } },
    { name: "flag among those to know", bytes: { 11: 1 } },
  ];
  for (const { name, bytes } of newer) {
    test(`says that a batch of a ${name} it does not know is a newer tailrace's`, () => {
      assert.throws(
        () => readHeader(batchWith(bytes), group, systemHash),
        (error) => error instanceof DataFolderError && /written by a newer version/.test(error.message),
      );
    });
  }

  test("takes a flag among those that need not be known", () => {
    assert.equal(readHeader(batchWith({ 10: 0x80 }), group, systemHash)?.index, 4);
  });
});

test("a digest follows the one before it, and no other", () => {
  const batch = readBatch(batchWith(), group, systemHash);
  assert.ok(batch);
  assert.equal(digestFollows(batch, before, systemHash), true);
  assert.equal(digestFollows(batch, new Uint8Array(32).fill(2), systemHash), false);
  assert.equal(digestFollows({ ...batch, payload: batch.payload.map((byte) => byte ^ 1) }, before, systemHash), false);
});
