/**
 * Faults that random runs met seldom, each as the few steps that show it. A power cut takes what was not synced or leaves
 * it, so each is tried with many seeds.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BatchKind } from "../../src/base/batch.ts";
import { DiskError, NoRoomError } from "../../src/base/disk-errors.ts";
import type { GroupLog } from "../../src/log/types.ts";
import { passTime } from "../../src/sim/timeline.ts";
import { kibibyte, Machine, readAll, roomy } from "./support/machine.ts";

const seeds = 30;
/** A ring of two files, and tails that do not stay in it. */
const settings = { journalFiles: 2, tailMaxBytes: 1, markDelayMs: 100 };

function append(log: GroupLog, bytes = 500): Promise<unknown> {
  return log.append({ kind: BatchKind.records, payload: new Uint8Array(bytes), recordCount: 1 });
}

/** How many batches of records a log has; reading checks each, and that none is missing. */
async function records(log: GroupLog): Promise<number> {
  return (await readAll(log)).filter(({ kind }) => kind === BatchKind.records).length;
}

/** Runs a story with many seeds. */
function story(name: string, steps: (machine: Machine) => Promise<void>, times = seeds): void {
  test(name, { timeout: 60_000 }, async () => {
    for (let seed = 1; seed <= times; seed++) {
      const machine = new Machine(seed, settings);
      machine.segmentMaxBytes = 3 * kibibyte;
      await passTime(machine.timeline, steps(machine)).catch((error: Error) => {
        throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
      });
    }
  });
}

describe("after a power cut", () => {
  story("a folder that was just made is there, with what was acknowledged", async (machine) => {
    const { log } = await machine.open();
    await append(log);
    machine.powerCut();
    assert.equal(await records((await machine.open()).log), 1);
  });

  story("a folder whose first start was killed at its end is there, with what was acknowledged", async (machine) => {
    const opening = machine.open();
    opening.catch(() => {});
    while (!machine.disk.find("/where/data/id")) await machine.pass(0.01);
    machine.kill();
    const { log } = await machine.open();
    await append(log);
    machine.powerCut();
    assert.equal(await records((await machine.open()).log), 1);
  });

  story("a segment that was begun and torn, and removed at the next start, is not back", async (machine) => {
    const { folder, log } = await machine.open();
    await append(log);
    await append(log);
    await folder.close();
    // What a crash leaves of a segment that would have begun here: a name, and no whole batch.
    const name = `/where/data/groups/1/1/${String(log.durableEnd.index + 1).padStart(20, "0")}.log`;
    const disk = machine.disk.attach();
    const torn = await disk.open(name, { create: true });
    await torn?.write([new Uint8Array(700)], 0);
    await torn?.sync();
    await disk.syncFolder("/where/data/groups/1/1");
    disk.kill();

    const killed = await machine.open();
    await append(killed.log);
    machine.kill();
    // It goes, and nothing else happens in that folder until the stop.
    await (await machine.open()).folder.close();
    machine.powerCut();
    const again = await machine.open();
    assert.equal(again.folder.report.kind, "clean");
    for (let i = 0; i < 12; i++) await append(again.log);
    await again.folder.close();
    assert.equal(await records((await machine.open()).log), 15);
  });
});

describe("after a failed sync", () => {
  story("a stop is not a clean one: the next start looks at the segments", async (machine) => {
    const { log, folder } = await machine.open();
    await append(log);
    let acknowledged = 1;
    let appending = append(log);
    machine.disk.faults = { syncFails: 0.2, writeBackFails: 0, copyOnWrite: false };
    for (;;) {
      try {
        await appending;
      } catch (error) {
        assert.ok(error instanceof DiskError);
        break;
      }
      acknowledged += 1;
      appending = append(log, acknowledged % 3 === 0 ? 9000 : 200);
    }
    await folder.failed;
    machine.disk.faults = { syncFails: 0, writeBackFails: 0, copyOnWrite: false };
    await folder.close();
    machine.powerCut();
    const again = await machine.open();
    assert.equal(again.log.damage, undefined);
    assert.ok((await records(again.log)) >= acknowledged);
  });
});

describe("what had no room", () => {
  story("is not back after a power cut, and the log goes on when there is room (C017)", async (machine) => {
    const { log } = await machine.open();
    let acknowledged = 0;
    for (let round = 0; round < 3; round++) {
      // As many as a segment holds: what comes next begins another.
      for (let i = 0; i < 5; i++, acknowledged++) await append(log);
      await machine.pass(20);
      const before = await machine.stores();
      machine.fill(8192);
      const outcomes = await Promise.allSettled([append(log, 9000), append(log, 12_000), append(log, 300)]);
      for (const outcome of outcomes) {
        assert.equal(outcome.status, "rejected");
        assert.ok(outcome.status === "rejected" && outcome.reason instanceof NoRoomError);
      }
      assert.deepEqual(await machine.stores(), before);
      machine.disk.totalBytes = roomy;
      await machine.pass(600);
    }
    machine.fill();
    await assert.rejects(append(log, 15_000), NoRoomError);
    machine.powerCut();
    machine.disk.totalBytes = roomy;
    const again = await machine.open();
    assert.equal(await records(again.log), acknowledged);
    await append(again.log, 9000);
    assert.equal(await records(again.log), acknowledged + 1);
  });

  story(
    "is not back though its first batches were written whole",
    async (machine) => {
      machine.segmentMaxBytes = 1 << 30;
      const { log } = await machine.open();
      await append(log);
      await append(log);
      await machine.pass(200);
      machine.fill();
      // One round: what is left of a block takes some of it.
      const refused = await Promise.allSettled(Array.from({ length: 40 }, () => append(log, 4)));
      assert.ok(refused.every(({ status }) => status === "rejected"));
      machine.powerCut();
      machine.disk.totalBytes = roomy;
      assert.equal(await records((await machine.open()).log), 2);
    },
    20 * seeds,
  );

  story("in the journal is not back after a kill, where overwriting takes room too", async (machine) => {
    const { log, folder } = await machine.open();
    await append(log);
    await machine.pass(200);
    machine.disk.faults = { syncFails: 0, writeBackFails: 0, copyOnWrite: true };
    machine.fill();
    const failed = folder.failed.then(() => "failed");
    const refused = append(log).then(
      () => "taken",
      (error: unknown) => (error instanceof NoRoomError ? "refused" : "failed"),
    );
    const outcome = await Promise.race([refused, failed]);
    machine.kill();
    machine.disk.totalBytes = roomy;
    const again = await machine.open();
    const found = await records(again.log);
    assert.notEqual(outcome, "taken");
    assert.ok(found === 1 || outcome === "failed", `${found} records, and the second was ${outcome}`);
  });
});
