import type { AppendedBatch, NewBatch } from "./types.ts";

/** An append that waits for its stamp, or for the disk. */
export interface Pending {
  readonly batch: NewBatch;
  readonly bytes: number;
  /** It goes through the journal whatever the round's size, as batch 0 does. */
  readonly journaled: boolean;
  /** For batch 0, which makes the group: its append time is the same on every replica. */
  readonly made: { readonly appendTimeMicros: number } | undefined;
  /** The log put it there: it says what is before it, so it is for one place only. */
  readonly rolled?: true;
  readonly resolve: (appended: AppendedBatch) => void;
  readonly reject: (error: Error) => void;
  /** What it was stamped with. */
  appended: AppendedBatch | undefined;
  /** Where in the ring it stands. */
  ringPosition: number;
}
