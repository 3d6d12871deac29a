import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { type Record, RecordsSchema } from "../wire/gen/tailrace/v1/record_pb.ts";
import { TailraceError } from "./errors.ts";
import { defaultLimits, type Limits } from "./limits.ts";
import { checkRecords, cutRecords, eachRecord, recordHeader, recordValue } from "./records.ts";
import { encodeHeader, RecordsWriter } from "./records-writer.ts";

const limits: Limits = {
  ...defaultLimits,
  batchMaxBytes: 4000,
  recordMaxBytes: 600,
  batchMaxRecords: 5,
  recordMaxHeaders: 3,
};
const text = (value: string) => new TextEncoder().encode(value);
const name255 = "n".repeat(255);

/** A Records of one record with these bytes. */
const record = (...bytes: number[]) => Uint8Array.of(0x0a, bytes.length, ...bytes);
/** The same with one header, or one time, of these bytes. */
const header = (...bytes: number[]) => record(0x12, bytes.length, ...bytes);
const time = (...bytes: number[]) => record(0x22, bytes.length, ...bytes);
const empties = (count: number) => new Uint8Array(2 * count).map((_, at) => (at % 2 === 0 ? 0x0a : 0));
const headers = (count: number) => record(...Array.from({ length: count }, () => [0x12, 3, 0x0a, 1, 0x61]).flat());

const taken: { name: string; payload: Uint8Array; count: number }[] = [
  { name: "an empty record", payload: record(), count: 1 },
  { name: "as many records as may be", payload: empties(5), count: 5 },
  {
    name: "key, header, value and time",
    payload: record(0x0a, 0, 0x12, 3, 0x0a, 1, 0x61, 0x1a, 1, 0, 0x22, 0),
    count: 1,
  },
  { name: "a field twice", payload: record(0x1a, 1, 1, 0x1a, 1, 2), count: 1 },
  { name: "as many headers as may be", payload: headers(3), count: 1 },
  { name: "a longest name", payload: toBinary(RecordsSchema, named(name255)), count: 1 },
  { name: "a name of four-byte characters", payload: toBinary(RecordsSchema, named("🌊🌊")), count: 1 },
  {
    name: "unknown fields of all types",
    payload: record(0x28, 0x80, 1, 0x31, ...text("8 bytes."), 0x3a, 1, 0, 0x45, 0, 0, 0, 0),
    count: 1,
  },
  { name: "unknown fields in a header", payload: header(0x0a, 1, 0x61, 0x18, 1), count: 1 },
  { name: "unknown fields in a time", payload: time(0x18, 1), count: 1 },
  {
    name: "the first second of the year 1",
    payload: time(0x08, 0x80, 0x92, 0xb8, 0xc3, 0x98, 0xfe, 0xff, 0xff, 0xff, 0x01),
    count: 1,
  },
  { name: "a length longer than need be", payload: Uint8Array.of(0x0a, 0x82, 0x80, 0, 0x1a, 0), count: 1 },
];
for (const { name, payload, count } of taken)
  test(`checkRecords() takes ${name}`, () => {
    assert.equal(checkRecords(payload, limits, "batch"), count);
    const decoded = fromBinary(RecordsSchema, payload);
    assert.equal(decoded.records.length, count);
    toJson(RecordsSchema, decoded);
  });

