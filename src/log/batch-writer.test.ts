import assert from "node:assert/strict";
import * as crypto from "node:crypto";
import { describe, test } from "node:test";
import * as zlib from "node:zlib";
import { BatchKind } from "../base/batch.ts";
import { systemHash } from "../host/hash.ts";
import { checkpointPayload, type Stamp, stampHeader } from "./batch-writer.ts";

const stamp: Stamp = {
  kind: BatchKind.records,
  group: 7,
  index: 2 ** 40 + 3,
  baseOffset: 1000,
  recordCount: 2,
  term: 5,
  appendTimeMicros: 1_700_000_000_000_001,
};
const payload = Uint8Array.of(0x0a, 0, 0x0a, 0);
const digestBefore = new Uint8Array(32).fill(0xaa);

function stamped(): Uint8Array {
  const batch = new Uint8Array(128 + payload.length);
  batch.set(payload, 128);
  stampHeader(batch.subarray(0, 128), payload, stamp, digestBefore, systemHash, batch);
  return batch;
}

describe("a batch's header", () => {
  test("has each field where docs/format.md says", () => {
    const fields = {
      "magic, version, kind, codec, 0, flags": [4, "5452 01 00 00 00 0000"],
      "payload length": [12, "04000000"],
      group: [16, "0700000000000000"],
      index: [24, "0300000000010000"],
      "base offset": [32, "e803000000000000"],
      "records, offset span": [40, "02000000 02000000"],
      term: [48, "0500000000000000"],
      "append time": [56, "01401e18240a0600"],
      "producer id, sequence, epoch: none": [64, "00".repeat(28)],
      payload: [128, "0a000a00"],
    } as const;
    const batch = stamped();
    for (const [field, [at, hex]] of Object.entries(fields)) {
      const expected = hex.replaceAll(" ", "");
      assert.equal(Buffer.from(batch).toString("hex", at, at + expected.length / 2), expected, field);
    }
  });

  test("has a CRC of the payload, the digest of all with the digest before, and a CRC of itself", () => {
    const batch = Buffer.from(stamped());
    assert.equal(batch.readUInt32LE(92), zlib.crc32(payload));
    const covered = Buffer.concat([batch.subarray(4, 96), digestBefore, payload]);
    assert.deepEqual(batch.subarray(96, 128), crypto.createHash("sha256").update(covered).digest());
    assert.equal(batch.readUInt32LE(0), zlib.crc32(batch.subarray(4, 128)));
  });

  test("is the same where header and payload do not touch", () => {
    const header = new Uint8Array(128).fill(0xff);
    stampHeader(header, payload, stamp, digestBefore, systemHash);
    assert.deepEqual(header, stamped().slice(0, 128));
  });
});

test("a checkpoint's payload begins with term and digest of the batch before", () => {
  const state = Uint8Array.of(1, 2, 3);
  const written = checkpointPayload(9, digestBefore, state);
  assert.deepEqual(written, Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, ...digestBefore, ...state));
});
