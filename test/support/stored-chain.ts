/**
 * Checks stored batches by the page of their format alone (docs/format.md): sums, order, density, and the chain of
 * digests, from batch 0 on. It shares no code with the log.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Batch } from "../../src/wire/gen/tailrace/v1/record_pb.ts";

const headerBytes = 128;
const digestAt = 96;

/** A batch of records that was checked. */
export interface CheckedBatch {
  readonly index: number;
  readonly startOffset: number;
  readonly nextOffset: number;
  readonly digest: Uint8Array;
  readonly payload: Uint8Array;
}

/** One stream's chain so far. */
export class StoredChain {
  #nextIndex = 0;
  #nextOffset = 0;
  #term = 0;
  #appendTimeMicros = 0n;
  #digest: Uint8Array = new Uint8Array(32);

  /** Where to read on. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  get digest(): Uint8Array {
    return this.#digest;
  }

  /** Checks what follows; gives the batch if it is new and has records. Batches that were checked before are passed. */
  add(batch: Batch): CheckedBatch | undefined {
    const { header, payload } = batch;
    assert.equal(header.length, headerBytes);
    const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
    const index = Number(view.getBigUint64(24, true));
    if (index < this.#nextIndex) return undefined;
    const startOffset = Number(view.getBigUint64(32, true));
    const records = view.getUint32(40, true);
    const term = Number(view.getBigUint64(48, true));
    const appendTimeMicros = view.getBigUint64(56, true);

    assert.equal(view.getUint32(0, true), crc32(header.subarray(4)), "header CRC");
    assert.equal(view.getUint16(4, true), 0x5254, "magic");
    assert.equal(view.getUint32(12, true), payload.length, "payload length");
    assert.equal(view.getUint32(92, true), crc32(payload), "payload CRC");
    assert.equal(index, this.#nextIndex, "indexes are dense");
    assert.equal(startOffset, this.#nextOffset, "offsets are dense");
    assert.ok(term >= this.#term, "terms never go back");
    assert.ok(appendTimeMicros >= this.#appendTimeMicros, "append times never go back");
    assert.equal(Number(batch.index), index);
    assert.equal(Number(batch.startOffset), startOffset);
    assert.equal(batch.recordCount, records);

    const digest = header.slice(digestAt);
    const chained = header.slice(4);
    chained.set(this.#digest, digestAt - 4);
    const expected = createHash("sha256").update(chained).update(payload).digest();
    assert.ok(expected.equals(digest), `digest of batch ${index}`);
    assert.ok(expected.equals(batch.digest), `digest of batch ${index} beside its bytes`);

    this.#nextIndex = index + 1;
    this.#nextOffset = startOffset + records;
    this.#term = term;
    this.#appendTimeMicros = appendTimeMicros;
    this.#digest = digest;
    return records === 0 ? undefined : { index, startOffset, nextOffset: this.#nextOffset, digest, payload };
  }
}
