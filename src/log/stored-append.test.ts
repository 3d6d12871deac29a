/** A follower's log on a real disk, fed with what a leader's log has: it is that log byte for byte, or it refuses. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { openFolder, temporaryFolder } from "../../test/support/data-folder.ts";
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { systemHash } from "../host/hash.ts";
import { BatchRefusedError, type VerifiedRun, verifyStored } from "./stored-batch.ts";
import type { DataFolder, GroupLog, LogPosition, SegmentLimits } from "./types.ts";

const group = 3;
const state = () => new Uint8Array(20);
const wide: SegmentLimits = { maxBytes: 1 << 20, maxAgeMicros: 1e16 };
const { checkpoint, records, voters } = BatchKind;

interface Replica {
  readonly data: string;
  readonly folder: DataFolder;
  readonly log: GroupLog;
}

/** A replica with the group's batch 0, which is the same on each. */
async function newReplica(data = temporaryFolder()): Promise<Replica> {
  const folder = await openFolder(data);
  const batch0 = { checkpointState: state(), startOffset: 5, appendTimeMicros: 1, note: new Uint8Array(2) };
  if (!folder.log(group)) await folder.create({ group, ...batch0 }).made;
  const log = folder.log(group);
  assert.ok(log);
  log.rollBy(wide, state);
  return { data, folder, log };
}

async function append(log: GroupLog, sizes: readonly number[]): Promise<void> {
  const appends = sizes.map((bytes, at) =>
    log.append({ kind: records, payload: new Uint8Array(bytes).fill(at), recordCount: 1 + (at % 3) }),
  );
  await Promise.all(appends);
}

function wholeOf({ header, payload }: StoredBatch): Uint8Array {
  return new Uint8Array([...header, ...payload]);
}

/** What a log has from an index on, as it goes over a wire. */
async function bytesFrom(log: GroupLog, index: number): Promise<Uint8Array> {
  const batches = await log.read({ from: { index }, belowIndex: log.durableEnd.index, maxBytes: 1 << 30 });
  return Buffer.concat(batches.flatMap(({ header, payload }) => [header, payload]));
}

function verify(bytes: Uint8Array, after: LogPosition): VerifiedRun {
  return verifyStored(bytes, { after, group, hash: systemHash });
}

/** As a follower does: asks for what comes behind its end, verifies it, and appends it. */
async function follow(log: GroupLog, leader: GroupLog): Promise<void> {
  const run = verify(await bytesFrom(leader, log.end.index), log.end);
  assert.equal(run.refused, undefined);
  await Promise.all(run.batches.map((batch) => log.appendStored(batch)));
  assert.deepEqual(log.durableEnd, leader.durableEnd);
}

/** The stores of a replica's log, by their names. */
function storesOf({ data }: Replica): Map<string, Buffer> {
  const folder = path.join(data, "groups", `${group}`, "1");
  const names = fs.readdirSync(folder).filter((name) => name.endsWith(".log"));
  return new Map(names.sort().map((name) => [name, fs.readFileSync(path.join(folder, name))]));
}

async function kindsOf(log: GroupLog, from = 0): Promise<number[]> {
  const kinds: number[] = [];
  for await (const { kind } of log.headers(from)) kinds.push(kind);
  return kinds;
}

