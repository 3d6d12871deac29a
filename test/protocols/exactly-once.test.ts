/**
 * What an append depends on, by each protocol and library: the same answers, the same refusals, the same details.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type JsonObject, toJson } from "@bufbuild/protobuf";
import { type ErrorDetail, ErrorDetailSchema } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { allCallers, type Caller, callerKinds, type Outcome } from "./support/callers.ts";
import { type RealNode, startRealNode } from "./support/real-node.ts";

const id = Buffer.alloc(16, 7).toString("base64");
const stranger = Buffer.alloc(16, 8).toString("base64");
const records = [{ value: "eA==" }];
const mine = Buffer.from("mine").toString("base64");
const producer = (sequence: number, epoch = 0) => ({ id, epoch, sequence: String(sequence) });

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

/** What a refusal says, but its words and the call's id. */
function told({ error }: Outcome): { code: string; detail: JsonObject } {
  assert.ok(error?.detail !== undefined, error?.message ?? "no error");
  const { todo, requestId, ...detail } = plain(error.detail);
  assert.ok(typeof todo === "string" && todo !== "" && typeof requestId === "string" && requestId !== "");
  return { code: error.code, detail };
}

function plain(detail: ErrorDetail): JsonObject {
  const json = toJson(ErrorDetailSchema, detail);
  assert.ok(typeof json === "object" && json !== null && !Array.isArray(json));
  return json;
}

for (const [number, { name: callerName, canStreamRequests }] of callerKinds().entries())
  describe(callerName, () => {
    const stream = `by/${number}`;
    const call = async (rpc: string, request: JsonObject | JsonObject[]): Promise<Outcome> => {
      const outcome = await callers[number]?.call(`LogService/${rpc}`, request);
      assert.ok(outcome);
      return outcome;
    };
    const append = (more: JsonObject) => call("Append", { stream, records, ...more });
    const answer = async (more: JsonObject) => {
      const { answers, error } = await append(more);
      assert.equal(error, undefined);
      const [first] = answers;
      assert.ok(first);
      return first;
    };
    const refused = async (more: JsonObject, reason: string, detail: JsonObject) => {
      assert.deepEqual(told(await append(more)), {
        code: "failed_precondition",
        detail: { reason: `REASON_${reason}`, stream, fate: "FATE_NOTHING_WRITTEN", ...detail },
      });
    };

    test("a repeated append is answered with the first's receipt", { timeout: 20_000 }, async () => {
      const first = await answer({ producer: producer(0) });
      assert.equal(first["duplicate"] ?? false, false);
      assert.deepEqual(await answer({ producer: producer(0) }), { ...first, duplicate: true });
      const second = await answer({ producer: producer(1) });
      assert.deepEqual(await answer({ producer: producer(1) }), { ...second, duplicate: true });
    });

    test("what can't be next is refused with what would be", { timeout: 20_000 }, async () => {
      // What is 0 is left out in JSON.
      await refused({ producer: producer(5) }, "SEQUENCE_GAP", { producer: { id, sequence: "2" } });
      await answer({ producer: producer(0, 3) });
      await refused({ producer: producer(2) }, "STALE_EPOCH", { producer: { id, epoch: 3, sequence: "1" } });
      await refused({ producer: producer(1, 4) }, "SEQUENCE_GAP", { producer: { id, epoch: 4 } });
      const unknown = { id: stranger, epoch: 1, sequence: "1" };
      await refused({ producer: unknown }, "UNKNOWN_PRODUCER", { producer: { id: stranger, epoch: 1 } });
    });

    test("an offset that is taken is refused with the next one", { timeout: 20_000 }, async () => {
      await answer({ expectedOffset: "3" });
      for (const expectedOffset of ["3", "9"]) await refused({ expectedOffset }, "OFFSET_TAKEN", { nextOffset: "4" });
    });

    test("a fence lets its holder in only, and retries are duplicates behind it", { timeout: 20_000 }, async () => {
      const { answers } = await call("Fence", { stream, token: mine });
      assert.equal(answers[0]?.["nextOffset"], "4");
      await refused({}, "FENCED", { fence: mine });
      await refused({ fence: "YQ==" }, "FENCED", { fence: mine });
      await answer({ fence: mine });
      const again = await answer({ producer: producer(0, 3), expectedOffset: "0" });
      assert.deepEqual([again["startOffset"], again["duplicate"]], ["2", true]);
      await call("Fence", { stream });
      await refused({ fence: mine }, "FENCED", { fence: "" });
      await answer({});
    });

    if (!canStreamRequests) return;

    test("in a stream duplicates go on, and nothing behind a refusal goes in", { timeout: 20_000 }, async () => {
      const other = `${stream}/streamed`;
      const request = (more: JsonObject) => ({ stream: other, records, ...more });
      const outcome = await call("AppendStream", [
        ...[producer(0), producer(1), producer(0), producer(2)].map((one) => request({ producer: one })),
        request({ expectedOffset: "77" }),
        ...Array.from({ length: 20 }, () => request({})),
      ]);
      const appended = outcome.answers.map((one) => one["appended"] as JsonObject);
      assert.deepEqual(
        appended.map((one) => [one["startOffset"], one["duplicate"] ?? false]),
        [
          ["0", false],
          ["1", false],
          ["0", true],
          ["2", false],
        ],
      );
      assert.deepEqual(appended[2], { ...appended[0], duplicate: true });
      assert.deepEqual(told(outcome), {
        code: "failed_precondition",
        detail: {
          ...{ reason: "REASON_OFFSET_TAKEN", stream: other, fate: "FATE_NOTHING_WRITTEN" },
          ...{ nextOffset: "3", requestNumber: "4" },
        },
      });
      const next = await call("Append", request({ expectedOffset: "3" }));
      assert.equal(next.error, undefined, "nothing went in behind it");
    });
  });

