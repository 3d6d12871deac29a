import type { StoredBatch } from "../../base/batch.ts";
import type { Mark } from "../../log/group-state.ts";

/** A batch in the journal, and where. */
export interface JournaledBatch {
  readonly batch: StoredBatch;
  /** Path within the data folder. */
  readonly file: string;
  readonly position: number;
}

/** A log's batches that the journal holds. */
export interface JournaledBatches {
  /** Index after the last one; 0: there is none. */
  readonly endIndex: number;
  /** Those with this index, newest first: one at most, but in a journal of which frames are lost. */
  at(index: number): Promise<JournaledBatch[]>;
}

/** What is known of a log before its files are looked at. */
export interface KnownLog {
  readonly group: number;
  readonly logNumber: number;
  readonly base: { readonly index: number; readonly offset: number };
  readonly mark: Mark;
  /** A cut into its segments may not be done yet: what is beyond the mark is to go. */
  readonly isCutOpen: boolean;
  readonly journaled: JournaledBatches;
}
