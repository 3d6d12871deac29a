/**
 * The tables of docs/format.md have the places and numbers of src/log/format.ts.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { BatchKind } from "../../src/base/batch.ts";
import {
  batchHeader,
  checkpointPrefixBytes,
  digestBytes,
  frameHeader,
  idFile,
  indexFile,
  markBody,
  positionBody,
  RecordKind,
  recordHeader,
  stateBody,
} from "../../src/log/format.ts";

const page = fs.readFileSync(new URL("../../docs/format.md", import.meta.url), "utf8");

/** First columns of the first table behind `start`, without its head. */
function tableBehind(start: string): string[][] {
  const at = page.indexOf(start);
  assert.ok(at >= 0, `docs/format.md does not have "${start}"`);
  const [, table = ""] = /\n\n(\|[^\n]*\n\| ---[^\n]*\n(?:\|[^\n]*\n)*)/.exec(page.slice(at)) ?? [];
  const rows = table.trimEnd().split("\n").slice(2);
  return rows.map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Values of the constants that are places: their names end in "At". */
function placesOf(constants: Readonly<Record<string, number>>): number[] {
  return Object.entries(constants)
    .filter(([name]) => name.endsWith("At"))
    .map(([, place]) => place);
}

describe("tables of docs/format.md", () => {
  const { entryOffsetAt, entryIndexAt, entryTimeAt, entryPositionAt, ...indexHeader } = indexFile;
  const tables = [
    { start: "### `id`", places: placesOf(idFile) },
    { start: "## Batch\n", places: [...placesOf(batchHeader), batchHeader.bytes] },
    { start: "### Index files", places: [...placesOf(indexHeader), indexFile.headerBytes] },
    { start: "### Frames\n", places: [...placesOf(frameHeader), frameHeader.bytes] },
    { start: "### Records\n", places: [...placesOf(recordHeader), recordHeader.bytes] },
    { start: "**mark**, 88 bytes", places: placesOf(markBody) },
    {
      start: "**state**, 232 bytes",
      places: [
        ...placesOf(stateBody),
        // The end is a position, a line for each number of it.
        ...placesOf(positionBody)
          .slice(1)
          .map((at) => stateBody.endAt + at),
      ],
    },
  ];
  for (const { start, places } of tables) {
    test(`places: ${start.trim()}`, () => {
      const shown = tableBehind(start).map(([at]) => Number(at));
      assert.deepEqual(
        shown,
        places.sort((a, b) => a - b),
      );
    });
  }

  test("a checkpoint's first bytes", () => {
    const last = tableBehind("A **checkpoint** holds").at(-1);
    assert.deepEqual(last?.slice(0, 2), [String(checkpointPrefixBytes - digestBytes), `${digestBytes} bytes`]);
  });

  test("an index entry", () => {
    assert.ok(page.includes("Entry: u64 base offset, u64 index, u64 append time, u64 position in the segment."));
    assert.deepEqual(
      [entryOffsetAt, entryIndexAt, entryTimeAt, entryPositionAt, indexFile.entryBytes],
      [0, 8, 16, 24, 32],
    );
  });

  test("kinds of records", () => {
    const shown = tableBehind("| 16 | | body |").map(([kind, name]) => [name, Number(kind)]);
    assert.deepEqual(shown, Object.entries(RecordKind));
  });

  test("kinds of batches", () => {
    const shown = tableBehind("### Kinds and payloads").map(([kind, name]) => [name, Number(kind)]);
    const words = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
    assert.deepEqual(
      shown,
      Object.entries(BatchKind).map(([name, kind]) => [words(name), kind]),
    );
  });
});
