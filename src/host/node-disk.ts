import * as fs from "node:fs";
import { dirname } from "node:path";
import type { Disk, DiskFile, DiskSpace } from "./disk.ts";
import { lockFolder } from "./folder-lock.ts";
import { NodeFile, openDescriptor } from "./node-file.ts";
import { codeOf, diskFailure, syncFailure } from "./system-errors.ts";

/** The machine's file system, by `node:fs`: the same system calls on Bun, Deno and Node. */
export function nodeDisk(): Disk {
  return { open, list, makeFolder, rename, remove, syncFolder, space, lock: lockFolder };
}

async function open(path: string, options: { readonly create: boolean }): Promise<DiskFile | undefined> {
  const flags = fs.constants.O_RDWR | (options.create ? fs.constants.O_CREAT : 0);
  try {
    return new NodeFile(path, await openDescriptor(path, flags));
  } catch (error) {
    if (!options.create && codeOf(error) === "ENOENT") return undefined;
    throw diskFailure("Cannot open", path, error);
  }
}

async function list(path: string): Promise<string[] | undefined> {
  try {
    return await fs.promises.readdir(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw diskFailure("Cannot list", path, error);
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await makeFolders(path);
  } catch (error) {
    throw diskFailure("Cannot make the folder", path, error);
  }
}

/** As `mkdir` with `recursive`, which on Node calls a read-only volume ENOENT. */
async function makeFolders(path: string): Promise<void> {
  try {
    await makeOneFolder(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolders(dirname(path));
    await makeOneFolder(path);
  }
}

async function makeOneFolder(path: string): Promise<void> {
  try {
    await fs.promises.mkdir(path);
  } catch (error) {
    if (codeOf(error) === "EEXIST" && (await fs.promises.stat(path)).isDirectory()) return;
    throw error;
  }
}

async function rename(from: string, to: string): Promise<void> {
  try {
    await fs.promises.rename(from, to);
  } catch (error) {
    throw diskFailure("Cannot rename", `${from} to ${to}`, error);
  }
}

async function remove(path: string): Promise<void> {
  try {
    await fs.promises.rm(path, { recursive: true, force: true });
  } catch (error) {
    throw diskFailure("Cannot remove", path, error);
  }
}

async function syncFolder(path: string): Promise<void> {
  const fd = await openDescriptor(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY).catch((error) => {
    throw diskFailure("Cannot open the folder", path, error);
  });
  try {
    await new Promise<void>((resolve, reject) => {
      fs.fsync(fd, (error) => (error ? reject(syncFailure(path, error)) : resolve()));
    });
  } finally {
    fs.closeSync(fd);
  }
}

async function space(path: string): Promise<DiskSpace> {
  try {
    const { bavail, blocks, bsize } = await fs.promises.statfs(path);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch (error) {
    throw diskFailure("Cannot learn the free space of", path, error);
  }
}
