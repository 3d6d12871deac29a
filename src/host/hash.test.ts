import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemHash } from "./hash.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const hex = (digest: Uint8Array) => Buffer.from(digest).toString("hex");

function sha256(...parts: string[]): string {
  const into = new Uint8Array(34).fill(0xee);
  systemHash.sha256Into(parts.map(bytes), into, 1);
  assert.equal(into[0], 0xee);
  assert.equal(into[33], 0xee);
  return hex(into.subarray(1, 33));
}

describe("crc32()", () => {
  const cases = [
    { name: "the check value of CRC-32", text: "123456789", crc: 0xcbf43926 },
    { name: "nothing", text: "", crc: 0 },
    { name: "a value above 2^31 stays positive", text: "a", crc: 0xe8b7be43 },
  ];
  for (const { name, text, crc } of cases) {
    test(name, () => assert.equal(systemHash.crc32(bytes(text)), crc));
  }

  test("goes on from a start", () => {
    assert.equal(systemHash.crc32(bytes("56789"), systemHash.crc32(bytes("1234"))), 0xcbf43926);
  });
});

describe("sha256Into()", () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  const long = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
  const cases = [
    { name: "one part", parts: ["abc"], digest: abc },
    { name: "two parts are as if joined", parts: ["a", "bc"], digest: abc },
    { name: "empty parts count for nothing", parts: ["", "ab", "", "c"], digest: abc },
    { name: "no part", parts: [], digest: empty },
    { name: "an empty part", parts: [""], digest: empty },
    { name: "two blocks", parts: ["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"], digest: long },
  ];
  for (const { name, parts, digest } of cases) {
    test(name, () => assert.equal(sha256(...parts), digest));
  }

  test("the digest may land in the bytes that were hashed", () => {
    const block = new Uint8Array(40);
    block.set(bytes("abc"), 4);
    systemHash.sha256Into([block.subarray(4, 7)], block, 4);
    assert.equal(hex(block.subarray(4, 36)), abc);
  });
});