describe("a log that is fed with stored batches", () => {
  test("has the leader's digest and bytes, whether they went through the journal or not", async () => {
    const [leader, follower] = [await newReplica(), await newReplica()];
    leader.log.rollBy({ ...wide, maxBytes: 300_000 }, state);
    for (const sizes of [[40, 50, 60], [200_000, 90_000], [10], [900_000], [5, 5], [300_000, 300_000, 20]]) {
      await append(leader.log, sizes);
      await follow(follower.log, leader.log);
    }
    const theirs = await bytesFrom(leader.log, 0);
    assert.deepEqual(await bytesFrom(follower.log, 0), theirs);
    assert.ok((await kindsOf(follower.log)).filter((kind) => kind === checkpoint).length > 3);
    const sealed = [...storesOf(leader)].slice(0, -1);
    assert.ok(sealed.length > 1);
    const ours = storesOf(follower);
    for (const [name, bytes] of sealed) assert.deepEqual(ours.get(name), bytes, name);
    await leader.folder.close();
    await follower.folder.close();
    const again = await newReplica(follower.data);
    assert.deepEqual(await bytesFrom(again.log, 0), theirs);
    await again.folder.close();
  });

  test("writes no checkpoint of its own, and goes on with the leader's segments when it leads", async () => {
    const [one, other] = [await newReplica(), await newReplica()];
    const limits = { ...wide, maxBytes: 1000 };
    // The leader's limits are wider than the follower's, which count nothing while it follows.
    other.log.rollBy(limits, state);
    await append(
      one.log,
      Array.from({ length: 12 }, () => 100),
    );
    await follow(other.log, one.log);
    assert.deepEqual(
      (await kindsOf(other.log, 1)).filter((kind) => kind === checkpoint),
      [],
    );
    // What it got as a follower counts for its own limits.
    await append(other.log, [100]);
    assert.deepEqual(await kindsOf(other.log, 13), [checkpoint, records]);
    await follow(one.log, other.log);
    // And the other way round, as often as one likes.
    for (let term = 1; term <= 4; term++) {
      const [leader, follower] = term % 2 === 0 ? [one.log, other.log] : [other.log, one.log];
      leader.rollBy(limits, state);
      const votedFor = { diskId: new Uint8Array(16).fill(term), life: 0 };
      const change = { kind: BatchKind.leaderChange, payload: new Uint8Array(4), recordCount: 0 };
      await leader.append({ ...change, begins: { term, votedFor } });
      for (let round = 0; round < 5; round++) {
        await append(leader, [300, 300]);
        await follow(follower, leader);
      }
      assert.equal(follower.durableEnd.term, term);
    }
    const kinds = await kindsOf(other.log);
    const starts = kinds.flatMap((kind, index) => (kind === checkpoint ? [index] : []));
    // Whoever led, and whoever was asked: a segment has its limit and no more than one batch above it.
    const sizes = other.log
      .segmentSizes()
      .slice(1, -1)
      .map(({ sizeBytes }) => sizeBytes);
    assert.deepEqual(
      other.log.segmentSizes().map(({ firstIndex }) => firstIndex),
      starts,
    );
    assert.ok(sizes.length > 8 && sizes.every((bytes) => bytes >= 1000 && bytes < 1000 + 428), `${sizes}`);
    assert.deepEqual(await bytesFrom(one.log, 0), await bytesFrom(other.log, 0));
    await one.folder.close();
    await other.folder.close();
  });

  test("keeps a note in the frame of the batch that brings it", async () => {
    const [leader, follower] = [await newReplica(), await newReplica()];
    await leader.log.append({ kind: voters, payload: new Uint8Array(8), recordCount: 0, note: new Uint8Array([1, 2]) });
    const run = verify(await bytesFrom(leader.log, 1), follower.log.end);
    const { frames } = follower.folder.metrics;
    const [batch] = run.batches;
    assert.ok(batch);
    await follower.log.appendStored(batch, { note: new Uint8Array([1, 2]) });
    assert.deepEqual(follower.log.note, new Uint8Array([1, 2]));
    assert.equal(follower.folder.metrics.frames - frames, 1);
    await follower.folder.close();
    const again = await newReplica(follower.data);
    assert.deepEqual(again.log.note, new Uint8Array([1, 2]));
    await leader.folder.close();
    await again.folder.close();
  });
});

describe("a stored batch for another place", () => {
  test("is refused, and so is what waits behind it; what comes to its place is taken", async () => {
    const [leader, follower] = [await newReplica(), await newReplica()];
    await append(leader.log, [10, 20, 30, 40]);
    const [first, second, third, fourth] = verify(await bytesFrom(leader.log, 1), follower.log.end).batches;
    assert.ok(first && second && third && fourth);
    await assert.rejects(follower.log.appendStored(second), (error) => {
      assert.ok(error instanceof BatchRefusedError);
      assert.deepEqual([error.index, error.why], [2, "the log ends at 1"]);
      return true;
    });
    await follower.log.appendStored(first);
    await assert.rejects(follower.log.appendStored(first), BatchRefusedError);
    // An own batch comes first: then the place that the stored ones are for is another's.
    const own = append(follower.log, [7]);
    const stored = [second, third, fourth].map((batch) => follower.log.appendStored(batch));
    const after = append(follower.log, [8]);
    for (const [at, outcome] of (await Promise.allSettled(stored)).entries()) {
      assert.ok(outcome.status === "rejected" && outcome.reason instanceof BatchRefusedError);
      assert.equal(outcome.reason.index, 2 + at);
    }
    await own;
    await after;
    assert.deepEqual(follower.log.end, follower.log.durableEnd);
    assert.equal(follower.log.durableEnd.index, 4);
    await follower.log.cut(2);
    await follow(follower.log, leader.log);
    await leader.folder.close();
    await follower.folder.close();
  });

  test("that waits for a cut is refused when the log ends elsewhere behind it", async () => {
    const [leader, follower] = [await newReplica(), await newReplica()];
    await append(leader.log, [10, 20]);
    await follow(follower.log, leader.log);
    await append(leader.log, [30]);
    const [next] = verify(await bytesFrom(leader.log, 3), follower.log.end).batches;
    assert.ok(next);
    let takenBack = 0;
    follower.log.onTakenBack(() => {
      takenBack += 1;
    });
    const cut = follower.log.cut(2);
    await Promise.resolve();
    const waiting = follower.log.appendStored(next);
    await assert.rejects(waiting, /the log ends at 2/);
    await cut;
    assert.equal(takenBack, 1);
    assert.deepEqual(follower.log.end, follower.log.durableEnd);
    await follow(follower.log, leader.log);
    await leader.folder.close();
    await follower.folder.close();
  });
});

