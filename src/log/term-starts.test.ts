/** Terms and digests by index are what a scan of the whole log finds, whatever happened to it, and cost few reads. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ScriptedDisk } from "../../test/sim/support/scripted-disk.ts";
import { openFolder, temporaryFolder } from "../../test/support/data-folder.ts";
import { chooseSeed, seeded } from "../../test/support/seeded.ts";
import { type BatchHeader, BatchKind } from "../base/batch.ts";
import { nodeDisk } from "../host/node-disk.ts";
import type { DataFolder, GroupLog, TermStart } from "./types.ts";

const group = 3;
const state = () => new Uint8Array(20);

function logIn(folder: DataFolder): GroupLog {
  const log = folder.log(group);
  assert.ok(log);
  log.rollBy({ maxBytes: 20_000, maxAgeMicros: 1e16 }, state);
  return log;
}

async function newLog(data: string): Promise<{ folder: DataFolder; log: GroupLog }> {
  const folder = await openFolder(data);
  const batch0 = { checkpointState: state(), startOffset: 0, appendTimeMicros: 1, note: new Uint8Array(0) };
  await folder.create({ group, ...batch0 }).made;
  return { folder, log: logIn(folder) };
}

function appendRecords(log: GroupLog, bytes: number): Promise<unknown> {
  return log.append({ kind: BatchKind.records, payload: new Uint8Array(bytes), recordCount: 1 });
}

function beginTerm(log: GroupLog, term: number): Promise<unknown> {
  const begins = { term, votedFor: { diskId: new Uint8Array(16).fill(1), life: 0 } };
  return log.append({ kind: BatchKind.leaderChange, payload: new Uint8Array(4), recordCount: 0, begins });
}

async function headersOf(log: GroupLog): Promise<BatchHeader[]> {
  const headers: BatchHeader[] = [];
  for await (const header of log.headers(log.base.index)) headers.push(header);
  return headers;
}

function startsIn(headers: readonly BatchHeader[]): TermStart[] {
  const isStart = ({ term }: BatchHeader, at: number) => term !== headers[at - 1]?.term;
  return headers.filter(isStart).map(({ term, index }) => ({ term, index }));
}

async function check(log: GroupLog): Promise<void> {
  const headers = await headersOf(log);
  assert.deepEqual(await log.termStarts(), startsIn(headers));
  const [first] = headers;
  assert.ok(first);
  for (const { index, term, digest } of headers) {
    assert.deepEqual([await log.termAt(index), await log.digestAt(index)], [term, digest], `batch ${index}`);
  }
  const { index: end } = log.durableEnd;
  for (const index of [end, end + 7, first.index - 2]) {
    assert.deepEqual([await log.termAt(index), await log.digestAt(index)], [undefined, undefined]);
  }
}

describe("terms of a log", () => {
  test("are those that a scan finds, over appends, cuts, drops and starts", { timeout: 60_000 }, async () => {
    const random = seeded(chooseSeed("term starts"), 64);
    const data = temporaryFolder();
    let { folder, log } = await newLog(data);
    let [term, committed] = [0, 0];
    const places = new Map<number, { term: number; digest: Uint8Array }>();
    for (let round = 0; round < 30; round++) {
      const appends: Promise<unknown>[] = [];
      for (let batch = random.between(1, 12); batch > 0; batch--) {
        if (random.between(0, 3) === 0) {
          term += random.between(1, 3);
          appends.push(beginTerm(log, term));
        } else appends.push(appendRecords(log, random.between(1, 9000)));
        if (random.between(0, 2) === 0) await Promise.all(appends);
      }
      await Promise.all(appends);
      for (const { index, term, digest } of await headersOf(log)) places.set(index, { term, digest: digest.slice() });
      switch (random.between(0, 3)) {
        case 0:
          await folder.close();
          folder = await openFolder(data);
          log = logIn(folder);
          break;
        case 1:
          await log.cut(Math.max(log.durableEnd.index - random.between(1, 15), log.base.index + 1, committed));
          break;
        case 2: {
          committed = Math.max(log.durableEnd.index - 5, committed, log.base.index + 1);
          log.setCommit(committed);
          const starts = log.segmentSizes().map(({ firstIndex }) => firstIndex);
          const mayBegin = starts.filter((index) => index < committed);
          await log.dropBefore(mayBegin[random.between(0, mayBegin.length - 1)] ?? log.base.index);
          break;
        }
      }
      await check(log);
      // What is before the base is known of its checkpoint.
      const before = places.get(log.base.index - 1) ?? { term: 0, digest: new Uint8Array(32) };
      assert.equal(await log.termAt(log.base.index - 1), before.term);
      assert.deepEqual(new Uint8Array((await log.digestAt(log.base.index - 1)) ?? []), before.digest);
    }
    await folder.close();
  });

  test("are told while they are on their way, and while they are read", async () => {
    const data = temporaryFolder();
    const { folder, log } = await newLog(data);
    await beginTerm(log, 2);
    const reading = log.termStarts();
    const appends = [appendRecords(log, 10), beginTerm(log, 5), appendRecords(log, 10)];
    while (log.end.index < 5) await Promise.resolve();
    assert.equal(log.durableEnd.index, 2);
    const expected = [
      { term: 0, index: 0 },
      { term: 2, index: 1 },
      { term: 5, index: 3 },
    ];
    assert.deepEqual(await log.termStarts(), expected);
    assert.deepEqual([await log.termAt(2), await log.termAt(4)], [2, 5]);
    const digest = await log.digestAt(3);
    await reading;
    await Promise.all(appends);
    assert.deepEqual(await log.termStarts(), expected);
    assert.deepEqual(await log.digestAt(3), digest);
    await check(log);
    await folder.close();
  });

  test("are found by a few headers of a log of many segments, and then without the disk", async () => {
    const data = temporaryFolder();
    const { folder, log } = await newLog(data);
    for (let batch = 0; batch < 300; batch++) {
      if (batch === 100 || batch === 205) await beginTerm(log, batch);
      await appendRecords(log, 9000);
    }
    await folder.close();
    const disk = new ScriptedDisk(nodeDisk());
    const reads = () => disk.calls.filter(({ name, path }) => name === "read" && path.endsWith(".log")).length;
    const again = await openFolder(data, disk);
    const read = logIn(again);
    assert.ok(read.segmentSizes().length > 90);
    const atStart = reads();
    const starts = await read.termStarts();
    assert.deepEqual(
      starts.map(({ term }) => term),
      [0, 100, 205],
    );
    const needed = reads() - atStart;
    assert.ok(needed > 0 && needed < 40, `${needed} reads`);
    assert.equal(await read.termAt(starts[2]?.index ?? 0), 205);
    assert.equal(await read.termAt(7), 0);
    assert.deepEqual(await read.termStarts(), starts);
    assert.equal(reads() - atStart, needed);
    await again.close();
  });
});
