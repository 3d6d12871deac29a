/**
 * What a crash can leave, and what it can't: reader.py, written from docs/format.md alone, must keep what recovery keeps
 * and refuse what it refuses.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { crc32 } from "node:zlib";
import { BatchKind } from "../../src/base/batch.ts";
import { DataFolderError } from "../../src/base/disk-errors.ts";
import { systemHash } from "../../src/host/hash.ts";
import { stampHeader } from "../../src/log/batch-writer.ts";
import { seeded } from "../support/seeded.ts";
import { folderPlaces, newestFrame, newestSegment, once, python, readByLog, readByPage } from "./both-readers.ts";
import { appendMuch, livedFolder, openLogs, openSmall } from "./folder.ts";

const { place, copied } = folderPlaces();

describe("reader.py agrees with recovery when", () => {
  const killed = once(async () => {
    const data = place();
    const { folder, logs } = await livedFolder(data, seeded(7, 100_000));
    // The last thing that happens is a flush, and its mark is not written yet.
    await logs[0]?.append({ kind: BatchKind.records, payload: new Uint8Array(70_000).fill(5), recordCount: 1 });
    const copy = copied(data);
    await folder.close();
    return copy;
  });

  const cases: { name: string; spoil: (folder: string) => void; cuts: boolean }[] = [
    { name: "nothing is wrong", spoil: () => {}, cuts: false },
    {
      name: "the newest frame is torn",
      spoil: (folder) => flip(newestFrame(folder).path, newestFrame(folder).end - 1),
      cuts: false,
    },
    { name: "a segment ends within a payload", spoil: (folder) => cutOff(newestSegment(folder), 100), cuts: true },
    { name: "a segment ends within a header", spoil: (folder) => cutOff(newestSegment(folder), 70_100), cuts: true },
    { name: "a bit of the last flush is flipped", spoil: (folder) => flip(newestSegment(folder), -20_000), cuts: true },
    {
      name: "zeros stand behind a segment",
      spoil: (folder) => fs.appendFileSync(newestSegment(folder), new Uint8Array(5000)),
      cuts: true,
    },
    {
      name: "batches of long ago stand behind a segment",
      spoil: (folder) => fs.appendFileSync(newestSegment(folder), fs.readFileSync(newestSegment(folder))),
      cuts: true,
    },
    {
      name: "an index file is of something else",
      spoil: (folder) => fs.writeFileSync(newestSegment(folder).replace(/log$/, "index"), "something else"),
      cuts: false,
    },
  ];
  for (const { name, spoil, cuts } of cases) {
    test(name, { ...python, timeout: 120_000 }, async () => {
      const folder = copied(await killed());
      spoil(folder);
      const byPage = readByPage(folder);
      assert.deepEqual(byPage.errors, []);
      const { batches, report } = await readByLog(folder);
      assert.deepEqual(byPage.batches, batches);
      assert.ok(report.keptBytes > 0);
      assert.equal(report.cutBytes > 0, cuts);
      fs.rmSync(folder, { recursive: true });
    });
  }

  test("a segment has other bytes where the journal has a batch", { ...python, timeout: 120_000 }, async () => {
    const data = place();
    const folder = await openSmall(data);
    const [log] = openLogs(folder, seeded(7, 1000));
    assert.ok(log);
    await log.append({ kind: BatchKind.records, payload: new Uint8Array(15_000), recordCount: 1 });
    await log.append({ kind: BatchKind.records, payload: new Uint8Array(70_000), recordCount: 1 });
    const end = log.durableEnd;
    const kept = await log.append({ kind: BatchKind.records, payload: new Uint8Array(10).fill(1), recordCount: 1 });
    const copy = copied(data);
    await folder.close();
    // A flush that was refused left this, and was killed before it was cut off.
    const { index, offset, term, appendTimeMicros, digest } = end;
    const stamp = { kind: BatchKind.records, group: log.group, index, baseOffset: offset, recordCount: 1 };
    const payload = new Uint8Array(10).fill(2);
    const header = new Uint8Array(128);
    stampHeader(header, payload, { ...stamp, term, appendTimeMicros }, digest, systemHash);
    fs.appendFileSync(newestSegment(copy), Buffer.concat([header, payload]));
    const byPage = readByPage(copy);
    assert.deepEqual(byPage.errors, []);
    const last = byPage.batches.findLast(({ group }) => group === log.group);
    assert.equal(last?.digest, Buffer.from(kept.digest).toString("hex"));
    assert.deepEqual((await readByLog(copy)).batches, byPage.batches);
  });
});

describe("reader.py and the log refuse", () => {
  const killed = once(async () => {
    const data = place();
    const folder = await openSmall(data);
    const random = seeded(7, 100_000);
    const logs = openLogs(folder, random);
    while (!newestFrame(data).path.endsWith("1")) await appendMuch(logs, random, 100);
    assert.equal(folder.metrics.ringWaits, 0);
    const copy = copied(data);
    await folder.close();
    return copy;
  });

  const cases: { name: string; spoil: (folder: string) => void; status: number; says: RegExp }[] = [
    {
      name: "a journal with a bad frame before good ones",
      spoil: (folder) => flip(path.join(folder, "journal/0"), 100_000),
      status: 1,
      says: /damaged/,
    },
    {
      name: "a journal whose newest file has a bad first frame",
      spoil: (folder) => flip(newestFrame(folder).path, 100),
      status: 1,
      says: /damaged/,
    },
    {
      name: "a journal that lacks a file that counts",
      spoil: (folder) => fs.rmSync(path.join(folder, "journal/0")),
      status: 1,
      says: /damaged/,
    },
    { name: "a damaged id", spoil: (folder) => flip(path.join(folder, "id"), 20), status: 1, says: /damaged/ },
    { name: "an id of version 2", spoil: (folder) => setVersion(path.join(folder, "id"), 2), status: 2, says: /newer/ },
  ];
  for (const { name, spoil, status, says } of cases) {
    test(name, { ...python, timeout: 120_000 }, async () => {
      const folder = copied(await killed());
      assert.equal(readByPage(folder).status, 0);
      spoil(folder);
      assert.equal(readByPage(folder).status, status);
      await assert.rejects(openSmall(folder), (error) => error instanceof DataFolderError && says.test(error.message));
      fs.rmSync(folder, { recursive: true });
    });
  }
});

/** Flips a bit; a position below 0 counts from the end. */
function flip(file: string, position: number): void {
  const bytes = fs.readFileSync(file);
  const at = position < 0 ? bytes.length + position : position;
  bytes[at] = (bytes[at] ?? 0) ^ 4;
  fs.writeFileSync(file, bytes);
}

function cutOff(file: string, count: number): void {
  fs.truncateSync(file, fs.statSync(file).size - count);
}

function setVersion(idFile: string, version: number): void {
  const bytes = fs.readFileSync(idFile);
  bytes.writeUInt32LE(version, 8);
  bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
  fs.writeFileSync(idFile, bytes);
}
