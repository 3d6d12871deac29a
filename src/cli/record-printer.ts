import type { Batch } from "../wire/gen/tailrace/v1/record_pb.ts";

/** Turns records into output. What it has made waits in memory until it is taken. */
export interface RecordPrinter {
  /** Prints `take` records of the batch after the first `skip`. */
  add(batch: Batch, skip: number, take: number): void;
  /** Bytes that wait. */
  readonly byteLength: number;
  /** What waits, in order. The pieces are the caller's. */
  takeAll(): Uint8Array[];
}
