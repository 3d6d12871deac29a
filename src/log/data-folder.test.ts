/** A data folder on a real disk: what it refuses, what it mends, and what it has after a stop and after a kill. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, describe, test } from "node:test";
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { DataFolderError, NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import { systemClock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import { systemHash } from "../host/hash.ts";
import { nodeDisk } from "../host/node-disk.ts";
import { systemRandom } from "../host/random.ts";
import { openDataFolder } from "./data-folder.ts";
import type { LogOptions } from "./settings.ts";
import type { DataFolder, GroupLog } from "./types.ts";

const root = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-log-"));
after(() => fs.rmSync(root, { recursive: true, force: true }));

const group = 7;
let folders = 0;

function newPath(): string {
  folders += 1;
  return path.join(root, `${folders}`);
}

function open(data: string, settings: LogOptions = {}, disk: Disk = nodeDisk()): Promise<DataFolder> {
  return openDataFolder({
    ...{ path: data, disk, clock: systemClock, hash: systemHash, random: systemRandom },
    settings: { journalFileBytes: 1 << 20, journalFiles: 2, arenaBytes: 1 << 20, ...settings },
  });
}

/** Segments of some batches each, and no tail of more than one. */
const flushedAtOnce: LogOptions = { tailMaxBytes: 1 };

function make(folder: DataFolder, segmentMaxBytes = 1 << 20): GroupLog {
  const { log } = folder.create({
    ...{ group, checkpointState: new Uint8Array(5), startOffset: 0, appendTimeMicros: 1, note: new Uint8Array(0) },
  });
  log.rollBy({ maxBytes: segmentMaxBytes, maxAgeMicros: 1e16 }, () => new Uint8Array(20));
  return log;
}

async function append(log: GroupLog, count: number, bytes = 40): Promise<void> {
  for (let i = 0; i < count; i++) {
    const payload = new Uint8Array(bytes).fill(log.durableEnd.index);
    await log.append({ kind: BatchKind.records, payload, recordCount: 2 });
  }
}

function logIn(folder: DataFolder): GroupLog {
  const log = folder.log(group);
  assert.ok(log);
  return log;
}

async function all(log: GroupLog): Promise<StoredBatch[]> {
  log.setCommit(log.durableEnd.index);
  return await log.read({ from: { index: 0 }, belowIndex: log.durableEnd.index, maxBytes: 1 << 30 });
}

/** The files of the group, without the folders above. */
function filesIn(data: string): string[] {
  return fs.readdirSync(path.join(data, "groups", `${group}`, "1")).sort();
}

function fileIn(data: string, name: string): string {
  return path.join(data, "groups", `${group}`, "1", name);
}

function activeSegment(data: string): string {
  return fileIn(data, filesIn(data).findLast((name) => name.endsWith(".log")) ?? "");
}

