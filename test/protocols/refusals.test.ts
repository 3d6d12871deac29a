/**
 * Every refusal by each protocol and library: the same code, and a detail that can be decoded.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type JsonObject, toJson } from "@bufbuild/protobuf";
import { ErrorDetailSchema } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { allCallers, type Caller, callerKinds } from "./support/callers.ts";
import { type RealNode, startRealNode } from "./support/real-node.ts";

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const value = base64(new Uint8Array(10));
const records = [{ value }];
const zeros = (bytes: number) => base64(new Uint8Array(bytes));
const empties = (count: number) => Array.from({ length: count }, () => ({}));

const limits = {
  batchMaxBytes: 2048,
  recordMaxBytes: 1024,
  batchMaxRecords: 10,
  recordMaxHeaders: 2,
  readMaxBytes: 4096,
  requestMaxBytes: 8192,
  tailMaxStreams: 2,
};
const limit = (name: string, most: number, actual?: number) => ({
  reason: "REASON_LIMIT",
  limit: { name, value: String(most), ...(actual === undefined ? {} : { actual: String(actual) }) },
});
const invalid = (field: string) => ({ reason: "REASON_INVALID_FIELD", field });
const notBuilt = (field: string) => ({ reason: "REASON_NOT_BUILT", field });
const producerId = Buffer.alloc(16, 7).toString("base64");
const nothingWritten = { fate: "FATE_NOTHING_WRITTEN" };

interface Case {
  readonly name: string;
  readonly rpc: string;
  readonly request: JsonObject | JsonObject[];
  readonly code: string;
  /** All of the detail but its words and the call's id. */
  readonly detail: JsonObject;
}

const appends: Omit<Case, "rpc">[] = [
  { name: "no stream", request: { records }, code: "invalid_argument", detail: invalid("stream") },
  {
    name: "a name with an empty part",
    request: { stream: "a//b", records },
    code: "invalid_argument",
    detail: invalid("stream"),
  },
  {
    name: "a name with a strange letter",
    request: { stream: "a b%\n🌊", records },
    code: "invalid_argument",
    detail: invalid("stream"),
  },
  {
    name: "a stream of the system's",
    request: { stream: "_meta", records },
    code: "invalid_argument",
    detail: invalid("stream"),
  },
  { name: "no records", request: { stream: "s" }, code: "invalid_argument", detail: invalid("records") },
  {
    name: "records and a batch",
    request: { stream: "s", records, batch: "CgA=" },
    code: "invalid_argument",
    detail: invalid("batch"),
  },
  {
    name: "garbage for a batch",
    request: { stream: "s", batch: zeros(3) },
    code: "invalid_argument",
    detail: invalid("batch"),
  },
  {
    name: "a header without a name",
    request: { stream: "s", records: [{}, { headers: [{}] }] },
    code: "invalid_argument",
    detail: invalid("records[1]"),
  },
  {
    name: "a record that is too large",
    request: { stream: "s", records: [{ value: zeros(1100) }] },
    code: "resource_exhausted",
    detail: { ...limit("record_max_bytes", 1024, 1103), field: "records" },
  },
  {
    name: "a batch that is too large",
    request: { stream: "s", batch: zeros(2049) },
    code: "resource_exhausted",
    detail: { ...limit("batch_max_bytes", 2048, 2049), field: "batch" },
  },
  {
    name: "too many records",
    request: { stream: "s", records: empties(11) },
    code: "resource_exhausted",
    detail: { ...limit("batch_max_records", 10), field: "records" },
  },
  {
    name: "too many headers",
    request: { stream: "s", records: [{ headers: [{ name: "a" }, { name: "b" }, { name: "c" }] }] },
    code: "resource_exhausted",
    detail: { ...limit("record_max_headers", 2), field: "records" },
  },
  {
    name: "a producer without an id",
    request: { stream: "s", records, producer: {} },
    code: "invalid_argument",
    detail: invalid("producer.id"),
  },
  {
    name: "a producer whose id is all zeros",
    request: { stream: "s", records, producer: { id: zeros(16) } },
    code: "invalid_argument",
    detail: invalid("producer.id"),
  },
  {
    name: "a sequence of 2^53",
    request: { stream: "s", records, producer: { id: producerId, sequence: "9007199254740992" } },
    code: "invalid_argument",
    detail: invalid("producer.sequence"),
  },
  {
    name: "a producer that is not known, and does not begin at 0",
    request: { stream: "s", records, producer: { id: producerId, epoch: 2, sequence: "3" } },
    code: "failed_precondition",
    detail: {
      ...{ reason: "REASON_UNKNOWN_PRODUCER", stream: "s" },
      producer: { id: producerId, epoch: 2 },
    },
  },
  {
    name: "an offset that is taken",
    request: { stream: "there", records, expectedOffset: "7" },
    code: "failed_precondition",
    detail: { reason: "REASON_OFFSET_TAKEN", stream: "there", nextOffset: "2" },
  },
  {
    name: "a fence token that is not in force",
    request: { stream: "there", records, fence: "YQ==" },
    code: "failed_precondition",
    detail: { reason: "REASON_FENCED", stream: "there", fence: "" },
  },
  {
    name: "a fence token that is too long",
    request: { stream: "s", records, fence: zeros(65) },
    code: "invalid_argument",
    detail: invalid("fence"),
  },
  { name: "a codec", request: { stream: "s", records, codec: 1 }, code: "unimplemented", detail: notBuilt("codec") },
  {
    name: "an id of 2^53",
    request: { stream: "s", records, streamId: "9007199254740992" },
    code: "invalid_argument",
    detail: invalid("stream_id"),
  },
  {
    name: "another stream's id",
    request: { stream: "there", records, streamId: "77" },
    code: "not_found",
    detail: { reason: "REASON_STREAM_REPLACED", stream: "there", streamId: "2" },
  },
  {
    name: "an id of a stream that is not there",
    request: { stream: "gone", records, streamId: "77" },
    code: "not_found",
    detail: { reason: "REASON_STREAM_NOT_FOUND", stream: "gone" },
  },
].map((one) => ({ ...one, detail: { ...one.detail, ...nothingWritten } }));

