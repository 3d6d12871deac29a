import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { TailraceError } from "../base/errors.ts";
import { AppendRequestSchema } from "./gen/tailrace/v1/log_pb.ts";
import { RecordsSchema } from "./gen/tailrace/v1/record_pb.ts";
import { appendMethod, recordsAside } from "./records-aside.ts";
import { splitRecords } from "./split-records.ts";

/** A serialized AppendRequest as the parts that it is put together from, in any order. */
const records = fc
  .array(fc.record({ value: fc.uint8Array({ maxLength: 200 }) }), { minLength: 1, maxLength: 3 })
  .map((some) => ({ isRecords: true, bytes: toBinary(RecordsSchema, create(RecordsSchema, { records: some })) }));
const rest = fc
  .record({
    stream: fc.string({ maxLength: 9 }),
    batch: fc.uint8Array({ maxLength: 9 }),
    streamId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  })
  .map((fields) => ({ isRecords: false, bytes: toBinary(AppendRequestSchema, create(AppendRequestSchema, fields)) }));
const parts = fc.array(fc.oneof(records, rest), { maxLength: 6 });

const join = (some: { bytes: Uint8Array }[]) => Buffer.concat(some.map(({ bytes }) => bytes));

describe("the records of a request", () => {
  test("are its own bytes, wherever they stand, and the rest is the rest", () => {
    fc.assert(
      fc.property(parts, (all) => {
        const split = splitRecords(new Uint8Array(join(all)));
        assert.deepEqual([...split.records], [...join(all.filter(({ isRecords }) => isRecords))]);
        assert.deepEqual([...split.rest], [...join(all.filter(({ isRecords }) => !isRecords))]);
      }),
    );
  });

  test("are the same among unknown fields", () => {
    fc.assert(
      fc.property(parts, (all) => {
        const request = fromBinary(appendMethod.input, new Uint8Array(join(all)));
        assert.deepEqual([...recordsAside(request)], [...join(all.filter(({ isRecords }) => isRecords))]);
      }),
    );
  });

  test("are views where they touch", () => {
    const bytes = Uint8Array.of(0x12, 1, 0x73, 0x0a, 0, 0x0a, 2, 0x1a, 0);
    assert.equal(splitRecords(bytes).records.buffer, bytes.buffer);
    assert.equal(splitRecords(bytes).rest.buffer, bytes.buffer);
    assert.equal(recordsAside(fromBinary(appendMethod.input, bytes)).buffer, bytes.buffer);
  });

  const malformed = [
    { name: "a tag that is cut off", bytes: [0x80] },
    { name: "a length that is cut off", bytes: [0x0a, 0x80] },
    { name: "a record that is cut off", bytes: [0x0a, 2, 0] },
    { name: "a field that is cut off", bytes: [0x12, 2, 0] },
    { name: "a number that is cut off", bytes: [0x40, 0x80] },
    { name: "8 bytes that are cut off", bytes: [0x41, 0] },
    { name: "4 bytes that are cut off", bytes: [0x45, 0] },
    { name: "a group", bytes: [0x0b, 0x0c] },
  ];
  for (const { name, bytes } of malformed)
    test(`${name} is refused`, () => {
      assert.throws(() => splitRecords(Uint8Array.from(bytes)), TailraceError);
    });

  test("of another type are refused, or left for protobuf-es to refuse", () => {
    const bytes = Uint8Array.of(0x08, 1);
    assert.throws(() => recordsAside(fromBinary(appendMethod.input, bytes)), TailraceError);
    const split = splitRecords(bytes);
    assert.deepEqual([split.records.length, [...split.rest]], [0, [...bytes]]);
  });
});
