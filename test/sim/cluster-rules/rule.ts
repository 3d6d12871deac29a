import type { Patch } from "../patched-copy.ts";
import type { RunName } from "./runs.ts";

/** A rule of replication, how it is undone, and who notices. */
export interface ClusterRule extends Patch {
  /** Runs of the simulated cluster that fail. */
  readonly cluster?: {
    /** How they are steered. */
    readonly run: RunName;
    /** One of the seeds from 1 to this one fails in this way. */
    readonly seeds: number;
    /** What the failure says: the invariant by its number, or what the checker of histories calls it. */
    readonly says: RegExp;
  };
  /** The script of the core that fails, as its test is named up to the colon. */
  readonly script?: string;
}
