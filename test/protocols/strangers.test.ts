/**
 * What no well-meaning client sends: each is answered in words, and the next call on the node works.
 */
import assert from "node:assert/strict";
import http2 from "node:http2";
import net from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { AppendRequestSchema } from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import { envelope, type RawRequest, rawCall, rawRequest } from "./support/raw-call.ts";
import { passed } from "./support/slow-streams.ts";
import { startTestNode, type TestNode } from "./support/test-node.ts";

const requestMaxBytes = 64 << 10;
let node: TestNode;
before(async () => {
  node = await startTestNode({
    limits: { requestMaxBytes, batchMaxBytes: 32 << 10, recordMaxBytes: 32 << 10 },
    settings: { bodyTimeoutMs: 400, connectionsMax: 150 },
  });
});
after(() => node.close());

const good = toBinary(AppendRequestSchema, create(AppendRequestSchema, { stream: "s", records: [{}] }));
afterEach(async () => {
  assert.equal((await rawCall(node.url, "LogService/Append", "application/grpc", good)).error, undefined);
  assert.deepEqual(node.logged, []);
});

const append = "/tailrace.v1.LogService/Append";
const tailPath = "/tailrace.v1.LogService/Tail";
const appendStream = "/tailrace.v1.LogService/AppendStream";
/** The end of a message that claims to be so long. */
const claims = (length: number, flags = 0) => Uint8Array.of(flags, length >>> 24, length >>> 16, length >>> 8, length);
/** Of exactly so many bytes, with a field that is not known, and too many records to be taken. */
const ofSize = (bytes: number) => {
  const filled = new Uint8Array(bytes);
  filled.set([0xfa, 0x01, 0x80 | ((bytes - 5) & 0x7f), 0x80 | (((bytes - 5) >> 7) & 0x7f), (bytes - 5) >> 14]);
  return filled;
};

interface Case {
  readonly name: string;
  readonly request: RawRequest;
  readonly status?: number;
  readonly answer: RegExp;
}

