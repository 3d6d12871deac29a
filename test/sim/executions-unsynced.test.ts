/**
 * The executions of what has its place in a log and is not durable: it is read, it is taken back, and a follower's stored
 * batches are among it.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { BatchKind } from "../../src/base/batch.ts";
import { NoRoomError } from "../../src/base/disk-errors.ts";
import { systemHash } from "../../src/host/hash.ts";
import { BatchRefusedError, type VerifiedBatch, verifyStored } from "../../src/log/stored-batch.ts";
import type { GroupLog, LogPosition } from "../../src/log/types.ts";
import {
  allSurvives,
  append,
  appendAll,
  execution,
  journal,
  type Life,
  labels,
  large,
  type Machine,
  nothingSurvives,
  readAll,
  store,
  watch,
} from "./support/machine.ts";
import { storedBytes } from "./support/planted.ts";
import { calls } from "./support/scripted-disk.ts";

/** Indexes that a read from `index` on finds, up to the log's end and with each batch as it will be stored. */
async function readOn(log: GroupLog, index: number, unsynced = true): Promise<number[]> {
  const batches = await log.read({ from: { index }, belowIndex: log.end.index, maxBytes: 1 << 20, unsynced });
  const after = log.durableEnd;
  if (unsynced && index <= after.index) {
    const ahead = batches.filter((batch) => batch.index >= after.index);
    const run = verifyStored(Buffer.concat(ahead.map(storedBytes)), { after, group: 1, hash: systemHash });
    assert.deepEqual(run.end, log.end);
  }
  return batches.map((batch) => batch.index);
}

/** Makes a leader's log, and gives what verifies its batches from index 1 on; the machine is empty again. */
async function leaderHas(machine: Machine, batches: readonly { label: string; bytes?: number }[]) {
  const { folder, log } = await machine.open();
  for (const { label, bytes } of batches) await append(log, label, bytes);
  const [batch0, ...stored] = await readAll(log);
  assert.ok(batch0);
  await folder.close();
  for (const name of ["groups", "journal", "id"]) await machine.disk.attach().remove(`/where/data/${name}`);
  const bytes = Buffer.concat(stored.map(storedBytes));
  return (after: LogPosition): readonly VerifiedBatch[] => {
    const run = verifyStored(bytes, { after, group: 1, hash: systemHash });
    assert.equal(run.refused, undefined);
    return run.batches;
  };
}

/** A log that has its first batch, and what is told of what was taken back. */
async function opened(machine: Machine): Promise<Life & { readonly ends: number[] }> {
  const life = await machine.open();
  const { log } = life;
  await machine.until("it is made", () => log.durableEnd.index > 0);
  const ends: number[] = [];
  log.onTakenBack(() => ends.push(log.end.index));
  return { ...life, ends };
}

