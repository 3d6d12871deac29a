/**
 * The executions of the journal's ring: what reuse of its files, torn frames and forged ones did to an earlier draft.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { BatchKind } from "../../src/base/batch.ts";
import { DataFolderError } from "../../src/base/disk-errors.ts";
import { systemHash } from "../../src/host/hash.ts";
import { readId, writeId } from "../../src/log/folder-id.ts";
import { FrameKind, frameHeader } from "../../src/log/format.ts";
import { FrameBuilder } from "../../src/log/frame-writer.ts";
import type { DataFolder, GroupLog } from "../../src/log/types.ts";
import { FileNode, sectorBytes } from "../../src/sim/file-node.ts";
import {
  append,
  appendAll,
  dataFolder,
  execution,
  journal,
  kibibyte,
  labels,
  large,
  type Machine,
  nothingSurvives,
  watch,
} from "./support/machine.ts";
import { flip } from "./support/planted.ts";
import { calls, type DiskCall, type Hold, type ScriptedDisk } from "./support/scripted-disk.ts";

/** With these an append that is journaled may take two borders. */
const largerFiles = { journalUnitBytes: 128 * kibibyte, journalFileBytes: 128 * kibibyte };

/** Bytes of an append whose frame takes 4 KiB and no more. */
const oneBorder = 3000;

/** Appends to a group until so many frames were written; gives the labels, as far as they are acknowledged yet. */
function busy(log: GroupLog, frames: number): { acknowledged: string[]; done: Promise<void> } {
  const acknowledged: string[] = [];
  const appendOn = async () => {
    for (let i = 0; i < frames; i++) {
      await append(log, `busy ${log.group} ${i}`, oneBorder);
      acknowledged.push(`busy ${log.group} ${i}`);
    }
  };
  return { acknowledged, done: appendOn() };
}

function groupLog(folder: DataFolder, group: number): GroupLog {
  const log = folder.log(group);
  assert.ok(log, `group ${group} is gone`);
  return log;
}

/** Bytes of a file as processes see them. */
function bytesOf(machine: Machine, path: string, at: number, length: number): Uint8Array {
  const file = machine.disk.find(path);
  assert.ok(file instanceof FileNode);
  const bytes = new Uint8Array(length);
  file.read(bytes, at);
  return bytes;
}

/** Fails when the journal is written while a write or sync of it is on its way, or over what is acknowledged. */
function watchJournal(disk: ScriptedDisk, fileBytes: number): void {
  const ends = new Map<string, number>();
  const isJournal = ({ path }: DiskCall) => path.startsWith(`${dataFolder}/journal/`);
  disk.hold((call) => {
    if (!isJournal(call) || call.name !== "write" || call.bytes === fileBytes) return false;
    const others = disk.underWay.filter((other) => other !== call && isJournal(other) && other.name !== "read");
    assert.deepEqual(others, [], `a frame is written to ${call.path} before the one before it is synced`);
    assert.equal(call.at % frameHeader.border, 0);
    assert.ok(call.at + call.bytes <= fileBytes, "a frame spans files");
    assert.ok(call.at === 0 || call.at >= (ends.get(call.path) ?? 0), "a frame is written over another");
    ends.set(call.path, call.at + call.bytes);
    return false;
  });
}

