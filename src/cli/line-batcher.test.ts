import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { defaultLimits } from "../base/limits.ts";
import { checkRecords } from "../base/records.ts";
import { BatchSchema, RecordsSchema } from "../wire/gen/tailrace/v1/record_pb.ts";
import { type LineBatch, LineBatcher } from "./line-batcher.ts";
import { LinePrinter } from "./line-printer.ts";

/** Feeds one input in the chunks given. */
function feed(batcher: LineBatcher, name: string, chunks: readonly Uint8Array[]): LineBatch[] {
  const batches: LineBatch[] = [];
  batcher.begin(name);
  for (const chunk of chunks) {
    // The next chunk overwrites this one, as reading into one buffer does.
    const reused = new Uint8Array(chunk);
    for (let at = 0; at < reused.length; ) {
      at = batcher.take(reused, at);
      if (batcher.isFull) batches.push(batcher.takeBatch());
    }
    reused.fill(0x21);
  }
  batcher.end();
  if (!batcher.isEmpty) batches.push(batcher.takeBatch());
  return batches;
}

function printed(batches: readonly LineBatch[]): Buffer {
  const printer = new LinePrinter();
  for (const { payload, records } of batches) {
    printer.add(create(BatchSchema, { payload, recordCount: records }), 0, records);
  }
  return Buffer.concat(printer.takeAll());
}

const text = (...parts: string[]) => parts.map((part) => Buffer.from(part));

describe("lines to records", () => {
  const cases = [
    { name: "nothing", input: text(), values: [] },
    { name: "one line", input: text("a\n"), values: ["a"] },
    { name: "no last newline", input: text("a\nb"), values: ["a", "b, none"] },
    { name: "an empty line", input: text("\n"), values: [""] },
    { name: "empty lines", input: text("\n\na\n\n"), values: ["", "", "a", ""] },
    { name: "a carriage return stays", input: text("a\r\n\r\n"), values: ["a\r", "\r"] },
    { name: "a line over chunks", input: text("ab", "cd", "ef\ng", "h"), values: ["abcdef", "gh, none"] },
    { name: "a newline alone in a chunk", input: text("ab", "\n", "\n"), values: ["ab", ""] },
  ];
  for (const { name, input, values } of cases) {
    test(name, () => {
      const records = feed(new LineBatcher(), "x", input).flatMap(
        ({ payload }) => fromBinary(RecordsSchema, payload).records,
      );
      const short = records.map(({ value, headers }) =>
        [value, ...headers.map((header) => header.value)].map((bytes) => Buffer.from(bytes).toString()).join(", "),
      );
      assert.deepEqual(short, values);
    });
  }

  test("a batch says how many records, how many bytes of input, and where it began", () => {
    const batcher = new LineBatcher();
    feed(batcher, "one.log", text("a\nb\n"));
    const [batch] = feed(batcher, "two.log", text("c\r\n\nlast"));
    assert.deepEqual(
      { ...batch, payload: undefined },
      { records: 3, inputBytes: 8, place: "two.log, line 1", payload: undefined },
    );
  });

  test("batches are full at 256 KiB or 10,000 records, and each is one that a node takes", () => {
    const long = Buffer.from(`${"x".repeat(99)}\n`.repeat(5000));
    const short = Buffer.from("\n".repeat(25_000));
    const sizes = (input: Buffer) => feed(new LineBatcher(), "x", [input]).map(({ records }) => records);
    assert.deepEqual(sizes(short), [10_000, 10_000, 5_000]);
    assert.deepEqual(sizes(long), [2546, 2454]);
    for (const { payload, records } of feed(new LineBatcher(), "x", [long, short])) {
      assert.equal(checkRecords(payload, defaultLimits, "batch"), records);
    }
  });
});

test("the same inputs make the same batches, whatever pieces they come in", () => {
  const [one, two] = [
    Buffer.from(Array.from({ length: 9_000 }, (_, line) => `${line} ${"x".repeat((line * 7) % 97)}\n`).join("")),
    Buffer.from(`${"\n".repeat(12_000)}${"y".repeat(300_000)}\nlast`),
  ];
  const pieces = (bytes: Buffer, length: number) =>
    Array.from({ length: Math.ceil(bytes.length / length) }, (_, n) => bytes.subarray(n * length, (n + 1) * length));
  const cut = (length: number) => {
    const batcher = new LineBatcher();
    const batches = [one, two].flatMap((bytes) => feed(batcher, "x", pieces(bytes, length)));
    return batches.map(({ payload, records }) => ({ payload: Buffer.from(payload).toString("base64"), records }));
  };
  const whole = cut(1 << 20);
  for (const length of [1, 100, 4096, 65_536, 262_144]) assert.deepEqual(cut(length), whole);
});

describe("lines that are too long", () => {
  const limit = defaultLimits.recordMaxBytes;
  const longest = limit - 4; // The value's tag and length take 4 bytes.

  test("the longest that fits is taken", () => {
    const [batch] = feed(new LineBatcher(), "x", [Buffer.from(`${"x".repeat(longest)}\n`)]);
    assert.ok(batch);
    assert.equal(checkRecords(batch.payload, defaultLimits, "batch"), 1);
  });

  const cases = [
    { name: "in one chunk", input: [`a\nb\n${"x".repeat(longest + 1)}\n`] },
    { name: "over chunks", input: ["a\nb\n", "x".repeat(longest), "x\n"] },
    { name: "without an end", input: ["a\nb\n", "x".repeat(longest), "x", "never reached"] },
  ];
  for (const { name, input } of cases) {
    test(`one byte more is refused with its line: ${name}`, () => {
      const batcher = new LineBatcher();
      assert.throws(() => feed(batcher, "app.log", text(...input)), {
        message:
          "app.log, line 3 is longer than a record may be (record_max_bytes is 1048576). Split it, and append again.",
      });
      assert.equal(batcher.takeBatch().records, 2);
    });
  }
});

describe("lines there and back", () => {
  test("any bytes, in any chunks, come out as they went in", () => {
    const byte = fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: 0, max: 255 }) },
      { weight: 2, arbitrary: fc.constantFrom(10, 13) },
    );
    const chunk = fc.array(byte, { maxLength: 200 }).map((bytes) => Uint8Array.from(bytes));
    fc.assert(
      fc.property(fc.array(chunk), (chunks) => {
        assert.deepEqual(printed(feed(new LineBatcher(), "x", chunks)), Buffer.concat(chunks));
      }),
    );
  });

  test("a file after one without a last newline begins on a line of its own", () => {
    const batcher = new LineBatcher();
    const batches = [feed(batcher, "one", text("a\nb")), feed(batcher, "two", text("c\nd"))].flat();
    assert.equal(printed(batches).toString(), "a\nb\nc\nd");
  });

  test("what other writers appended is printed too", () => {
    const records = [
      { value: Buffer.from("plain") },
      { key: Buffer.from("k"), value: Buffer.from("keyed") },
      { value: Buffer.from("headed"), headers: [{ name: "tailrace-newline", value: Buffer.from("other") }] },
      { key: Buffer.from("only a key") },
      { value: Buffer.from("cut"), headers: [{ name: "tailrace-newline", value: Buffer.from("none") }] },
    ];
    const payload = toBinary(RecordsSchema, create(RecordsSchema, { records }));
    const printer = new LinePrinter();
    printer.add(create(BatchSchema, { payload, recordCount: 5 }), 1, 4);
    assert.equal(Buffer.concat(printer.takeAll()).toString(), "keyed\nheaded\n\ncut");
  });
});
