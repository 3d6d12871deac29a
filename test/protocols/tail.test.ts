import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { createClient, type TailraceClient } from "../../src/client/index.ts";
import { Http2Session } from "../../src/host/http2-session.ts";
import {
  Form,
  TailEndReasonSchema,
  type TailRequestSchema,
  type TailResponse,
} from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import { payloadOf } from "../support/streams.ts";
import { envelope } from "./support/raw-call.ts";
import { passed } from "./support/slow-streams.ts";
import { startTestNode, type TestNode } from "./support/test-node.ts";

let node: TestNode;
let session: Http2Session;
let client: TailraceClient;
before(async () => {
  node = await startTestNode({ limits: { batchMaxBytes: 8 << 20 } });
  session = new Http2Session(node.url);
  client = createClient(createGrpcTransport({ baseUrl: node.url, sessionManager: session, readMaxBytes: 32 << 20 }));
});
after(async () => {
  session.close();
  await node.close();
});

const earliest = { at: { case: "earliest" as const, value: true } };

async function append(stream: string, ...values: string[]): Promise<void> {
  await (await node.streams.getForAppend(stream)).append(payloadOf(...values));
}

/** A frame in few words. */
function words({ stream, frame }: TailResponse): string {
  switch (frame.case) {
    case "batch":
      return `${stream}: ${frame.value.records.map(({ value }) => new TextDecoder().decode(value)).join(" ")}`;
    case "heartbeat": {
      const { nextOffset, highWatermark, caughtUp } = frame.value;
      return `${stream}: at ${nextOffset} of ${highWatermark}${caughtUp ? ", caught up" : ""}`;
    }
    case "gap":
      return `${stream}: gap from ${frame.value.startOffset} to ${frame.value.nextOffset}`;
    case "end": {
      const { reason, nextOffset, all } = frame.value;
      const where = nextOffset === undefined ? "" : ` at ${nextOffset}`;
      return `${stream}: end${all ? " of all" : ""}, ${TailEndReasonSchema.value[reason]?.localName}${where}`;
    }
    case undefined:
      return "an unknown frame";
  }
}

interface OpenTail {
  /** The next frames, in words. */
  next(count: number): Promise<string[]>;
  /** How the tail ended. */
  ended: Promise<ConnectError | undefined>;
  abort(): void;
}

function tail(request: MessageInitShape<typeof TailRequestSchema>, by: TailraceClient = client): OpenTail {
  const abort = new AbortController();
  const frames: string[] = [];
  let wake = () => {};
  let isOver = false;
  const take = async () => {
    try {
      for await (const frame of by.log.tail(request, { signal: abort.signal })) {
        frames.push(words(frame));
        wake();
      }
      return undefined;
    } catch (error) {
      return ConnectError.from(error);
    } finally {
      isOver = true;
      wake();
    }
  };
  const ended = take();
  return {
    ended,
    abort: () => abort.abort(),
    async next(count) {
      while (frames.length < count && !isOver) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return frames.splice(0, count);
    },
  };
}

