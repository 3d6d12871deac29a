/**
 * Two writers take a stream from each other again and again, each by another protocol, as fast as they can. The log shows
 * who had it when: between two fences nothing but the holder's.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { JsonObject } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import { decodeFence } from "../../src/wire/checkpoint.ts";
import { RecordsSchema } from "../../src/wire/gen/tailrace/v1/record_pb.ts";
import { allCallers, type Caller } from "../protocols/support/callers.ts";
import { type RealNode, startRealNode } from "../protocols/support/real-node.ts";

const takeovers = 40;
const inFlight = 4;
const serialsMax = 200;
/** Each goes on so often though it is out, while the other has its turn. */
const refusalsEach = 4;
const protocols = ["gRPC", "gRPC-Web over HTTP/1.1", "JSON by fetch over HTTP/1.1"];
const kinds = { records: "BATCH_KIND_UNSPECIFIED", fence: "BATCH_KIND_FENCE" };

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

function callerOf(protocol: string): Caller {
  const caller = callers.find(({ name }) => name === protocol);
  assert.ok(caller, protocol);
  return caller;
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

/** What both writers were told. */
interface Told {
  readonly acknowledged: string[];
  readonly refused: string[];
}

/** Takes the stream over, and appends until it is fenced out; again and again. */
async function write(caller: Caller, stream: string, writer: string, told: Told): Promise<void> {
  for (let turn = 0; turn < takeovers; turn++) {
    const token = `${writer}${turn}`;
    const fenced = await caller.call("LogService/Fence", { stream, token: base64(token) });
    assert.equal(fenced.error, undefined);
    let serial = 0;
    const append = async () => {
      // Who is last has nobody to be fenced out by.
      for (let refusals = 0; refusals < refusalsEach && serial < serialsMax; ) {
        const value = `${token}/${serial++}`;
        const request = { stream, records: [{ value: base64(value) }], fence: base64(token) };
        const { error } = await caller.call("LogService/Append", request);
        if (error === undefined) told.acknowledged.push(value);
        else {
          refusals += 1;
          told.refused.push(value);
          assert.equal(error.code, "failed_precondition");
          assert.ok(error.detail?.fence !== undefined, error.message);
          assert.notEqual(Buffer.from(error.detail.fence).toString(), token, "it is told who has the stream");
        }
      }
    };
    await Promise.all(Array.from({ length: inFlight }, append));
  }
}

/** All batches of a stream as its log has them: fences by their token, records by their value. */
async function readLog(caller: Caller, stream: string): Promise<{ fence?: string; value?: string }[]> {
  const found: { fence?: string; value?: string }[] = [];
  let lastIndex = -1;
  for (let offset = "0"; ; ) {
    const request = { stream, start: { offset }, form: "FORM_STORED", maxBytes: 4 << 20 };
    const { answers, error } = await caller.call("LogService/Read", request);
    assert.equal(error, undefined);
    const [answer] = answers;
    assert.ok(answer);
    const batches = (answer["batches"] ?? []) as JsonObject[];
    for (const batch of batches) {
      const index = Number(batch["index"] ?? 0);
      if (index <= lastIndex) continue;
      lastIndex = index;
      const payload = new Uint8Array(Buffer.from(String(batch["payload"] ?? ""), "base64"));
      const kind = batch["kind"] ?? kinds.records;
      if (kind === kinds.fence) found.push({ fence: Buffer.from(decodeFence(payload)).toString() });
      if (kind !== kinds.records) continue;
      const { records } = fromBinary(RecordsSchema, payload);
      for (const { value } of records) found.push({ value: Buffer.from(value).toString() });
    }
    const next = String(answer["nextOffset"] ?? "0");
    if (next === String(answer["highWatermark"] ?? "0")) return found;
    offset = next;
  }
}

describe("two writers that fence each other out", () => {
  for (const [at, protocol] of protocols.entries()) {
    const other = protocols[(at + 1) % protocols.length] ?? protocol;
    test(`never append into each other's turn: ${protocol} against ${other}`, { timeout: 120_000 }, async () => {
      const stream = `raced/${at}`;
      await callerOf(protocol).call("StreamService/CreateStream", { name: stream });
      const told: Told = { acknowledged: [], refused: [] };
      await Promise.all([write(callerOf(protocol), stream, "a", told), write(callerOf(other), stream, "b", told)]);
      const log = await readLog(callerOf(protocol), stream);
      const fences = log.filter(({ fence }) => fence !== undefined);
      assert.equal(fences.length, 2 * takeovers);
      let holder: string | undefined;
      const there: string[] = [];
      for (const { fence, value } of log) {
        if (fence !== undefined) holder = fence;
        if (value === undefined) continue;
        assert.equal(value.split("/")[0], holder, `${value} stands where ${holder} has the stream`);
        there.push(value);
      }
      assert.equal(new Set(there).size, there.length, "each is there once");
      assert.deepEqual(there.toSorted(), told.acknowledged.toSorted());
      assert.ok(told.refused.length > takeovers && there.length > takeovers, "they did race");
      console.log(`fencing: ${there.length} appended in ${fences.length} turns, ${told.refused.length} fenced out`);
    });
  }
});
