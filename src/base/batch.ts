/**
 * A stored batch as all layers speak of it. Its bytes are docs/format.md's; `log/` writes and reads them.
 * @module
 */

/** What a stored batch is: the numbers of `tailrace.v1.BatchKind`, and of the header's kind byte. */
export const BatchKind = {
  records: 0,
  checkpoint: 1,
  leaderChange: 2,
  voters: 3,
  settings: 4,
  trim: 5,
  fence: 6,
  closed: 7,
} as const;
export type BatchKind = (typeof BatchKind)[keyof typeof BatchKind];

/** Who wrote a batch, and which of its batches that is: what makes a repeated append known. */
export interface ProducerStamp {
  /** 16 bytes, not all zero. */
  readonly id: Uint8Array;
  /** Begins at 0; a higher one shuts lower ones out. Below 2^32. */
  readonly epoch: number;
  /** Number of the batch in its epoch, from 0, by one. */
  readonly sequence: number;
}

/** Bytes of a stored batch before its payload. */
export const batchHeaderBytes = 128;

/** The fields of a batch's header. Positions are numbers below 2^53, times microseconds since 1970. */
export interface BatchHeader {
  readonly kind: BatchKind;
  readonly codec: number;
  readonly payloadBytes: number;
  readonly group: number;
  readonly index: number;
  readonly baseOffset: number;
  /** Number of records, 0 in control batches. */
  readonly recordCount: number;
  readonly term: number;
  readonly appendTimeMicros: number;
  /** Absent where nobody said who wrote it. */
  readonly producer?: ProducerStamp | undefined;
  /** Stands for the whole log up to and with this batch: 32 bytes. */
  readonly digest: Uint8Array;
}

/** A batch as it is stored. `header` (128 bytes) and `payload` are views that the reader may keep. */
export interface StoredBatch extends BatchHeader {
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
}
