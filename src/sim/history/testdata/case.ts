/**
 * A small history, and which rules it breaks.
 * @module
 */
import type { LogBatch, Operation } from "../history.ts";
import type { Rule } from "../violations.ts";

/** A history of one stream. */
export interface Case {
  readonly name: string;
  readonly log: readonly LogBatch[];
  readonly history: readonly Operation[];
  /** Rules that are broken, in the order in which that is found. */
  readonly finds: readonly Rule[];
  /** Nothing but a digest is wrong: the sequential log has none. */
  readonly onlyDigest?: true;
  /** It breaks a rule, and who does not know the final log finds an order that explains it. */
  readonly isExplainedWithoutLog?: true;
}
