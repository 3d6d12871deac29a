/**
 * Recomputes the digests of stored batches as a node gives them, by docs/format.md alone and with no code of the log.
 * @module
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Batch } from "../wire/gen/tailrace/v1/record_pb.ts";

/** Places in a batch's header. */
const header = {
  bytes: 128,
  magicAt: 4,
  groupAt: 16,
  indexAt: 24,
  offsetAt: 32,
  offsetsAt: 44,
  payloadCrcAt: 92,
  digestAt: 96,
};
const [checkpointKind, kindAt, magic] = [1, 7, 0x5254];

/** The batch that a chain has come to. */
export interface ChainBatch {
  readonly index: number;
  readonly nextOffset: number;
  readonly digest: Uint8Array;
}

/** A chain of batches in order. */
export class DigestChain {
  readonly #streamId: number;
  #last: ChainBatch | undefined;
  #firstIndex: number | undefined;

  constructor(streamId: number) {
    this.#streamId = streamId;
  }

  /** Index of the first batch whose digest was recomputed; `undefined`: none was yet. */
  get firstIndex(): number | undefined {
    return this.#firstIndex;
  }

  /** The batch that was added last. */
  get last(): ChainBatch | undefined {
    return this.#last;
  }

  /** Adds the next batch. Gives why it is not, in words; `undefined`: it follows. */
  add(batch: Batch): string | undefined {
    const { header: head, payload } = batch;
    if (head.length !== header.bytes) return "the node gave a batch without its header";
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    const index = Number(view.getBigUint64(header.indexAt, true));
    const baseOffset = Number(view.getBigUint64(header.offsetAt, true));
    const isWhole =
      view.getUint16(header.magicAt, true) === magic &&
      view.getUint32(0, true) === crc32(head.subarray(header.magicAt)) &&
      view.getUint32(header.payloadCrcAt, true) === crc32(payload);
    if (!isWhole) return `batch ${index} is not what its checksums say`;
    if (Number(view.getBigUint64(header.groupAt, true)) !== this.#streamId) return `batch ${index} is another stream's`;
    const last = this.#last;
    if (last && (index !== last.index + 1 || baseOffset !== last.nextOffset)) {
      return `batch ${index} at offset ${baseOffset} comes after batch ${last.index}, which ends at ${last.nextOffset}`;
    }
    const digest = copyOf(head, header.digestAt);
    const before = last?.digest ?? digestBefore(index, head, payload);
    if (before) {
      if (!digestOf(head, payload, before).equals(digest))
        return `the digest of batch ${index} is not that of its bytes`;
      this.#firstIndex ??= index;
    }
    this.#last = { index, nextOffset: baseOffset + view.getUint32(header.offsetsAt, true), digest };
    return undefined;
  }
}

/** What a first batch tells of the one before it: nothing comes before batch 0, and a checkpoint says it. */
function digestBefore(index: number, head: Uint8Array, payload: Uint8Array): Uint8Array | undefined {
  if (index === 0) return new Uint8Array(32);
  return head[kindAt] === checkpointKind ? copyOf(payload, 8, 40) : undefined;
}

function digestOf(head: Uint8Array, payload: Uint8Array, before: Uint8Array): Buffer {
  const covered = copyOf(head, header.magicAt);
  covered.set(before, header.digestAt - header.magicAt);
  return createHash("sha256").update(covered).update(payload).digest();
}

/** A copy: what a transport gives may be a Buffer, whose own `slice` is a view. */
function copyOf(bytes: Uint8Array, start: number, end?: number): Uint8Array {
  return Uint8Array.from(bytes.subarray(start, end));
}
