import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BatchSchema, type RecordSchema, RecordsSchema } from "../wire/gen/tailrace/v1/record_pb.ts";
import { fromMicros } from "../wire/timestamp.ts";
import { JsonPrinter } from "./json-printer.ts";

const appended = Date.UTC(2026, 4, 1, 12) * 1000;

function printed(records: MessageInitShape<typeof RecordSchema>[], skip = 0, take = records.length): string {
  const payload = toBinary(RecordsSchema, create(RecordsSchema, { records }));
  const printer = new JsonPrinter();
  const batch = { payload, recordCount: records.length, startOffset: 7n, appendTime: fromMicros(appended) };
  printer.add(create(BatchSchema, batch), skip, take);
  return Buffer.concat(printer.takeAll()).toString();
}

const bytes = (text: string) => Buffer.from(text);
const head = '{"offset":7,"time":"2026-05-01T12:00:00.000Z"';

describe("records as JSON", () => {
  const cases = [
    { name: "text", record: { value: bytes("hé\n") }, line: `${head},"value":"hé\\n"}` },
    { name: "an empty value", record: {}, line: `${head},"value":""}` },
    { name: "a byte order mark stays", record: { value: bytes("\ufeffx") }, line: `${head},"value":"\ufeffx"}` },
    { name: "not UTF-8", record: { value: Buffer.from([0xff, 0xfe]) }, line: `${head},"valueBase64":"//4="}` },
    { name: "a key", record: { key: bytes("k"), value: bytes("v") }, line: `${head},"key":"k","value":"v"}` },
    { name: "an empty key", record: { key: bytes("") }, line: `${head},"key":"","value":""}` },
    { name: "a key in base64", record: { key: Buffer.from([0x80]) }, line: `${head},"keyBase64":"gA==","value":""}` },
    {
      name: "a time of its own",
      record: { time: fromMicros(1), value: bytes("v") },
      line: '{"offset":7,"time":"1970-01-01T00:00:00.000001Z","appendTime":"2026-05-01T12:00:00.000Z","value":"v"}',
    },
    {
      name: "headers, a name twice",
      record: {
        headers: [
          { name: "a", value: bytes("1") },
          { name: "a", value: Buffer.from([0xff]) },
        ],
      },
      line: `${head},"value":"","headers":[{"name":"a","value":"1"},{"name":"a","valueBase64":"/w=="}]}`,
    },
  ];
  for (const { name, record, line } of cases) test(name, () => assert.equal(printed([record]), `${line}\n`));

  test("skip and take choose, and offsets follow", () => {
    const lines = printed([{ value: bytes("a") }, { value: bytes("b") }, { value: bytes("c") }], 1, 1);
    assert.equal(lines, '{"offset":8,"time":"2026-05-01T12:00:00.000Z","value":"b"}\n');
  });
});
