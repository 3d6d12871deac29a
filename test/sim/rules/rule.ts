/** A rule of the log, how it is undone, and who notices. */
export interface Rule {
  /** What does not hold any more. */
  readonly undone: string;
  /** Files below `src/`, and what in them becomes what. Each `find` stands there exactly once. */
  readonly patch: readonly { readonly file: string; readonly find: string; readonly replace: string }[];
  /** The directed execution that fails: its whole name. */
  readonly execution: string;
  /** Random runs catch it too: one of the seeds from 1 to this one fails. Absent: they meet it too seldom. */
  readonly seeds?: number;
}
