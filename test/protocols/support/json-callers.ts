import assert from "node:assert/strict";
import http2 from "node:http2";
import type { JsonObject } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToString, errorFromJson } from "@connectrpc/connect/protocol-connect";
import { ErrorDetailSchema } from "../../../src/wire/gen/tailrace/v1/error_pb.ts";
import { asObject, type Caller, methodOf, type Outcome } from "./callers.ts";

/** Plain fetch: what a script without any library does. Streams of answers are read as Connect frames them. */
export function jsonOverHttp1(url: string): Caller {
  return {
    name: "JSON by fetch over HTTP/1.1",
    canStreamRequests: false,
    close() {},
    async call(rpc, requests, { timeoutMs, signal } = {}) {
      const { headers, body, isStream } = requestOf(rpc, requests, timeoutMs);
      const options = signal === undefined ? {} : { signal };
      const response = await fetch(`${url}/tailrace.v1.${rpc}`, { method: "POST", headers, body, ...options });
      return outcomeOf(response.status, new Uint8Array(await response.arrayBuffer()), isStream);
    },
  };
}

/** The same over HTTP/2, by node:http2. */
export function jsonOverHttp2(url: string): Caller {
  const session = http2.connect(url);
  session.on("error", () => {});
  return {
    name: "JSON over HTTP/2",
    canStreamRequests: false,
    close: () => session.destroy(),
    call(rpc, requests, { timeoutMs, signal } = {}) {
      const { headers, body, isStream } = requestOf(rpc, requests, timeoutMs);
      return new Promise((resolve, reject) => {
        const stream = session.request({ ":method": "POST", ":path": `/tailrace.v1.${rpc}`, ...headers });
        const chunks: Buffer[] = [];
        let status = 0;
        signal?.addEventListener("abort", () => stream.close(http2.constants.NGHTTP2_CANCEL));
        stream.on("response", (response) => {
          status = Number(response[":status"]);
        });
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("error", reject);
        stream.on("end", () => resolve(outcomeOf(status, Buffer.concat(chunks), isStream)));
        stream.end(body);
      });
    },
  };
}

function requestOf(rpc: string, requests: JsonObject | JsonObject[], timeoutMs: number | undefined) {
  const isStream = methodOf(rpc).methodKind !== "unary";
  const timeout = timeoutMs === undefined ? {} : { "connect-timeout-ms": String(timeoutMs) };
  const headers = { "content-type": isStream ? "application/connect+json" : "application/json", ...timeout };
  assert.ok(!Array.isArray(requests), "HTTP/1.1 streams no requests");
  const message = Buffer.from(JSON.stringify(requests));
  return { isStream, headers, body: new Uint8Array(isStream ? framed(message) : message) };
}

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function outcomeOf(status: number, body: Uint8Array, isStream: boolean): Outcome {
  if (isStream && status === 200) return outcomeOfFrames(Buffer.from(body));
  const parsed = asObject(JSON.parse(new TextDecoder().decode(body)));
  return status === 200 ? { answers: [parsed] } : { answers: [], error: explain(parsed) };
}

function outcomeOfFrames(body: Buffer): Outcome {
  const answers: JsonObject[] = [];
  for (let at = 0; at < body.length; ) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    const message = asObject(JSON.parse(body.toString("utf8", at + 5, end)));
    const isEnd = body[at] === 2;
    if (isEnd && message["error"] !== undefined) return { answers, error: explain(asObject(message["error"])) };
    if (isEnd) return { answers };
    answers.push(message);
    at = end;
  }
  throw new Error("the stream ended without an end frame");
}

function explain(json: JsonObject): NonNullable<Outcome["error"]> {
  const error = errorFromJson(json, undefined, new ConnectError("not an error of Connect", Code.Unknown));
  const [detail] = error.findDetails(ErrorDetailSchema);
  return { code: codeToString(error.code), message: error.rawMessage, detail };
}
