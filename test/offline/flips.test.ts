/** Whichever bit of what counts is flipped, verify finds it, in its file and at its batch or frame. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { type CheckedFolder, checkFolder } from "../../src/cli/offline/folder-check.ts";
import { readingFolder } from "../../src/cli/offline/open-folder.ts";
import { systemHash } from "../../src/host/hash.ts";
import { once, python, readByPage } from "../format/both-readers.ts";
import { appendMuch, livedFolder } from "../format/folder.ts";
import { chooseSeed, seeded } from "../support/seeded.ts";
import { batchesIn, copied, fingerprint, flip, framesIn, place } from "./folders.ts";

const timeout = 200_000;
const seed = chooseSeed("flips");

/** A folder whose ring was full more than once, with the newest frames of a clean stop or of a kill. */
function lived(isClean: boolean): () => Promise<string> {
  return once(async () => {
    const data = place();
    const random = seeded(seed, 100_000);
    const { folder, logs } = await livedFolder(data, random);
    if (!isClean) await appendMuch(logs, random, 200);
    const copy = copied(data);
    await folder.close();
    return isClean ? data : copy;
  });
}

const folders = { "after a clean stop": lived(true), "after a kill": lived(false) };

function check<T>(data: string, use: (checked: CheckedFolder) => T): Promise<T> {
  return readingFolder(data, (folder) => checkFolder(folder, { hash: systemHash }, async (checked) => use(checked)));
}

/** A bit, and where verify must see it: from the first byte of what it is in on. */
interface Bit {
  readonly file: string;
  readonly position: number;
  readonly from: number;
}

/** What counts, piece by piece: the id, frames above `freed` but for the newest, and batches up to the marks. */
async function pieces(data: string): Promise<{ file: string; position: number; length: number }[]> {
  return await check(data, ({ journal, logs }) => {
    assert.ok(journal?.ring.newest);
    const { newest, live } = journal.ring;
    const found = [{ file: "id", position: 0, length: 128 }];
    for (const { slot, first, last } of live) {
      const file = `journal/${slot}`;
      const frames = framesIn(data, file).filter(({ number }) => number >= first && number <= last);
      const counted = frames.filter(({ number }) => number > newest.freed && number < newest.last);
      found.push(...counted.map(({ position, length }) => ({ file, position, length })));
    }
    for (const { known, segments } of logs) {
      const { mark, group, logNumber } = known;
      for (const { firstIndex } of segments) {
        const file = `groups/${group}/${logNumber}/${String(firstIndex).padStart(20, "0")}.log`;
        const batches = batchesIn(data, file).filter(({ index }) => index < mark.end.index);
        found.push(...batches.map(({ position, length }) => ({ file, position, length })));
      }
    }
    return found;
  });
}

describe("one flipped bit is found", () => {
  for (const [name, make] of Object.entries(folders)) {
    test(name, { timeout }, async () => {
      const data = await make();
      const before = fingerprint(data);
      const whole = await check(data, ({ findings, logs }) => ({ findings, logs }));
      assert.deepEqual(
        whole.findings.filter(({ kind }) => kind === "damage"),
        [],
      );
      assert.deepEqual(fingerprint(data), before);
      const random = seeded(seed, 8);
      const all = await pieces(data);
      const byFile = [...new Set(all.map(({ file }) => file))];
      for (let round = 0; round < 60; round++) {
        // A file first: else the journal's few frames would hardly be met.
        const file = byFile[random.between(0, byFile.length - 1)] ?? "";
        const inFile = all.filter((piece) => piece.file === file);
        const piece = inFile[random.between(0, inFile.length - 1)];
        assert.ok(piece);
        const bit: Bit = { file, position: piece.position + random.between(0, piece.length - 1), from: piece.position };
        const which = random.between(0, 7);
        flip(data, file, bit.position, which);
        const damages = await check(data, ({ findings }) => findings.filter(({ kind }) => kind === "damage"));
        const told = damages.some(({ file: where, position }) => {
          return where === file && position >= bit.from && position <= bit.position;
        });
        assert.ok(told, `bit ${which} of ${JSON.stringify(bit)} is not told of in ${JSON.stringify(damages)}`);
        flip(data, file, bit.position, which);
      }
      assert.equal(fs.existsSync(path.join(data, "aside")), false);
    });
  }
});

describe("verify and the reader that was written from the page alone", () => {
  for (const [name, make] of Object.entries(folders)) {
    test(`count the same batches ${name}`, { ...python, timeout }, async () => {
      const data = await make();
      const byPage = readByPage(data);
      assert.equal(byPage.status, 0);
      const { batches, tail } = await check(data, ({ logs }) => ({
        batches: logs.reduce((sum, log) => sum + log.batches, 0),
        tail: logs.reduce((sum, log) => sum + log.tailBatches, 0),
      }));
      assert.deepEqual([batches, tail], [byPage.batches.length, byPage.summary.tail_batches]);
    });
  }
});
