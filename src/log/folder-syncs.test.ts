import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DiskError } from "../base/disk-errors.ts";
import type { Disk } from "../host/disk.ts";
import { FolderSyncs } from "./folder-syncs.ts";
import type { SyncCounts } from "./types.ts";

/** Folder syncs that end when the test says so. */
function slowDisk(): { disk: Disk; begun: string[]; end: (error?: Error) => void } {
  const ends: ((error?: Error) => void)[] = [];
  const unused = () => Promise.reject(new Error("not used here"));
  const begun: string[] = [];
  const disk: Disk = {
    ...{ open: unused, list: unused, makeFolder: unused, rename: unused, remove: unused, space: unused, lock: unused },
    syncFolder(path) {
      begun.push(path);
      return new Promise((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve())));
    },
  };
  return { disk, begun, end: (error) => ends.shift()?.(error) };
}

function counts(): SyncCounts {
  return { journal: 0, journalFill: 0, flush: 0, seal: 0, folder: 0, other: 0 };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

describe("syncs of folders", () => {
  test("of different folders do not wait for each other", () => {
    const { disk, begun } = slowDisk();
    const syncs = new FolderSyncs(disk, counts());
    void syncs.sync("/a");
    void syncs.sync("/b");
    assert.deepEqual(begun, ["/a", "/b"]);
  });

  test("who asks while one runs shares the next: that one may have begun too early", async () => {
    const { disk, begun, end } = slowDisk();
    const counted = counts();
    const syncs = new FolderSyncs(disk, counted);
    const first = syncs.sync("/a");
    let shared = 0;
    const later = [1, 2, 3].map(async () => {
      await syncs.sync("/a");
      shared += 1;
    });
    end();
    await first;
    await turn();
    assert.deepEqual([begun.length, shared], [2, 0]);
    const last = syncs.sync("/a");
    end();
    await Promise.all(later);
    await turn();
    assert.deepEqual([begun.length, shared], [3, 3]);
    end();
    await last;
    assert.equal(counted.folder, 3);
  });

  test("one that fails is told to all who share it, and to nobody else", async () => {
    const { disk, end } = slowDisk();
    const syncs = new FolderSyncs(disk, counts());
    const first = syncs.sync("/a");
    const shared = [syncs.sync("/a"), syncs.sync("/a")];
    end();
    await first;
    await turn();
    end(new DiskError("no", "EIO"));
    for (const sync of shared) await assert.rejects(sync, DiskError);
  });
});
