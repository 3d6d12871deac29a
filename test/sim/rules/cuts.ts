import type { Rule } from "./rule.ts";

/** What cuts stand on. */
export const cutRules: readonly Rule[] = [
  {
    undone: "a cut with its `cut done` is not done again",
    patch: [
      {
        find: "group.state = { ...group.state, openCut: undefined };\n        return;",
        replace: "return;",
      },
    ],
    execution: "journal-why 1: a redone truncation destroys nothing that came after it",
    seeds: 1000,
    profile: "cuts",
  },
  {
    undone: "no flush before `cut done`",
    patch: [
      {
        find: "if (this.#log.openCut) await finishCut({ state: this.#log, segments: this.#segments, context: this.#context });",
        replace: "",
      },
    ],
    execution: "journal-why 1: nothing is written to segments before cut done is synced",
    seeds: 1000,
    profile: "full",
  },
  {
    undone: "a cut without `cut done` is redone",
    patch: [
      {
        find: "if (state.openCut) await cutFiles(disk, folder, state.openCut);",
        replace: "",
      },
    ],
    execution: "journal-why 6: a cut that was synced is redone, and what it cut off is not back",
    seeds: 1000,
    profile: "cuts",
  },
  {
    undone: "the journal's last frame is written again before recovery acts on it",
    patch: [
      {
        find: "  await file.write([bytes], lastPosition);\n",
        replace: "",
      },
    ],
    execution: "journal-why 3: a cut that recovery acts on is on the disk before its files are cut",
    seeds: 1000,
  },
  {
    undone: "cuts shorten files, and do not zero them",
    patch: [
      {
        find: "  if ((await file.size()) > place.position) await file.truncate(place.position);\n",
        replace: `  const rest = new Uint8Array(Math.max((await file.size()) - place.position, 0));
  await file.read(rest, place.position);
  if (rest.some((byte) => byte !== 0)) await file.write([rest.fill(0)], place.position);
`,
      },
      {
        find: "        if (sizeBytes > read.position) await file.truncate(read.position);\n",
        replace: `        const rest = new Uint8Array(sizeBytes - read.position);
        await file.read(rest, read.position);
        if (rest.some((byte) => byte !== 0)) await file.write([rest.fill(0)], read.position);
`,
      },
    ],
    execution: "journal-why 3: a cut is redone by shortening, which the page cache can't hide",
    seeds: 1000,
    profile: "cuts",
  },
  {
    undone: "recovery ends with a frame that says where logs end, and which cuts are done",
    patch: [
      { find: "      if (found.moved) {\n", replace: "      if (frame.records < 0) {\n" },
      {
        find: "      if (state.openCut) frame.add(RecordKind.cutDone, state.group, state.logNumber, 0);\n",
        replace: "",
      },
    ],
    execution: "journal-why 6: what is appended after a redone cut outlives the next recovery",
    seeds: 1000,
  },
  {
    undone: "a cut waits for what is on its way",
    patch: [
      {
        find: "        while (this.#rounds.isUnderWay) await this.#rounds.nothingUnderWay();\n        const failure",
        replace: "        const failure",
      },
      {
        find: "    assert(!this.isBusy && !this.#held,",
        replace: "    assert(true,",
      },
    ],
    execution: "journal-why 6: a flush that is on its way when a cut comes counts for nothing beyond it",
    seeds: 1000,
  },
  {
    undone: "a checkpoint that waits is for one place only",
    patch: [
      {
        find: "    this.#dropDueCheckpoint();\n    this.rolling.changed();\n",
        replace: "    this.rolling.changed();\n",
      },
    ],
    execution: "a checkpoint that waits when a cut comes is not for the place that the log ends at then",
    seeds: 1000,
  },
];
