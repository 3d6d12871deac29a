/**
 * The simulated disk as somebody sees it who looks at a copy of it: every call takes effect and answers at once, and
 * nothing goes wrong.
 * @module
 */
import type { Disk, DiskFile } from "../host/disk.ts";
import type { SimDisk } from "./disk.ts";
import { FileNode } from "./file-node.ts";
import { FolderNode } from "./folder-node.ts";

/** Uses a disk, between two moments of a run. */
export function instantDisk(disk: SimDisk): Disk {
  return {
    open: async (path, { create }) => {
      const node = disk.find(path) ?? (create ? disk.makeFile(path) : undefined);
      return node instanceof FileNode ? instantFile(disk, path, node) : undefined;
    },
    list: async (path) => {
      const node = disk.find(path);
      return node instanceof FolderNode ? [...node.names.keys()] : undefined;
    },
    makeFolder: async (path) => disk.makeFolder(path),
    rename: async (from, to) => disk.rename(from, to),
    remove: async (path) => disk.remove(path),
    syncFolder: async () => {},
    space: async () => disk.space,
    lock: async () => ({ release: async () => {} }),
  };
}

function instantFile(disk: SimDisk, path: string, node: FileNode): DiskFile {
  const read = async (into: Uint8Array, at: number) => node.read(into, at);
  return {
    size: async () => node.size,
    read,
    readRecent: read,
    write: async (parts, at) => disk.write(node, path, parts, at),
    sync: async () => {},
    truncate: async (size) => disk.truncate(node, size),
    close: async () => {},
  };
}
