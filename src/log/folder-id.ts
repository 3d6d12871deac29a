/**
 * The `id` file: what makes a folder a data folder. It comes last at the first start, so it is the commit point.
 * @module
 */
import { putU32, viewOf } from "../base/bytes.ts";
import { DataFolderError } from "../base/disk-errors.ts";
import type { Hash } from "../host/hash.ts";
import type { Random } from "../host/random.ts";
import { newerVersion } from "./batch-reader.ts";
import { idFile as at, formatVersion } from "./format.ts";

/** Who a data folder is. */
export interface FolderId {
  readonly nodeId: string;
  /** 16 random bytes: another disk is another replica. */
  readonly diskId: Uint8Array;
  /** Where the frames' checksums start: no payload passes for a frame. Never leaves the folder. */
  readonly crcKey: number;
}

/** A new one. @param name The node's; left out: a random one. */
export function makeId(random: Random, name?: string): FolderId {
  const nodeId = name ?? [...random.bytes(8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { nodeId, diskId: random.bytes(16), crcKey: viewOf(random.bytes(4)).getUint32(0, true) };
}

/** @throws {DataFolderError} The folder at `path` is another node's. */
export function checkNode(id: FolderId, name: string, path: string): void {
  if (id.nodeId === name) return;
  throw new DataFolderError(
    `The data folder ${path} is of the node "${id.nodeId}", not of "${name}"`,
    `Start it as "${id.nodeId}" or without a name, or give "${name}" a folder of its own`,
  );
}

export function writeId(id: FolderId, hash: Hash): Uint8Array {
  const file = new Uint8Array(at.bytes);
  putU32(file, at.magicAt, at.magic);
  putU32(file, at.versionAt, formatVersion);
  putU32(file, at.crcKeyAt, id.crcKey);
  file.set(id.diskId, at.diskIdAt);
  const name = new TextEncoder().encode(id.nodeId);
  file[at.nodeIdBytesAt] = name.length;
  file.set(name, at.nodeIdAt);
  putU32(file, at.crcAt, hash.crc32(file.subarray(at.magicAt)));
  return file;
}

/** @throws {DataFolderError} The file is damaged, or of a newer version. */
export function readId(file: Uint8Array, path: string, hash: Hash): FolderId {
  const view = viewOf(file);
  const whole =
    file.length === at.bytes &&
    view.getUint32(at.magicAt, true) === at.magic &&
    view.getUint32(at.crcAt, true) === hash.crc32(file.subarray(at.magicAt));
  if (!whole) {
    throw new DataFolderError(
      `${path} is damaged: it says who this data folder is, so nothing else in it can be trusted`,
      "Restore this file from a backup of the same folder",
    );
  }
  if (view.getUint32(at.versionAt, true) !== formatVersion) throw newerVersion(`The data folder (${path})`);
  const nameBytes = view.getUint8(at.nodeIdBytesAt);
  return {
    crcKey: view.getUint32(at.crcKeyAt, true),
    diskId: file.slice(at.diskIdAt, at.diskIdAt + 16),
    nodeId: new TextDecoder().decode(file.subarray(at.nodeIdAt, at.nodeIdAt + nameBytes)),
  };
}
