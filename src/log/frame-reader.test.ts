import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as zlib from "node:zlib";
import { DataFolderError } from "../base/disk-errors.ts";
import type { DiskFile } from "../host/disk.ts";
import { systemHash } from "../host/hash.ts";
import { FrameKind, RecordKind } from "./format.ts";
import { FrameReader, recordsOf } from "./frame-reader.ts";
import { FrameBuilder } from "./frame-writer.ts";

const owner = { diskId: new Uint8Array(16).fill(9), crcKey: 12345 };

/** A frame with one record of so many bytes. */
function frame(number: number, bodyBytes = 100, more: { owner?: typeof owner; freed?: number } = {}): Uint8Array {
  const builder = new FrameBuilder(new Uint8Array(64 << 10));
  const body = builder.add(RecordKind.vote, 5, 1, bodyBytes);
  builder.bytes.fill(number, body, body + bodyBytes);
  const stamp = {
    kind: FrameKind.frame,
    files: 1,
    number,
    incarnation: 2,
    freed: more.freed ?? 0,
    ...(more.owner ?? owner),
  };
  return builder.finish(stamp, systemHash).slice();
}

function fileOf(...parts: Uint8Array[]): DiskFile {
  const bytes = Buffer.concat(parts);
  const read = async (into: Uint8Array, at: number) => bytes.copy(into, 0, at, at + into.length);
  const unused = () => Promise.reject(new Error("a reader only reads"));
  const rest = { write: unused, sync: unused, truncate: unused, close: unused };
  return { ...rest, size: async () => bytes.length, read, readRecent: read };
}

async function numbersIn(file: DiskFile, windowBytes = 4096): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { number } of new FrameReader(file, owner, systemHash, windowBytes).frames()) numbers.push(number);
  return numbers;
}

async function beyond(file: DiskFile, from: number, number: number): Promise<number | undefined> {
  return (await new FrameReader(file, owner, systemHash, 4096).wholeFrameBeyond(from, number))?.position;
}

const zeros = new Uint8Array(8192);

describe("a frame", () => {
  test("has each field where docs/format.md says, and fills up to 4 KiB", () => {
    const bytes = Buffer.from(frame(7, 100, { freed: 3 }));
    assert.equal(bytes.length, 4096);
    const length = 64 + 16 + 104;
    assert.equal(bytes.toString("latin1", 4, 8), "TRJF");
    assert.equal(bytes.readUInt32LE(8), length);
    assert.deepEqual([...bytes.subarray(12, 16)], [1, FrameKind.frame, 1, 0]);
    assert.deepEqual(
      [16, 24, 32].map((at) => Number(bytes.readBigUInt64LE(at))),
      [7, 2, 3],
    );
    assert.deepEqual(Uint8Array.from(bytes.subarray(40, 56)), owner.diskId);
    assert.equal(bytes.readUInt32LE(56), 1);
    assert.equal(bytes.readUInt32LE(0), zlib.crc32(bytes.subarray(4, length), owner.crcKey));
    assert.ok(bytes.subarray(length).every((byte) => byte === 0));
  });

  test("gives its records back, each with its place in the file", async () => {
    const builder = new FrameBuilder(new Uint8Array(4096).fill(0xee));
    builder.bytes[builder.add(RecordKind.note, 1, 2, 1)] = 42;
    builder.add(RecordKind.gone, 2 ** 40, 65_535, 0);
    const bytes = builder.finish(
      { kind: FrameKind.clean, files: 1, number: 1, incarnation: 1, freed: 0, ...owner },
      systemHash,
    );
    const [first] = await collect(new FrameReader(fileOf(bytes), owner, systemHash).frames());
    assert.ok(first);
    assert.equal(first.kind, FrameKind.clean);
    assert.deepEqual(
      [...recordsOf(first)].map((record) => ({ ...record, body: [...record.body] })),
      [
        { kind: RecordKind.note, flags: 0, logNumber: 2, group: 1, body: [42, 0, 0, 0, 0, 0, 0, 0], position: 80 },
        { kind: RecordKind.gone, flags: 0, logNumber: 65_535, group: 2 ** 40, body: [], position: 104 },
      ],
    );
  });

  test("takes records as far as they fit, and says so", () => {
    const builder = new FrameBuilder(new Uint8Array(4096));
    assert.equal(builder.fits(4096 - 64 - 16), true);
    assert.equal(builder.fits(4096 - 64 - 15), false);
    assert.equal(builder.fits(2000, 4096 - 64 - 32 - 2000), true);
    builder.add(RecordKind.batch, 1, 1, 4096 - 64 - 16);
    assert.equal(builder.fits(0), false);
  });
});

