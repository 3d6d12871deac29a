/** The executions of frames: what torn, forged and lost ones did to an earlier draft of the journal. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { BatchKind } from "../../src/base/batch.ts";
import { DataFolderError } from "../../src/base/disk-errors.ts";
import { systemHash } from "../../src/host/hash.ts";
import { readId, writeId } from "../../src/log/folder-id.ts";
import { FrameKind, frameHeader } from "../../src/log/format.ts";
import { FrameBuilder } from "../../src/log/frame-writer.ts";
import { sectorBytes } from "../../src/sim/file-node.ts";
import {
  append,
  appendAll,
  dataFolder,
  execution,
  journal,
  kibibyte,
  labels,
  nothingSurvives,
  watch,
} from "./support/machine.ts";
import { flip } from "./support/planted.ts";
import { busy, bytesOf, groupLog } from "./support/ring-load.ts";
import { calls } from "./support/scripted-disk.ts";

/** With these an append that is journaled may take two borders. */
const largerFiles = { journalUnitBytes: 128 * kibibyte, journalFileBytes: 128 * kibibyte };

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

  execution(
    "journal-why 24: a file of the ring of which nothing is left is refused",
    async (machine, slot) => {
      const { folder, disk } = await machine.open();
      disk.hold(calls("write", `${dataFolder}/groups/`));
      watch(busy(machine.logOf(folder, 2), 120).done);
      await machine.until("the ring is full", () => folder.metrics.ringWaits > 0);
      machine.kill();
      const process = machine.disk.attach();
      const file = await process.open(journal(slot), { create: false });
      await file?.write([new Uint8Array(64 * kibibyte)], 0);
      process.kill();
      await assert.rejects(machine.open(), refused(/^The journal is damaged: .* (missing|whole)$/));
    },
    // Of the newest one nobody would know that it ever held anything.
    { variants: [0, 1] },
  );

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
