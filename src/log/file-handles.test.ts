import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NoRoomError } from "../base/disk-errors.ts";
import type { Disk, DiskFile } from "../host/disk.ts";
import { FileHandles } from "./file-handles.ts";

/** A disk that notes what is opened and closed. */
function notedDisk(paths: readonly string[]): { disk: Disk; log: string[]; isFull: boolean } {
  const there = new Set(paths);
  const noted = { log: [] as string[], isFull: false, disk: {} as Disk };
  const { log } = noted;
  const unused = () => Promise.reject(new Error("not used here"));
  noted.disk = {
    ...{ list: unused, makeFolder: unused, rename: unused, remove: unused, syncFolder: unused },
    ...{ space: unused, lock: unused },
    async open(path, { create }) {
      await undefined;
      if (noted.isFull) throw new NoRoomError("full");
      if (create) there.add(path);
      if (!there.has(path)) return undefined;
      log.push(`open ${path}`);
      const close = async () => void log.push(`close ${path}`);
      const file: DiskFile = {
        ...{ size: unused, read: unused, readRecent: unused, write: unused, sync: unused, truncate: unused },
        close,
      };
      return file;
    },
  };
  return noted;
}

const nothing = async () => {};

/** A piece of work that goes on until it is told to end. */
function held(): { work: () => Promise<void>; end: () => void } {
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { work: () => ended, end };
}

describe("file handles", () => {
  test("are opened once, and closed when more were used since than are kept", async () => {
    const { disk, log } = notedDisk(["/a", "/b", "/c"]);
    const handles = new FileHandles(disk, 2);
    for (const path of ["/a", "/b", "/a", "/c", "/a"]) await handles.use(path, false, nothing);
    assert.deepEqual(log, ["open /a", "open /b", "open /c", "close /b"]);
  });

  test("in use are never closed, however many", async () => {
    const { disk, log } = notedDisk(["/a", "/b", "/c"]);
    const handles = new FileHandles(disk, 1);
    const [a, b] = [held(), held()];
    const uses = [handles.use("/a", false, a.work), handles.use("/b", false, b.work)];
    await handles.use("/c", false, nothing);
    assert.deepEqual(log, ["open /a", "open /b", "open /c", "close /c"]);
    a.end();
    b.end();
    await Promise.all(uses);
    assert.deepEqual(log.slice(4), ["close /a"]);
  });

  test("of files that are not there are not kept: one that is made later is found", async () => {
    const { disk, log } = notedDisk([]);
    const handles = new FileHandles(disk, 5);
    assert.equal(await handles.use("/a", false, async (file) => file === undefined), true);
    assert.equal(await handles.use("/a", true, async (file) => file !== undefined), true);
    assert.equal(await handles.use("/a", false, async (file) => file !== undefined), true);
    assert.deepEqual(log, ["open /a"]);
  });

  test("who makes a file while another just finds it missing gets it", async () => {
    const { disk } = notedDisk([]);
    const handles = new FileHandles(disk, 5);
    const looks = handles.use("/a", false, async (file) => file !== undefined);
    const makes = handles.use("/a", true, async (file) => file !== undefined);
    assert.deepEqual(await Promise.all([looks, makes]), [false, true]);
  });

  test("that could not be opened are tried again", async () => {
    const noted = notedDisk(["/a"]);
    const handles = new FileHandles(noted.disk, 5);
    noted.isFull = true;
    await assert.rejects(handles.use("/a", false, nothing), NoRoomError);
    noted.isFull = false;
    assert.equal(await handles.use("/a", false, async (file) => file !== undefined), true);
  });

  test("of a folder are closed when those who use them are done, and no other folder's", async () => {
    const { disk, log } = notedDisk(["/g/1/a", "/g/1/b", "/g/10/a"]);
    const handles = new FileHandles(disk, 5);
    const reading = held();
    for (const path of ["/g/1/b", "/g/10/a"]) await handles.use(path, false, nothing);
    const use = handles.use("/g/1/a", false, reading.work);
    const closed = handles.closeBelow("/g/1");
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(log.slice(3), ["close /g/1/b"]);
    reading.end();
    await Promise.all([use, closed]);
    assert.deepEqual(log.slice(3), ["close /g/1/b", "close /g/1/a"]);
  });
});