describe("a journal file is used again", () => {
  execution("journal-why 2: a vote outlives the file that it was written to", async (machine) => {
    const { folder, log } = await machine.open();
    const vote = { term: 7, votedFor: { diskId: folder.diskId, life: 0 } };
    await log.append({ kind: BatchKind.leaderChange, payload: new Uint8Array(12), recordCount: 0, begins: vote });
    await append(log, "a", large);
    await busy(machine.logOf(folder, 2), 120).done;
    machine.powerCut(nothingSurvives);
    assert.deepEqual((await machine.open()).log.vote, vote);
  });

  execution("journal-why 2: a group that was made and never flushed outlives it too", async (machine) => {
    const { folder, log } = await machine.open();
    await append(log, "a");
    const { acknowledged, done } = busy(machine.logOf(folder, 2), 120);
    await done;
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.deepEqual(await labels(groupLog(again.folder, 1)), ["a"]);
    assert.deepEqual(await labels(groupLog(again.folder, 2)), acknowledged);
  });

  execution(
    "journal-why 2: a file that is torn while it is written anew is no damage",
    async (machine, isFull) => {
      const { folder, disk } = await machine.open();
      for (const group of [3, 4, 5]) machine.logOf(folder, group);
      // Either it was free for a while, or it is freed because the ring is full.
      const hold = disk.hold(isFull ? calls("write", `${dataFolder}/groups/`) : () => false);
      const { acknowledged, done } = busy(machine.logOf(folder, 2), 120);
      watch(done);
      let torn = false;
      disk.behind(
        (call) => calls("write", journal(0))(call) && call.at === 0 && acknowledged.length > 0,
        () => {
          // Of the new snapshot the first sector arrives, and spoils the frame that stood there.
          machine.powerCut({ ...nothingSurvives, sector: (path, sector) => path === journal(0) && sector === 0 });
          torn = true;
        },
      );
      if (isFull) await machine.until("the ring is full", () => folder.metrics.ringWaits > 0);
      hold.release();
      await machine.until("the first file is used again", () => torn);
      const again = await machine.open();
      assert.deepEqual(await labels(groupLog(again.folder, 2)), acknowledged);
      await append(groupLog(again.folder, 2), "next");
    },
    { variants: [false, true] },
  );

  execution(
    "journal-why A1: a tail is carried whole, or what is left of it would follow nothing",
    async (machine, frames) => {
      const { folder, log } = await machine.open();
      const other = machine.logOf(folder, 2);
      await append(log, "a");
      // The second file has begun: the tail is in both.
      await busy(other, 16).done;
      await append(log, "b");
      await busy(other, frames).done;
      await append(log, "c");
      machine.powerCut(nothingSurvives);
      assert.deepEqual(await labels((await machine.open()).log), ["a", "b", "c"]);
    },
    { variants: Array.from({ length: 12 }, (_, i) => 15 + 3 * i) },
  );

  execution(
    "journal-why 19: no frame spans files, and none is written before the one before it is synced",
    async (machine) => {
      const { folder, disk } = await machine.open();
      watchJournal(disk, 64 * kibibyte);
      await Promise.all([busy(machine.logOf(folder, 2), 60).done, busy(machine.logOf(folder, 3), 60).done]);
    },
  );

  execution("what is still read of a file is waited for", async (machine) => {
    machine.settings = { ...machine.settings, arenaBytes: 0 };
    const { folder, disk, log } = await machine.open();
    await append(log, "a");
    const other = machine.logOf(folder, 2);
    await busy(other, 12).done;
    // Others may read it: of the tail as it is moved.
    const hold: Hold = disk.hold((call) => calls("read", journal(0))(call) && hold.held.length === 0);
    const read = labels(log);
    await machine.until("the tail is read", () => hold.held.length > 0);
    const { done } = busy(other, 80);
    await machine.pass(400);
    hold.release();
    assert.deepEqual(await read, ["a"]);
    await done;
  });
});

