import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvalidArgumentError } from "commander";
import { parseProducerId } from "./producer.ts";

const hex = (text: string) => Buffer.from(parseProducerId(text)).toString("hex");

describe("a producer's id", () => {
  const cases = [
    { text: "00112233445566778899aabbccddeeff", id: "00112233445566778899aabbccddeeff" },
    { text: "00112233-4455-6677-8899-AABBCCDDEEFF", id: "00112233445566778899aabbccddeeff" },
    // printf import-1 | sha256sum | cut -c 1-32
    { text: "import-1", id: "56b541cf3d7a8594dde323ebf0abb432" },
    { text: "0011-2233445566778899aabbccddeeff", id: "514c6fbbcaae3bc4a54aace7c79978b9" },
  ];
  for (const { text, id } of cases) test(`${text} is ${id}`, () => assert.equal(hex(text), id));

  for (const text of ["", "00000000-0000-0000-0000-000000000000"]) {
    test(`"${text}" is none`, () => {
      assert.throws(() => parseProducerId(text), InvalidArgumentError);
    });
  }
});