const others: Case[] = [
  {
    name: "a stream that is not there",
    rpc: "LogService/Read",
    request: { stream: "gone" },
    code: "not_found",
    detail: { reason: "REASON_STREAM_NOT_FOUND", stream: "gone" },
  },
  {
    name: "a bad name",
    rpc: "LogService/Read",
    request: { stream: "../x" },
    code: "invalid_argument",
    detail: invalid("stream"),
  },
  {
    name: "past the end",
    rpc: "LogService/Read",
    request: { stream: "there", start: { offset: "3" } },
    code: "out_of_range",
    detail: { reason: "REASON_PAST_END", stream: "there", logStart: "0", nextOffset: "2" },
  },
  {
    name: "an offset of 2^53 and more",
    rpc: "LogService/Read",
    request: { stream: "there", start: { offset: "9007199254740993" } },
    code: "invalid_argument",
    detail: invalid("start.offset"),
  },
  {
    name: "an offset of 2^64 - 1",
    rpc: "LogService/Read",
    request: { stream: "there", start: { offset: "18446744073709551615" } },
    code: "invalid_argument",
    detail: invalid("start.offset"),
  },
  {
    name: "a start that says nothing",
    rpc: "LogService/Read",
    request: { stream: "there", start: {} },
    code: "invalid_argument",
    detail: invalid("start"),
  },
  {
    name: "a start that is false",
    rpc: "LogService/Read",
    request: { stream: "there", start: { earliest: false } },
    code: "invalid_argument",
    detail: invalid("start.earliest"),
  },
  {
    name: "an end before the start",
    rpc: "LogService/Read",
    request: { stream: "there", start: { offset: "2" }, endOffset: "1" },
    code: "invalid_argument",
    detail: invalid("end_offset"),
  },
  {
    name: "too many bytes",
    rpc: "LogService/Read",
    request: { stream: "there", maxBytes: 5000 },
    code: "resource_exhausted",
    detail: { ...limit("read_max_bytes", 4096, 5000), field: "max_bytes" },
  },
  {
    name: "too long a wait",
    rpc: "LogService/Read",
    request: { stream: "there", waitMs: 30_001 },
    code: "resource_exhausted",
    detail: { ...limit("read_max_wait_ms", 30_000, 30_001), field: "wait_ms" },
  },
  {
    name: "an unknown form",
    rpc: "LogService/Read",
    request: { stream: "there", form: 9 },
    code: "invalid_argument",
    detail: invalid("form"),
  },
  {
    name: "at least an offset that is not there in time",
    rpc: "LogService/Read",
    request: { stream: "there", atLeastOffset: "100", waitMs: 10 },
    code: "unavailable",
    detail: { reason: "REASON_NOT_READY", stream: "there", nextOffset: "2", logStart: "0", retryAfterMs: 200 },
  },
  {
    name: "another stream's id",
    rpc: "LogService/Read",
    request: { stream: "there", streamId: "77" },
    code: "not_found",
    detail: { reason: "REASON_STREAM_REPLACED", stream: "there", streamId: "2" },
  },
  { name: "no streams", rpc: "LogService/Tail", request: {}, code: "invalid_argument", detail: invalid("streams") },
  {
    name: "a stream twice",
    rpc: "LogService/Tail",
    request: { streams: [{ stream: "there" }, { stream: "there" }] },
    code: "invalid_argument",
    detail: invalid("streams[1].stream"),
  },
  {
    name: "too many streams",
    rpc: "LogService/Tail",
    request: { streams: [{ stream: "a" }, { stream: "b" }, { stream: "c" }] },
    code: "resource_exhausted",
    detail: { ...limit("tail_max_streams", 2, 3), field: "streams" },
  },
  {
    name: "a stream that is not there",
    rpc: "LogService/Tail",
    request: { streams: [{ stream: "there" }, { stream: "gone" }] },
    code: "not_found",
    detail: { reason: "REASON_STREAM_NOT_FOUND", stream: "gone", field: "streams[1].stream" },
  },
  {
    name: "past the end",
    rpc: "LogService/Tail",
    request: { streams: [{ stream: "there", start: { offset: "9" } }] },
    code: "out_of_range",
    detail: { reason: "REASON_PAST_END", stream: "there", logStart: "0", nextOffset: "2", field: "streams[0].start" },
  },
  {
    name: "heartbeats too often",
    rpc: "LogService/Tail",
    request: { streams: [{ stream: "there" }], heartbeatMs: 50 },
    code: "invalid_argument",
    detail: invalid("heartbeat_ms"),
  },
  {
    name: "a bad name",
    rpc: "StreamService/CreateStream",
    request: { name: "a/../b" },
    code: "invalid_argument",
    detail: invalid("name"),
  },
  {
    name: "other settings",
    rpc: "StreamService/CreateStream",
    request: { name: "there", settings: { segmentMaxBytes: "1048576" } },
    code: "already_exists",
    detail: { reason: "REASON_STREAM_EXISTS", stream: "there" },
  },
  {
    name: "settings out of range",
    rpc: "StreamService/CreateStream",
    request: { name: "new", settings: { segmentMaxAgeS: "1" } },
    code: "invalid_argument",
    detail: invalid("settings.segment_max_age_s"),
  },
  {
    name: "a record limit above the node's",
    rpc: "StreamService/CreateStream",
    request: { name: "new", settings: { recordMaxBytes: "1025" } },
    code: "invalid_argument",
    detail: invalid("settings.record_max_bytes"),
  },
  {
    name: "no settings",
    rpc: "StreamService/UpdateStream",
    request: { name: "there", settings: {} },
    code: "invalid_argument",
    detail: invalid("settings"),
  },
  {
    name: "settings out of range",
    rpc: "StreamService/UpdateStream",
    request: { name: "there", settings: { retentionBytes: "1" } },
    code: "invalid_argument",
    detail: invalid("settings.retention_bytes"),
  },
  {
    name: "a setting of 2^53",
    rpc: "StreamService/UpdateStream",
    request: { name: "there", settings: { retentionBytes: "9007199254740992" } },
    code: "invalid_argument",
    detail: invalid("settings.retention_bytes"),
  },
  {
    name: "settings of another version",
    rpc: "StreamService/UpdateStream",
    request: { name: "there", settings: { retentionAgeS: "60" }, expectedSettingsVersion: "7" },
    code: "failed_precondition",
    detail: {
      reason: "REASON_SETTINGS_CHANGED",
      stream: "there",
      settingsVersion: "1",
      settings: {
        segmentMaxBytes: "67108864",
        segmentMaxAgeS: "604800",
        retentionBytes: "0",
        retentionAgeS: "0",
        recordMaxBytes: "0",
        batchMaxBytes: "0",
        replicationFactor: "0",
      },
    },
  },
  {
    name: "another stream's id",
    rpc: "StreamService/UpdateStream",
    request: { name: "there", streamId: "1", settings: { retentionAgeS: "60" } },
    code: "not_found",
    detail: { reason: "REASON_STREAM_REPLACED", stream: "there", streamId: "2" },
  },
  {
    name: "a stream that is not there",
    rpc: "StreamService/UpdateStream",
    request: { name: "gone", settings: { retentionAgeS: "60" } },
    code: "not_found",
    detail: { reason: "REASON_STREAM_NOT_FOUND", stream: "gone" },
  },
  {
    name: "a stream of the system's",
    rpc: "StreamService/UpdateStream",
    request: { name: "_meta", settings: { retentionAgeS: "60" } },
    code: "invalid_argument",
    detail: invalid("name"),
  },
  {
    name: "a stream that is not there",
    rpc: "StreamService/GetStream",
    request: { name: "gone" },
    code: "not_found",
    detail: { reason: "REASON_STREAM_NOT_FOUND", stream: "gone" },
  },
  {
    name: "too large a page",
    rpc: "StreamService/ListStreams",
    request: { pageSize: 2000 },
    code: "invalid_argument",
    detail: invalid("page_size"),
  },
  {
    name: "a stream that is not there",
    rpc: "StreamService/DeleteStream",
    request: { name: "gone" },
    code: "not_found",
    detail: { reason: "REASON_STREAM_NOT_FOUND", stream: "gone" },
  },
  {
    name: "another stream's id",
    rpc: "StreamService/DeleteStream",
    request: { name: "there", streamId: "1" },
    code: "not_found",
    detail: { reason: "REASON_STREAM_REPLACED", stream: "there", streamId: "2" },
  },
  {
    name: "beyond the high watermark",
    rpc: "StreamService/TrimStream",
    request: { name: "there", logStart: "3" },
    code: "out_of_range",
    detail: { reason: "REASON_PAST_END", stream: "there", logStart: "0", nextOffset: "2" },
  },
  {
    name: "another stream's id",
    rpc: "StreamService/TrimStream",
    request: { name: "there", streamId: "1", logStart: "1" },
    code: "not_found",
    detail: { reason: "REASON_STREAM_REPLACED", stream: "there", streamId: "2" },
  },
  {
    name: "a stream of the system's",
    rpc: "StreamService/TrimStream",
    request: { name: "_meta", logStart: "1" },
    code: "invalid_argument",
    detail: invalid("name"),
  },
];

