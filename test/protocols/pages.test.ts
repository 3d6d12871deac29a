/**
 * What browsers, load balancers and Prometheus ask.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { createClient } from "../../src/client/index.ts";
import { ErrorDetailSchema, Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { ReadRequestSchema } from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import { type RealNode, startRealNode } from "./support/real-node.ts";

let node: RealNode;
before(async () => {
  node = await startRealNode();
});
after(() => node.close());

const origin = "https://app.example";
const page = (path: string) => fetch(node.url + path);
const list = (header: string | null) => (header ?? "").split(",").map((name) => name.trim().toLowerCase());

describe("browsers", () => {
  const asked = [
    "connect-protocol-version",
    "connect-timeout-ms",
    "content-type",
    "grpc-timeout",
    "x-grpc-web",
    "x-user-agent",
    "authorization",
  ];
  for (const path of ["/tailrace.v1.LogService/Append", "/v1/streams/a/records"])
    test(`a preflight for ${path} lists all headers, and may be kept`, async () => {
      const response = await fetch(node.url + path, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": asked.join(",") },
      });
      assert.equal(response.status, 204);
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      const allowed = list(response.headers.get("access-control-allow-headers"));
      assert.deepEqual(
        asked.filter((name) => !allowed.includes(name)),
        [],
      );
      assert.ok(list(response.headers.get("access-control-allow-methods")).includes("post"));
      assert.ok(Number(response.headers.get("access-control-max-age")) > 0);
    });

  const contentTypes = ["application/proto", "application/json", "application/grpc-web+proto"];
  for (const contentType of contentTypes)
    test(`an answer to ${contentType} lets the page see status and details`, async () => {
      const message = toBinary(ReadRequestSchema, create(ReadRequestSchema, { stream: "gone" }));
      const framed = Uint8Array.of(0, 0, 0, 0, message.length, ...message);
      const body =
        contentType === "application/json" ? '{"stream":"gone"}' : contentType.includes("grpc") ? framed : message;
      const response = await fetch(`${node.url}/tailrace.v1.LogService/Read`, {
        method: "POST",
        headers: { origin, "content-type": contentType },
        body: typeof body === "string" ? body : new Uint8Array(body),
      });
      await response.arrayBuffer();
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      const exposed = list(response.headers.get("access-control-expose-headers"));
      for (const name of ["grpc-status", "grpc-message", "grpc-status-details-bin"])
        assert.ok(exposed.includes(name), name);
    });

  for (const [name, createTransport] of Object.entries({ createConnectTransport, createGrpcWebTransport }))
    test(`the web client gets code and detail: ${name}`, async () => {
      const client = createClient(createTransport({ baseUrl: node.url }));
      await assert.rejects(client.log.read({ stream: "gone" }), (error) => {
        const { code } = ConnectError.from(error);
        const [detail] = ConnectError.from(error).findDetails(ErrorDetailSchema);
        assert.deepEqual([code, detail?.reason], [Code.NotFound, Reason.STREAM_NOT_FOUND]);
        return true;
      });
      await client.log.append({ stream: `web/${name}`, records: [{ value: Uint8Array.of(1) }] });
      const frames = client.log.tail({
        streams: [{ stream: `web/${name}`, start: { at: { case: "earliest", value: true } }, endOffset: 1n }],
      });
      const seen: (string | undefined)[] = [];
      for await (const { frame } of frames) seen.push(frame.case);
      assert.deepEqual(seen, ["heartbeat", "batch", "end"]);
    });

  test("origins can be chosen", async () => {
    const strict = await startRealNode({}, { corsOrigins: [origin] });
    const allowed = async (from: string) => {
      const rpc = await fetch(`${strict.url}/tailrace.v1.LogService/Read`, {
        method: "POST",
        headers: { origin: from, "content-type": "application/json" },
        body: "{}",
      });
      const rest = await fetch(`${strict.url}/v1/streams/a/records`, { headers: { origin: from } });
      await Promise.all([rpc.arrayBuffer(), rest.arrayBuffer()]);
      return [rpc, rest].map(({ headers }) => headers.get("access-control-allow-origin"));
    };
    assert.deepEqual(await allowed(origin), [origin, origin]);
    assert.deepEqual(await allowed("https://evil.example"), [null, null]);
    await strict.close();
  });
});

describe("pages", () => {
  test("the first one says what to try", async () => {
    const response = await page("/");
    assert.match(await response.text(), new RegExp(`curl -X POST ${node.host}/v1/streams/hello/records`));
  });

  test("healthz, readyz and version", async () => {
    assert.equal(await (await page("/healthz")).text(), "ok\n");
    assert.deepEqual(await (await page("/readyz")).json(), { ready: true });
    const { name, version } = (await (await page("/version")).json()) as { name: string; version: string };
    assert.deepEqual([name, /^\d+\.\d+\.\d+/.test(version)], ["tailrace", true]);
  });

  test("HEAD is answered as GET, without a body", async () => {
    const response = await fetch(`${node.url}/healthz`, { method: "HEAD" });
    assert.deepEqual([response.status, await response.text()], [200, ""]);
  });

  test("metrics: no label is a user's, and no line is malformed", async () => {
    const client = createClient(createConnectTransport({ baseUrl: node.url }));
    for (const name of ['quote"', "back\\slash", "new\nline"]) {
      await assert.rejects(client.log.read({ stream: name }));
      await assert.rejects(client.streams.createStream({ name }));
    }
    const response = await page("/metrics");
    assert.match(response.headers.get("content-type") ?? "", /^text\/plain/);
    const samples = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    const sample = /^[a-z_][a-z0-9_]*(\{([a-z_]+="[A-Za-z0-9/_.+-]*",?)+\})? [0-9.e+-]+$/;
    assert.deepEqual(
      samples.filter((line) => !sample.test(line)),
      [],
    );
    assert.ok(
      samples.some((line) =>
        line.startsWith('tailrace_calls_total{rpc="LogService/Read",protocol="connect",code="invalid_argument"}'),
      ),
    );
  });
});
