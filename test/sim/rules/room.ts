import type { Rule } from "./rule.ts";

/** What refusals and first starts stand on, and that what went does not come back. */
export const roomRules: readonly Rule[] = [
  {
    undone: "a frame that had no room is taken back",
    patch: [
      { find: "      if (error instanceof NoRoomError) await this.#takeBack(file, frame, position);\n", replace: "" },
    ],
    execution: "a frame that had no room is not back",
  },
  {
    undone: "that a frame is taken back is synced",
    patch: [
      {
        find: "    this.#context.syncs.other += 1;\n    await file.file.sync();\n  }\n",
        replace: "    this.#context.syncs.other += 1;\n  }\n",
      },
    ],
    execution: "a frame that had no room is not back, though its undoing is lost",
  },
  {
    undone: "what had no room in a segment is cut off again",
    patch: [{ find: "        await file.truncate(active.sizeBytes);\n", replace: "" }],
    execution: "a flush that had no room is not back",
  },
  {
    undone: "that it is cut off again is synced",
    patch: [
      {
        find: "        counters.syncs.other += 1;\n        await file.sync();\n",
        replace: "        counters.syncs.other += 1;\n",
      },
    ],
    execution: "a flush that had no room is not back, though its undoing is lost",
  },
  {
    undone: "a segment that was begun without room is removed",
    patch: [
      { find: "      await disk.remove(path);\n    }\n    await folderSyncs", replace: "    }\n    await folderSyncs" },
    ],
    execution: "a segment that had no room is not back",
  },
  {
    undone: "that a segment is removed is synced",
    patch: [
      {
        find: "    await folderSyncs.sync(this.#segments.folder);\n    this.#abandoned.clear();\n",
        replace: "    this.#abandoned.clear();\n",
      },
    ],
    execution: "a segment that had no room is not back, though its undoing is lost",
  },
  {
    undone: "a cut removes the segments beyond it",
    patch: [
      {
        find: "    if (firstIndex > place.segment) await disk.remove(`",
        replace: "    if (firstIndex < 0) await disk.remove(`",
      },
    ],
    execution: "removes the next one for good",
  },
  {
    undone: "a cut syncs their folder",
    patch: [
      {
        find: "  await disk.syncFolder(folder);\n  const file = await disk.open(`",
        replace: "  const file = await disk.open(`",
      },
    ],
    execution: "removes the next one for good",
  },
  {
    undone: "a cut syncs the file that it shortens",
    patch: [
      {
        find: "await file.truncate(place.position);\n  await file.sync();\n",
        replace: "await file.truncate(place.position);\n",
      },
    ],
    execution: "journal-why 1: when a cut is done its files are cut on the disk",
  },
  {
    undone: "nothing is appended while a log is changed",
    patch: [{ find: "this.flusher.holdsJournal || this.#holds > 0 ||", replace: "this.flusher.holdsJournal ||" }],
    execution: "lets nothing be appended before it is durable",
  },
  {
    undone: "a snapshot has a cut that is not done",
    patch: [{ find: "    openCut: log.openCut,\n", replace: "    openCut: undefined,\n" }],
    execution: "is open until its files are cut, whichever file of the ring its record is in",
  },
  {
    undone: "names in a new folder are synced before it is one",
    patch: [
      {
        find: "  await disk.syncFolder(path);\n  await syncNamesAbove(disk, path);\n",
        replace: "  await syncNamesAbove(disk, path);\n",
      },
    ],
    execution: "that the power ends leaves a whole folder, or none",
  },
  {
    undone: "the first journal file is synced before the folder is one",
    patch: [{ find: "  await first.sync();\n", replace: "" }],
    execution: "that the power ends leaves a whole folder, or none",
  },
  {
    undone: "the `id` file is synced before it is put in place",
    patch: [{ find: "  await draft.sync();\n", replace: "" }],
    execution: "that the power ends leaves a whole folder, or none",
  },
  {
    undone: "the journal's first name is synced before the folder is one",
    patch: [{ find: "/journal`);\n  const draft", replace: "`);\n  const draft" }],
    execution: "that the power ends leaves a whole folder, or none",
  },
  {
    undone: "names above a new folder are synced",
    patch: [{ find: "  await syncNamesAbove(disk, path);\n", replace: "" }],
    execution: "that the power ends leaves a whole folder, or none",
  },
  {
    undone: "a start syncs the names that it found",
    patch: [{ find: "  for (const folder of [path, place.folder]) await disk.syncFolder(folder);\n", replace: "" }],
    execution: "that is killed leaves a folder that the next one can rely on",
  },
  {
    undone: "a stop after a failure is not clean",
    patch: [
      { find: "if (!this.#failure) await this.#journal.close();", replace: "await this.#journal.close();" },
      { find: "    this.#journal.fail(error);\n", replace: "" },
    ],
    execution: "a stop is not a clean one: the next start looks at the segments",
  },
  {
    undone: "recovery syncs what it removes, and a clean start removes what came back",
    patch: [
      { find: "  await disk.syncFolder(folder);\n  return 1;\n", replace: "  return 1;\n" },
      { find: "damage === undefined ? await removeLeftovers(disk, folder, names, segments) : 0;", replace: "0;" },
    ],
    execution: "a segment that was begun and torn, and removed at the next start, is not back",
  },
];