const garbage = Uint8Array.of(0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
const grpc = { "content-type": "application/grpc", te: "trailers" };
const web = { "content-type": "application/grpc-web+proto" };
const proto = { "content-type": "application/proto" };
const json = { "content-type": "application/json" };
const connectJson = { "content-type": "application/connect+json" };
const invalid = /(grpc-status[": ]+3\b|"code":"invalid_argument").*(details-bin|"details")/s;
const exhausted = /(grpc-status[": ]+8\b|"code":"resource_exhausted").*(details-bin|"details")/s;
const unimplemented = /(grpc-status[": ]+12\b|"code":"unimplemented")/s;

const cases: Case[] = [
  { name: "gRPC: garbage", request: { path: append, headers: grpc, body: envelope(garbage) }, answer: invalid },
  { name: "gRPC-Web: garbage", request: { path: append, headers: web, body: envelope(garbage) }, answer: invalid },
  { name: "Connect: garbage", request: { path: append, headers: proto, body: garbage }, answer: invalid, status: 400 },
  {
    name: "Connect: a name that is not UTF-8",
    request: { path: append, headers: proto, body: Uint8Array.of(0x12, 1, 0xff) },
    answer: invalid,
    status: 400,
  },
  {
    name: "gRPC: garbage for a tail",
    request: { path: tailPath, headers: grpc, body: envelope(garbage) },
    answer: invalid,
  },
  {
    name: "gRPC: garbage in a stream of appends",
    request: { path: appendStream, headers: grpc, body: envelope(garbage) },
    answer: invalid,
  },
  {
    name: "JSON: no JSON",
    request: { path: append, headers: json, body: Buffer.from("{nope") },
    answer: invalid,
    status: 400,
  },
  {
    name: "JSON: a count below 0",
    request: {
      path: "/tailrace.v1.LogService/Read",
      headers: json,
      body: Buffer.from('{"stream":"s","maxRecords":-1}'),
    },
    answer: invalid,
    status: 400,
  },
  {
    name: "JSON: half an offset",
    request: {
      path: "/tailrace.v1.LogService/Read",
      headers: json,
      body: Buffer.from('{"stream":"s","start":{"offset":1.5}}'),
    },
    answer: invalid,
    status: 400,
  },
  {
    name: "JSON: an offset that a parser rounds",
    request: {
      path: "/tailrace.v1.LogService/Read",
      headers: json,
      body: Buffer.from('{"stream":"s","start":{"offset":9007199254740993}}'),
    },
    answer: invalid,
    status: 400,
  },
  {
    name: "JSON: no JSON for a tail",
    request: { path: tailPath, headers: connectJson, body: envelope(Buffer.from("[")) },
    answer: invalid,
  },
  {
    name: "gRPC: no message",
    request: { path: append, headers: grpc, body: new Uint8Array(0) },
    answer: unimplemented,
  },
  { name: "gRPC: half a prefix", request: { path: append, headers: grpc, body: Uint8Array.of(0, 0) }, answer: invalid },
  {
    name: "gRPC: half a message",
    request: { path: append, headers: grpc, body: envelope(good).subarray(0, -1) },
    answer: invalid,
  },
  {
    name: "gRPC: two messages",
    request: { path: append, headers: grpc, body: Buffer.concat([envelope(good), envelope(good)]) },
    answer: unimplemented,
  },
  {
    name: "gRPC: marked as compressed, with no word on how",
    request: { path: append, headers: grpc, body: envelope(good, 1) },
    answer: invalid,
  },
  {
    name: "gRPC: an unknown compression",
    request: { path: append, headers: { ...grpc, "grpc-encoding": "snappy" }, body: envelope(good, 1) },
    answer: unimplemented,
  },
  {
    name: "gRPC: a message that claims 4 GiB",
    request: { path: append, headers: grpc, body: claims(2 ** 32 - 1), isOpen: true },
    answer: exhausted,
  },
  {
    name: "gRPC-Web: a message that claims 4 GiB",
    request: { path: append, headers: web, body: claims(2 ** 32 - 1), isOpen: true },
    answer: exhausted,
  },
  {
    name: "gRPC: a message in a stream that claims 4 GiB",
    request: { path: appendStream, headers: grpc, body: claims(2 ** 32 - 1), isOpen: true },
    answer: exhausted,
  },
  {
    name: "gRPC: a tail's request that claims 4 GiB",
    request: { path: tailPath, headers: grpc, body: claims(2 ** 32 - 1), isOpen: true },
    answer: exhausted,
  },
  {
    name: "Connect: a length that is too much",
    request: { path: append, headers: { ...proto, "content-length": String(2 ** 40) }, body: garbage, isOpen: true },
    answer: exhausted,
    status: 429,
  },
  {
    name: "gRPC: one byte too much",
    request: { path: append, headers: grpc, body: envelope(ofSize(requestMaxBytes + 1)) },
    answer: exhausted,
  },
  {
    name: "Connect: one byte too much",
    request: { path: append, headers: proto, body: ofSize(requestMaxBytes + 1) },
    answer: exhausted,
    status: 429,
  },
  {
    name: "gRPC: exactly as much as may be",
    request: { path: append, headers: grpc, body: envelope(ofSize(requestMaxBytes)) },
    answer: invalid,
  },
  {
    name: "Connect: exactly as much as may be",
    request: { path: append, headers: proto, body: ofSize(requestMaxBytes) },
    answer: invalid,
    status: 400,
  },
  {
    name: "gRPC with gzip: too much once unpacked",
    request: {
      path: append,
      headers: { ...grpc, "grpc-encoding": "gzip" },
      body: envelope(gzipSync(new Uint8Array(1 << 20)), 1),
    },
    answer: exhausted,
  },
  {
    name: "Connect with gzip: too much once unpacked",
    request: {
      path: append,
      headers: { ...proto, "content-encoding": "gzip" },
      body: gzipSync(new Uint8Array(1 << 20)),
    },
    answer: exhausted,
    status: 429,
  },
  {
    name: "gRPC with gzip: no gzip",
    request: { path: append, headers: { ...grpc, "grpc-encoding": "gzip" }, body: envelope(garbage, 1) },
    answer: invalid,
  },
  {
    name: "gRPC: a body that does not come",
    request: { path: append, headers: grpc, body: claims(100), isOpen: true },
    answer: exhausted,
  },
  {
    name: "gRPC-Web: a body that does not come",
    request: { path: append, headers: web, body: claims(100), isOpen: true },
    answer: exhausted,
  },
  {
    name: "Connect: a body that does not come",
    request: { path: append, headers: proto, isOpen: true },
    answer: exhausted,
    status: 429,
  },
  {
    name: "JSON: a body that does not come",
    request: { path: append, headers: json, body: Buffer.from("{"), isOpen: true },
    answer: exhausted,
    status: 429,
  },
  {
    name: "a tail's request that does not come",
    request: { path: tailPath, headers: grpc, body: claims(100), isOpen: true },
    answer: exhausted,
  },
  {
    name: "the content type of a form",
    request: {
      path: append,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: Buffer.from("a=b"),
    },
    answer: /application\/json/,
    status: 415,
  },
  { name: "no content type", request: { path: append, body: good }, answer: /application\/json/, status: 415 },
  {
    name: "a stream's content type for a unary call",
    request: { path: append, headers: connectJson, body: envelope(good) },
    answer: /application\/json/,
    status: 415,
  },
  {
    name: "a unary call's content type for a stream",
    request: { path: tailPath, headers: json, body: Buffer.from("{}") },
    answer: /application\/connect\+json/,
    status: 415,
  },
  {
    name: "GET on what has side effects",
    request: { path: `${append}?connect=v1&encoding=json&message={}`, method: "GET" },
    answer: /use POST/,
    status: 405,
  },
  {
    name: "gRPC: an unknown method",
    request: { path: "/tailrace.v1.LogService/Nope", headers: grpc, body: envelope(good) },
    answer: unimplemented,
  },
  {
    name: "gRPC: an unknown service",
    request: { path: "/grpc.health.v1.Health/Check", headers: grpc, body: envelope(new Uint8Array(0)) },
    answer: unimplemented,
  },
  {
    name: "gRPC-Web: an unknown method",
    request: { path: "/tailrace.v1.LogService/Nope", headers: web, body: envelope(good) },
    answer: unimplemented,
  },
  {
    name: "Connect: an unknown method",
    request: { path: "/tailrace.v1.LogService/Nope", headers: proto, body: good },
    answer: unimplemented,
    status: 404,
  },
  { name: "an unknown path", request: { path: "/nope", method: "GET" }, answer: /"code":"not_found"/, status: 404 },
  {
    name: "PUT on an RPC",
    request: { path: append, method: "PUT", headers: json, body: Buffer.from("{}") },
    answer: /not_found/,
    status: 404,
  },
];

describe("over HTTP/2", () => {
  for (const { name, request, answer, status = 200 } of cases)
    test(name, { timeout: 20_000 }, async () => {
      const begin = performance.now();
      const got = await rawRequest(node.url, request);
      assert.ok(performance.now() - begin < 1500, "it is answered at once");
      assert.equal(got.status, status);
      assert.match(got.body.toString("latin1") + JSON.stringify(got.trailers) + JSON.stringify(got.headers), answer);
    });

  test("headers that are too large cost that request only", { timeout: 20_000 }, async () => {
    const session = http2.connect(node.url);
    session.on("error", () => {});
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`x-${at}`, "v".repeat(3 << 10)]));
    const refused = new Promise<unknown>((resolve) => {
      const stream = session.request({ ":method": "GET", ":path": "/healthz", ...many });
      stream.on("response", (headers) => resolve(headers[":status"]));
      stream.on("error", resolve);
      stream.on("close", () => resolve("closed"));
      stream.end();
    });
    assert.notEqual(await refused, 200);
    session.destroy();
    const token = { authorization: `Bearer ${"t".repeat(20 << 10)}`, ...grpc };
    const got = await rawRequest(node.url, { path: append, headers: token, body: envelope(good) });
    assert.equal(got.trailers["grpc-status"], "0");
  });

  test("a hundred slow senders of a false length are all refused at once", { timeout: 30_000 }, async () => {
    const request = { path: append, headers: grpc, body: claims(2 ** 32 - 1), isOpen: true };
    const begin = performance.now();
    const answers = await Promise.all(Array.from({ length: 100 }, () => rawRequest(node.url, request)));
    assert.ok(performance.now() - begin < 5000);
    assert.deepEqual(new Set(answers.map(({ trailers }) => trailers["grpc-status"])), new Set(["8"]));
  });
});

/** Writes to a connection of its own and gives what comes back until it is closed, or a while has passed. */
function rawBytes(parts: (string | number)[], whileMs = 2000): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(node.port, "127.0.0.1");
    const chunks: Buffer[] = [];
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(chunks).toString("latin1"));
    };
    const timer = setTimeout(done, whileMs);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", done);
    socket.on("close", done);
    void (async () => {
      for (const part of parts) {
        if (typeof part === "number") await passed(part);
        else if (!socket.destroyed) socket.write(Buffer.from(part, "latin1"));
      }
    })();
  });
}

