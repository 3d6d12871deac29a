/**
 * Deadlines: kept on time, odd ones refused or taken as what they say (C043, C044), by both ways through the server.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { create, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { AppendRequestSchema } from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import { callerKinds } from "./support/callers.ts";
import { rawCall } from "./support/raw-call.ts";
import { gatedNode, passed } from "./support/slow-streams.ts";

const gated = gatedNode();
before(async () => {
  const [caller] = gated.callers;
  for (const stream of ["s", "quiet"]) await caller?.call("LogService/Append", { stream, records: [{}] });
});

const append: JsonObject = { stream: "s", records: [{}] };
const appendBytes = toBinary(AppendRequestSchema, create(AppendRequestSchema, { stream: "s", records: [{}] }));

const ways = [
  { contentType: "application/grpc", header: "grpc-timeout" },
  { contentType: "application/grpc-web+proto", header: "grpc-timeout" },
  { contentType: "application/proto", header: "connect-timeout-ms" },
  { contentType: "application/json", header: "connect-timeout-ms" },
];
const invalid = /grpc-status"?: ?"?3|invalid_argument/;
const exceeded = /grpc-status"?: ?"?4|deadline_exceeded/;
const timeouts = [
  { header: "grpc-timeout", value: "0n", outcome: exceeded },
  { header: "grpc-timeout", value: "50m", outcome: exceeded },
  { header: "grpc-timeout", value: "50000u", outcome: exceeded },
  { header: "grpc-timeout", value: "9S", outcome: undefined },
  { header: "grpc-timeout", value: "99999999H", outcome: undefined },
  { header: "grpc-timeout", value: "99999999S", outcome: undefined },
  { header: "grpc-timeout", value: "123456789S", outcome: invalid },
  { header: "grpc-timeout", value: "-1S", outcome: invalid },
  { header: "grpc-timeout", value: "1x", outcome: invalid },
  { header: "grpc-timeout", value: "1.5S", outcome: invalid },
  { header: "connect-timeout-ms", value: "0", outcome: exceeded },
  { header: "connect-timeout-ms", value: "50", outcome: exceeded },
  { header: "connect-timeout-ms", value: "9000", outcome: undefined },
  { header: "connect-timeout-ms", value: "4294967296", outcome: undefined },
  { header: "connect-timeout-ms", value: "9999999999", outcome: undefined },
  { header: "connect-timeout-ms", value: "99999999999", outcome: invalid },
  { header: "connect-timeout-ms", value: "1e3", outcome: invalid },
  { header: "connect-timeout-ms", value: "abc", outcome: invalid },
  { header: "connect-timeout-ms", value: "-1", outcome: invalid },
];

for (const { contentType, header } of ways)
  describe(contentType, () => {
    for (const { value, outcome } of timeouts.filter((one) => one.header === header))
      test(`${header}: ${value}`, { timeout: 20_000 }, async () => {
        const appendMs = outcome === undefined ? 200 : 2000;
        gated.gate.beforeAppend = () => passed(appendMs);
        const body = contentType === "application/json" ? Buffer.from(JSON.stringify(append)) : appendBytes;
        const begin = performance.now();
        const { error } = await rawCall(gated.node.url, "LogService/Append", contentType, body, { [header]: value });
        if (outcome === undefined) assert.equal(error, undefined);
        else {
          assert.match(error ?? "it succeeded", outcome);
          assert.ok(performance.now() - begin < appendMs - 200, "the answer is there before the append is");
        }
      });
  });

for (const [number, { name, canStreamRequests }] of callerKinds().entries())
  describe(name, () => {
    const call = async (rpc: string, request: JsonObject | JsonObject[], timeoutMs: number) => {
      const begin = performance.now();
      const { error } = (await gated.callers[number]?.call(rpc, request, { timeoutMs })) ?? {};
      const tookMs = performance.now() - begin;
      assert.ok(tookMs < timeoutMs + 1000, `it took ${tookMs} ms`);
      assert.equal(error?.code, "deadline_exceeded", error?.message);
      return error;
    };

    test("an append that is held is answered on time, and its fate is unknown", { timeout: 20_000 }, async () => {
      gated.gate.beforeAppend = () => passed(1500);
      const error = await call("LogService/Append", append, 150);
      // Some libraries end the call themselves before the server's answer is there.
      assert.ok(error?.detail === undefined || error.detail.fate === 2);
    });

    test("a long-poll is answered on time", { timeout: 20_000 }, async () => {
      await call("LogService/Read", { stream: "quiet", start: { latest: true }, waitMs: 20_000 }, 150);
    });

    test("a tail is ended on time", { timeout: 20_000 }, async () => {
      await call("LogService/Tail", { streams: [{ stream: "s" }] }, 150);
    });

    if (!canStreamRequests) return;
    test("a stream of appends is ended on time", { timeout: 20_000 }, async () => {
      gated.gate.beforeAppend = () => passed(1500);
      await call("LogService/AppendStream", [append, append], 150);
    });
  });

test("no call is left behind", { timeout: 20_000 }, async () => {
  await passed(2100);
  assert.match(await gated.node.registry.metrics(), /^tailrace_open_calls 0$/m);
  assert.deepEqual(gated.node.logged, []);
});
