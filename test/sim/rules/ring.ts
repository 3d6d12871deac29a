import type { Rule } from "./rule.ts";

/** What the journal's ring stands on. */
export const ringRules: readonly Rule[] = [
  {
    undone: "a file begins with a snapshot",
    patch: [
      {
        find: "    const frame = this.#snapshot(FrameKind.snapshot);\n",
        replace:
          "    const frame = this.#finish(new FrameBuilder(new Uint8Array(frameHeader.border)), FrameKind.frame);\n",
      },
    ],
    execution: "journal-why 2: a vote, a floor and a note outlive the file that they were written to",
    seeds: 1000,
  },
  {
    undone: "a snapshot has what only the journal knows: a group that was made",
    patch: [
      {
        find: "      if (!isMade(state)) continue;\n",
        replace: "      if (!isPlaced(state)) continue;\n",
      },
    ],
    execution: "journal-why 2: a group that was made and never flushed outlives it too",
    seeds: 1000,
  },
  {
    undone: "a file is used again only when `freed` is synced",
    patch: [
      {
        find: "    this.#freed = next.firstFrame - 1;\n",
        replace: "    this.#freed = next.firstFrame - 1;\n    this.#ring.release(this.#freed);\n",
      },
      {
        find: "      if (this.oldestSlot === slot) this.free(slot);\n",
        replace:
          "      if (this.oldestSlot === slot) this.free(slot);\n      if (this.#ring.freeFile) return this.#ring.freeFile;\n",
      },
    ],
    execution: "journal-why 2: a file that is torn while it is written anew is no damage",
    seeds: 1000,
    profile: "ring",
  },
  {
    undone: "a tail is carried whole",
    patch: [
      {
        find: "      const entry = tail.entry(index);\n      // What came",
        replace:
          "      const entry = tail.entry(index);\n      if (this.#journal.slotOf(entry.ringPosition) !== this.#slot) break;\n      // What came",
      },
    ],
    execution: "journal-why A1: a tail is carried whole, or what is left of it would follow nothing",
    seeds: 1000,
  },
  {
    undone: "a file is not written anew while it is read",
    patch: [{ find: "    if (file.readers > 0) {\n", replace: "    if (file.readers < 0) {\n" }],
    execution: "what is still read of a file is waited for",
  },
  {
    undone: "what is journaled is acknowledged, and the next frame written, after the sync",
    patch: [
      {
        find: "    this.#context.syncs.journal += 1;\n    await file.file.sync();\n",
        replace: "    this.#context.syncs.journal += 1;\n    file.file.sync().catch(() => {});\n",
      },
    ],
    execution: "journal-why 8: nothing is acknowledged, and no frame written, before the sync returned",
    seeds: 1000,
  },
  {
    undone: "the CRC of frames starts from a key that nobody knows",
    patch: [
      {
        find: "crcKey: viewOf(random.bytes(4)).getUint32(0, true) }",
        replace: "crcKey: 0 }",
      },
    ],
    execution: "journal-why 5: no payload passes for a frame",
  },
  {
    undone: "a bad frame with a whole one behind it is damage",
    patch: [{ find: "    if (!beyond) continue;\n", replace: "    if (!beyond || beyond.number > 0) continue;\n" }],
    execution: "journal-why 24: a synced frame that is bad is refused in words",
    seeds: 1000,
  },
  {
    undone: "the ring has as many files as its newest frame says",
    patch: [{ find: "if (newest.files <= runs.length) return [];", replace: "if (newest.files > 0) return [];" }],
    execution: "journal-why 24: a missing file of the ring is refused",
  },
  {
    undone: "every frame above `freed` is there",
    patch: [{ find: "oldest && oldest.first > newest.freed + 1) {", replace: "oldest && oldest.first < 0) {" }],
    execution: "journal-why 24: a file of the ring of which nothing is left is refused",
  },
  {
    undone: "frames carry the disk id",
    patch: [
      {
        find: "    if (!sameBytes(header.subarray(frameHeader.diskIdAt, frameHeader.diskIdAt + 16), this.#owner.diskId))\n      return undefined;\n",
        replace: "",
      },
    ],
    execution: "journal-why 26: a journal with another disk's id is refused",
  },
  {
    undone: "the first frame of a start is synced before anything else is written, after a clean stop too",
    patch: [
      {
        find: '    await this.#journal.open(new StartRecords(recovered.logs, kind === "recovered"));\n',
        replace:
          '    if (kind !== "clean") await this.#journal.open(new StartRecords(recovered.logs, kind === "recovered"));\n',
      },
    ],
    execution: "journal-why 17: what is written after a clean stop is not lost by a crash",
    seeds: 1000,
  },
  {
    undone: "at a start nobody else writes to the journal",
    patch: [{ find: "    this.#run(() => opening.catch(() => {}));\n", replace: "" }],
    execution: "journal-why 17: a start writes one frame at a time, also while it makes room",
  },
  {
    undone: "a file is free when no tail is in it, and not before",
    patch: [{ find: "|| this.#pinning(round.slot).length > 0) return;", replace: ") return;" }],
    execution: "journal-why A1: a tail that is flushed when it is to be carried keeps its file",
  },
  {
    undone: "a carried tail comes behind its mark",
    patch: [
      { find: "    if (!this.#writeMark(group, frame)) return false;\n    const begun", replace: "    const begun" },
    ],
    execution: "journal-why A1: a carried tail comes behind the mark that it follows",
  },
  {
    undone: "a carried tail begins anew where its first frames are gone",
    patch: [
      { find: "isCarried && batch.index === group.state.mark.end.index", replace: "isCarried && batch.index < 0" },
    ],
    execution: "journal-why 2: a group that was made and never flushed outlives it too",
    seeds: 1000,
  },
  {
    undone: "a new journal file's name is synced before it counts",
    patch: [
      {
        find: "    await disk.syncFolder(folder);\n    this.#files.push(made);\n",
        replace: "    this.#files.push(made);\n",
      },
    ],
    execution: "journal-why 2: a vote, a floor and a note outlive the file that they were written to",
    seeds: 1000,
  },
  {
    undone: "a frame does not span files",
    patch: [
      { find: "journalFileBytes - heldBackBytes - this.#head;", replace: "journalFileBytes + 4096 - this.#head;" },
    ],
    execution: "journal-why 19: no frame spans files, and none is written before the one before it is synced",
  },
];
