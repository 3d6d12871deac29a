import type { Rule } from "./rule.ts";

/** What logs that begin anew, are trimmed or deleted stand on, and batches that fit nothing. */
export const changeRules: readonly Rule[] = [
  {
    undone: "a new log's files are synced before its record",
    patch: [
      {
        find: "    await file.truncate(bytes.length);\n    await file.sync();\n",
        replace: "    await file.truncate(bytes.length);\n",
      },
    ],
    execution: "journal-why 7: it is there when its record is",
  },
  {
    undone: "a new log's names are synced before its record",
    patch: [
      {
        find: "  await folderSyncs.sync(folder);\n  await folderSyncs.sync(`${",
        replace: "  await folderSyncs.sync(`${",
      },
    ],
    execution: "journal-why 7: it is there when its record is",
    seeds: 1000,
  },
  {
    undone: "logs that the journal does not call for are dropped",
    patch: [{ find: "name !== String(logNumber)) await", replace: 'name === "none") await' }],
    execution: "journal-why 7: without its record the old one goes on, and its files are leftovers",
    seeds: 1000,
  },
  {
    undone: "a log that begins anew has no tail",
    patch: [
      {
        find: "  group.logNumber = record.logNumber;\n  group.tail = new Tail(mark.end.index);\n",
        replace: "  group.logNumber = record.logNumber;\n",
      },
    ],
    execution: "journal-why 7: what the ring has of the old one counts no more",
    seeds: 1000,
  },
  {
    undone: "`base` before files go",
    patch: [
      {
        find: "  const base = { index: checkpointIndex, offset: (await segment.first()).baseOffset };\n",
        replace:
          "  const base = { index: checkpointIndex, offset: (await segment.first()).baseOffset };\n  await segments.dropBefore(checkpointIndex);\n",
      },
    ],
    execution: "journal-why 21: its record is synced before files go",
  },
  {
    undone: "files below the base are leftovers",
    patch: [
      {
        find: "  syncs += await removeLeftovers(disk, folder, names, segments);\n",
        replace: "",
      },
    ],
    execution: "journal-why 21: its files may go in any order",
    seeds: 1000,
  },
  {
    undone: "`gone` before files are touched",
    patch: [
      {
        find: "      await this.#writeGone(log);\n",
        replace:
          "      await moveAside(this.#options.disk, this.#options.path, group);\n      await this.#writeGone(log);\n",
      },
    ],
    execution: "journal-why 7: its record is synced before its files are touched",
    seeds: 1000,
  },
  {
    undone: "with `gone` a group is forgotten",
    patch: [
      {
        find: "if (record.kind === RecordKind.gone) this.groups.delete(record.group);",
        replace: "if (record.kind === RecordKind.gone) return;",
      },
    ],
    execution: "journal-why 7: with its record it is gone, whatever is left of it",
    seeds: 1000,
  },
  {
    undone: "a group is dropped in the turn in which `gone` is synced",
    patch: [
      { find: "        written: () => {\n          this.#drop(log);\n", replace: "        written: () => {\n" },
      {
        find: "    await moveAside(this.#options.disk, this.#options.path, group);\n",
        replace: "    await moveAside(this.#options.disk, this.#options.path, group);\n    this.#drop(log);\n",
      },
    ],
    execution: "journal-why 7: a snapshot that comes behind its record does not name it again",
  },
  {
    undone: "a journaled batch is placed by its digest, not by its index alone",
    patch: [
      {
        find: "if (isNext && digestInFrameFollows(record.body, batch, group.end.digest, this.#hash)) {",
        replace: "if (isNext) {",
      },
    ],
    execution: "journal-why 6: a journaled batch of another history is dropped, though its index fits",
    // No random run meets it: a batch is journaled when all before it is durable or in the journal, and cuts are replayed in
    // their order. One of another history is there when somebody puts it there, as the execution does.
  },
  {
    undone: "recovery says what it dropped",
    patch: [{ find: "      if (dropped > 0) {\n", replace: "      if (dropped < 0) {\n" }],
    execution: "journal-why 6: a journaled batch behind one that is missing is dropped, and said to be",
  },
  {
    undone: "above the mark recovery checks digests",
    patch: [{ find: "  if (!digestFollows(batch, end.digest, hash)) return false;\n", replace: "" }],
    execution: "journal-why 9: above the mark a batch in a segment counts by its digest, not by its index",
  },
  {
    undone: "what is journaled outranks a segment",
    patch: [
      {
        find: "  return journaled === undefined || sameBytes(journaled, batch.digest);\n",
        replace: "  return true;\n",
      },
    ],
    execution: "journal-why 9: what is journaled outranks what a segment has above the mark",
  },
  {
    undone: "a checkpoint stands at the beginning of a segment and nowhere else",
    patch: [
      {
        find: "    if ((batch.kind === BatchKind.checkpoint) !== (position === 0)) return { position, end };\n",
        replace: "",
      },
    ],
    execution: "journal-why 22: a checkpoint behind other batches of a segment is none of it",
  },
];