describe("verifyStored()", () => {
  const before: LogPosition = {
    ...{ index: 0, offset: 5, appendTimeMicros: 0, term: 0 },
    digest: new Uint8Array(32),
  };

  async function someBatches(): Promise<StoredBatch[]> {
    const { folder, log } = await newReplica();
    log.rollBy({ ...wide, maxBytes: 200 }, state);
    await append(log, [10, 20, 30]);
    const batches = await log.read({ from: { index: 0 }, belowIndex: 99, maxBytes: 1 << 20 });
    await folder.close();
    assert.deepEqual(
      batches.map(({ kind }) => kind),
      [checkpoint, records, checkpoint, records, checkpoint, records],
    );
    return batches;
  }

  test("takes a run from its first batch on, and says where it ends", async () => {
    const batches = await someBatches();
    const bytes = Buffer.concat(batches.map(wholeOf));
    const run = verify(bytes, before);
    assert.equal(run.refused, undefined);
    assert.equal(run.bytes, bytes.length);
    assert.deepEqual(
      run.batches.map(({ batch }) => wholeOf(batch)),
      batches.map(wholeOf),
    );
    const last = batches.at(-1);
    assert.ok(last);
    assert.deepEqual(run.end, {
      ...{ index: 6, offset: last.baseOffset + last.recordCount, appendTimeMicros: last.appendTimeMicros, term: 0 },
      digest: new Uint8Array(last.digest),
    });
  });

  test("takes what is whole of bytes that end early, wherever that is", async () => {
    const batches = await someBatches();
    const bytes = Buffer.concat(batches.map(wholeOf));
    const ends = batches.map((_, at) => Buffer.concat(batches.slice(0, at + 1).map(wholeOf)).length);
    for (let length = 0; length < bytes.length; length++) {
      const run = verify(bytes.subarray(0, length), before);
      const whole = ends.filter((end) => end <= length);
      assert.equal(run.batches.length, whole.length);
      assert.equal(run.bytes, whole.at(-1) ?? 0);
      const refused = length === run.bytes ? undefined : { index: whole.length, isShort: true };
      assert.deepEqual(run.refused && { index: run.refused.index, isShort: run.refused.isShort }, refused);
    }
  });

  test("takes nothing from a batch on of which any bit is another", async () => {
    const batches = await someBatches();
    const parts = batches.map(wholeOf);
    const third = parts.slice(0, 2).reduce((sum, { length }) => sum + length, 0);
    const bytes = Buffer.concat(parts);
    for (let bit = 0; bit < 8 * (parts[2]?.length ?? 0); bit++) {
      const at = third + (bit >> 3);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
      const run = verify(bytes, before);
      assert.deepEqual([run.batches.length, run.refused?.index, run.bytes], [2, 2, third], `bit ${bit}`);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    }
    assert.equal(verify(bytes, before).refused, undefined);
  });

  const elsewhere: { name: string; after: Partial<LogPosition>; why: RegExp }[] = [
    { name: "another index", after: { index: 2 }, why: /its index is 1/ },
    { name: "another offset", after: { offset: 6 }, why: /its base offset is 5, and 6 is next/ },
    { name: "a higher term", after: { term: 1 }, why: /its term is 0/ },
    { name: "a later time", after: { appendTimeMicros: 2 ** 52 }, why: /an earlier time/ },
    { name: "another digest", after: { digest: new Uint8Array(32) }, why: /its digest does not follow/ },
  ];
  for (const { name, after, why } of elsewhere)
    test(`refuses a batch behind ${name}`, async () => {
      const [first, second] = await someBatches();
      assert.ok(first && second);
      const { end } = verify(wholeOf(first), before);
      assert.equal(verify(wholeOf(second), end).refused, undefined);
      assert.match(verify(wholeOf(second), { ...end, ...after }).refused?.why ?? "", why);
    });

  test("refuses a batch of another group, and of a newer version in words", async () => {
    const [first] = await someBatches();
    assert.ok(first);
    const other = verifyStored(wholeOf(first), { after: before, group: 4, hash: systemHash });
    assert.deepEqual(other.refused, { index: 0, why: "no header of this group's batches is there", isShort: false });
    const newer = wholeOf(first);
    newer[6] = 2;
    new DataView(newer.buffer).setUint32(0, systemHash.crc32(newer.subarray(4, 128)), true);
    assert.match(verify(newer, before).refused?.why ?? "", /version 2 was written by a newer version/);
  });
});
