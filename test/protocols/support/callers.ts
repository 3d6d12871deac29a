/**
 * One caller a protocol and client library, all of one shape, so that a case is data and is tried on each. Requests and
 * answers are proto3 JSON, whatever goes over the wire.
 * @module
 */
import assert from "node:assert/strict";
import { type DescMethod, fromJson, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { ConnectError, type Transport } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Http2Session } from "../../../src/host/http2-session.ts";
import { ClusterService } from "../../../src/wire/gen/tailrace/v1/cluster_pb.ts";
import { type ErrorDetail, ErrorDetailSchema } from "../../../src/wire/gen/tailrace/v1/error_pb.ts";
import { LogService } from "../../../src/wire/gen/tailrace/v1/log_pb.ts";
import { StreamService } from "../../../src/wire/gen/tailrace/v1/stream_pb.ts";
import { grpcJsCaller } from "./grpc-js-caller.ts";
import { jsonOverHttp1, jsonOverHttp2 } from "./json-callers.ts";

/** What a call came to. */
export interface Outcome {
  /** Answers, in order; one for a unary call. */
  readonly answers: JsonObject[];
  readonly error?: { readonly code: string; readonly message: string; readonly detail: ErrorDetail | undefined };
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface Caller {
  readonly name: string;
  /** Whether it can stream requests: HTTP/2 only. */
  readonly canStreamRequests: boolean;
  /** @param rpc Such as `LogService/Read`. @param requests One, or several for a stream of them. */
  call(rpc: string, requests: JsonObject | JsonObject[], options?: CallOptions): Promise<Outcome>;
  close(): void;
}

const methods = new Map(
  [LogService, StreamService, ClusterService].flatMap((service) =>
    service.methods.map((method) => [`${service.name}/${method.name}`, method]),
  ),
);

/** The method, such as `LogService/Read`. */
export function methodOf(rpc: string): DescMethod {
  const method = methods.get(rpc);
  assert.ok(method !== undefined, rpc);
  return method;
}

/** Callers of all protocols. The first and those with protobuf over Connect go the server's short way. */
export function allCallers(baseUrl: string): Caller[] {
  const common = { baseUrl, readMaxBytes: 32 << 20, acceptCompression: [] };
  const http1 = { ...common, httpVersion: "1.1" as const };
  const overHttp2 = (name: string, make: (http2: typeof common & { sessionManager: Http2Session }) => Transport) => {
    const sessionManager = new Http2Session(baseUrl);
    return connectCaller(name, make({ ...common, sessionManager }), true, () => sessionManager.close());
  };
  const gzip = { acceptCompression: [compressionGzip], sendCompression: compressionGzip, compressMinBytes: 0 };
  return [
    overHttp2("gRPC", (http2) => createGrpcTransport(http2)),
    overHttp2("gRPC with JSON", (http2) => createGrpcTransport({ ...http2, useBinaryFormat: false })),
    overHttp2("gRPC with gzip", (http2) => createGrpcTransport({ ...http2, ...gzip })),
    grpcJsCaller(baseUrl),
    connectCaller("gRPC-Web over HTTP/1.1", createGrpcWebTransport(http1), false),
    overHttp2("gRPC-Web over HTTP/2", (http2) => createGrpcWebTransport({ ...http2, httpVersion: "2" })),
    connectCaller("Connect over HTTP/1.1", createConnectTransport({ ...http1, useBinaryFormat: true }), false),
    overHttp2("Connect over HTTP/2", (http2) =>
      createConnectTransport({ ...http2, httpVersion: "2", useBinaryFormat: true }),
    ),
    overHttp2("Connect JSON over HTTP/2, by GET where it can", (http2) =>
      createConnectTransport({ ...http2, httpVersion: "2", useBinaryFormat: false, useHttpGet: true }),
    ),
    jsonOverHttp1(baseUrl),
    jsonOverHttp2(baseUrl),
  ];
}

/** What `allCallers` will give, in its order, for tests that are made before there is a node. */
export function callerKinds(): Pick<Caller, "name" | "canStreamRequests">[] {
  return allCallers("http://127.0.0.1:9").map((caller) => {
    caller.close();
    return { name: caller.name, canStreamRequests: caller.canStreamRequests };
  });
}

function connectCaller(name: string, transport: Transport, canStreamRequests: boolean, close = () => {}): Caller {
  return {
    name,
    canStreamRequests,
    close,
    async call(rpc, requests, { signal, timeoutMs } = {}) {
      const method = methodOf(rpc);
      const answers: JsonObject[] = [];
      const add = (message: Parameters<typeof toJson>[1]) => answers.push(asObject(toJson(method.output, message)));
      const inputs = (Array.isArray(requests) ? requests : [requests]).map((request) =>
        fromJson(method.input, request),
      );
      const [input] = inputs;
      assert.ok(input !== undefined);
      const { methodKind } = method;
      try {
        if (methodKind === "unary") {
          add((await transport.unary({ ...method, methodKind }, signal, timeoutMs, undefined, input)).message);
        } else {
          const stream = await transport.stream({ ...method, methodKind }, signal, timeoutMs, undefined, each(inputs));
          for await (const message of stream.message) add(message);
        }
        return { answers };
      } catch (cause) {
        const error = ConnectError.from(cause);
        const [detail] = error.findDetails(ErrorDetailSchema);
        return { answers, error: { code: codeToString(error.code), message: error.rawMessage, detail } };
      }
    },
  };
}

async function* each<T>(items: T[]): AsyncGenerator<T> {
  yield* items;
}

export function asObject(value: JsonValue): JsonObject {
  assert.ok(typeof value === "object" && value !== null && !Array.isArray(value));
  return value;
}