describe("what has its place and is not durable", () => {
  execution("is read while its frame is on its way, by who asks for it", async (machine) => {
    const { log, disk } = await opened(machine);
    await append(log, "a");
    const sync = disk.hold(calls("sync", journal(0)));
    const appends = watch(Promise.all([append(log, "b"), append(log, "c")]));
    await machine.until("it is about to be synced", () => sync.held.length > 0);
    const waiting = append(log, "d");
    assert.deepEqual([log.durableEnd.index, log.end.index], [2, 4]);
    assert.deepEqual(await readOn(log, 0), [0, 1, 2, 3]);
    assert.deepEqual(await readOn(log, 3), [3]);
    assert.deepEqual(await readOn(log, 0, false), [0, 1]);
    const request = { belowIndex: 4, unsynced: true };
    const byOffset = await log.read({ ...request, from: { offset: 2 }, maxBytes: 1 << 20 });
    assert.deepEqual(
      byOffset.map(({ index }) => index),
      [3],
    );
    const one = await log.read({ ...request, from: { index: 1 }, maxBytes: 400 });
    assert.deepEqual(
      one.map(({ index }) => index),
      [1],
    );
    const below = await log.read({ ...request, from: { index: 2 }, belowIndex: 3, maxBytes: 1 << 20 });
    const [early] = below.map(storedBytes);
    assert.equal(appends.outcome, "waits");
    sync.release();
    await waiting;
    const [late] = await log.read({ from: { index: 2 }, belowIndex: 3, maxBytes: 1 });
    assert.ok(late);
    assert.deepEqual(early, storedBytes(late));
    assert.deepEqual(await labels(log), ["a", "b", "c", "d"]);
  });

  execution("is read while it is written to its segment", async (machine) => {
    const { log, disk } = await opened(machine);
    await append(log, "a", large);
    const sync = disk.hold(calls("sync", store(0)));
    const appends = [append(log, "b", large), append(log, "c", large)];
    await machine.until("it is about to be synced", () => sync.held.length > 0);
    assert.deepEqual([log.durableEnd.index, log.end.index], [2, 4]);
    assert.deepEqual(await readOn(log, 1), [1, 2, 3]);
    sync.release();
    await Promise.all(appends);
    assert.deepEqual(await labels(log), ["a", "b", "c"]);
  });

  execution("that became durable while it was looked for is found", async (machine) => {
    const { log, disk } = await opened(machine);
    await append(log, "a", large);
    const sync = disk.hold(calls("sync", journal(0)));
    const b = append(log, "b");
    await machine.until("it is about to be synced", () => sync.held.length > 0);
    const reading = disk.hold(calls("read", store(0)));
    const read = log.read({ from: { index: 0 }, belowIndex: 3, maxBytes: 1 << 20, unsynced: true });
    await machine.until("it reads what is durable", () => reading.held.length > 0);
    sync.release();
    await b;
    const c = append(log, "c");
    reading.release();
    assert.deepEqual(
      (await read).map(({ index }) => index),
      [0, 1, 2],
    );
    await c;
  });

  execution(
    "is taken back where it finds no room, and who listens is told",
    async (machine, bytes) => {
      const { log, ends, disk } = await opened(machine);
      await append(log, "a", large);
      const hold = disk.hold(calls("write", bytes === large ? store(0) : journal(0)));
      const b = watch(append(log, "b", bytes));
      await machine.until("it is about to be written", () => hold.held.length > 0);
      assert.deepEqual(await readOn(log, 2), [2]);
      const roomAgain = disk.refuse(calls("write", bytes === large ? store(0) : journal(0)));
      hold.release();
      await machine.until("it is refused", () => b.outcome instanceof NoRoomError);
      assert.deepEqual(ends, [2]);
      assert.deepEqual(log.end, log.durableEnd);
      assert.deepEqual(await readOn(log, 1), [1]);
      roomAgain();
      await append(log, "c", bytes);
      assert.deepEqual(await labels(log), ["a", "c"]);
    },
    { variants: [200, large] },
  );
});

