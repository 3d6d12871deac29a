import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import { runtimeCommand } from "../../test/support/runtime.ts";
import { present } from "../base/assert.ts";
import { lockFolder, lockFolderToRead } from "./folder-lock.ts";
import { isPidLocked, takePidLock } from "./pid-lock.ts";

const [program, ...args] = runtimeCommand("./testdata/disk-child", import.meta.url);
const root = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-lock-"));
let folder = root;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(root, "folder-"));
});
after(() => fs.rmSync(root, { recursive: true, force: true }));

/** Starts a process that takes the lock of `folder` and holds it. */
async function holder(): Promise<ChildProcess> {
  const child = spawn(program, [...args, "lock", folder], { stdio: ["pipe", "pipe", "inherit"] });
  const said = await new Promise((resolve) => child.stdout.once("data", (text) => resolve(String(text))));
  assert.equal(said, '"taken"\n');
  return child;
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once("exit", () => resolve()));
}

function otherProcess(): string {
  return execFileSync(program, [...args, "lock", folder], { encoding: "utf8", input: "end" });
}

describe("lockFolder()", () => {
  test("excludes another in this process, under whatever name", async () => {
    const lock = present(await lockFolder(folder), "free");
    fs.symlinkSync(folder, path.join(root, "link"));
    assert.equal(await lockFolder(folder), undefined);
    assert.equal(await lockFolder(path.join(root, "link")), undefined);
    await lock.release();
    await present(await lockFolder(folder), "free again").release();
  });

  test("of several at once one has it", async () => {
    const locks = await Promise.all([1, 2, 3, 4].map(() => lockFolder(folder)));
    assert.equal(locks.filter((lock) => lock !== undefined).length, 1);
  });

  test("excludes another process until released", { timeout: 20_000 }, async () => {
    const lock = present(await lockFolder(folder), "free");
    assert.equal(otherProcess(), '"held"\n');
    await lock.release();
    assert.equal(otherProcess(), '"taken"\n');
  });

  test("ends with its process, also a killed one", { timeout: 20_000 }, async () => {
    const child = await holder();
    assert.equal(await lockFolder(folder), undefined);
    child.kill("SIGKILL");
    await ended(child);
    await present(await lockFolder(folder), "free again").release();
  });
});

describe("lockFolderToRead()", () => {
  test("leaves nothing where nobody ever had a lock", async () => {
    await present(await lockFolderToRead(folder), "free").release();
    assert.deepEqual(fs.readdirSync(folder), []);
  });

  test("is shared by readers, and excludes a node while they read", { timeout: 20_000 }, async () => {
    await present(await lockFolder(folder), "free").release();
    const locks = [await lockFolderToRead(folder), await lockFolderToRead(folder)];
    if (process.platform === "linux") assert.equal(otherProcess(), '"held"\n');
    for (const lock of locks) await present(lock, "shared").release();
    assert.equal(otherProcess(), '"taken"\n');
  });

  test("is refused while a node has the folder, in this process or another", { timeout: 20_000 }, async () => {
    const lock = present(await lockFolder(folder), "free");
    assert.equal(await lockFolderToRead(folder), undefined);
    await lock.release();
    const child = await holder();
    assert.equal(await lockFolderToRead(folder), undefined);
    child.kill("SIGKILL");
    await ended(child);
    await present(await lockFolderToRead(folder), "free").release();
  });
});

describe("takePidLock()", () => {
  const lockPath = () => path.join(folder, "lock");

  test("tells who only reads whether its holder lives", async () => {
    const file = path.join(folder, "lock");
    assert.equal(await isPidLocked(file), false);
    const lock = present(await takePidLock(file), "free");
    assert.equal(await isPidLocked(file), true);
    await lock.release();
    fs.writeFileSync(file, "1 12345\n");
    assert.equal(await isPidLocked(file), false);
  });

  test("excludes others while its process lives, and is gone when released", async () => {
    const lock = present(await takePidLock(lockPath()), "free");
    assert.equal(await takePidLock(lockPath()), undefined);
    await lock.release();
    assert.deepEqual(fs.readdirSync(folder), []);
  });

  const left = [
    { name: "a process that is no more", text: "4194305 1700000000000\n" },
    { name: "a process whose id another has now", text: `${process.pid} 1700000000000\n` },
    { name: "nobody that can be told", text: "" },
  ];
  for (const { name, text } of left) {
    test(`is taken over from ${name}`, async () => {
      fs.writeFileSync(lockPath(), text);
      const lock = present(await takePidLock(lockPath()), "free");
      assert.match(fs.readFileSync(lockPath(), "utf8"), new RegExp(`^${process.pid} [0-9]+\n$`));
      await lock.release();
      assert.deepEqual(fs.readdirSync(folder), []);
    });
  }
});
