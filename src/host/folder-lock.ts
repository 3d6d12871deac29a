/**
 * The lock of a data folder: two nodes that wrote one journal would each be the other's damage.
 * - Linux: `flock` on the file `lock` in the folder, taken by the program of that name on our descriptor, since no
 *   runtime has the call. The lock is the open file's: it stays with our descriptor when the program has ended, and
 *   goes with our process, however that ends.
 * - Elsewhere (macOS has no such program): a file with process id and start time (pid-lock.ts).
 * - Two nodes in one process exclude each other too, by a set of the folders held.
 * @module
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { DiskError } from "../base/disk-errors.ts";
import type { FolderLock } from "./disk.ts";
import { openDescriptor } from "./node-file.ts";
import { isPidLocked, takePidLock } from "./pid-lock.ts";
import { codeOf, diskFailure } from "./system-errors.ts";

/** Name of the lock's file in its folder. */
export const lockFileName = "lock";

const heldHere = new Set<string>();

/** See `Disk.lock`. */
export async function lockFolder(path: string): Promise<FolderLock | undefined> {
  const folder = await fs.promises.realpath(path).catch((error) => {
    throw diskFailure("Cannot lock the folder", path, error);
  });
  if (heldHere.has(folder)) return undefined;
  heldHere.add(folder);
  try {
    const take = process.platform === "linux" ? takeFlock : takePidLock;
    const lock = await take(`${folder}/${lockFileName}`);
    if (lock === undefined) {
      heldHere.delete(folder);
      return undefined;
    }
    return {
      async release() {
        await lock.release();
        heldHere.delete(folder);
      },
    };
  } catch (error) {
    heldHere.delete(folder);
    throw error;
  }
}

/**
 * Keeps nodes out of a folder while it is read, and leaves nothing there: others may read it meanwhile. `undefined`: a node
 * has it open. Where no node ever had it open there is nothing to take, and elsewhere than on Linux a node that starts
 * meanwhile is not kept out.
 */
export async function lockFolderToRead(path: string): Promise<FolderLock | undefined> {
  const folder = await fs.promises.realpath(path).catch((error) => {
    throw diskFailure("Cannot lock the folder", path, error);
  });
  if (heldHere.has(folder)) return undefined;
  const lockFile = `${folder}/${lockFileName}`;
  if (process.platform !== "linux") return (await isPidLocked(lockFile)) ? undefined : { release: async () => {} };
  const fd = await openDescriptor(lockFile, fs.constants.O_RDONLY).catch((error) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw diskFailure("Cannot open the lock", lockFile, error);
  });
  if (fd === undefined) return { release: async () => {} };
  try {
    if (await flockTaken(lockFile, fd, "-s")) return { release: async () => fs.closeSync(fd) };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  fs.closeSync(fd);
  return undefined;
}

async function takeFlock(path: string): Promise<FolderLock | undefined> {
  const fd = await openDescriptor(path, fs.constants.O_RDWR | fs.constants.O_CREAT).catch((error) => {
    throw diskFailure("Cannot open the lock", path, error);
  });
  try {
    if (await flockTaken(path, fd, "-x")) return { release: async () => fs.closeSync(fd) };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  fs.closeSync(fd);
  return undefined;
}

/** Exit status of `flock -n` when somebody else has the lock. */
const flockHeld = 1;

/** @param how `-x`: alone; `-s`: with others that take it so. */
function flockTaken(path: string, fd: number, how: "-x" | "-s"): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn("flock", ["-n", how, "3"], { stdio: ["ignore", "ignore", "ignore", fd] });
    child.once("error", (error) => {
      const code = codeOf(error);
      const why = code === "ENOENT" ? "the program flock is not there; install util-linux or busybox" : error.message;
      reject(new DiskError(`Cannot lock ${path}: ${why}`, code));
    });
    child.once("exit", (status, signal) => {
      if (status === 0) resolve(true);
      else if (status === flockHeld) resolve(false);
      else reject(new DiskError(`Cannot lock ${path}: flock ended with ${status ?? signal}`));
    });
  });
}