describe("frames that are torn", () => {
  execution(
    "journal-why 8: an ordinary power cut does not look like a disk that forgot",
    async (machine, lost) => {
      const { folder, disk, log } = await machine.open();
      const logs = [log, ...[2, 3, 4, 5].map((group) => machine.logOf(folder, group))];
      for (const each of logs) await append(each, "a");
      const head = Math.max(...disk.calls.filter(calls("write", journal(0))).map(({ at }) => at)) + frameHeader.border;
      const hold = disk.hold(calls("sync", journal(0)));
      // Twenty-five records, in one frame of a dozen sectors.
      for (const each of logs) for (const label of ["b", "c", "d", "e", "f"]) watch(append(each, label, 100));
      await machine.until("they are written", () => hold.held.length > 0);
      const isLost = (sector: number) => sector === head / sectorBytes + lost;
      machine.powerCut({ ...nothingSurvives, sector: (path, sector) => path === journal(0) && !isLost(sector) });
      const again = await machine.open();
      for (const each of logs) assert.deepEqual(await labels(groupLog(again.folder, each.group)), ["a"]);
    },
    { variants: Array.from({ length: 12 }, (_, sector) => sector) },
  );

  execution(
    "journal-why 8: nothing is acknowledged, and no frame written, before the sync returned",
    async (machine) => {
      const { folder, disk, log } = await machine.open();
      await append(log, "a");
      const other = machine.logOf(folder, 2);
      await append(other, "a");
      const hold = disk.hold(calls("sync", journal(0)));
      const first = watch(append(log, "b"));
      await machine.until("it is written", () => hold.held.length > 0);
      const writes = disk.calls.filter(calls("write", journal(0))).length;
      watch(append(other, "b"));
      await machine.pass(100);
      assert.equal(first.outcome, "waits");
      assert.equal(disk.calls.filter(calls("write", journal(0))).length, writes);
      machine.powerCut(nothingSurvives);
      assert.deepEqual(await labels((await machine.open()).log), ["a"]);
    },
  );

  execution(
    "journal-why 5: of a frame that never was nothing is taken, whatever is written over it",
    async (machine, turn) => {
      let { disk, log } = await machine.open();
      await append(log, "a");
      // Of the first one some parts survive, and of the second, in the same place, the others.
      for (const label of ["x", "y"]) {
        const hold = disk.hold(calls("sync", journal(0)));
        watch(append(log, label, 7000));
        await machine.until("it is written", () => hold.held.length > 0);
        const odd = label === "y" ? 1 : 0;
        const survives = (sector: number) => (turn < 2 ? sector % 2 : Math.floor(sector / 8) % 2) === (turn + odd) % 2;
        machine.powerCut({ ...nothingSurvives, sector: (path, sector) => path === journal(0) && survives(sector) });
        ({ disk, log } = await machine.open());
        assert.deepEqual(await labels(log), ["a"]);
      }
    },
    { variants: [0, 1, 2, 3], settings: largerFiles },
  );

  execution(
    "journal-why 5: no payload passes for a frame",
    async (machine) => {
      const { folder, disk, log } = await machine.open();
      await append(log, "a");
      // A client that knows the format and the disk id, and not the key, hides a frame where a border will be.
      const stamp = { kind: FrameKind.frame, files: 1, number: 1000, incarnation: 1, freed: 0 };
      const forged = new FrameBuilder(new Uint8Array(frameHeader.border));
      const frame = forged.finish({ ...stamp, diskId: folder.diskId, crcKey: 0 }, systemHash);
      const payload = new Uint8Array(7500);
      const beforePayload = 208;
      payload.set(frame.subarray(0, 512), frameHeader.border - beforePayload);
      const hold = disk.hold(calls("sync", journal(0)));
      watch(log.append({ kind: BatchKind.records, payload, recordCount: 1 }));
      await machine.until("it is written", () => hold.held.length > 0);
      const { at = 0 } = disk.calls.findLast(calls("write", journal(0))) ?? {};
      const there = bytesOf(machine, journal(0), at + frameHeader.border + frameHeader.magicAt, 4);
      assert.equal(new TextDecoder().decode(there), "TRJF");
      // The frame that it is in is torn: its first sector is lost.
      const first = at / sectorBytes;
      machine.powerCut({ ...nothingSurvives, sector: (path, sector) => path === journal(0) && sector !== first });
      assert.deepEqual(await labels((await machine.open()).log), ["a"]);
    },
    { settings: largerFiles },
  );
});

