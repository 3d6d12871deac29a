import { batchHeaderBytes } from "../base/batch.ts";
import type { VerifiedBatch } from "./stored-batch.ts";
import type { AppendedBatch, NewBatch, StoredAppendOptions } from "./types.ts";

/** An append that waits for its place, or for the disk. */
export interface Pending {
  readonly batch: NewBatch;
  /** It was stamped by a leader already: its place is known, and its header is not to be written but copied. */
  readonly stored: VerifiedBatch | undefined;
  readonly bytes: number;
  /** It goes through the journal whatever the round's size, as batch 0 does. */
  readonly journaled: boolean;
  /** For batch 0, which makes the group: its append time is the same on every replica. */
  readonly made: { readonly appendTimeMicros: number } | undefined;
  /** The log put it there: it says what is before it, so it is for one place only. */
  readonly rolled: boolean;
  readonly resolve: (appended: AppendedBatch) => void;
  readonly reject: (error: Error) => void;
  /** What it was stamped with. */
  appended: AppendedBatch | undefined;
  /** Its header while it is on its way to the disk, where the disk is given it. */
  header: Uint8Array | undefined;
  /** Where in the ring it stands. */
  ringPosition: number;
}

/** One whose place is known. */
export type PlacedPending = Pending & { readonly stored: VerifiedBatch };

/** What is known of an append when it is made. */
export type PendingBatch = Pick<Pending, "batch" | "stored" | "bytes" | "journaled" | "made" | "rolled">;

/** A batch of this node's, which leads. */
export function pendingNew(batch: NewBatch, made?: Pending["made"]): PendingBatch {
  const bytes = batchHeaderBytes + batch.payload.length;
  const journaled = made !== undefined || batch.begins !== undefined || batch.note !== undefined;
  return { batch, stored: undefined, bytes, journaled, made, rolled: false };
}

/** A batch of the leader that this node follows. */
export function pendingStored(stored: VerifiedBatch, { note, frees }: StoredAppendOptions): PendingBatch {
  const { kind, payload, recordCount } = stored.batch;
  const batch: NewBatch = { kind, payload, recordCount, ...(note ? { note } : {}), frees: frees ?? false };
  const bytes = batchHeaderBytes + payload.length;
  return { batch, stored, bytes, journaled: note !== undefined, made: undefined, rolled: false };
}
