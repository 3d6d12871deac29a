import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, before, describe, test } from "node:test";
import { runtimeCommand } from "../../test/support/runtime.ts";
import { unless } from "../../test/support/skip.ts";
import { present } from "../base/assert.ts";
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import type { DiskFile } from "./disk.ts";
import { nodeDisk } from "./node-disk.ts";
import { syncWriteMaxBytes } from "./node-file.ts";

const disk = nodeDisk();
const child = runtimeCommand("./testdata/disk-child", import.meta.url);
let folder = "";

before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-disk-"));
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));

async function openFile(file: string): Promise<DiskFile> {
  return present(await disk.open(file, { create: true }), `${file} is there`);
}

/** Bytes that tell their place. */
function pattern(length: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 7 + (at >> 8) + seed) & 0xff);
}

function can(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe("write() and read()", () => {
  const cases = [
    { name: "nothing", lengths: [] },
    { name: "an empty part", lengths: [0] },
    { name: "one byte", lengths: [1] },
    { name: "parts with empty ones between", lengths: [0, 3, 0, 5, 0] },
    { name: "the most that is written on this thread", lengths: [100, syncWriteMaxBytes - 100] },
    { name: "one byte more, so aside", lengths: [100, syncWriteMaxBytes - 99] },
    { name: "more small parts than the system takes at once", lengths: Array(2500).fill(7) },
    { name: "more large parts than the system takes at once", lengths: Array(2500).fill(300) },
    { name: "8 MiB in one part", lengths: [8 << 20] },
  ];
  for (const [number, { name, lengths }] of cases.entries()) {
    test(name, async () => {
      const file = await openFile(path.join(folder, `write-${number}`));
      const parts = lengths.map((length, at) => pattern(length, at));
      await file.write(parts, 11);
      const total = lengths.reduce((sum, length) => sum + length, 0);
      const into = new Uint8Array(total + 100).fill(0xee);
      assert.equal(await file.read(into, 11), total);
      assert.ok(Buffer.from(into.subarray(0, total)).equals(Buffer.concat(parts)));
      assert.ok(into.subarray(total).every((byte) => byte === 0xee));
      const recent = new Uint8Array(total + 100).fill(0xee);
      assert.equal(await file.readRecent(recent, 11), total);
      assert.deepEqual(recent, into);
      assert.equal(await file.size(), total === 0 ? 0 : total + 11);
      await file.close();
    });
  }

  test("what is written over is replaced, the rest stays", async () => {
    const file = await openFile(path.join(folder, "over"));
    await file.write([pattern(1000)], 0);
    await file.write([new Uint8Array(10)], 500);
    const expected = pattern(1000);
    expected.fill(0, 500, 510);
    const into = new Uint8Array(1000);
    await file.read(into, 0);
    assert.deepEqual(into, expected);
    await file.truncate(505);
    assert.equal(await file.size(), 505);
    assert.equal(await file.read(into, 500), 5);
    assert.equal(await file.read(into, 505), 0);
    await file.close();
  });

  test("close() waits for what is on its way, and nothing comes after it", async () => {
    const place = path.join(folder, "closing");
    const file = await openFile(place);
    const writing = file.write([pattern(4 << 20)], 0);
    await file.close();
    await writing;
    assert.equal(fs.statSync(place).size, 4 << 20);
    await assert.rejects(file.write([pattern(1)], 0), /used after close/);
    await assert.rejects(file.sync(), /used after close/);
    await assert.rejects(file.readRecent(new Uint8Array(1), 0), /used after close/);
    await assert.rejects(file.close(), /closed twice/);
  });

  test("descriptors are given back", { timeout: 20_000 }, async () => {
    const place = path.join(folder, "many");
    const round = async () => {
      const file = await openFile(place);
      await file.write([pattern(10)], 0);
      await file.sync();
      await file.close();
      await disk.syncFolder(folder);
      assert.equal(await disk.open(path.join(folder, "missing"), { create: false }), undefined);
      await assert.rejects(disk.open(folder, { create: true }), DiskError);
    };
    await round();
    const before = openDescriptors();
    for (let count = 0; count < 50; count++) await round();
    assert.equal(openDescriptors(), before);
  });
});

function openDescriptors(): number {
  return fs.readdirSync(process.platform === "linux" ? "/proc/self/fd" : "/dev/fd").length;
}

describe("folders", () => {
  test("are made with those above, listed, renamed and removed", async () => {
    const root = path.join(folder, "folders");
    await disk.makeFolder(path.join(root, "a/b"));
    await disk.makeFolder(path.join(root, "a/b"));
    await (await openFile(path.join(root, "a/b/one"))).close();
    await (await openFile(path.join(root, "two"))).close();
    assert.deepEqual((await disk.list(root))?.sort(), ["a", "two"]);
    assert.equal(await disk.list(path.join(root, "missing")), undefined);
    await disk.rename(path.join(root, "two"), path.join(root, "a/b/one"));
    await disk.rename(path.join(root, "a/b"), path.join(root, "c"));
    assert.deepEqual(await disk.list(path.join(root, "c")), ["one"]);
    await disk.syncFolder(root);
    await disk.remove(path.join(root, "c"));
    await disk.remove(path.join(root, "c"));
    assert.deepEqual(await disk.list(root), ["a"]);
  });

  test("space() tells of the volume", async () => {
    const { freeBytes, totalBytes } = await disk.space(folder);
    assert.ok(freeBytes > 0 && freeBytes <= totalBytes);
  });
});

describe("failures say what, where and the system's name for it", () => {
  const missing = "/missing-folder/file";
  const cases = [
    {
      name: "no parent",
      run: () => disk.open(missing, { create: true }),
      message: "Cannot open /missing-folder/file: no such file or directory (ENOENT)",
    },
    {
      name: "no source of a rename",
      run: () => disk.rename(missing, "/missing-folder/other"),
      message: "Cannot rename /missing-folder/file to /missing-folder/other: no such file or directory (ENOENT)",
    },
    {
      name: "no folder to lock",
      run: () => disk.lock("/missing-folder"),
      message: "Cannot lock the folder /missing-folder: no such file or directory (ENOENT)",
    },
    {
      name: "no folder to sync",
      run: () => disk.syncFolder("/missing-folder"),
      message: "Cannot open the folder /missing-folder: no such file or directory (ENOENT)",
    },
  ];
  for (const { name, run, message } of cases) {
    test(name, () => assert.rejects(run(), new DiskError(message, "ENOENT")));
  }

  test("a file where a folder should be", async () => {
    const place = path.join(folder, "plain");
    await (await openFile(place)).close();
    await assert.rejects(disk.makeFolder(path.join(place, "inside")), { name: "DiskError", code: "ENOTDIR" });
    await assert.rejects(disk.list(place), { name: "DiskError", code: "ENOTDIR" });
  });

  const full = "/dev/full";
  const hasFull = unless(fs.existsSync(full), "the system has no /dev/full");
  for (const bytes of [10, syncWriteMaxBytes + 1]) {
    test(`no room for ${bytes} bytes`, hasFull, async () => {
      const file = present(await disk.open(full, { create: false }), "it is there");
      await assert.rejects(file.write([pattern(bytes)], 0), { name: "NoRoomError", code: "ENOSPC" });
      await assert.rejects(file.sync(), { name: "DiskError", code: "EINVAL" });
      await file.close();
    });
  }

  const hasUlimit = unless(can("sh", "-c", "ulimit -f 100"), "the shell has no ulimit -f");
  test("a limit of file size", { ...hasUlimit, timeout: 20_000 }, () => {
    // Bun and Node ignore the signal that comes with the error; Deno has to be told to by the one that starts it.
    const ignore = "Deno" in globalThis ? "trap '' XFSZ && " : "";
    const script = `${ignore}ulimit -f 100 && exec "$0" "$@"`;
    for (const bytes of [40_000, 60_000, 200_000]) {
      const place = path.join(folder, `limited-${bytes}`);
      const told = execFileSync("sh", ["-c", script, ...child, "write", place, String(bytes)], { encoding: "utf8" });
      assert.equal(told, `${JSON.stringify(bytes > 51_200 ? "NoRoomError EFBIG" : "written")}\n`);
    }
  });

  const strace = unless(can("strace", "-o", "/dev/null", "true"), "strace is missing or may not attach");
  for (const error of ["EIO", "ENOSPC"]) {
    test(`a sync that fails with ${error} is final`, { ...strace, timeout: 30_000 }, () => {
      const place = path.join(folder, `sync-${error}`);
      fs.writeFileSync(place, "");
      const inject = ["-e", "trace=fdatasync", "-e", `inject=fdatasync:error=${error}`];
      const args = ["-f", "-qq", "-o", "/dev/null", "-P", place, ...inject, ...child, "sync", place, "10"];
      assert.equal(execFileSync("strace", args, { encoding: "utf8" }), `"DiskError ${error}"\n`);
    });
  }
});

describe("a small volume", () => {
  const volume = path.join(os.tmpdir(), `tailrace-volume-${process.pid}`);
  fs.mkdirSync(volume, { recursive: true });
  const mounted = can("mount", "-t", "tmpfs", "-o", "size=1m", "tailrace-test", volume);
  const mounts = unless(mounted, "mounting a small volume is not allowed");
  after(() => {
    if (mounted) execFileSync("umount", [volume]);
    fs.rmdirSync(volume);
  });

  for (const bytes of [syncWriteMaxBytes, 600_000]) {
    test(`fills up in writes of ${bytes} bytes, and takes more when there is room again`, mounts, async () => {
      const place = path.join(volume, `fill-${bytes}`);
      const file = await openFile(place);
      let size = 0;
      const fill = async () => {
        for (; size <= 2 << 20; size += bytes) await file.write([pattern(100), pattern(bytes - 100)], size);
      };
      await assert.rejects(fill(), { name: "NoRoomError", code: "ENOSPC" });
      await file.truncate(size - bytes);
      await file.write([pattern(bytes)], size - bytes);
      await file.sync();
      assert.equal(await file.size(), size);
      await file.close();
      await disk.remove(place);
    });
  }

  test("read-only, says so", mounts, async () => {
    execFileSync("mount", ["-o", "remount,ro", volume]);
    const error = { name: "DiskError", code: "EROFS" };
    await assert.rejects(disk.open(path.join(volume, "new"), { create: true }), error);
    await assert.rejects(disk.makeFolder(path.join(volume, "new")), error);
    await assert.rejects(disk.lock(volume), error);
    execFileSync("mount", ["-o", "remount,rw", volume]);
  });
});

test("want of room and final failures are told apart by class", () => {
  assert.ok(!(new NoRoomError("") instanceof DiskError));
});