describe("Tail", { timeout: 30_000 }, () => {
  test("tells where it starts, what is there, when it has caught up, and what comes", async () => {
    await append("a", "one", "two");
    await append("a", "three");
    const open = tail({ streams: [{ stream: "a", start: { at: { case: "offset", value: 1n } } }] });
    assert.deepEqual(await open.next(4), ["0: at 1 of 3", "0: two", "0: three", "0: at 3 of 3, caught up"]);
    await append("a", "four");
    assert.deepEqual(await open.next(1), ["0: four"]);
    open.abort();
    assert.equal((await open.ended)?.code, Code.Canceled);
  });

  test("without a start it gives what comes after", async () => {
    await append("b", "old");
    const open = tail({ streams: [{ stream: "b" }] });
    assert.deepEqual(await open.next(1), ["0: at 1 of 1, caught up"]);
    await append("b", "new");
    assert.deepEqual(await open.next(1), ["0: new"]);
    open.abort();
  });

  test("a silent stream gets heartbeats", async () => {
    await append("c", "one");
    const begin = performance.now();
    const open = tail({ streams: [{ stream: "c" }], heartbeatMs: 100 });
    assert.deepEqual(await open.next(4), new Array(4).fill("0: at 1 of 1, caught up"));
    const tookMs = performance.now() - begin;
    assert.ok(tookMs > 250 && tookMs < 3000, `${tookMs} ms`);
    open.abort();
  });

  test("follows several streams, each to its end", async () => {
    await append("d", "d0", "d1");
    await append("e", "e0");
    const open = tail({
      streams: [
        { stream: "d", start: earliest, endOffset: 1n },
        { stream: "e", start: earliest, endOffset: 2n },
      ],
    });
    assert.deepEqual(await open.next(6), [
      "0: at 0 of 2",
      "1: at 0 of 1",
      "0: d0",
      "0: end, REACHED_END at 1",
      "1: e0",
      "1: at 1 of 1, caught up",
    ]);
    await append("e", "e1", "e2");
    assert.deepEqual(await open.next(3), ["1: e1", "1: end, REACHED_END at 2"]);
    assert.equal(await open.ended, undefined);
  });

  test("streams take turns, so that a long one does not hold up the others", async () => {
    for (let n = 0; n < 20; n++) await append("long", `l${n}`.padEnd(40, "."));
    for (let n = 0; n < 2; n++) await append("short", `s${n}`.padEnd(40, "."));
    const open = tail({
      streams: [
        { stream: "long", start: earliest },
        { stream: "short", start: earliest },
      ],
      maxBytes: 200,
    });
    const order = (await open.next(8)).slice(2).map((frame) => frame.slice(0, 5));
    assert.ok(order.indexOf("1: s0") < 4, order.join());
    assert.ok(order.indexOf("1: s1") < 6, order.join());
    open.abort();
  });

  test("ends when its stream is deleted, and says so", async () => {
    await append("f", "one");
    const open = tail({ streams: [{ stream: "f" }, { stream: "a" }] });
    await open.next(2);
    await node.streams.delete("f");
    assert.deepEqual(await open.next(1), ["0: end, DELETED at 1"]);
    await append("f", "of another stream");
    await append("a", "five");
    assert.deepEqual(await open.next(1), ["1: five"]);
    open.abort();
  });

  test("in form STORED control batches come too, each once", async () => {
    await append("g", "one");
    await append("g", "two");
    const seen: string[] = [];
    const abort = new AbortController();
    const request = { streams: [{ stream: "g", start: earliest }], form: Form.STORED, heartbeatMs: 100 };
    await assert.rejects(async () => {
      for await (const { frame } of client.log.tail(request, { signal: abort.signal })) {
        if (frame.case === "batch") {
          seen.push(`${frame.value.index} ${frame.value.kind} ${frame.value.recordCount}`);
          assert.equal(frame.value.header.length, 128);
        }
        if (frame.case === "heartbeat" && frame.value.caughtUp && seen.length === 4) await append("g", "three");
        if (seen.length === 5) abort.abort();
      }
    });
    assert.deepEqual(seen, ["0 1 0", "1 2 0", "2 0 1", "3 0 1", "4 0 1"]);
  });

  test("a client that does not read costs no memory", { timeout: 60_000 }, async () => {
    const value = "x".repeat(1_000_000);
    for (let n = 0; n < 40; n++) await append("big", value);
    const before = await readBytes();
    const clients = Array.from({ length: 4 }, () => deafTail("big"));
    await passed(1500);
    const given = (await readBytes()) - before;
    for (const one of clients) one.destroy();
    // What the sockets take is the system's; beside it one read of 1 MiB a tail.
    assert.ok(given < 64 << 20, `${given} bytes were read for clients that took none`);
  });
});

/** Asks for a tail over a connection that it never reads from. */
function deafTail(stream: string): net.Socket {
  const message = envelope(Buffer.from(JSON.stringify({ streams: [{ stream, start: { earliest: true } }] })));
  const socket = net.connect(node.port, "127.0.0.1");
  socket.pause();
  socket.on("error", () => {});
  socket.write(
    `POST /tailrace.v1.LogService/Tail HTTP/1.1\r\nhost: x\r\ncontent-type: application/connect+json\r\n` +
      `content-length: ${message.length}\r\n\r\n`,
  );
  socket.write(message);
  return socket;
}

async function readBytes(): Promise<number> {
  const [, bytes] = /^tailrace_read_bytes_total (\d+)$/m.exec(await node.registry.metrics()) ?? [];
  return Number(bytes);
}

test("clients that go in the middle of a tail leave nothing behind", { timeout: 60_000 }, async () => {
  await append("left", "one");
  const transports = [
    () => createGrpcTransport({ baseUrl: node.url, sessionManager: session }),
    () => createGrpcWebTransport({ baseUrl: node.url, httpVersion: "1.1" }),
    () => createConnectTransport({ baseUrl: node.url, httpVersion: "1.1" }),
    () => createConnectTransport({ baseUrl: node.url, httpVersion: "2", sessionManager: session }),
  ];
  const staying = tail({ streams: [{ stream: "left" }], heartbeatMs: 1000 });
  await staying.next(1);
  for (let round = 0; round < 50; round++) {
    const tails = transports.map((transport) => tail({ streams: [{ stream: "left" }] }, createClient(transport())));
    await Promise.all(tails.map((one) => one.next(1)));
    for (const one of tails) one.abort();
    await Promise.all(tails.map((one) => one.ended));
  }
  const gone = Array.from({ length: 20 }, () => {
    const own = new Http2Session(node.url);
    const by = createClient(createConnectTransport({ baseUrl: node.url, httpVersion: "2", sessionManager: own }));
    return { own, open: tail({ streams: [{ stream: "left" }] }, by) };
  });
  await Promise.all(gone.map(({ open }) => open.next(1)));
  for (const { own } of gone) own.close();
  await Promise.all(gone.map(({ open }) => open.ended));
  await append("left", "two");
  let [frame] = await staying.next(1);
  while (frame?.includes("caught up")) [frame] = await staying.next(1);
  assert.equal(frame, "0: two");
  staying.abort();
  await staying.ended;
  for (let tries = 0; tries < 50; tries++) {
    if (/^tailrace_tails 0$/m.test(await node.registry.metrics())) break;
    await passed(100);
  }
  const metrics = await node.registry.metrics();
  assert.match(metrics, /^tailrace_tails 0$/m);
  assert.match(metrics, /^tailrace_open_calls 0$/m);
  assert.deepEqual(node.logged, []);
});