const refused: { name: string; payload: Uint8Array; why: RegExp }[] = [
  { name: "nothing", payload: Uint8Array.of(), why: /^Invalid batch: it holds no record$/ },
  {
    name: "another field",
    payload: Uint8Array.of(0x12, 0),
    why: /^Invalid batch: byte 0, record 0: it is not the beginning of a record$/,
  },
  { name: "field 1 of another type", payload: Uint8Array.of(0x08, 0), why: /byte 0, record 0/ },
  { name: "garbage after a record", payload: Uint8Array.of(0x0a, 0, 0xff), why: /byte 2, record 1: it is not/ },
  {
    name: "a record that is cut off",
    payload: Uint8Array.of(0x0a, 2, 0x1a),
    why: /it begins a record that is cut off/,
  },
  { name: "a length that is cut off", payload: Uint8Array.of(0x0a, 0x80), why: /cut off/ },
  { name: "a length beyond 32 bits", payload: Uint8Array.of(0x0a, 0x80, 0x80, 0x80, 0x80, 0x10), why: /cut off/ },
  { name: "a value that is cut off", payload: record(0x1a, 1), why: /record whose fields are cut off$/ },
  { name: "a key of another type", payload: record(0x08, 1), why: /record whose fields are malformed$/ },
  { name: "a time of another type", payload: record(0x20, 1), why: /fields are malformed$/ },
  { name: "field 0", payload: record(0x02, 0), why: /fields are malformed$/ },
  { name: "a group", payload: record(0x2b, 0x2c), why: /fields are malformed$/ },
  { name: "wire type 7", payload: record(0x2f), why: /fields are malformed$/ },
  { name: "a tag beyond 32 bits", payload: record(0xaa, 0x80, 0x80, 0x80, 0x10, 0), why: /fields are malformed$/ },
  { name: "a varint of 11 bytes", payload: record(0x28, ...new Array(10).fill(0x80), 0), why: /fields are malformed$/ },
  { name: "a varint of 65 bits", payload: record(0x28, ...new Array(9).fill(0x80), 2), why: /fields are malformed$/ },
  { name: "8 bytes that are cut off", payload: record(0x29, 1, 2, 3), why: /fields are malformed$/ },
  { name: "4 bytes that are cut off", payload: record(0x2d, 1, 2, 3), why: /fields are malformed$/ },
  { name: "a header without a name", payload: header(0x12, 0), why: /header 0 has no name$/ },
  { name: "an empty name", payload: header(0x0a, 0), why: /header 0 has an empty name$/ },
  {
    name: "a name that is too long",
    payload: toBinary(RecordsSchema, named(`${name255}n`)),
    why: /more than 255 bytes$/,
  },
  { name: "a name that is not UTF-8", payload: header(0x0a, 1, 0xff), why: /not UTF-8$/ },
  { name: "a lone surrogate in a name", payload: header(0x0a, 3, 0xed, 0xa0, 0x80), why: /not UTF-8$/ },
  { name: "a malformed header", payload: header(0x0a, 1, 0x61, 0x1b), why: /header 0 is malformed$/ },
  { name: "a header that is cut off", payload: header(0x0a, 4, 0x61), why: /header 0 is cut off$/ },
  { name: "seconds of another type", payload: time(0x0a, 0), why: /time is malformed$/ },
  {
    name: "a time beyond the year 9999",
    payload: time(0x08, 0x80, 0xf8, 0xea, 0xbc, 0xff, 0x07),
    why: /years 1 to 9999$/,
  },
  { name: "a negative part of a second", payload: time(0x10, ...new Array(9).fill(0xff), 1), why: /nanos/ },
];
for (const { name, payload, why } of refused)
  test(`checkRecords() refuses ${name}`, () =>
    assert.throws(() => checkRecords(payload, limits, "batch"), {
      name: "TailraceError",
      reason: "invalid_field",
      message: why,
    }));

test("checkRecords() names the record in the field's path", () => {
  const bad = Uint8Array.of(0x0a, 0, 0x0a, 1, 0x2b);
  assert.throws(() => checkRecords(bad, limits, "records"), { facts: { field: "records[1]" } });
  assert.throws(() => checkRecords(bad, limits, "batch"), { facts: { field: "batch" } });
});

const passed: { payload: Uint8Array; limit: { name: string; value: number; actual?: number } }[] = [
  { payload: new Uint8Array(4001), limit: { name: "batch_max_bytes", value: 4000, actual: 4001 } },
  { payload: empties(6), limit: { name: "batch_max_records", value: 5 } },
  { payload: headers(4), limit: { name: "record_max_headers", value: 3 } },
  { payload: toBinary(RecordsSchema, valued(601)), limit: { name: "record_max_bytes", value: 600, actual: 604 } },
];
for (const { payload, limit } of passed)
  test(`checkRecords() names the limit ${limit.name}`, () =>
    assert.throws(() => checkRecords(payload, limits, "batch"), {
      reason: "limit",
      facts: { field: "batch", fate: "nothing_written", limit },
    }));

test("a record may be as long as its limit", () => {
  assert.equal(checkRecords(toBinary(RecordsSchema, valued(597)), limits, "batch"), 1);
});

const anyBytes = fc.uint8Array({ maxLength: 40 });
const anyRecord = fc.record(
  {
    key: anyBytes,
    headers: fc.array(
      fc.record({ name: fc.string({ minLength: 1, maxLength: 9, unit: "grapheme" }), value: anyBytes }),
      { maxLength: 3 },
    ),
    value: fc.uint8Array({ maxLength: 200 }),
    time: fc.record({
      seconds: fc.bigInt({ min: -62135596800n, max: 253402300799n }),
      nanos: fc.integer({ min: 0, max: 999_999_999 }),
    }),
  },
  { requiredKeys: [] },
);
const anyRecords = fc
  .array(anyRecord, { minLength: 1, maxLength: 5 })
  .map((records) => create(RecordsSchema, { records }));
/** Well-formed bytes with a few bytes changed, taken away or put in. */
const damagedPayload = fc
  .tuple(
    anyRecords,
    fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 2 })), { maxLength: 3 }),
  )
  .map(([records, damages]) => {
    const bytes = [...toBinary(RecordsSchema, records)];
    for (const [at, byte, kind] of damages)
      bytes.splice(at % (bytes.length + 1), kind === 0 ? 0 : 1, ...(kind === 2 ? [] : [byte]));
    return Uint8Array.from(bytes);
  });