describe("reading the frames of a file", () => {
  test("ends where nothing is", async () => {
    assert.deepEqual(await numbersIn(fileOf(frame(5), frame(6, 9000), frame(7), zeros)), [5, 6, 7]);
    assert.deepEqual(await numbersIn(fileOf(zeros)), []);
    assert.deepEqual(await numbersIn(fileOf()), []);
  });

  test("ends at a torn one, whichever of its sectors is missing", async () => {
    const whole = frame(6, 9000);
    for (let sector = 0; sector < Math.ceil(9080 / 512); sector++) {
      const torn = whole.slice().fill(0, sector * 512, (sector + 1) * 512);
      assert.deepEqual(await numbersIn(fileOf(frame(5), torn, zeros)), [5], `sector ${sector}`);
    }
  });

  test("ends where an older lap's frame stands", async () => {
    assert.deepEqual(await numbersIn(fileOf(frame(15), frame(6), frame(7))), [15]);
  });

  test("ends where the file ends in the middle of one", async () => {
    assert.deepEqual(await numbersIn(fileOf(frame(5), frame(6, 9000).subarray(0, 5000))), [5]);
  });

  test("takes no frame of another disk, or made without the folder's key", async () => {
    const otherDisk = { ...owner, diskId: new Uint8Array(16).fill(8) };
    assert.deepEqual(await numbersIn(fileOf(frame(5, 100, { owner: otherDisk }))), []);
    assert.deepEqual(await numbersIn(fileOf(frame(5, 100, { owner: { ...owner, crcKey: 0 } }))), []);
  });

  test("says that a frame, or a record, that it does not know is a newer tailrace's", async () => {
    const isNewer = (error: unknown) => error instanceof DataFolderError && /newer version/.test(error.message);
    const version = frame(5);
    version[12] = 2;
    new DataView(version.buffer).setUint32(0, zlib.crc32(version.subarray(4, 184), owner.crcKey), true);
    await assert.rejects(numbersIn(fileOf(version)), isNewer);
    const record = frame(5);
    record[64] = 99;
    new DataView(record.buffer).setUint32(0, zlib.crc32(record.subarray(4, 184), owner.crcKey), true);
    const [read] = await collect(new FrameReader(fileOf(record), owner, systemHash).frames());
    assert.ok(read);
    assert.throws(() => [...recordsOf(read)], isNewer);
  });
});

describe("looking for a whole frame beyond a bad one", () => {
  const torn = frame(6).fill(0, 0, 512);

  test("finds one with a greater number at any later border", async () => {
    assert.equal(await beyond(fileOf(frame(5), torn, zeros, frame(7)), 4096, 5), 16_384);
  });

  test("finds none where only older ones, or parts, or nothing stands", async () => {
    assert.equal(await beyond(fileOf(frame(5), torn, frame(3), zeros), 4096, 5), undefined);
    assert.equal(await beyond(fileOf(frame(5), torn, frame(7, 9000).subarray(0, 8192)), 4096, 5), undefined);
    assert.equal(await beyond(fileOf(frame(5), torn), 8192, 5), undefined);
  });

  test("is not fooled by a frame within a payload: that one does not begin at a border", async () => {
    assert.equal(await beyond(fileOf(frame(5), new Uint8Array(80), frame(7), zeros), 4096, 5), undefined);
  });
});

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
