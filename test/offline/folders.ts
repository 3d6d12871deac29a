/**
 * Data folders of stopped nodes, for tests of what looks into them offline; and ways to damage them.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { crc32 } from "node:zlib";
import { BatchKind } from "../../src/base/batch.ts";
import { connectTo } from "../../src/cli/connection.ts";
import { encodeVoters, type StoredReplica } from "../../src/wire/checkpoint.ts";
import { openFolder } from "../support/data-folder.ts";
import { startNode } from "../support/node-process.ts";

export const headerBytes = 128;
/** The address of no node, for commands that ask none. */
export const nowhere = "http://127.0.0.1:1";
/** Each record of the stream "large" has so many bytes: a batch of its own that goes to a segment; four fill one. */
export const valueBytes = 300_000;
export const largeRecords = 10;
export const smallRecords = 5;

const root = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-offline-"));
// Folders are shared by tests, of several files in one process too: they go with it.
process.once("exit", () => fs.rmSync(root, { recursive: true, force: true }));

/** A place for a data folder, or for anything. */
export function place(): string {
  return path.join(fs.mkdtempSync(path.join(root, "folder-")), "data");
}

/** A stopped node's folder. */
export interface StoppedFolder {
  readonly data: string;
  /** Ids of its streams: ten large records in three segments, and five small ones that only the journal has. */
  readonly large: number;
  readonly small: number;
}

/** Runs a node with two streams on a new folder, and stops it. */
export async function stoppedFolder(signal: "SIGTERM" | "SIGKILL"): Promise<StoppedFolder> {
  const data = place();
  const node = await startNode({ data });
  const { client, close } = connectTo(node.url);
  const create = async (name: string) => {
    const { stream } = await client.streams.createStream({ name, settings: { segmentMaxBytes: 1n << 20n } });
    return Number(stream?.id);
  };
  const [large, small] = [await create("large"), await create("small")];
  for (let record = 0; record < largeRecords; record++) {
    const value = new Uint8Array(valueBytes).fill(record);
    await client.log.append({ stream: "large", records: [{ value }] });
  }
  for (let record = 0; record < smallRecords; record++) {
    await client.log.append({ stream: "small", records: [{ value: Buffer.from(`small ${record}`) }] });
  }
  close();
  await node.end(signal);
  return { data, large, small };
}

/** A copy of a folder, to be damaged. */
export function copied(data: string): string {
  const copy = place();
  fs.cpSync(data, copy, { recursive: true, preserveTimestamps: true });
  return copy;
}

/** Tells all logs of a folder that it is one of three voters: what a cluster leaves behind of which two nodes are lost. */
export async function oneOfThree(data: string): Promise<void> {
  const folder = await openFolder(data);
  const others: StoredReplica[] = [1, 2].map((number) => {
    return { diskId: new Uint8Array(16).fill(number), life: 0, nodeId: `other-${number}` };
  });
  const payload = encodeVoters([{ diskId: folder.diskId, life: 0, nodeId: "self" }, ...others]);
  for (const group of [...folder.groups()]) {
    await folder.log(group)?.append({ kind: BatchKind.voters, payload, recordCount: 0, note: payload });
  }
  await folder.close();
}

/** Paths of a stream's segments within the folder, in order. */
export function segmentsOf(data: string, id: number): string[] {
  const folder = `groups/${id}/1`;
  const names = fs.readdirSync(path.join(data, folder)).filter((name) => name.endsWith(".log"));
  return names.sort().map((name) => `${folder}/${name}`);
}

/** Positions and lengths of the batches of a segment. */
export function batchesIn(data: string, segment: string): { position: number; length: number; index: number }[] {
  const bytes = fs.readFileSync(path.join(data, segment));
  const batches: { position: number; length: number; index: number }[] = [];
  for (let position = 0; position < bytes.length; ) {
    const length = headerBytes + bytes.readUInt32LE(position + 12);
    batches.push({ position, length, index: Number(bytes.readBigUInt64LE(position + 24)) });
    position += length;
  }
  return batches;
}

/** Flips a bit. */
export function flip(data: string, file: string, position: number, bit = 4): void {
  const fd = fs.openSync(path.join(data, file), "r+");
  const byte = new Uint8Array(1);
  assert.equal(fs.readSync(fd, byte, 0, 1, position), 1);
  byte[0] = (byte[0] ?? 0) ^ (1 << bit);
  fs.writeSync(fd, byte, 0, 1, position);
  fs.closeSync(fd);
}

/** The frames that stand in a file of the journal: whether they are whole is not looked at. */
export function framesIn(data: string, file: string): { position: number; length: number; number: number }[] {
  const bytes = fs.readFileSync(path.join(data, file));
  const frames: { position: number; length: number; number: number }[] = [];
  for (let position = 0; position + 64 <= bytes.length; position += 4096) {
    if (bytes.toString("latin1", position + 4, position + 8) !== "TRJF") continue;
    const number = Number(bytes.readBigUInt64LE(position + 16));
    frames.push({ position, length: bytes.readUInt32LE(position + 8), number });
  }
  return frames;
}

/** All of a folder: content, size and time of change of each file, and each folder's. */
export function fingerprint(data: string): string[] {
  const names = fs.readdirSync(data, { recursive: true, encoding: "utf8" }).sort();
  return ["", ...names].map((name) => {
    const file = path.join(data, name);
    const { mtimeMs, size, mode, ino } = fs.statSync(file);
    const isFile = fs.statSync(file).isFile();
    const hash = isFile ? createHash("sha256").update(fs.readFileSync(file)).digest("hex") : "folder";
    return `${name} ${hash} ${isFile ? size : 0} ${mtimeMs} ${mode} ${ino}`;
  });
}

/** Makes the checksum over bytes 4 to the end right. */
export function sumOf(bytes: Buffer): void {
  bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
}

/** Says of a whole batch that it is of another group. */
export function stampGroup(batch: Buffer, group: number): void {
  batch.writeBigUInt64LE(BigInt(group), 16);
  sumOf(batch.subarray(0, headerBytes));
}

/** Changes a batch's payload, and its checksums with it; the digest stays. */
export function forge(batch: Buffer): void {
  batch[batch.length - 1] = (batch.at(-1) ?? 0) ^ 1;
  batch.writeUInt32LE(crc32(batch.subarray(headerBytes)), 92);
  sumOf(batch.subarray(0, headerBytes));
}

/** Changes a batch's payload, its checksums and its digest, as if it had been appended so behind the one with this digest. */
export function rewrite(batch: Buffer, digestBefore: Uint8Array): void {
  batch[batch.length - 1] = (batch.at(-1) ?? 0) ^ 1;
  batch.writeUInt32LE(crc32(batch.subarray(headerBytes)), 92);
  batch.set(digestBefore, 96);
  batch.set(createHash("sha256").update(batch.subarray(4)).digest(), 96);
  sumOf(batch.subarray(0, headerBytes));
}
