import type { Rule } from "./rule.ts";

/** What the costs of starts, appends and freeing stand on. */
export const costRules: readonly Rule[] = [
  {
    undone: "largest tails first",
    patch: [{ find: ".sort((a, b) => b.state.tail.bytes - a.state.tail.bytes)", replace: ".reverse()" }],
    execution: "journal-why 11: the largest tails are flushed first, and small ones are carried",
  },
  {
    undone: "small tails are carried, not flushed",
    patch: [{ find: "if (bytes >= settings.carryMaxBytes ||", replace: "if (bytes >= 0 ||" }],
    execution: "journal-why 11: the largest tails are flushed first, and small ones are carried",
  },
  {
    undone: "two flushes are synced at once, not more",
    patch: [{ find: "flushSlots: new Slots(2),", replace: "flushSlots: new Slots(16)," }],
    execution: "journal-why 11: at most two flushes are synced at once, however much waits for it",
  },
  {
    undone: "the room that is held back is on the disk before it is needed",
    patch: [{ find: "Math.min(end + reserveBytes, this.", replace: "Math.min(end, this." }],
    execution: "journal-why 12: a start finds room on a full disk, again and again",
  },
  {
    undone: "a start reads of a log what is beyond its mark only",
    patch: [
      {
        find: "      const short = belowMark(path, sizeBytes, from);\n",
        replace:
          "      const short = belowMark(path, sizeBytes, from);\n      await file.read(new Uint8Array(sizeBytes), 0);\n",
      },
    ],
    execution: "journal-why 13: a start reads of each log what is beyond its mark, and the ring",
  },
  {
    undone: "after a clean stop no log is read on",
    patch: [
      {
        find: "  if (clean || !(hasFolder || state.placed || flushed)) {\n",
        replace: "  if (!(hasFolder || state.placed || flushed)) {\n",
      },
    ],
    execution: "journal-why 13: after a clean stop no log is read",
  },
  {
    undone: "all that gathered shares a frame",
    patch: [
      {
        find: "      if (!all) break;\n      this.#ready.delete(contributor);\n      this.#readyFirst.delete(contributor);\n",
        replace:
          "      if (!all) break;\n      this.#ready.delete(contributor);\n      this.#readyFirst.delete(contributor);\n      if (contributors.length > 0) break;\n",
      },
    ],
    execution: "journal-why 14: appends to 25 streams are one write and one sync",
  },
  {
    undone: "four numbers a batch",
    patch: [{ find: "const fields = 4;\n", replace: "const fields = 5;\n" }],
    execution: "journal-why 15: a batch of a tail takes 16 bytes of memory",
  },
  {
    undone: "a stream's folder comes with its first flush",
    patch: [
      {
        find: "    const payload = checkpointPayload(0, new Uint8Array(digestBytes), group.checkpointState);\n",
        replace:
          "    const payload = checkpointPayload(0, new Uint8Array(digestBytes), group.checkpointState);\n    void this.#options.disk.makeFolder(log.segments.folder);\n",
      },
    ],
    execution: "journal-why 16: making a stream costs one sync, of the journal",
  },
];
