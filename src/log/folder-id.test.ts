import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DataFolderError } from "../base/disk-errors.ts";
import { systemHash } from "../host/hash.ts";
import { systemRandom } from "../host/random.ts";
import { checkNode, makeId, readId, writeId } from "./folder-id.ts";

describe("the id file", () => {
  test("has each field where docs/format.md says", () => {
    const id = { nodeId: "abc", diskId: Uint8Array.from({ length: 16 }, (_, at) => at), crcKey: 0x01020304 };
    const file = Buffer.from(writeId(id, systemHash));
    assert.equal(file.length, 128);
    assert.equal(file.toString("latin1", 4, 8), "TRID");
    assert.equal(
      file.toString("hex", 8, 36),
      "01000000 04030201 000102030405060708090a0b0c0d0e0f 03616263".replaceAll(" ", ""),
    );
    assert.ok(file.subarray(36).every((byte) => byte === 0));
    assert.equal(file.readUInt32LE(0), systemHash.crc32(file.subarray(4)));
  });

  test("comes back, and no two are the same", () => {
    const [one, other] = [makeId(systemRandom), makeId(systemRandom)];
    assert.deepEqual(readId(writeId(one, systemHash), "/data/id", systemHash), one);
    assert.notDeepEqual(one, other);
  });

  test("has the name that a node is given, and no other node may have the folder", () => {
    const id = makeId(systemRandom, "node-1");
    assert.equal(id.nodeId, "node-1");
    checkNode(id, "node-1", "/data");
    assert.throws(() => checkNode(id, "node-2", "/data"), {
      message: 'The data folder /data is of the node "node-1", not of "node-2"',
      todo: 'Start it as "node-1" or without a name, or give "node-2" a folder of its own',
    });
  });

  test("with any bit flipped, or cut, is damaged: the message names it and says what to do", () => {
    const file = writeId(makeId(systemRandom), systemHash);
    const isDamage = (error: unknown) =>
      error instanceof DataFolderError && /^\/data\/id is damaged/.test(error.message) && /backup/.test(error.todo);
    for (let at = 0; at < file.length; at++) {
      const flipped = file.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      assert.throws(() => readId(flipped, "/data/id", systemHash), isDamage, `byte ${at}`);
      assert.throws(() => readId(file.subarray(0, at), "/data/id", systemHash), isDamage, `${at} bytes`);
    }
  });

  test("of a newer version says so", () => {
    const file = writeId(makeId(systemRandom), systemHash);
    file[8] = 2;
    new DataView(file.buffer).setUint32(0, systemHash.crc32(file.subarray(4)), true);
    assert.throws(() => readId(file, "/data/id", systemHash), /written by a newer version/);
  });
});