const cases: Case[] = [...appends.map((one) => ({ ...one, rpc: "LogService/Append" })), ...others];

const streamed: Case[] = [
  ...appends.map((one) => ({
    ...one,
    rpc: "LogService/AppendStream",
    request: [one.request].flat(),
    detail: { ...one.detail, requestNumber: "0" },
  })),
  {
    name: "another stream in the third request",
    rpc: "LogService/AppendStream",
    request: [{ stream: "x", records }, { records }, { stream: "y", records }],
    code: "invalid_argument",
    detail: { ...invalid("stream"), ...nothingWritten, requestNumber: "2" },
  },
  {
    name: "another id in the second request",
    rpc: "LogService/AppendStream",
    request: [
      { stream: "x", records },
      { streamId: "77", records },
    ],
    code: "invalid_argument",
    detail: { ...invalid("stream_id"), ...nothingWritten, requestNumber: "1" },
  },
];

let node: RealNode;
let callers: Caller[] = [];
before(async () => {
  node = await startRealNode(limits);
  callers = allCallers(node.url);
  const [caller] = callers;
  await caller?.call("LogService/Append", { stream: "there", records: [...records, ...records] });
});
after(async () => {
  for (const caller of callers) caller.close();
  await node.close();
});

for (const [number, { name: callerName, canStreamRequests }] of callerKinds().entries())
  describe(callerName, () => {
    for (const { name, rpc, request, code, detail } of canStreamRequests ? [...cases, ...streamed] : cases)
      test(`${rpc} refuses ${name}`, { timeout: 20_000 }, async () => {
        const { error } = (await callers[number]?.call(rpc, request)) ?? {};
        assert.ok(error?.detail !== undefined, error?.message ?? "no error");
        const { todo, requestId, ...rest } = plain(error.detail);
        assert.deepEqual({ code: error.code, detail: rest }, { code, detail });
        assert.match(error.message, /^[A-Z].*[^.]$/su);
        assert.ok(typeof todo === "string" && /^[A-Z]/.test(todo), "it says what to do");
        assert.ok(typeof requestId === "string" && requestId !== "");
      });

    test("a request that is too large is refused by the limit's name", { timeout: 20_000 }, async () => {
      const request = { stream: "s", batch: zeros(9000) };
      const { error } = (await callers[number]?.call("LogService/Append", request)) ?? {};
      const { limit: passed, reason } = plain(error?.detail);
      assert.deepEqual([error?.code, reason], ["resource_exhausted", "REASON_LIMIT"], error?.message);
      const { name, value: most } = passed as { name: string; value: string };
      assert.deepEqual([name, most], ["request_max_bytes", "8192"]);
    });
  });

function plain(detail: Parameters<typeof toJson<typeof ErrorDetailSchema>>[1] | undefined): JsonObject {
  assert.ok(detail !== undefined);
  const json = toJson(ErrorDetailSchema, detail);
  assert.ok(typeof json === "object" && json !== null && !Array.isArray(json));
  return json;
}