/** What a kill leaves: all that was written. Nothing is on its way when this is called. */
function killed(data: string): string {
  const copy = newPath();
  fs.cpSync(data, copy, { recursive: true });
  return copy;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** A folder with some segments, stopped cleanly, and what is in its log. */
async function stopped(): Promise<{ data: string; batches: StoredBatch[] }> {
  const data = newPath();
  const folder = await open(data, flushedAtOnce);
  const log = make(folder, 1000);
  await append(log, 30);
  const batches = await all(log);
  await folder.close();
  return { data, batches };
}

async function refusalOf(data: string): Promise<DataFolderError> {
  const error = await open(data).then(
    async (folder) => {
      await folder.close();
      return undefined;
    },
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof DataFolderError, `it opened, or: ${error}`);
  return error;
}

describe("a data folder", () => {
  test("has after a clean stop what it had, and starts without reading logs", async () => {
    const data = newPath();
    const folder = await open(data);
    assert.equal(folder.report.kind, "created");
    const log = make(folder);
    await append(log, 20);
    await append(log, 2, 100_000);
    const batches = await all(log);
    await folder.close();

    const again = await open(data);
    assert.deepEqual(
      { ...again.report, durationMs: 0 },
      { kind: "clean", groups: 1, tailBatches: 0, keptBytes: 0, cutBytes: 0, droppedBatches: 0, durationMs: 0 },
    );
    assert.equal(again.nodeId, folder.nodeId);
    assert.deepEqual(await all(logIn(again)), batches);
    await append(logIn(again), 1);
    assert.equal(logIn(again).durableEnd.index, batches.length + 1);
    await again.close();
  });

  test("has after a kill what it had, the first record too (C026)", async () => {
    for (const count of [1, 2, 30]) {
      const data = newPath();
      const folder = await open(data);
      const log = make(folder);
      await append(log, count);
      const batches = await all(log);
      const again = await open(killed(data));
      assert.equal(again.report.kind, "recovered");
      assert.equal(again.report.tailBatches, count + 1);
      assert.deepEqual(await all(logIn(again)), batches);
      const [first] = await logIn(again).read({ from: { offset: 0 }, belowIndex: 2, maxBytes: 1 });
      assert.equal(first?.baseOffset, 0);
      await again.close();
      await folder.close();
    }
  });

  test("is one node's at a time", async () => {
    const data = newPath();
    const folder = await open(data);
    const refusal = await refusalOf(data);
    assert.match(refusal.message, new RegExp(`^The data folder ${data} is in use by another node$`));
    assert.match(refusal.todo, /--data/);
    await folder.close();
    await (await open(data)).close();
  });

  test("has the name that its first start gives, tells how often it was opened, and refuses another name", async () => {
    const data = newPath();
    const surroundings = { disk: nodeDisk(), clock: systemClock, hash: systemHash, random: systemRandom };
    const settings = { journalFileBytes: 1 << 20, journalFiles: 2, arenaBytes: 1 << 20 };
    for (const incarnation of [1, 2, 3]) {
      const folder = await openDataFolder({ path: data, ...surroundings, settings, nodeId: "one" });
      assert.deepEqual([folder.nodeId, folder.incarnation], ["one", incarnation]);
      await folder.close();
    }
    await assert.rejects(openDataFolder({ path: data, ...surroundings, settings, nodeId: "two" }), {
      name: "DataFolderError",
      message: `The data folder ${data} is of the node "one", not of "two"`,
    });
    const unnamed = await open(data);
    assert.equal(unnamed.nodeId, "one");
    await unnamed.close();
  });

  test("takes no appends after it was asked to close, and closing twice is closing once", async () => {
    const folder = await open(newPath());
    const log = make(folder);
    const last = append(log, 1);
    const closing = [folder.close(), folder.close()];
    await last;
    await assert.rejects(append(log, 1), (error) => error instanceof TailraceError && error.reason === "not_ready");
    await Promise.all(closing);
  });

  test("refuses a batch that must be journaled and is larger than a frame", async () => {
    const folder = await open(newPath());
    const { made } = folder.create({
      ...{ group, checkpointState: new Uint8Array(300_000), startOffset: 0, appendTimeMicros: 1 },
      note: new Uint8Array(0),
    });
    await assert.rejects(
      made,
      (error) => error instanceof TailraceError && /journaled_batch_max_bytes/.test(error.message),
    );
    assert.equal(folder.log(group), undefined);
    await folder.close();
  });

  test("is left as it was where somebody else's files are in it", async () => {
    for (const stranger of ["notes.txt", "journal/1", "groups/5"]) {
      const data = newPath();
      fs.mkdirSync(path.dirname(path.join(data, stranger)), { recursive: true });
      fs.writeFileSync(path.join(data, stranger), "mine");
      const refusal = await refusalOf(data);
      assert.match(refusal.message, new RegExp(`^${data} is no data folder of tailrace: it has ${stranger} in it`));
      assert.equal(fs.readFileSync(path.join(data, stranger), "utf8"), "mine");
    }
  });
});

describe("a data folder of which something is lost or spoiled (C008)", () => {
  const cases = [
    { name: "its id", spoil: (data: string) => fs.rmSync(path.join(data, "id")), says: /no data folder of tailrace/ },
    {
      name: "its id, emptied",
      spoil: (data: string) => fs.truncateSync(path.join(data, "id")),
      says: /\/id is damaged/,
    },
    { name: "its id, one bit", spoil: (data: string) => flip(path.join(data, "id"), 20), says: /\/id is damaged/ },
    {
      name: "its journal",
      spoil: (data: string) => fs.rmSync(path.join(data, "journal"), { recursive: true }),
      says: /The journal is damaged: .*holds no whole frame/,
    },
    {
      name: "its journal, emptied",
      spoil: (data: string) => fs.truncateSync(path.join(data, "journal", "0")),
      says: /The journal is damaged: .*holds no whole frame/,
    },
    {
      name: "its journal, a bit of an early frame",
      spoil: (data: string) => flip(path.join(data, "journal", "0"), 4096 + 200),
      says: /The journal is damaged: .*\/journal\/0, from byte 4096: .* is whole/,
    },
    {
      name: "its journal, another folder's instead",
      spoil: async (data: string) => {
        const other = await stopped();
        fs.cpSync(path.join(other.data, "journal"), path.join(data, "journal"), { recursive: true });
      },
      says: /The journal is damaged: .*holds no whole frame/,
    },
  ];
  for (const { name, spoil, says } of cases) {
    test(`${name}: it does not start, says what is wrong and what to do, and touches nothing`, async () => {
      const { data } = await stopped();
      await spoil(data);
      const before = contentsOf(data);
      const refusal = await refusalOf(data);
      assert.match(refusal.message, says);
      assert.ok(refusal.todo.length > 20);
      assert.deepEqual(contentsOf(data), before);
    });
  }

  test("its id, while only the journal has data: that is not wiped", async () => {
    const data = newPath();
    const folder = await open(data);
    await append(make(folder), 3);
    await folder.close();
    fs.rmSync(path.join(data, "id"));
    const before = contentsOf(data);
    assert.match((await refusalOf(data)).message, /no data folder of tailrace: it has a journal in it, and no id file/);
    assert.deepEqual(contentsOf(data), before);
  });
});

describe("an index file is a cache: whatever became of it, reads are right (C006, C019)", () => {
  const spoilings = [
    { name: "missing", spoil: (file: string) => fs.rmSync(file) },
    { name: "empty", spoil: (file: string) => fs.truncateSync(file) },
    { name: "short", spoil: (file: string) => fs.truncateSync(file, fs.statSync(file).size - 5) },
    { name: "wrong in 8 bytes", spoil: (file: string) => fs.writeFileSync(file, "whatever", { flag: "r+" }) },
    { name: "with 12 zeros behind it", spoil: (file: string) => fs.appendFileSync(file, new Uint8Array(12)) },
    { name: "with 4096 zeros behind it", spoil: (file: string) => fs.appendFileSync(file, new Uint8Array(4096)) },
  ];
  for (const { name, spoil } of spoilings) {
    test(name, async () => {
      const { data, batches } = await stopped();
      const indexes = filesIn(data).filter((file) => file.endsWith(".index"));
      assert.ok(indexes.length > 3);
      for (const index of indexes) spoil(fileIn(data, index));
      const folder = await open(data);
      await findsEach(logIn(folder), batches);
      await folder.close();
      const again = await open(data);
      await findsEach(logIn(again), batches);
      await again.close();
    });
  }

  test("of another segment", async () => {
    const { data, batches } = await stopped();
    const [first = "", second = ""] = filesIn(data).filter((file) => file.endsWith(".index"));
    fs.copyFileSync(fileIn(data, first), fileIn(data, second));
    const folder = await open(data);
    await findsEach(logIn(folder), batches);
    await folder.close();
  });
});

test("strays among a stream's files are let be, and an orphan index goes (C024)", async () => {
  const { data, batches } = await stopped();
  const orphan = fileIn(data, "00000000000000000099.index");
  fs.writeFileSync(orphan, "of no segment");
  const strays = ["7.log", "00000000000000000000.log~", "#x#", "tmp.1234"];
  for (const stray of strays) fs.writeFileSync(fileIn(data, stray), "mine");
  fs.mkdirSync(fileIn(data, "lost+found"));
  fs.mkdirSync(path.join(data, "groups", "lost+found"));
  fs.rmSync(fileIn(data, "00000000000000000000.index"));
  for (const start of ["clean", "clean"]) {
    const folder = await open(data);
    assert.equal(folder.report.kind, start);
    await findsEach(logIn(folder), batches);
    await folder.close();
  }
  assert.ok(!fs.existsSync(orphan));
  for (const stray of [...strays, "lost+found"]) assert.ok(fs.existsSync(fileIn(data, stray)), stray);
  assert.ok(fs.existsSync(path.join(data, "groups", "lost+found")));
});

describe("what stands behind a log after a kill", () => {
  for (const { name, spoil } of [
    { name: "a zero byte", spoil: (file: string) => fs.appendFileSync(file, new Uint8Array(1)) },
    { name: "4096 zero bytes", spoil: (file: string) => fs.appendFileSync(file, new Uint8Array(4096)) },
    { name: "1 MiB of zeros", spoil: (file: string) => fs.appendFileSync(file, new Uint8Array(1 << 20)) },
    { name: "a hole of 1 MiB", spoil: (file: string) => fs.truncateSync(file, fs.statSync(file).size + (1 << 20)) },
    { name: "other bytes", spoil: (file: string) => fs.appendFileSync(file, systemRandom.bytes(5000)) },
  ]) {
    test(`${name}: is cut off and counted, and appends go on (C010)`, async () => {
      const data = newPath();
      const folder = await open(data, flushedAtOnce);
      const log = make(folder);
      await append(log, 5);
      await until(() => folder.metrics.tailBytes === 0);
      const batches = await all(log);
      const copy = killed(data);
      await folder.close();
      const size = fs.statSync(activeSegment(copy)).size;
      spoil(activeSegment(copy));
      const spoiledBytes = fs.statSync(activeSegment(copy)).size - size;

      const again = await open(copy);
      assert.equal(again.report.cutBytes, spoiledBytes);
      assert.equal(fs.statSync(activeSegment(copy)).size, size);
      assert.deepEqual(await all(logIn(again)), batches);
      await append(logIn(again), 2);
      const more = await all(logIn(again));
      await again.close();
      const last = await open(copy);
      assert.deepEqual(await all(logIn(last)), more);
      await last.close();
    });
  }
});

test("what a kill left of segments that were dropped goes at the next start, an index alone too", async () => {
  const data = newPath();
  const folder = await open(data, flushedAtOnce);
  const log = make(folder, 1000);
  await append(log, 30);
  await until(() => folder.metrics.tailBytes === 0);
  log.setCommit(log.durableEnd.index);
  const before = killed(data);
  await log.dropBefore(await log.segmentBelow(log.durableEnd.offset));
  const after = killed(data);
  await folder.close();
  const left = filesIn(after);
  const dropped = filesIn(before).filter((name) => !left.includes(name));
  assert.ok(dropped.length > 4);
  // One has both files left, one its segment, all others their index.
  const [first = "", second = ""] = dropped.filter((name) => name.endsWith(".log"));
  for (const name of dropped) {
    if (name.endsWith(".index") ? name.startsWith(second.slice(0, 20)) : name !== first && name !== second) continue;
    fs.copyFileSync(fileIn(before, name), fileIn(after, name));
  }
  assert.ok(filesIn(after).length > left.length);

  const again = await open(after);
  assert.deepEqual(filesIn(after), left);
  await again.close();
});

test("a start with a full ring and a full disk is over when what it could not flush is cut off again", async () => {
  const real = nodeDisk();
  const full: Disk = {
    ...real,
    async open(file, options) {
      const opened = await real.open(file, options);
      if (opened && file.endsWith(".log")) opened.write = () => Promise.reject(new NoRoomError("full", "ENOSPC"));
      return opened;
    },
    async remove(file) {
      // A folder may go faster than a file in it.
      if (file.endsWith(".log")) await new Promise((resolve) => setTimeout(resolve, 20));
      await real.remove(file);
    },
  };
  const data = newPath();
  const folder = await open(data, {}, full);
  const log = make(folder);
  await assert.rejects(append(log, 1000, 10_000), NoRoomError);
  const batches = await all(log);
  const copy = killed(data);
  await folder.close();

  const again = await open(copy, {}, full);
  const failed = await Promise.race([again.failed, new Promise((resolve) => setTimeout(resolve, 100))]);
  assert.equal(failed, undefined);
  assert.deepEqual(await all(logIn(again)), batches);
  await again.close();
});

describe("a write that a crash tore", () => {
  test("is kept up to its last whole batch, wherever it was cut, and with any of its sectors missing (C013)", {
    timeout: 60_000,
  }, async () => {
    const data = newPath();
    const folder = await open(data, flushedAtOnce);
    const log = make(folder);
    await append(log, 3);
    await until(() => folder.metrics.tailBytes === 0);
    await new Promise((resolve) => setTimeout(resolve, 150));
    const journal = killed(data);
    const from = fs.statSync(activeSegment(data)).size;
    await append(log, 3, 400);
    await until(() => folder.metrics.tailBytes === 0);
    const written = fs.readFileSync(activeSegment(data));
    const batches = await all(log);
    await folder.close();

    const ends = batches.map((_, i) =>
      batches.slice(0, i + 1).reduce((sum, { payload }) => sum + 128 + payload.length, 0),
    );
    const check = async (segment: Uint8Array, wholeBytes: number, name: string) => {
      const copy = killed(journal);
      fs.writeFileSync(activeSegment(copy), segment);
      const again = await open(copy);
      const kept = ends.filter((end) => end <= wholeBytes).length;
      assert.deepEqual(await all(logIn(again)), batches.slice(0, kept), name);
      assert.equal(logIn(again).damage, undefined, name);
      await again.close();
      fs.rmSync(copy, { recursive: true });
    };
    for (let cut = from; cut <= written.length; cut += cut < from + 600 ? 13 : 41) {
      await check(written.subarray(0, cut), cut, `cut at ${cut}`);
    }
    for (const border of ends.filter((end) => end > from)) {
      for (const cut of [border - 1, border, border + 1]) await check(written.subarray(0, cut), cut, `cut at ${cut}`);
    }
    for (let sector = Math.floor(from / 512); sector * 512 < written.length; sector++) {
      const lost = Math.max(sector * 512, from);
      const torn = Uint8Array.from(written).fill(0, lost, (sector + 1) * 512);
      await check(torn, lost, `without sector ${sector}`);
    }
  });
});

describe("a log that ends below its mark", () => {
  for (const { name, spoil } of [
    { name: "its file is short", spoil: (file: string) => fs.truncateSync(file, fs.statSync(file).size - 1) },
    { name: "its file is gone", spoil: (file: string) => fs.rmSync(file) },
  ]) {
    test(`is damaged: ${name}. It takes no appends, and other logs go on`, async () => {
      const data = newPath();
      const folder = await open(data, flushedAtOnce);
      await append(make(folder), 5);
      const other = folder.create({
        ...{
          group: 8,
          checkpointState: new Uint8Array(0),
          startOffset: 0,
          appendTimeMicros: 1,
          note: new Uint8Array(0),
        },
      });
      await other.made;
      await until(() => folder.metrics.tailBytes === 0);
      await new Promise((resolve) => setTimeout(resolve, 150));
      const copy = killed(data);
      await folder.close();
      spoil(activeSegment(copy));

      const again = await open(copy);
      const log = logIn(again);
      assert.match(log.damage ?? "", new RegExp(`^${activeSegment(data).slice(data.length + 1)} `));
      const isDamage = (error: unknown) => error instanceof TailraceError && error.reason === "damaged";
      await assert.rejects(append(log, 1), isDamage);
      const healthy = again.log(8);
      assert.ok(healthy);
      await append(healthy, 1);
      await again.close();
    });
  }
});

/** A group beside the one of most tests. */
function makeOther(folder: DataFolder, other: number): GroupLog {
  const batch0 = { checkpointState: new Uint8Array(0), startOffset: 0, appendTimeMicros: 1, note: new Uint8Array(0) };
  const { log } = folder.create({ group: other, ...batch0 });
  log.rollBy({ maxBytes: 1 << 20, maxAgeMicros: 1e16 }, () => new Uint8Array(20));
  return log;
}

describe("the tail of a damaged log", () => {
  for (const { name, batches, bytes } of [
    { name: "small", batches: 3, bytes: 40 },
    { name: "larger than a frame", batches: 30, bytes: 20_000 },
  ]) {
    test(`is carried for ever, where it is ${name}: its files can't take it, and other logs go on`, async () => {
      const data = newPath();
      const settings = { journalFiles: 4, tailMaxBytes: 1 };
      const folder = await open(data, settings);
      const log = make(folder);
      await append(log, 5);
      await until(() => folder.metrics.tailBytes === 0);
      await new Promise((resolve) => setTimeout(resolve, 150));
      await folder.close();
      const again = await open(data, { journalFiles: 4 });
      const tailStart = logIn(again).durableEnd.index;
      await append(logIn(again), batches, bytes);
      assert.ok(again.metrics.tailBytes > 0);
      await again.close();
      fs.rmSync(activeSegment(data));

      const end = tailStart + batches;
      // Other sizes: the copies of a large tail stand in one file of the ring, or go on in the next.
      for (const [start, otherBytes] of [15_000, 11_000, 20_000, 9000, 17_000].entries()) {
        const damaged = await open(data, { journalFiles: 4 });
        assert.match(logIn(damaged).damage ?? "", /is missing/);
        assert.equal(logIn(damaged).durableEnd.index, end);
        const other = damaged.log(8) ?? makeOther(damaged, 8);
        // Two laps of the ring.
        while (damaged.metrics.frameBytes < 5 << 20) await append(other, 1, otherBytes);
        const request = { from: { index: tailStart }, belowIndex: end, maxBytes: 1 << 30 };
        const tail = await logIn(damaged).read(request);
        assert.deepEqual(
          tail.map(({ index, payload }) => [index, payload.length, payload[0]]),
          Array.from({ length: batches }, (_, i) => [tailStart + i, bytes, tailStart + i]),
        );
        if (start === 0) fs.cpSync(data, `${data}-killed`, { recursive: true });
        await damaged.close();
      }
      const afterKill = await open(`${data}-killed`, { journalFiles: 4 });
      const [first] = await logIn(afterKill).read({ from: { index: tailStart }, belowIndex: end, maxBytes: 1 });
      assert.equal(first?.index, tailStart);
      assert.equal(logIn(afterKill).durableEnd.index, end);
      await afterKill.close();
    });
  }
});

describe("a bad batch above the mark", () => {
  for (const { name, batches, damaged } of [
    { name: "ends the log where nothing stands two flushes beyond it", batches: 3, damaged: false },
    { name: "is damage where a whole batch stands two flushes beyond it", batches: 6, damaged: true },
  ]) {
    test(name, { timeout: 20_000 }, async () => {
      const data = newPath();
      const folder = await open(data, { markDelayMs: 1e6, journalFileBytes: 4 << 20 });
      const log = make(folder, 1 << 30);
      await append(log, batches, 4 << 20);
      const copy = killed(data);
      await folder.close();
      flip(activeSegment(copy), 1000);
      const again = await open(copy, { journalFileBytes: 4 << 20 });
      assert.equal(logIn(again).damage !== undefined, damaged);
      assert.equal(again.report.cutBytes > 0, !damaged);
      await again.close();
    });
  }
});

test("a log whose first segment is gone is damaged", async () => {
  const { data } = await stopped();
  const copy = newPath();
  fs.cpSync(data, copy, { recursive: true });
  fs.rmSync(fileIn(copy, filesIn(copy).find((name) => name.endsWith(".log")) ?? ""));
  const again = await open(copy);
  assert.match(logIn(again).damage ?? "", /is missing/);
  await again.close();
});

async function findsEach(log: GroupLog, batches: readonly StoredBatch[]): Promise<void> {
  assert.deepEqual(await all(log), batches);
  const belowIndex = batches.length;
  for (const batch of batches) {
    const [byIndex] = await log.read({ from: { index: batch.index }, belowIndex, maxBytes: 1 });
    assert.deepEqual(byIndex, batch);
    if (batch.recordCount === 0) continue;
    const [byOffset] = await log.read({ from: { offset: batch.baseOffset + 1 }, belowIndex, maxBytes: 1 });
    assert.deepEqual(byOffset, batch);
    const first = batches.find(({ appendTimeMicros }) => appendTimeMicros >= batch.appendTimeMicros);
    const { index } = await log.findTime(batch.appendTimeMicros, belowIndex);
    assert.equal(index, first?.index);
  }
}

function flip(file: string, at: number): void {
  const bytes = fs.readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  fs.writeFileSync(file, bytes);
}

/** All files below a folder but the lock, with their bytes. */
function contentsOf(folder: string): Map<string, string> {
  const names = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const files = names.filter((name) => name !== "lock" && fs.statSync(path.join(folder, name)).isFile());
  return new Map(files.map((name) => [name, fs.readFileSync(path.join(folder, name)).toString("base64")]));
}

describe("what a replica promised", () => {
  const votedFor = { diskId: new Uint8Array(16).fill(3), life: 2 };
  const note = new Uint8Array(100).fill(9);

  test("is there after a kill, and in the snapshot that a file begins with", async () => {
    const data = newPath();
    const first = await open(data);
    const log = make(first);
    await append(log, 1);
    await log.save({ vote: { term: 5, votedFor }, floor: { term: 4, index: 17 } });
    await log.save({ note });
    const copies = [killed(data)];
    await append(log, 60, 30_000);
    assert.ok(first.metrics.ringBytesUsed > 1 << 20);
    copies.push(killed(data));
    await first.close();
    for (const copy of copies) {
      const again = await open(copy);
      const { vote, floor, note: kept } = logIn(again);
      assert.deepEqual(
        { vote, floor, note: kept },
        { vote: { term: 5, votedFor }, floor: { term: 4, index: 17 }, note },
      );
      await again.close();
    }
  });

  test("counts whichever log the group has then", async () => {
    const data = newPath();
    const folder = await open(data);
    const log = make(folder);
    await append(log, 3);
    log.setCommit(log.durableEnd.index);
    const [checkpoint] = await log.read({ from: { index: 0 }, belowIndex: 1, maxBytes: 1 });
    assert.ok(checkpoint);
    const stored = new Uint8Array([...checkpoint.header, ...checkpoint.payload]);
    await Promise.all([
      log.install(stored),
      log.save({ vote: { term: 7 } }),
      log.save({ vote: { term: 8, votedFor } }),
    ]);
    const copy = killed(data);
    await folder.close();
    const again = await open(copy);
    assert.deepEqual(logIn(again).vote, { term: 8, votedFor });
    await again.close();
  });

  test("a term is never taken back, nor the vote in it given again", async () => {
    const folder = await open(newPath());
    const log = make(folder);
    await append(log, 1);
    await log.save({ vote: { term: 5, votedFor } });
    await log.save({ vote: { term: 5, votedFor } });
    await assert.rejects(log.save({ vote: { term: 4 } }), /term 4/);
    const other = { diskId: new Uint8Array(16).fill(4), life: 0 };
    await assert.rejects(log.save({ vote: { term: 5, votedFor: other } }), /votes twice in term 5/);
    await folder.close();
  });

  test("a note comes with its batch, in one frame", async () => {
    const data = newPath();
    const folder = await open(data);
    const log = make(folder);
    await append(log, 1);
    const { frames } = folder.metrics;
    await log.append({ kind: BatchKind.voters, payload: new Uint8Array(8), recordCount: 0, note });
    assert.equal(folder.metrics.frames, frames + 1);
    assert.deepEqual(log.note, note);
    const copy = killed(data);
    await folder.close();
    const again = await open(copy);
    assert.deepEqual(logIn(again).note, note);
    await again.close();
  });
});