describe("over HTTP/1.1 and less", () => {
  const post = (headers: string, path = append) => `POST ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n\r\n`;
  const rows: { name: string; parts: (string | number)[]; answer: RegExp }[] = [
    { name: "no HTTP at all", parts: ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], answer: /^HTTP\/1.1 400 / },
    {
      name: "a header without end",
      parts: [`GET / HTTP/1.1\r\nx: ${"a".repeat(200 << 10)}\r\n\r\n`],
      answer: /^HTTP\/1.1 431 /,
    },
    {
      name: "bytes one by one",
      parts: ["G", 20, "E", 20, "T", 20, " /healthz HTTP/1.1\r\n", 20, "host: x\r\nconnection: close\r\n\r\n"],
      answer: /^HTTP\/1.1 200 OK\r\n.*ok\n$/s,
    },
    { name: "no host", parts: ["GET /healthz HTTP/1.0\r\n\r\n"], answer: /^HTTP\/1.1 200 OK\r\n.*ok\n/s },
    {
      name: "a length that is too much",
      parts: [post("content-type: application/proto\r\ncontent-length: 99999999999")],
      answer: /^HTTP\/1.1 429 .*request_max_bytes/s,
    },
    {
      name: "a body without length that is too much",
      parts: [
        post("content-type: application/proto\r\ntransfer-encoding: chunked"),
        `11170\r\n${"x".repeat(70000)}\r\n`,
      ],
      answer: /^HTTP\/1.1 429 .*request_max_bytes/s,
    },
    {
      name: "a body that does not come",
      parts: [post("content-type: application/proto\r\ncontent-length: 9"), "x"],
      answer: /^HTTP\/1.1 429 .*body_timeout_ms/s,
    },
    {
      name: "JSON that does not come",
      parts: [post("content-type: application/json\r\ncontent-length: 9"), "{"],
      answer: /^HTTP\/1.1 429 .*body_timeout_ms/s,
    },
    {
      name: "a stream of requests",
      parts: [post("content-type: application/connect+json\r\ncontent-length: 0", appendStream)],
      answer: /^HTTP\/1.1 505 /,
    },
    {
      name: "a REST body that is too much",
      parts: [post("content-type: text/plain\r\ncontent-length: 99999999", "/v1/streams/s/records")],
      answer: /^HTTP\/1.1 413 .*request_max_bytes/s,
    },
    {
      name: "a REST body that does not come",
      parts: [post("content-type: text/plain\r\ncontent-length: 9", "/v1/streams/s/records"), "x"],
      answer: /^HTTP\/1.1 (429|413) .*body_timeout_ms/s,
    },
    {
      name: "a path with a backslash",
      parts: ["GET /v1/streams/a\\b/records HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"],
      answer: /^HTTP\/1.1 400 /,
    },
    {
      name: "a host that is none",
      parts: ["GET /healthz HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n"],
      answer: /^HTTP\/1.1 400 /,
    },
  ];
  for (const { name, parts, answer } of rows)
    test(name, { timeout: 20_000 }, async () => assert.match(await rawBytes(parts), answer));

  test("an answer to a request that was cut short leaves the connection of no use", { timeout: 20_000 }, async () => {
    const request = post("content-type: application/proto\r\ncontent-length: 99999999");
    assert.match(await rawBytes([request]), /\r\nconnection: close\r\n/i);
  });

  test("connections beyond the limit are closed, and counted", { timeout: 30_000 }, async () => {
    const sockets = Array.from({ length: 170 }, () => net.connect(node.port, "127.0.0.1").on("error", () => {}));
    await passed(500);
    const metrics = await node.registry.metrics();
    for (const socket of sockets) socket.destroy();
    const [, refused] = /^tailrace_connections_refused_total (\d+)$/m.exec(metrics) ?? [];
    assert.ok(Number(refused) >= 20, `${refused} were refused`);
    await passed(300);
  });
});

