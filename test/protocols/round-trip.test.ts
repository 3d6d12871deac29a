/**
 * The same calls by each protocol and library: what is written is read, whoever reads it.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fromJson, type JsonObject, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { RecordsSchema } from "../../src/wire/gen/tailrace/v1/record_pb.ts";
import { allCallers, type Caller, callerKinds, type Outcome } from "./support/callers.ts";
import { type RealNode, startRealNode } from "./support/real-node.ts";

const base64 = (bytes: string | Uint8Array) => Buffer.from(bytes).toString("base64");

/** Records as JSON gives them back: fields with their default left out. */
const records: JsonObject[] = [
  { key: base64("k"), value: base64("first"), time: "2026-01-02T03:04:05.000006Z" },
  { key: "", value: base64("second"), headers: [{ name: "trace", value: base64("a") }, { name: "trace" }] },
  {},
];
const batch = base64(toBinary(RecordsSchema, fromJson(RecordsSchema, { records })));

let node: RealNode;
let callers: Caller[] = [];
before(async () => {
  node = await startRealNode();
  callers = allCallers(node.url);
});
after(async () => {
  for (const caller of callers) caller.close();
  await node.close();
});

for (const [number, { name, canStreamRequests }] of callerKinds().entries())
  describe(name, () => {
    const stream = `round/trip/${number}`;
    const call = async (rpc: string, requests: JsonObject | JsonObject[]) => {
      const caller = callers[number];
      assert.ok(caller);
      return answersOf(await caller.call(rpc, requests));
    };
    const one = async (rpc: string, request: JsonObject) => {
      const [answer] = await call(rpc, request);
      assert.ok(answer);
      return answer;
    };

    test("appends records and a batch, and reads both", { timeout: 20_000 }, async () => {
      const first = await one("LogService/Append", { stream, records });
      assert.deepEqual(
        { ...first, streamId: "", appendTime: "", digest: "" },
        { streamId: "", startOffset: "0", nextOffset: "3", index: "2", appendTime: "", digest: "" },
      );
      const second = await one("LogService/Append", { stream, batch, streamId: first["streamId"] ?? "" });
      assert.equal(second["startOffset"], "3");
      const read = await one("LogService/Read", { stream });
      const { streamId = "" } = first;
      const common = { recordCount: 3, term: "1", records };
      assert.deepEqual(read, {
        batches: [
          { ...common, index: "2", appendTime: first["appendTime"], digest: first["digest"] },
          { ...common, startOffset: "3", index: "3", appendTime: second["appendTime"], digest: second["digest"] },
        ],
        streamId,
        nextOffset: "6",
        highWatermark: "6",
        lagMs: 0,
      });
    });

    test("reads a part, as records and as payload", { timeout: 20_000 }, async () => {
      const part = { stream, start: { offset: "1" }, maxRecords: 3 };
      const cut = await one("LogService/Read", part);
      assert.deepEqual(
        batchesOf(cut).map(({ records: some, startOffset }) => ({ some, startOffset })),
        [
          { some: records.slice(1), startOffset: "1" },
          { some: records.slice(0, 1), startOffset: "3" },
        ],
      );
      assert.equal(cut["nextOffset"], "4");
      const whole = await one("LogService/Read", { ...part, form: "FORM_PAYLOAD" });
      assert.deepEqual(
        batchesOf(whole).map(({ payload, startOffset, skip, take }) => ({ payload, startOffset, skip, take })),
        [
          { payload: batch, startOffset: undefined, skip: 1, take: undefined },
          { payload: batch, startOffset: "3", skip: undefined, take: 1 },
        ],
      );
      const stored = await one("LogService/Read", { ...part, form: "FORM_STORED" });
      const headers = batchesOf(stored).map(({ header = "" }) => Buffer.from(String(header), "base64").length);
      assert.deepEqual(headers, [128, 128]);
    });

    test("tails to an end", { timeout: 20_000 }, async () => {
      const frames = await call("LogService/Tail", {
        streams: [{ stream, start: { earliest: true }, endOffset: "4" }],
      });
      const [heartbeat, ...rest] = frames;
      assert.equal(Object.keys(heartbeat ?? {}).join(), "heartbeat");
      assert.deepEqual(
        rest.map((frame) => Object.keys(frame).join()),
        ["batch", "batch", "end"],
      );
      assert.deepEqual(rest[1]?.["batch"] && batchesOf({ batches: [rest[1]["batch"]] })[0]?.["records"], [records[0]]);
      assert.deepEqual(rest[2], { end: { reason: "TAIL_END_REASON_REACHED_END", nextOffset: "4" } });
    });

    test("creates, describes, lists and deletes", { timeout: 20_000 }, async () => {
      const created = `made/by/${number}`;
      const settings = { segmentMaxBytes: "2097152" };
      const answer = await one("StreamService/CreateStream", { name: created, settings });
      assert.equal(answer["created"], true);
      assert.equal((await one("StreamService/CreateStream", { name: created, settings }))["created"], undefined);
      const described = await one("StreamService/GetStream", { name: created });
      assert.deepEqual(described["stream"], answer["stream"]);
      const { streams } = await one("StreamService/ListStreams", { prefix: created });
      assert.deepEqual(streams, [answer["stream"]]);
      const made = objectOf(answer["stream"]);
      const update = { name: created, settings: { retentionAgeS: "60" }, expectedSettingsVersion: "1" };
      const updated = objectOf((await one("StreamService/UpdateStream", update))["stream"]);
      assert.deepEqual(updated, (await one("StreamService/GetStream", { name: created }))["stream"]);
      assert.deepEqual(
        { ...made, ...updated, nextIndex: "", storedBytes: "", digest: "" },
        {
          ...made,
          settings: {
            segmentMaxBytes: "2097152",
            segmentMaxAgeS: "604800",
            retentionBytes: "0",
            retentionAgeS: "60",
            recordMaxBytes: "0",
            batchMaxBytes: "0",
            replicationFactor: "0",
          },
          settingsVersion: "2",
          nextIndex: "",
          storedBytes: "",
          digest: "",
        },
      );
      await one("LogService/Append", { stream: created, records });
      const trim = { name: created, streamId: made["id"] ?? null, logStart: "2" };
      assert.deepEqual(await one("StreamService/TrimStream", trim), { streamId: made["id"], logStart: "2" });
      assert.equal((await one("LogService/Read", { stream: created }))["logStart"], "2");
      assert.deepEqual(await one("StreamService/DeleteStream", { name: created }), { streamId: made["id"] });
    });

    if (!canStreamRequests) return;
    test("appends by stream", { timeout: 20_000 }, async () => {
      const requests = [{ stream: `${stream}/s`, records }, { records }, { stream: `${stream}/s`, batch }];
      const answers = await call("LogService/AppendStream", requests);
      const offsets = answers.map(({ appended }) => {
        assert.ok(typeof appended === "object" && appended !== null && !Array.isArray(appended));
        return appended["startOffset"];
      });
      assert.deepEqual(offsets, ["0", "3", "6"]);
      const read = await one("LogService/Read", { stream: `${stream}/s` });
      assert.deepEqual(
        batchesOf(read).map((one) => one["records"]),
        [records, records, records],
      );
    });
  });

/** The answers of a call that went well. */
function answersOf({ answers, error }: Outcome): JsonObject[] {
  assert.equal(error, undefined, error?.message);
  return answers;
}

function objectOf(value: JsonValue | undefined): JsonObject {
  assert.ok(typeof value === "object" && value !== null && !Array.isArray(value));
  return value;
}

function batchesOf({ batches }: JsonObject): JsonObject[] {
  assert.ok(Array.isArray(batches));
  return batches.map((one) => {
    assert.ok(typeof one === "object" && one !== null && !Array.isArray(one));
    return one;
  });
}