describe("REST", () => {
  const post = async (query: string) => {
    const response = await fetch(`${node.url}/v1/streams/rest/records?${query}`, { method: "POST", body: "x" });
    return { status: response.status, body: (await response.json()) as { detail?: JsonObject } & JsonObject };
  };
  const uuid = "01234567-89ab-cdef-0123-456789abcdef";
  const restId = Buffer.from(uuid.replaceAll("-", ""), "hex").toString("base64");

  test("a repeated append is answered with the first's receipt", { timeout: 20_000 }, async () => {
    const first = await post(`producer_id=${uuid}&producer_sequence=0`);
    assert.equal(first.status, 200);
    const same = [`producer_id=${uuid}&producer_epoch=0`, `producer_id=${uuid.replaceAll("-", "").toUpperCase()}`];
    for (const query of same) {
      const again = await post(`${query}&producer_sequence=0`);
      assert.deepEqual(again, { status: 200, body: { ...first.body, duplicate: true } });
    }
  });

  const refusals: { query: string; reason: string; detail: JsonObject }[] = [
    {
      query: `producer_id=${uuid}&producer_sequence=3`,
      reason: "SEQUENCE_GAP",
      detail: { producer: { id: restId, sequence: "1" } },
    },
    {
      query: `producer_id=${"f".repeat(32)}&producer_sequence=3&producer_epoch=2`,
      reason: "UNKNOWN_PRODUCER",
      detail: { producer: { id: Buffer.alloc(16, 0xff).toString("base64"), epoch: 2 } },
    },
    { query: "expected_offset=0", reason: "OFFSET_TAKEN", detail: { nextOffset: "1" } },
    { query: "fence=t", reason: "FENCED", detail: { fence: "" } },
  ];
  for (const { query, reason, detail } of refusals)
    test(`${query} is refused: ${reason}`, { timeout: 20_000 }, async () => {
      const { status, body } = await post(query);
      assert.deepEqual([status, body["code"]], [400, "failed_precondition"]);
      const expected = { reason: `REASON_${reason}`, stream: "rest", fate: "FATE_NOTHING_WRITTEN", ...detail };
      assert.deepEqual({ ...body.detail, ...expected }, body.detail);
    });

  test("the fence is the token's text", { timeout: 20_000 }, async () => {
    const [caller] = callers;
    await caller?.call("LogService/Fence", { stream: "rest", token: Buffer.from("t/1").toString("base64") });
    assert.equal((await post("fence=t")).status, 400);
    assert.equal((await post("fence=t%2F1&expected_offset=1")).status, 200);
  });
});