describe("requests that come in slowly, many at once", () => {
  const ways = [
    { name: "gRPC", headers: grpc, body: Buffer.concat([claims(60_000), new Uint8Array(40_000)]) },
    { name: "gRPC-Web", headers: web, body: Buffer.concat([claims(60_000), new Uint8Array(40_000)]) },
    { name: "JSON", headers: json, body: Buffer.from(`{"stream":"${"s".repeat(40_000)}`) },
    { name: "REST", headers: { "content-type": "text/plain" }, body: new Uint8Array(40_000) },
  ];
  for (const { name, headers, body } of ways)
    test(`${name}: no more than the limit is held, and all is given back`, { timeout: 20_000 }, async () => {
      const own = await startTestNode({ settings: { requestBodiesMaxBytes: 100_000, bodyTimeoutMs: 1500 } });
      const path = name === "REST" ? "/v1/streams/s/records" : append;
      const ask = () => rawRequest(own.url, { path, headers, body, isOpen: true });
      const answers = await Promise.all([ask(), ask(), ask(), ask()]);
      const told = answers.map((answer) => answer.body.toString("latin1") + JSON.stringify(answer.trailers));
      const refused = told.filter((one) => one.includes("request_bodies_max_bytes"));
      assert.deepEqual([refused.length, told.filter((one) => one.includes("body_timeout_ms")).length], [2, 2]);
      assert.equal((await rawCall(own.url, "LogService/Append", "application/grpc", good)).error, undefined);
      const large = await ask();
      assert.match(large.body.toString("latin1") + JSON.stringify(large.trailers), /body_timeout_ms/);
      await own.close();
    });
});

test("no call is left behind", { timeout: 20_000 }, async () => {
  await passed(800);
  assert.match(await node.registry.metrics(), /^tailrace_open_calls 0$/m);
});
