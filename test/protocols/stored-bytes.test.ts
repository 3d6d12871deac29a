/**
 * The stored payload is the request's own bytes, and a reader gets them as they are (B10), whichever way the call takes.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AppendRequestSchema,
  Form,
  ReadRequestSchema,
  ReadResponseSchema,
} from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import { RecordsSchema } from "../../src/wire/gen/tailrace/v1/record_pb.ts";
import { rawCall } from "./support/raw-call.ts";
import { startTestNode, type TestNode } from "./support/test-node.ts";

/** A record in a form that protobuf-es would not write: fields out of order, one unknown, a length of two bytes. */
const odd = Uint8Array.of(0x0a, 0x8b, 0x00, 0x1a, 0x01, 0x76, 0x0a, 0x01, 0x6b, 0x98, 0x06, 0x07, 0x1a, 0x00);
const plain = toBinary(RecordsSchema, create(RecordsSchema, { records: [{ value: Uint8Array.of(1) }] }));
const payload = new Uint8Array([...odd, ...plain]);

const contentTypes = ["application/grpc", "application/grpc-web+proto", "application/proto"];
/** Where in a request the records may stand. */
const requests = (stream: string) => {
  const name = toBinary(AppendRequestSchema, create(AppendRequestSchema, { stream }));
  return [
    { name: "first", bytes: [...payload, ...name] },
    { name: "last", bytes: [...name, ...payload] },
    { name: "apart", bytes: [...odd, ...name, ...plain] },
    { name: "as a batch", bytes: [...name, 0x1a, payload.length, ...payload] },
  ];
};

let node: TestNode;
before(async () => {
  node = await startTestNode();
});
after(() => node.close());

for (const contentType of contentTypes)
  describe(contentType, () => {
    const stream = contentType.replaceAll(/[^a-z]/g, "-");
    for (const { name, bytes } of requests(stream))
      test(`stores records as they came, those that stand ${name}`, { timeout: 20_000 }, async () => {
        const before = node.streams.list({ prefix: stream, limit: 1 }).streams[0]?.highWatermark ?? 0;
        const appended = await rawCall(node.url, "LogService/Append", contentType, Uint8Array.from(bytes));
        assert.equal(appended.error, undefined);
        const stored = await node.streams.get(stream).read({ startOffset: before, maxBytes: 1, controlBatches: false });
        assert.deepEqual([...(stored.batches[0]?.batch.payload ?? [])], [...payload]);
      });

    test("gives records as they are stored, cut to those asked for", { timeout: 20_000 }, async () => {
      const request = { stream, start: { at: { case: "offset" as const, value: 0n } }, maxRecords: 3 };
      const { message } = await rawCall(
        node.url,
        "LogService/Read",
        contentType,
        toBinary(ReadRequestSchema, create(ReadRequestSchema, request)),
      );
      assert.ok(message !== undefined);
      assert.ok(includes(message, payload), "the whole of the first batch");
      const { batches } = fromBinary(ReadResponseSchema, message);
      assert.deepEqual(
        batches.map(({ records, startOffset, recordCount }) => [records.length, startOffset, recordCount]),
        [
          [2, 0n, 2],
          [1, 2n, 1],
        ],
      );
      assert.deepEqual([...(batches[0]?.records[0]?.value ?? [9])], []);
      const form = { ...request, form: Form.PAYLOAD };
      const whole = await rawCall(
        node.url,
        "LogService/Read",
        contentType,
        toBinary(ReadRequestSchema, create(ReadRequestSchema, form)),
      );
      assert.ok(whole.message !== undefined);
      assert.deepEqual(
        fromBinary(ReadResponseSchema, whole.message).batches.map((batch) => [...batch.payload]),
        [[...payload], [...payload]],
      );
    });
  });

function includes(bytes: Uint8Array, part: Uint8Array): boolean {
  return Buffer.from(bytes).includes(Buffer.from(part));
}