describe("damage of the journal", () => {
  const refused = (words: RegExp) => (error: unknown) => {
    assert.ok(error instanceof DataFolderError, String(error));
    assert.match(error.message, words);
    assert.match(error.todo, /repair|Restore|backup/);
    return true;
  };

  execution("journal-why 24: a synced frame that is bad is refused in words", async (machine) => {
    const { disk, log } = await machine.open();
    await appendAll(log, ["a", "b", "c"]);
    const [, second] = disk.calls.filter(calls("write", journal(0))).slice(-3);
    machine.kill();
    await flip(machine, journal(0), (second?.at ?? 0) + 100);
    await assert.rejects(machine.open(), refused(/^The journal is damaged: .*journal\/0, from byte \d+: .* is whole$/));
  });

  execution("journal-why 24: an emptied journal is no new node", async (machine) => {
    const { folder, log } = await machine.open();
    await append(log, "a");
    await folder.close();
    const process = machine.disk.attach();
    await process.remove(journal(0));
    await assert.rejects(machine.open(), refused(/^The journal is damaged: .*it holds no whole frame/));
  });

  execution("journal-why 24: a missing file of the ring is refused", async (machine) => {
    const { folder } = await machine.open();
    await busy(machine.logOf(folder, 2), 40).done;
    await folder.close();
    for (const slot of [0, 1, 2]) {
      const process = machine.disk.attach();
      await process.rename(journal(slot), "/aside");
      await assert.rejects(machine.open(), refused(/^The journal is damaged/));
      await process.rename("/aside", journal(slot));
      process.kill();
    }
    await machine.open();
  });

  execution("journal-why 24: a file of the ring that begins badly is refused", async (machine) => {
    const { folder, disk } = await machine.open();
    disk.hold(calls("write", `${dataFolder}/groups/`));
    watch(busy(machine.logOf(folder, 2), 120).done);
    await machine.until("the ring is full", () => folder.metrics.ringWaits > 0);
    machine.kill();
    for (const slot of [0, 1, 2]) {
      await flip(machine, journal(slot), frameHeader.numberAt);
      await assert.rejects(machine.open(), refused(/^The journal is damaged: .* (missing|whole)$/));
      await flip(machine, journal(slot), frameHeader.numberAt);
    }
    await machine.open();
  });

  execution("journal-why 26: a journal with another disk's id is refused", async (machine) => {
    const { folder, log } = await machine.open();
    await append(log, "a");
    await folder.close();
    const id = readId(bytesOf(machine, `${dataFolder}/id`, 0, 128), "id", systemHash);
    const process = machine.disk.attach();
    const file = await process.open(`${dataFolder}/id`, { create: false });
    await file?.write([writeId({ ...id, diskId: new Uint8Array(16).fill(3) }, systemHash)], 0);
    process.kill();
    await assert.rejects(machine.open(), refused(/^The journal is damaged: .*it holds no whole frame/));
  });
});

describe("starts and stops", () => {
  execution("journal-why 17: what is written after a clean stop is not lost by a crash", async (machine) => {
    const first = await machine.open();
    await append(first.log, "a", large);
    await first.folder.close();
    const { folder, log } = await machine.open();
    assert.equal(folder.report.kind, "clean");
    await append(log, "b", large);
    machine.powerCut(nothingSurvives);
    const again = await machine.open();
    assert.deepEqual(await labels(again.log), ["a", "b"]);
    assert.equal(again.folder.report.kind, "recovered");
  });

  execution(
    "journal-why 17: a start writes one frame at a time, also while it makes room",
    async (machine) => {
      const { folder, disk } = await machine.open();
      const other = machine.logOf(folder, 2);
      await append(other, "first");
      // Nothing leaves the ring: it fills up.
      disk.hold(calls("write", `${dataFolder}/groups/`));
      const written = [watch(busy(other, 100).done), watch(busy(machine.logOf(folder, 3), 100).done)];
      await machine.until("appends wait", () => folder.metrics.ringWaits > 0);
      assert.ok(written.every(({ outcome }) => outcome === "waits"));
      machine.kill();
      const recovery = machine.begin();
      watchJournal(recovery.disk, 64 * kibibyte);
      const again = await recovery.life;
      const found = await labels(groupLog(again.folder, 2));
      assert.ok(found.length > 10);
      await append(groupLog(again.folder, 2), "next");
      machine.powerCut(nothingSurvives);
      assert.deepEqual(await labels(groupLog((await machine.open()).folder, 2)), [...found, "next"]);
    },
    { settings: { markDelayMs: 1 } },
  );
});
