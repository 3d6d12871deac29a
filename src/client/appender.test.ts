import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { ErrorDetailSchema, Fate, Reason } from "../wire/gen/tailrace/v1/error_pb.ts";
import { type AppendStreamRequest, LogService } from "../wire/gen/tailrace/v1/log_pb.ts";
import { AppendError, Appender } from "./appender.ts";
import { createClient, type TailraceClient } from "./client.ts";

type Answer = { appended: { startOffset: bigint; nextOffset: bigint } };

/** A client of a node whose AppendStream is this. */
function clientOf(appendStream: (requests: AsyncIterable<AppendStreamRequest>) => AsyncGenerator<Answer>) {
  return createClient(createRouterTransport((router) => router.service(LogService, { appendStream })));
}

const answer = (offset: number): Answer => ({
  appended: { startOffset: BigInt(offset), nextOffset: BigInt(offset + 1) },
});
const batch = (text: string) => ({ payload: Buffer.from(text), records: 1 });
const refusal = (fate: Fate) =>
  new ConnectError("no room", Code.ResourceExhausted, undefined, [
    { desc: ErrorDetailSchema, value: create(ErrorDetailSchema, { reason: Reason.DISK_FULL, fate, todo: "Wait" }) },
  ]);

/** What an appender's failure says, in short. */
async function failureOf(client: TailraceClient, sent: readonly string[]) {
  const appender = new Appender(client, { stream: "s" });
  const failure = await (async () => {
    for (const text of sent) await appender.send(batch(text));
    await appender.finish();
  })().catch((error: unknown) => error);
  assert.ok(failure instanceof AppendError);
  const { acknowledged, unacknowledged, nothingWritten } = failure;
  return { kind: failure.cause.kind, acknowledged, unacknowledged, nothingWritten };
}

describe("Appender", () => {
  test("sends in order, names the stream once, and gives each answer to its batch", async () => {
    const seen: string[] = [];
    const client = clientOf(async function* (requests) {
      let offset = 0;
      for await (const { stream, batch } of requests) {
        seen.push(`${stream}:${Buffer.from(batch)}`);
        yield answer(offset++);
      }
    });
    const appended: string[] = [];
    const appender = new Appender(client, {
      stream: "s",
      onAppended: ({ payload }, { startOffset }) => appended.push(`${Buffer.from(payload)}@${startOffset}`),
    });
    for (const text of ["a", "b", "c"]) await appender.send(batch(text));
    await appender.finish();
    assert.deepEqual(seen, ["s:a", ":b", ":c"]);
    assert.deepEqual(appended, ["a@0", "b@1", "c@2"]);
    assert.equal(appender.acknowledged, 3);
  });

  test("waits when as many batches as allowed are in flight", async () => {
    let letAnswer = () => {};
    const mayAnswer = new Promise<void>((resolve) => {
      letAnswer = resolve;
    });
    const client = clientOf(async function* (requests) {
      let offset = 0;
      for await (const _ of requests) {
        await mayAnswer;
        yield answer(offset++);
      }
    });
    const appender = new Appender(client, { stream: "s", maxInFlight: 2 });
    await appender.send(batch("a"));
    assert.equal(appender.hasRoom, true);
    await appender.send(batch("b"));
    assert.equal(appender.hasRoom, false);
    let isSent = false;
    const third = appender.send(batch("c")).then(() => {
      isSent = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(isSent, false);
    letAnswer();
    await third;
    await appender.finish();
    assert.equal(appender.acknowledged, 3);
  });

  const failures = [
    {
      name: "a refusal of the second batch",
      fail: () => refusal(Fate.NOTHING_WRITTEN),
      expected: { kind: "refused", acknowledged: 1, unacknowledged: 2, nothingWritten: true },
    },
    {
      name: "a failure whose fate is not known",
      fail: () => refusal(Fate.UNKNOWN),
      expected: { kind: "refused", acknowledged: 1, unacknowledged: 2, nothingWritten: false },
    },
    {
      name: "a lost connection",
      fail: () => new ConnectError("read ECONNRESET", Code.Aborted),
      expected: { kind: "lost", acknowledged: 1, unacknowledged: 2, nothingWritten: false },
    },
  ];
  for (const { name, fail, expected } of failures) {
    test(`${name} says what was acknowledged and what is known of the rest`, async () => {
      const client = clientOf(async function* (requests) {
        let offset = 0;
        for await (const _ of requests) {
          if (offset === 1) throw fail();
          yield answer(offset++);
        }
      });
      assert.deepEqual(await failureOf(client, ["a", "b", "c"]), expected);
    });
  }

  test("an end before all is answered is no success", async () => {
    const client = clientOf(async function* (requests) {
      for await (const _ of requests) {
        yield answer(0);
        return;
      }
    });
    const expected = { kind: "lost", acknowledged: 1, unacknowledged: 1, nothingWritten: false };
    assert.deepEqual(await failureOf(client, ["a", "b"]), expected);
  });

  test("an answer to nothing is a failure", async () => {
    const client = clientOf(async function* () {
      yield answer(0);
    });
    const expected = { kind: "lost", acknowledged: 0, unacknowledged: 0, nothingWritten: true };
    assert.deepEqual(await failureOf(client, []), expected);
  });

  test("a failure reaches who waits for room", async () => {
    const client = clientOf(async function* (requests) {
      for await (const _ of requests) throw refusal(Fate.NOTHING_WRITTEN);
      yield answer(0);
    });
    const appender = new Appender(client, { stream: "s", maxInFlight: 1 });
    await appender.send(batch("a"));
    await assert.rejects(appender.send(batch("b")), AppendError);
    await appender.ended;
    await assert.rejects(appender.send(batch("c")), AppendError);
    await assert.rejects(appender.finish(), AppendError);
  });
});