test("checkRecords() takes what protobuf-es writes", { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(anyRecords, (records) => {
      assert.equal(checkRecords(toBinary(RecordsSchema, records), defaultLimits, "batch"), records.records.length);
    }),
    { numRuns: 500 },
  );
});

test("what checkRecords() takes, protobuf-es reads as so many records, in binary and as JSON", {
  timeout: 60_000,
}, () => {
  let takenCount = 0;
  fc.assert(
    fc.property(fc.oneof({ weight: 9, arbitrary: damagedPayload }, { weight: 1, arbitrary: anyBytes }), (payload) => {
      const count = countOrRefusal(payload);
      if (count === undefined) return;
      takenCount++;
      const decoded = fromBinary(RecordsSchema, payload);
      assert.equal(decoded.records.length, count);
      toJson(RecordsSchema, decoded);
      assert.equal(fromBinary(RecordsSchema, toBinary(RecordsSchema, decoded)).records.length, count);
    }),
    { numRuns: 5000 },
  );
  assert.ok(takenCount > 100, `only ${takenCount} payloads were taken`);
});

test("cutRecords() gives the bytes of the records asked for", () => {
  fc.assert(
    fc.property(anyRecords, fc.nat(5), fc.nat(5), (records, skip, take) => {
      const payload = toBinary(RecordsSchema, records);
      const first = Math.min(skip, records.records.length);
      const count = Math.min(take, records.records.length - first);
      const cut = cutRecords(payload, first, count);
      const wanted = create(RecordsSchema, { records: records.records.slice(first, first + count) });
      assert.deepEqual(cut, toBinary(RecordsSchema, wanted));
      assert.equal(cut.buffer, payload.buffer);
    }),
  );
});

test("cutRecords() asked for records that are not there is a bug", () => {
  assert.throws(() => cutRecords(record(), 0, 2), { name: "AssertionError" });
});

test("eachRecord(), recordValue() and recordHeader() agree with protobuf-es", () => {
  fc.assert(
    fc.property(anyRecords, (records) => {
      const payload = toBinary(RecordsSchema, records);
      const seen: { value: Uint8Array; headers: (Uint8Array | undefined)[] }[] = [];
      eachRecord(payload, (start, end) => {
        const names = records.records[seen.length]?.headers.map(({ name }) => name) ?? [];
        const found = [...names, "none such at all"].map((name) => recordHeader(payload, start, end, text(name)));
        seen.push({ value: recordValue(payload, start, end), headers: found });
      });
      assert.deepEqual(seen.map(plain), records.records.map(expected).map(plain));
    }),
  );
});

test("RecordsWriter writes what protobuf-es reads, and begins again after take()", () => {
  const writer = new RecordsWriter(8);
  const source = text(
    "one\n\nthree has a value that is longer than what the writer copies byte by byte, by far, for sure\n",
  );
  writer.add(source, 0, 3);
  writer.add(source, 4, 4);
  writer.add(source, 5, source.length - 1, encodeHeader("tailrace-newline", text("none")));
  assert.deepEqual([writer.count, writer.byteLength > 70], [3, true]);
  const first = writer.take();
  assert.deepEqual([writer.count, writer.byteLength], [0, 0]);
  writer.add(text("x".repeat(300)));
  assert.equal(checkRecords(first, limits, "batch"), 3);
  const values = fromBinary(RecordsSchema, first).records.map(({ value }) => new TextDecoder().decode(value));
  assert.deepEqual(values, [
    "one",
    "",
    "three has a value that is longer than what the writer copies byte by byte, by far, for sure",
  ]);
  assert.deepEqual(fromBinary(RecordsSchema, first).records[2]?.headers[0]?.name, "tailrace-newline");
  assert.deepEqual(
    writer.take(),
    toBinary(RecordsSchema, create(RecordsSchema, { records: [{ value: text("x".repeat(300)) }] })),
  );
});

function named(name: string) {
  return create(RecordsSchema, { records: [{ headers: [{ name, value: Uint8Array.of(1) }] }] });
}

function valued(bytes: number) {
  return create(RecordsSchema, { records: [{ value: new Uint8Array(bytes) }] });
}

function countOrRefusal(payload: Uint8Array): number | undefined {
  try {
    return checkRecords(payload, defaultLimits, "batch");
  } catch (error) {
    if (error instanceof TailraceError) return undefined;
    throw error;
  }
}

function expected({ value, headers: all }: Record): { value: Uint8Array; headers: (Uint8Array | undefined)[] } {
  const firstOf = (name: string) => all.find((other) => other.name === name)?.value;
  return { value, headers: [...all.map(({ name }) => firstOf(name)), undefined] };
}

function plain({ value, headers: all }: { value: Uint8Array; headers: (Uint8Array | undefined)[] }) {
  return { value: [...value], headers: all.map((bytes) => bytes && [...bytes]) };
}
