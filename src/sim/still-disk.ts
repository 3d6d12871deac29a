/**
 * The simulated disk as somebody sees it who looks at it between two lives: every call answers at once, nothing goes
 * wrong, and nothing is written.
 * @module
 */
import type { Disk, DiskFile } from "../host/disk.ts";
import type { SimDisk } from "./disk.ts";
import { FileNode } from "./file-node.ts";
import { FolderNode } from "./folder-node.ts";

/** Looks at a disk. */
export function stillDisk(disk: SimDisk): Disk {
  return {
    open: async (path) => {
      const node = disk.find(path);
      return node instanceof FileNode ? stillFile(node) : undefined;
    },
    list: async (path) => {
      const node = disk.find(path);
      return node instanceof FolderNode ? [...node.names.keys()] : undefined;
    },
    space: async () => disk.space,
    makeFolder: refuse,
    rename: refuse,
    remove: refuse,
    syncFolder: refuse,
    lock: refuse,
  };
}

function stillFile(node: FileNode): DiskFile {
  const read = async (into: Uint8Array, at: number) => node.read(into, at);
  return {
    size: async () => node.size,
    read,
    readRecent: read,
    write: refuse,
    sync: refuse,
    truncate: refuse,
    close: async () => {},
  };
}

async function refuse(): Promise<never> {
  throw new Error("who looks at a disk changes nothing");
}
