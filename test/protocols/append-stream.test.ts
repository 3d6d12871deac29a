/**
 * Streams of appends: taken ahead of the disk, answered in order, and ended by the first that fails.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { limitPassed, TailraceError } from "../../src/base/errors.ts";
import { createClient, type TailraceClient } from "../../src/client/index.ts";
import { Http2Session } from "../../src/host/http2-session.ts";
import { type ErrorDetail, ErrorDetailSchema, Fate, Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import type { AppendStreamRequestSchema } from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import { type Gate, gated, passed } from "./support/slow-streams.ts";
import { startTestNode, type TestNode } from "./support/test-node.ts";

type Request = MessageInitShape<typeof AppendStreamRequestSchema>;

let node: TestNode;
let gate: Gate;
const sessions: Http2Session[] = [];
const clients: TailraceClient[] = [];
before(async () => {
  node = await startTestNode({
    limits: { appendStreamMaxInFlight: 4 },
    wrap: (streams) => {
      const made = gated(streams);
      gate = made.gate;
      return made.streams;
    },
  });
  for (const make of [createGrpcTransport, createConnectTransport]) {
    const sessionManager = new Http2Session(node.url);
    sessions.push(sessionManager);
    clients.push(createClient(make({ baseUrl: node.url, httpVersion: "2", sessionManager })));
  }
});
after(async () => {
  for (const session of sessions) session.close();
  await node.close();
});
beforeEach(() => {
  gate.passedOn.length = 0;
  gate.beforeAppend = () => Promise.resolve();
});

let streamCount = 0;
const records = [{ value: Uint8Array.of(1) }];
function requests(count: number): Request[] {
  const stream = `appended/${streamCount++}`;
  return Array.from({ length: count }, (_, at) => ({ stream: at === 0 ? stream : "", records }));
}

/** Sends the requests and gives what came back; the call stays open until `last` resolves. */
async function send(client: TailraceClient, all: Request[], last = Promise.resolve()) {
  const offsets: (bigint | undefined)[] = [];
  async function* each(): AsyncGenerator<Request> {
    yield* all;
    await last;
  }
  try {
    for await (const { appended } of client.log.appendStream(each())) offsets.push(appended?.startOffset);
    return { offsets, detail: undefined, code: undefined };
  } catch (cause) {
    const error = ConnectError.from(cause);
    const [detail] = error.findDetails(ErrorDetailSchema);
    return { offsets, code: error.code, detail };
  }
}

const told = (detail: ErrorDetail | undefined) => [detail?.reason, detail?.requestNumber, detail?.fate];

for (const [number, name] of ["gRPC", "Connect"].entries())
  describe(name, () => {
    const client = () => {
      const found = clients[number];
      assert.ok(found);
      return found;
    };

    test("answers in order, however many requests there are", { timeout: 20_000 }, async () => {
      const { offsets, code } = await send(client(), requests(200));
      assert.equal(code, undefined);
      assert.deepEqual(
        offsets,
        Array.from({ length: 200 }, (_, at) => BigInt(at)),
      );
    });

    test("takes requests ahead, up to the limit", { timeout: 20_000 }, async () => {
      let release = () => {};
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      gate.beforeAppend = () => held;
      const sent = send(client(), requests(10));
      await passed(500);
      assert.equal(gate.passedOn.length, 4);
      release();
      assert.equal((await sent).offsets.length, 10);
    });

    test("a request that can't be taken ends the stream, after the answers to those before it", async () => {
      const all = requests(6);
      all[3] = { batch: Uint8Array.of(9, 9, 9) };
      const { offsets, detail, code } = await send(client(), all);
      assert.deepEqual(offsets, [0n, 1n, 2n]);
      assert.equal(code, Code.InvalidArgument);
      assert.deepEqual(told(detail), [Reason.INVALID_FIELD, 3n, Fate.NOTHING_WRITTEN]);
      assert.equal(node.streams.get(all[0]?.stream ?? "").highWatermark, 3);
    });

    test("what is refused at once stops what follows, even where that was sent along", async () => {
      let count = 0;
      gate.beforeAppend = () => {
        if (count++ !== 2) return Promise.resolve();
        const limit = { name: "append_queue_max_bytes", value: 1 };
        return Promise.reject(limitPassed("Cannot take the batch", limit, "Send it later"));
      };
      const all = requests(8);
      const { offsets, detail, code } = await send(client(), all);
      assert.deepEqual(offsets, [0n, 1n]);
      assert.equal(code, Code.ResourceExhausted);
      assert.deepEqual(told(detail), [Reason.LIMIT, 2n, Fate.NOTHING_WRITTEN]);
      assert.equal(gate.passedOn.length, 3, "nothing was passed on after it");
      assert.equal(node.streams.get(all[0]?.stream ?? "").highWatermark, 2);
    });

    test("a failure of the storage is told with its request's number", { timeout: 20_000 }, async () => {
      let count = 0;
      gate.beforeAppend = async () => {
        if (count++ < 2) return;
        await passed(50);
        const words = { what: "Cannot append", why: "no room", todo: "Free some" };
        throw new TailraceError("disk_full", words, { fate: "nothing_written" });
      };
      const { offsets, detail, code } = await send(client(), requests(8));
      assert.deepEqual(offsets, [0n, 1n]);
      assert.equal(code, Code.ResourceExhausted);
      assert.deepEqual(told(detail), [Reason.DISK_FULL, 2n, Fate.NOTHING_WRITTEN]);
    });

    test("a fault of the node is told without its cause, and logged", { timeout: 20_000 }, async () => {
      node.logged.length = 0;
      gate.beforeAppend = () => Promise.reject(new Error("secret inner state"));
      const { detail, code } = await send(client(), requests(1));
      assert.equal(code, Code.Internal);
      assert.deepEqual(told(detail), [Reason.UNSPECIFIED, 0n, Fate.UNKNOWN]);
      const [line, ...more] = node.logged;
      assert.deepEqual(more, []);
      assert.equal(line?.err?.message, "secret inner state");
      assert.equal(line?.callId, detail?.requestId);
    });

    test("each answer comes as soon as it is there, while the client keeps the call open", {
      timeout: 20_000,
    }, async () => {
      let end = () => {};
      const last = new Promise<void>((resolve) => {
        end = resolve;
      });
      const all = requests(2);
      const sent = send(client(), all, last);
      for (let tries = 0; tries < 100 && gate.passedOn.length < 2; tries++) await passed(20);
      await passed(50);
      assert.equal(node.streams.get(all[0]?.stream ?? "").highWatermark, 2);
      end();
      assert.deepEqual((await sent).offsets, [0n, 1n]);
    });
  });

test("a stream without a request is answered with nothing", { timeout: 20_000 }, async () => {
  for (const client of clients) assert.deepEqual((await send(client, [])).offsets, []);
});
