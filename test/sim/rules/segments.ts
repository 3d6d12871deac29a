import type { Rule } from "./rule.ts";

/** What flushes and the recovery of segments stand on. */
export const segmentRules: readonly Rule[] = [
  {
    undone: "what recovery keeps above a mark is written again",
    patch: [{ find: "        await rewrite(file, from, read.position);\n", replace: "" }],
    execution: "journal-why 3: what recovery keeps above a mark it writes again",
    seeds: 1000,
    profile: "kept",
  },
  {
    undone: "recovery syncs the name of a segment that it keeps above the mark",
    patch: [
      {
        find: "  if (current.segment > mark.segment || mark.position === 0) syncs += await syncNames(disk, log, current);\n",
        replace: "",
      },
    ],
    execution: "journal-why 3: a segment's name that recovery relies on is synced",
    seeds: 1000,
  },
  {
    undone: "what is written is synced through the same handle, before that is closed",
    patch: [
      {
        find: "        await there(file, path).write(taken.parts, taken.position);\n",
        replace:
          "        await there(file, path).write(taken.parts, taken.position);\n      });\n      await handles.close(path);\n      const synced = await handles.use(path, false, async (file) => {\n",
      },
      {
        find: "      const synced = await handles.use(path, isNew, async (file) => {\n",
        replace: "      await handles.use(path, isNew, async (file) => {\n",
      },
    ],
    execution: "journal-why 4: a write whose writing back failed is told of by the sync",
    seeds: 1000,
  },
  {
    undone: "what is flushed is acknowledged after the sync",
    patch: [
      {
        find: "        counters.syncs.flush += 1;\n        await file?.sync();\n",
        replace: "        counters.syncs.flush += 1;\n        file?.sync().catch(() => {});\n",
      },
    ],
    execution: "journal-why 6: nothing is acknowledged before what it follows is on the disk",
    seeds: 1000,
  },
  {
    undone: "a small batch waits for the large one before it",
    patch: [
      {
        find: "    return this.#isStopped || this.#flushes.some(({ direct }) => direct);\n",
        replace: "    return this.#isStopped;\n",
      },
    ],
    execution: "journal-why 6: nothing is acknowledged before what it follows is on the disk",
    seeds: 1000,
  },
  {
    undone: "a flush counts only if those before it did",
    patch: [{ find: "    return !this.#isStopped;\n", replace: "    return true;\n" }],
    execution: "a flush behind one that failed counts for nothing",
    seeds: 1000,
    profile: "kept",
  },
  {
    undone: "of two syncs of one file the second begins when the first has returned",
    patch: [
      {
        find: "    if (this.#unsettled(before).length > 0) {\n",
        replace: "    if (before.length < 0) {\n",
      },
    ],
    execution: "of two syncs of one file the second begins when the first has returned",
    seeds: 1000,
  },
  {
    undone: "a new segment's name is synced before what is in it is acknowledged",
    patch: [{ find: "    if (isNew) await this.#syncFolders();\n", replace: "" }],
    execution: "a segment is there after a power cut as soon as something in it is acknowledged",
    seeds: 1000,
  },
  {
    undone: "a mark never leads",
    patch: [
      {
        find: '      const segment = present(this.#segments.active, "a flush has no segment");\n',
        replace:
          '      const segment = present(this.#segments.active, "a flush has no segment");\n      this.#log.flushed = taken.mark;\n      this.#context.markWaits(this.#log.group);\n',
      },
    ],
    execution: "journal-why 18: a mark tells of what is synced in segments, and of no more",
    seeds: 1000,
  },
  {
    undone: "a mark never leads, whichever log it comes along with",
    patch: [
      {
        find: '      const segment = present(this.#segments.active, "a flush has no segment");\n',
        replace:
          '      const segment = present(this.#segments.active, "a flush has no segment");\n      this.#log.flushed = taken.mark;\n      this.#context.markWaits(this.#log.group);\n',
      },
    ],
    execution: "journal-why 25: a flush's mark tells of its own log only",
  },
  {
    undone: "a journaled batch comes behind the mark that it follows",
    patch: [
      {
        find: "    if (!this.#context.writeMark(this.#state.group, frame)) return false;\n",
        replace: "",
      },
    ],
    execution: "journal-why 18: what is journaled comes behind the mark that it follows",
    seeds: 1000,
  },
  {
    undone: "above the mark a bad batch ends the log, unless a whole one stands two flushes beyond it",
    patch: [{ find: "= 2 * batchMaxBytes;", replace: "= 0 * batchMaxBytes;" }],
    execution: "journal-why 9: a round that is torn in the middle is no damage",
  },
  {
    undone: "two flushes, not one, may be torn",
    patch: [{ find: "= 2 * batchMaxBytes;", replace: "= batchMaxBytes;" }],
    execution: "journal-why 23: bytes of a data folder that a stream holds are never taken for its batches",
  },
  {
    undone: "a whole batch far beyond a bad one is damage",
    patch: [
      {
        find: "      if (far !== undefined) {\n",
        replace: "      if (far !== undefined && far < 0) {\n",
      },
    ],
    execution: "journal-why 9: a whole batch more than two flushes beyond a bad one is damage",
  },
  {
    undone: "a log that ends below its mark is damage",
    patch: [
      {
        find: "return sizeBytes < position ?",
        replace: "return sizeBytes < 0 ?",
      },
    ],
    execution: "journal-why 9: a log that ends below its mark is damage",
  },
  {
    undone: "recovery cuts off what follows the end",
    patch: [
      {
        find: "        if (sizeBytes > read.position) await file.truncate(read.position);\n",
        replace: "",
      },
    ],
    execution: "journal-why 9: what recovery cut off is not back when the same is written again",
  },
  {
    undone: "a segment is sealed when all before it is synced",
    patch: [
      {
        find: "      const mustWait = begins || this.#unsettled(before).some((other) => other.begins);\n",
        replace: "      const mustWait = before.length < 0;\n",
      },
    ],
    execution: "journal-why 10: nothing is written to the next segment before the one before is sealed",
    seeds: 1000,
  },
  {
    undone: "a segment is synced when it is sealed",
    patch: [
      {
        find: "        counters.syncs.seal += 1;\n        await file?.sync();\n",
        replace: "        counters.syncs.seal += 1;\n",
      },
    ],
    execution: "journal-why 10: nothing is written to the next segment before the one before is sealed",
  },
  {
    undone: "a flush ends before a checkpoint",
    patch: [{ find: "tail.checkpointFrom(startIndex + 1) ?? tail.endIndex", replace: "tail.endIndex" }],
    execution: "journal-why 22: a flush ends where a checkpoint stands",
    seeds: 1000,
  },
  {
    undone: "recovery's frame has the marks of what it kept",
    patch: [{ find: "      if (found.moved) {\n", replace: "      if (frame.records < 0) {\n" }],
    execution: "journal-why 18: what is journaled after a start follows what recovery kept",
    seeds: 1000,
  },
  {
    undone: "batches of a tail that recovery found in segments leave it",
    patch: [{ find: "  if (moved) tail.dropBefore(recovered.mark.end.index);\n", replace: "" }],
    execution: "journal-why 9: a round that is torn in the middle is no damage",
    seeds: 1000,
  },
  {
    undone: "a record comes behind the mark that waits",
    patch: [{ find: "!context.writeMark(group, frame) || !record.fits(frame)", replace: "!record.fits(frame)" }],
    execution: "journal-why 18: a mark that waits when a cut comes does not lead",
    seeds: 1000,
  },
  {
    undone: "a segment is cut to its size when it is sealed",
    patch: [{ find: "truncate(sealed.sizeBytes)", replace: "truncate(sealed.sizeBytes + 512)" }],
    execution: "journal-why 22: a sealed segment has its batches and not a byte more",
  },
];
