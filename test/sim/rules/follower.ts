import type { Rule } from "./rule.ts";

/** What a log stands on that follows and leads in turn, and one that lost its files or some bytes of them. */
export const followerRules: readonly Rule[] = [
  {
    undone: "a stored batch is taken only where the log ends as it says",
    patch: [{ find: "    if (stored.fits(end)) return undefined;\n", replace: "    if (end) return undefined;\n" }],
    execution: "is refused with all that waits behind it where another comes before it",
    seeds: 1000,
  },
  {
    undone: "no checkpoint of one's own comes before what a leader stamped",
    patch: [{ find: "if (!first || first.stored || first.batch.kind", replace: "if (!first || first.batch.kind" }],
    execution: "has the leader's checkpoints and no others, however small its own segments are to be",
    seeds: 1000,
  },
  {
    undone: "with a stored batch that is refused all go that wait behind it",
    patch: [
      {
        find: "    if (next.stored) this.#refuseStored();\n    else this.#reject",
        replace: "    this.#reject",
      },
    ],
    execution: "is refused with all that waits behind it where another comes before it",
  },
  {
    undone: "what is ahead of the syncs is looked for again where it became durable meanwhile",
    patch: [{ find: "        if (belowIndex > before) continue;\n", replace: "" }],
    execution: "that became durable while it was looked for is found",
  },
  {
    undone: "who sent on what is taken back is told",
    patch: [{ find: "    if (this.end.index < end.index) this.#told.takenBack();\n", replace: "" }],
    execution: "is taken back where it finds no room, and who listens is told",
  },
  {
    undone: "the log of a new life has a number of its own",
    patch: [
      { find: "frame.add(kind, group, logNumber + 1, bytes);", replace: "frame.add(kind, group, logNumber, bytes);" },
      { find: "logStateOf(group, logNumber + 1, ", replace: "logStateOf(group, logNumber, " },
    ],
    execution: "begins a new life, with what its replica promised",
    seeds: 1000,
  },
  {
    undone: "a place of a lost log that is on its way to the journal is not its successor's",
    patch: [{ find: "    this.marks.forget(log.group);\n", replace: "    this.marks.drop(log.group);\n" }],
    execution: "leaves no mark of it to the new one",
  },
  {
    undone: "bytes are mended only with what the chain behind them says",
    patch: [{ find: "    if (await isFollowed(log, verified, place)) {\n", replace: "    if (place) {\n" }],
    execution: "is not mended with anything else",
  },
];
