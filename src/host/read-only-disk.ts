import * as fs from "node:fs";
import type { DiskReads } from "./disk.ts";
import { NodeFile, openDescriptor } from "./node-file.ts";
import { codeOf, diskFailure } from "./system-errors.ts";

/**
 * The machine's file system for who must not change it: it makes no file, and what it opens the system lets nobody write,
 * so that a volume that is mounted read-only will do.
 */
export function readOnlyDisk(): DiskReads {
  return { open, list };
}

async function open(path: string): ReturnType<DiskReads["open"]> {
  try {
    return new NodeFile(path, await openDescriptor(path, fs.constants.O_RDONLY));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
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
