import type { Profile } from "../../../src/sim/log-profiles.ts";

/** A rule of the log, how it is undone, and who notices. */
export interface Rule {
  /** What does not hold any more. */
  readonly undone: string;
  /** What in `src/log/` becomes what. Each `find` stands there exactly once, whichever file it is. */
  readonly patch: readonly { readonly find: string; readonly replace: string }[];
  /** The directed execution that fails: its whole name. */
  readonly execution: string;
  /** Random runs catch it too: one of the seeds from 1 to this one fails. Absent: they meet it too seldom. */
  readonly seeds?: number;
  /** How those runs are steered. Absent: they are not. */
  readonly profile?: Profile;
}
