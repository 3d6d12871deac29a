/**
 * A node that has not heard that a stream is deleted, and of another one that has its name by now: who names the stream, and
 * not its id, is answered for whatever has the name.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { JsonObject } from "@bufbuild/protobuf";
import { present } from "../../src/base/assert.ts";
import type { Stream, Streams } from "../../src/stream/types.ts";
import { Fate, Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { payloadOf } from "../support/streams.ts";
import { allCallers, type Caller, callerKinds } from "./support/callers.ts";
import { startTestNode, type TestNode } from "./support/test-node.ts";

/** What the node takes for the streams of some names, until it sees what the catalogue has. */
const known = new Map<string, Stream>();
let node: TestNode;
let callers: Caller[] = [];
before(async () => {
  node = await startTestNode({ wrap: lagging });
  callers = allCallers(node.url);
});
after(async () => {
  for (const caller of callers) caller.close();
  await node.close();
});

function lagging(streams: Streams): Streams {
  const knownAs = (name: string, streamId: number | undefined) => {
    const stream = known.get(name);
    return streamId === undefined || streamId === stream?.id ? stream : undefined;
  };
  return {
    get: (name, streamId) => knownAs(name, streamId) ?? streams.get(name, streamId),
    find: async (name, streamId) => knownAs(name, streamId) ?? (await streams.find(name, streamId)),
    getForAppend: async (name, streamId) => knownAs(name, streamId) ?? (await streams.getForAppend(name, streamId)),
    create: (name, settings) => streams.create(name, settings),
    delete: (name, streamId) => streams.delete(name, streamId),
    caughtUp: async () => {
      known.clear();
      await streams.caughtUp();
    },
    list: (request) => streams.list(request),
  };
}

/** A stream that the node knows, though it is deleted; and the one that has its name now, if any. */
async function goneStream(name: string, isCreatedAgain: boolean): Promise<{ old: string; now: string | undefined }> {
  known.clear();
  const old = await node.streams.getForAppend(name);
  await old.append(payloadOf("of the old one"));
  await node.streams.delete(name);
  let now: string | undefined;
  if (isCreatedAgain) {
    const { stream } = await node.streams.create(name, {});
    await stream.append(payloadOf("of the new one"));
    now = String(stream.id);
  }
  known.set(name, old);
  return { old: String(old.id), now };
}

const value = Buffer.from("1").toString("base64");
const linearizable = { consistency: "CONSISTENCY_LINEARIZABLE" };
const calls: { rpc: string; what: string; request: (name: string) => JsonObject; idIn?: string; creates?: true }[] = [
  {
    ...{ rpc: "LogService/Append", what: "an append", creates: true as const },
    request: (stream) => ({ stream, records: [{ value }] }),
  },
  { rpc: "LogService/Fence", what: "a fence", request: (stream) => ({ stream }) },
  { rpc: "LogService/Read", what: "a read", request: (stream) => ({ stream }) },
  { rpc: "LogService/Read", what: "a linearizable read", request: (stream) => ({ stream, ...linearizable }) },
  { rpc: "StreamService/TrimStream", what: "a trim", request: (name) => ({ name, logStart: "0" }) },
  {
    ...{ rpc: "StreamService/UpdateStream", what: "a change of settings", idIn: "id" },
    request: (name) => ({ name, settings: { retentionAgeS: "60" } }),
  },
  { rpc: "StreamService/GetStream", what: "a description", request: (name) => ({ name }), idIn: "id" },
];

for (const [number, { name: caller, canStreamRequests }] of callerKinds().entries())
  describe(caller, () => {
    const call: Caller["call"] = async (...args) => {
      return await present(callers[number], "each kind has a caller").call(...args);
    };

    for (const [at, { rpc, what, request, idIn, creates }] of calls.entries()) {
      test(`${what} is for the stream that has the name now`, async () => {
        const name = `again/${number}/${at}`;
        const { now } = await goneStream(name, true);
        const { answers, error } = await call(rpc, request(name));
        assert.equal(error, undefined, error?.message);
        const [answer = {}] = answers;
        assert.equal(idIn === undefined ? answer["streamId"] : (answer["stream"] as JsonObject)[idIn], now);
      });

      test(`${what} of a deleted stream ${creates ? "creates it" : "finds none"}`, async () => {
        const name = `deleted/${number}/${at}`;
        const { old } = await goneStream(name, false);
        const { answers, error } = await call(rpc, request(name));
        assert.equal(error?.detail?.reason, creates ? undefined : Reason.STREAM_NOT_FOUND);
        assert.notEqual(answers[0]?.["streamId"], old);
      });

      if (what === "a description") continue;
      test(`${what} that names the old stream's id is for no other`, async () => {
        const name = `named/${number}/${at}`;
        const { old, now } = await goneStream(name, true);
        const { error } = await call(rpc, { ...request(name), streamId: old });
        assert.deepEqual([error?.detail?.reason, String(error?.detail?.streamId)], [Reason.STREAM_REPLACED, now]);
      });
    }

    test("a tail follows the stream that has the name now", async () => {
      const name = `followed/${number}`;
      const { now } = await goneStream(name, true);
      const streams = [{ stream: name, start: { earliest: true }, endOffset: "1" }];
      const { answers, error } = await call("LogService/Tail", { streams });
      assert.equal(error, undefined, error?.message);
      const ids = answers.flatMap((frame) => {
        const heartbeat = frame["heartbeat"] as JsonObject | undefined;
        return heartbeat === undefined ? [] : [heartbeat["streamId"]];
      });
      assert.deepEqual(new Set(ids), new Set([now]));
    });

    if (!canStreamRequests) return;
    test("a stream of appends is taken when it comes again", async () => {
      const name = `streamed/${number}`;
      const { now } = await goneStream(name, true);
      const requests = [{ stream: name, records: [{ value }] }, { records: [{ value }] }];
      const { error } = await call("LogService/AppendStream", requests);
      const { reason, fate } = error?.detail ?? {};
      assert.deepEqual([error?.code, reason, fate], ["unavailable", Reason.NOT_READY, Fate.NOTHING_WRITTEN]);
      const { answers } = await call("LogService/AppendStream", requests);
      const taken = answers.map((answer) => answer["appended"] as JsonObject);
      assert.deepEqual(
        taken.map(({ streamId, startOffset }) => [streamId, startOffset]),
        [
          [now, "1"],
          [now, "2"],
        ],
      );
    });

    test("a stream of appends that names the old stream's id is for no other", async () => {
      const name = `streamed/named/${number}`;
      const { old } = await goneStream(name, true);
      const { error } = await call("LogService/AppendStream", [{ stream: name, streamId: old, records: [{ value }] }]);
      assert.equal(error?.detail?.reason, Reason.STREAM_REPLACED);
    });
  });