describe("what a follower is fed with", () => {
  const mixed = [{ label: "a" }, { label: "b", bytes: large }, { label: "c" }, { label: "d" }];

  execution("is at its end at once, and on the disk when it is answered", async (machine) => {
    const verified = await leaderHas(machine, mixed);
    const { log, disk } = await opened(machine);
    const [a, b, c, d] = verified(log.end);
    assert.ok(a && b && c && d);
    const sync = disk.hold(calls("sync", journal(0)));
    const answered: string[] = [];
    const append = (name: string, batch: VerifiedBatch) =>
      log.appendStored(batch).then((appended) => {
        answered.push(name);
        assert.deepEqual(appended.digest, batch.end.digest);
        assert.equal(log.durableEnd.index > appended.index, true);
      });
    watch(append("a", a));
    await machine.until("it is about to be synced", () => sync.held.length > 0);
    watch(Promise.all([append("b", b), append("c", c), append("d", d)]));
    assert.deepEqual([log.durableEnd.index, log.end.index], [1, 5]);
    assert.deepEqual(log.end, d.end);
    assert.deepEqual(await readOn(log, 1), [1, 2, 3, 4]);
    assert.deepEqual(answered, []);
    sync.release();
    const syncFolder = disk.hold(calls("sync", store(0)));
    await machine.until("the large one is about to be synced", () => syncFolder.held.length > 0);
    assert.deepEqual(answered, ["a"]);
    syncFolder.release();
    await machine.until("all are there", () => answered.length === 4);
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.deepEqual(again.log.durableEnd, d.end);
    assert.deepEqual(await labels(again.log), ["a", "b", "c", "d"]);
  });

  execution("is kept by a start as far as it is whole, and the rest of it is taken then", async (machine) => {
    const verified = await leaderHas(machine, mixed);
    const { log, disk } = await opened(machine);
    const [a, b, ...rest] = verified(log.end);
    assert.ok(a && b);
    await log.appendStored(a);
    const sync = disk.hold(calls("sync", store(0)));
    watch(log.appendStored(b));
    await machine.until("the large one is about to be synced", () => sync.held.length > 0);
    for (const batch of rest) watch(log.appendStored(batch));
    machine.powerCut(allSurvives);
    const again = await machine.open();
    assert.deepEqual(again.log.durableEnd, b.end);
    await Promise.all(rest.map((batch) => again.log.appendStored(batch)));
    assert.deepEqual(await labels(again.log), ["a", "b", "c", "d"]);
  });

  execution("has the leader's checkpoints and no others, however small its own segments are to be", async (machine) => {
    const verified = await leaderHas(machine, [
      { label: "a", bytes: large },
      { label: "b", bytes: large },
      { label: "c" },
    ]);
    machine.segmentMaxBytes = 3000;
    const { log } = await opened(machine);
    for (const batch of verified(log.end)) await log.appendStored(batch);
    assert.deepEqual((await machine.stores()).length, 1);
    assert.deepEqual(await labels(log), ["a", "b", "c"]);
    // What it was fed with counts for the limits of what it appends itself.
    await append(log, "d");
    assert.deepEqual(
      (await readAll(log)).map(({ kind }) => kind),
      [
        BatchKind.checkpoint,
        BatchKind.records,
        BatchKind.records,
        BatchKind.records,
        BatchKind.checkpoint,
        BatchKind.records,
      ],
    );
  });

  execution(
    "keeps its places while own appends wait behind it, and when it loses them that is told",
    async (machine) => {
      const verified = await leaderHas(machine, [{ label: "a" }, { label: "b" }, { label: "c" }]);
      const { log, disk, ends } = await opened(machine);
      const sync = disk.hold(calls("sync", journal(0)));
      const [a, b, c] = verified(log.end);
      assert.ok(a && b && c);
      watch(log.appendStored(a));
      await machine.until("it is about to be synced", () => sync.held.length > 0);
      const waiting = [log.appendStored(b), log.appendStored(c), append(log, "n")].map(watch);
      assert.deepEqual(log.end, c.end);
      assert.deepEqual(await readOn(log, 1), [1, 2, 3]);
      const roomAgain = disk.refuse(calls("write", journal(0)));
      sync.release();
      await machine.until("they are refused", () => waiting.every(({ outcome }) => outcome instanceof NoRoomError));
      assert.deepEqual(ends, [2]);
      assert.deepEqual(log.end, a.end);
      roomAgain();
      await append(log, "o");
      assert.deepEqual(await labels(log), ["a", "o"]);
    },
  );

  execution("is refused with all that waits behind it where another comes before it", async (machine) => {
    machine.segmentMaxBytes = 3000;
    const verified = await leaderHas(machine, [{ label: "a", bytes: large }, { label: "b" }]);
    machine.segmentMaxBytes = 1 << 30;
    const { log, disk, ends } = await opened(machine);
    const [a, checkpoint, b] = verified(log.end);
    assert.ok(a && checkpoint && b);
    const sync = disk.hold(calls("sync", store(0)));
    watch(append(log, "x", large));
    await machine.until("it is about to be synced", () => sync.held.length > 0);
    // Where it comes to stand is not known yet.
    const own = append(log, "n", large);
    const endsThen: LogPosition[] = [];
    const refused = [a, checkpoint, b].map((batch) =>
      log.appendStored(batch).catch((error: unknown) => {
        endsThen.push(log.end);
        return error;
      }),
    );
    sync.release();
    const errors = await Promise.all(refused);
    assert.deepEqual(
      errors.map((error) => error instanceof BatchRefusedError && error.index),
      [1, 2, 3],
    );
    const { digest } = await own;
    assert.deepEqual(
      endsThen.map((end) => end.digest),
      [digest, digest, digest],
    );
    assert.deepEqual(ends, [3]);
    assert.deepEqual(await labels(log), ["x", "n"]);
  });

  execution(
    "is refused with all that waits behind it where it finds no room, and taken when there is some",
    async (machine, first) => {
      const verified = await leaderHas(machine, [{ label: "a" }, { label: "b", bytes: first }, { label: "c" }]);
      const { log, disk, ends } = await opened(machine);
      const [a, b, c] = verified(log.end);
      assert.ok(a && b && c);
      await log.appendStored(a);
      const writes = calls("write", first === large ? "/where/data/groups/" : journal(0));
      const roomAgain = disk.refuse(writes);
      const appends = [b, c].map((batch) => watch(log.appendStored(batch)));
      await machine.until("both are refused", () => appends.every(({ outcome }) => outcome instanceof NoRoomError));
      assert.deepEqual(ends, [2]);
      assert.deepEqual(log.end, a.end);
      const [early] = [watch(log.appendStored(c))];
      await machine.until("what is too early is refused", () => early?.outcome instanceof BatchRefusedError);
      roomAgain();
      await Promise.all([b, c].map((batch) => log.appendStored(batch)));
      assert.deepEqual(await labels(log), ["a", "b", "c"]);
      await appendAll(log, ["own"]);
      assert.equal(log.durableEnd.index, 5);
    },
    { variants: [200, large] },
  );
});
