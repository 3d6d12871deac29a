/**
 * A port before its streams are there, and at its end.
 */
import assert from "node:assert/strict";
import net from "node:net";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { createClient } from "../../src/client/index.ts";
import { Http2Session } from "../../src/host/http2-session.ts";
import { ListenError } from "../../src/server/listen.ts";
import { ErrorDetailSchema, Fate, Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { allCallers, callerKinds } from "./support/callers.ts";
import { type Gate, gated, passed } from "./support/slow-streams.ts";
import { startTestNode } from "./support/test-node.ts";

const records = [{ value: Uint8Array.of(1) }];

describe("a node that recovers", () => {
  test("says how far it is, and refuses calls as not ready", { timeout: 20_000 }, async () => {
    const node = await startTestNode();
    const { state } = node;
    node.state = { kind: "recovering", progress: "3 of 17 logs" };
    const ready = await fetch(`${node.url}/readyz`);
    assert.equal(ready.status, 503);
    assert.deepEqual(await ready.json(), { ready: false, reason: "the node starts", progress: "3 of 17 logs" });
    assert.equal((await fetch(`${node.url}/healthz`)).status, 200);
    const rest = await fetch(`${node.url}/v1/streams/a/records`);
    assert.deepEqual([rest.status, rest.headers.get("retry-after")], [503, "1"]);
    const callers = allCallers(node.url);
    for (const [number, { name, canStreamRequests }] of callerKinds().entries()) {
      const rpcs = [
        "LogService/Append",
        "LogService/Read",
        "LogService/Tail",
        "StreamService/ListStreams",
        ...(canStreamRequests ? ["LogService/AppendStream"] : []),
      ];
      for (const rpc of rpcs) {
        const request = rpc.endsWith("Tail")
          ? { streams: [{ stream: "a" }] }
          : rpc.endsWith("ListStreams")
            ? {}
            : { stream: "a", ...(rpc.includes("Append") ? { records: [{}] } : {}) };
        const { error } = (await callers[number]?.call(rpc, request)) ?? {};
        const told = [error?.code, error?.detail?.reason, error?.detail?.retryAfterMs];
        assert.deepEqual(told, ["unavailable", Reason.NOT_READY, 1000], `${name}, ${rpc}: ${error?.message}`);
      }
    }
    node.state = state;
    const { answers } = (await callers[0]?.call("LogService/Append", { stream: "a", records: [{}] })) ?? {};
    assert.equal(answers?.length, 1);
    for (const caller of callers) caller.close();
    await node.close();
  });
});

describe("a node that stops", () => {
  test("ends tails with a frame, lets accepted appends finish, refuses new calls, closes", {
    timeout: 20_000,
  }, async () => {
    let gate: Gate | undefined;
    const node = await startTestNode({
      wrap: (streams) => {
        const made = gated(streams);
        gate = made.gate;
        return made.streams;
      },
    });
    const sessionManager = new Http2Session(node.url);
    const client = createClient(createGrpcTransport({ baseUrl: node.url, sessionManager }));
    const web = createClient(createConnectTransport({ baseUrl: node.url, httpVersion: "1.1" }));
    await client.log.append({ stream: "a", records });
    const follow = async (by: typeof client) => {
      const ends: unknown[] = [];
      for await (const { stream, frame } of by.log.tail({ streams: [{ stream: "a" }] })) {
        if (frame.case === "end") ends.push([stream, frame.value.reason, frame.value.all, frame.value.nextOffset]);
      }
      return ends;
    };
    const tails = [follow(client), follow(web)];
    const poll = client.log.read({ stream: "a", start: { at: { case: "latest", value: true } }, waitMs: 20_000 });
    assert.ok(gate);
    gate.beforeAppend = () => passed(600);
    const held = client.log.append({ stream: "a", records });
    async function* two() {
      yield { stream: "a", records };
      yield { records };
    }
    const streamed = (async () => {
      const offsets: unknown[] = [];
      for await (const { appended } of client.log.appendStream(two())) offsets.push(appended?.startOffset);
      return offsets;
    })();
    await passed(300);
    const begin = performance.now();
    const closed = node.close();
    assert.equal((await fetch(`${node.url}/readyz`)).status, 503);
    await assert.rejects(client.log.append({ stream: "a", records }), (cause) => {
      const error = ConnectError.from(cause);
      const [detail] = error.findDetails(ErrorDetailSchema);
      assert.deepEqual(
        [error.code, detail?.reason, detail?.fate],
        [Code.Unavailable, Reason.NOT_READY, Fate.NOTHING_WRITTEN],
      );
      return true;
    });
    for (const ends of await Promise.all(tails)) {
      assert.deepEqual(ends, [
        [0, 1, false, 1n],
        [0, 1, true, undefined],
      ]);
    }
    assert.equal((await poll).batches.length, 0);
    const offsets = [(await held).startOffset, ...(await streamed)];
    assert.deepEqual(offsets.sort(), [1n, 2n, 3n]);
    await closed;
    assert.ok(performance.now() - begin < 1900, "it did not wait for the grace to pass");
    await assert.rejects(fetch(`${node.url}/healthz`));
    sessionManager.close();
  });

  test("cuts off what does not end within the grace", { timeout: 20_000 }, async () => {
    const node = await startTestNode({
      settings: { drainGraceMs: 300 },
      wrap: (streams) => {
        const made = gated(streams);
        made.gate.beforeAppend = () => passed(60_000);
        return made.streams;
      },
    });
    const client = createClient(createConnectTransport({ baseUrl: node.url, httpVersion: "1.1" }));
    const held = client.log.append({ stream: "a", records });
    const rejected = assert.rejects(held);
    const silent = net.connect(node.port, "127.0.0.1").on("error", () => {});
    await passed(200);
    const begin = performance.now();
    await node.close();
    assert.ok(performance.now() - begin < 2000);
    await rejected;
    silent.destroy();
  });

  test("a session that is left with GOAWAY serves what it has begun", { timeout: 20_000 }, async () => {
    const node = await startTestNode();
    const sessionManager = new Http2Session(node.url);
    const client = createClient(createConnectTransport({ baseUrl: node.url, httpVersion: "2", sessionManager }));
    await client.log.append({ stream: "a", records });
    await node.close();
    await assert.rejects(client.log.append({ stream: "a", records }));
    sessionManager.close();
  });
});

describe("listening", () => {
  test("a port in use is told in words", async () => {
    const node = await startTestNode();
    await assert.rejects(startTestNode({ port: node.port }), (error) => {
      assert.ok(error instanceof ListenError);
      assert.equal(error.message, `Cannot listen on 127.0.0.1:${node.port}: the port is in use`);
      assert.match(error.todo, /another port/);
      return true;
    });
    await node.close();
  });

  test("connections that say nothing are closed after a while", { timeout: 20_000 }, async () => {
    const node = await startTestNode({ settings: { idleTimeoutMs: 300 } });
    const ended = (first: string) =>
      new Promise<void>((resolve) => {
        const socket = net.connect(node.port, "127.0.0.1", () => socket.write(first));
        socket.on("error", () => {});
        socket.on("close", () => resolve());
        socket.resume();
      });
    await Promise.all([
      ended(""),
      ended("G"),
      ended("GET / HTTP/1.1\r\nhost: x\r\nx:"),
      ended("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"),
    ]);
    await node.close();
  });

  test("an HTTP/2 client that shows no life is dropped, others stay", { timeout: 20_000 }, async () => {
    const node = await startTestNode({ settings: { pingIntervalMs: 300 } });
    const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const dropped = new Promise<void>((resolve) => {
      const socket = net.connect(node.port, "127.0.0.1", () => socket.write(Buffer.from(preface, "latin1")));
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.resume();
    });
    const sessionManager = new Http2Session(node.url);
    const client = createClient(createConnectTransport({ baseUrl: node.url, httpVersion: "2", sessionManager }));
    await client.log.append({ stream: "a", records });
    const begin = performance.now();
    const lives = (async () => {
      for await (const _ of client.log.tail({ streams: [{ stream: "a" }] }, { timeoutMs: 1500 }));
    })();
    await dropped;
    assert.ok(performance.now() - begin < 3000);
    await assert.rejects(lives, { code: Code.DeadlineExceeded });
    sessionManager.close();
    await node.close();
  });
});
