/**
 * Data folders of released formats, as the versions that wrote them left them: the newest code opens each and finds all that
 * is listed beside it; what says that it is newer is refused in words.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { DataFolderError } from "../../src/base/disk-errors.ts";
import { temporaryFolder } from "../support/data-folder.ts";
import { unless } from "../support/skip.ts";
import { payloadOf, streamsOf } from "../support/streams.ts";
import { newestFrame, python, readByPage } from "./both-readers.ts";
import { openSmall, whatLogsSay } from "./folder.ts";
import { describeStreams, type Kept } from "./folders/kept.ts";

const folders = fileURLToPath(new URL("./folders/", import.meta.url));
const formats = fs.readdirSync(folders).filter((name) => /^v\d+$/.test(name));
const hasTar = spawnSync("tar", ["--version"]).status === 0;
const unpacking = unless(hasTar, "tar is not there, which unpacks the kept data folders");
const root = temporaryFolder();

/** A copy of a kept folder. */
function unpacked(format: string): string {
  const place = fs.mkdtempSync(path.join(root, `${format}-`));
  execFileSync("tar", ["-xzf", path.join(folders, format, "data.tar.gz"), "-C", place]);
  return path.join(place, "data");
}

function keptOf(format: string): Kept {
  return JSON.parse(fs.readFileSync(path.join(folders, format, "holds.json"), "utf8"));
}

describe("a kept data folder", () => {
  for (const format of formats) {
    test(`of format ${format} has all that it had, and goes on`, { ...unpacking, timeout: 60_000 }, async () => {
      const { streams: listed, batches } = keptOf(format);
      const folder = await openSmall(unpacked(format));
      assert.equal(folder.report.kind, "recovered");
      assert.deepEqual(await whatLogsSay(folder), batches);
      const streams = await streamsOf(folder);
      assert.deepEqual(await describeStreams(streams), listed);
      // A producer that sends its last batch again is known, and the fence is in force.
      const produced = batches.filter(({ producer }) => producer !== null);
      const last = produced.at(-1);
      assert.ok(last?.producer);
      const [id = "", epoch, sequence] = last.producer.split(" ");
      const { name } = listed.find((stream) => stream.id === last.group) ?? { name: "" };
      const producer = { id: new Uint8Array(Buffer.from(id, "hex")), epoch: Number(epoch), sequence: Number(sequence) };
      const again = await streams.get(name).append(payloadOf("again"), { producer });
      assert.deepEqual([again.duplicate, again.startOffset], [true, last.base_offset]);
      await assert.rejects(streams.get(name).append(payloadOf("x")), { reason: "fenced" });
      for (const stream of listed.filter(({ fence }) => fence === "")) {
        const { startOffset } = await streams.get(stream.name).append(payloadOf("more"));
        assert.equal(startOffset, stream.highWatermark);
      }
      streams.stop();
      await folder.close();
    });

    test(`of format ${format} is read by its page alone`, { ...python, ...unpacking, timeout: 60_000 }, () => {
      const { batches, errors, status } = readByPage(unpacked(format));
      assert.deepEqual([status, errors], [0, []]);
      assert.deepEqual(batches, keptOf(format).batches);
    });
  }

  test("is of each format up to this one", () => assert.deepEqual(formats, ["v1"]));
});

describe("a folder of a newer version is refused in words", () => {
  const newest = formats.at(-1) ?? "";
  const segmentOf = (data: string) => path.join(data, "groups/4/1/00000000000000000005.log");

  const atStart: { name: string; spoil: (data: string) => void; says: RegExp }[] = [
    {
      name: "its id file says so",
      spoil: (data) => change(path.join(data, "id"), (bytes) => sealed(withByte(bytes, 8, 2))),
      says: /id.*newer version/,
    },
    {
      name: "a frame's header says so",
      spoil: (data) => changeFrame(data, (frame) => withByte(frame, 12, 2)),
      says: /frame.*newer version/i,
    },
    {
      name: "a frame is of a kind that is not known",
      spoil: (data) => changeFrame(data, (frame) => withByte(frame, 13, 9)),
      says: /frame.*newer version/i,
    },
    {
      name: "a batch's header in the journal says so",
      spoil: (data) => changeFrame(data, (frame) => changeBatch(frame, frame.indexOf("TR\u0001", 64, "latin1") - 4)),
      says: /batch.*newer version/i,
    },
  ];
  for (const { name, spoil, says } of atStart) {
    test(name, { ...unpacking, timeout: 60_000 }, async () => {
      const data = unpacked(newest);
      spoil(data);
      await assert.rejects(openSmall(data), (error) => {
        assert.ok(error instanceof DataFolderError, String(error));
        assert.match(error.message, says);
        assert.match(error.todo, /newer/);
        return true;
      });
    });
  }

  test("a batch's header in a segment says so, when it is read", { ...unpacking, timeout: 60_000 }, async () => {
    const data = unpacked(newest);
    change(segmentOf(data), (bytes) => changeBatch(bytes, 0));
    const folder = await openSmall(data);
    await assert.rejects(whatLogsSay(folder), (error) => {
      return error instanceof DataFolderError && /batch.*newer version/i.test(error.message);
    });
    await folder.close();
  });

  test("but not for an index file, which is made anew", { ...unpacking, timeout: 60_000 }, async () => {
    const data = unpacked(newest);
    change(segmentOf(data).replace(/log$/, "index"), (bytes) => sealed(withByte(bytes, 8, 9)));
    const folder = await openSmall(data);
    assert.deepEqual(await whatLogsSay(folder), keptOf(newest).batches);
    await folder.close();
  });
});

function change(file: string, by: (bytes: Buffer) => Buffer): void {
  fs.writeFileSync(file, by(fs.readFileSync(file)));
}

function withByte(bytes: Buffer, at: number, value: number): Buffer {
  bytes[at] = value;
  return bytes;
}

/** With its CRC put right, which covers all behind it. */
function sealed(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
  return bytes;
}

/** A batch of another version, its header's CRC right. */
function changeBatch(bytes: Buffer, at: number): Buffer {
  bytes[at + 6] = 2;
  bytes.writeUInt32LE(crc32(bytes.subarray(at + 4, at + 128)), at);
  return bytes;
}

/** Changes the newest frame; its CRC starts from the folder's key. */
function changeFrame(data: string, by: (frame: Buffer) => Buffer): void {
  const key = fs.readFileSync(path.join(data, "id")).readUInt32LE(12);
  const { path: file, end } = newestFrame(data);
  change(file, (bytes) => {
    let start = end - (end % 4096);
    while (bytes.toString("latin1", start + 4, start + 8) !== "TRJF") start -= 4096;
    const frame = by(bytes.subarray(start, end));
    frame.writeUInt32LE(crc32(frame.subarray(4), key), 0);
    return bytes;
  });
}
