import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { ErrorDetailSchema } from "../../../src/wire/gen/tailrace/v1/error_pb.ts";
import { asObject, type Caller, type CallOptions, methodOf, type Outcome } from "./callers.ts";

const definition = loadSync(["tailrace/v1/log.proto", "tailrace/v1/stream.proto", "tailrace/v1/cluster.proto"], {
  includeDirs: [fileURLToPath(new URL("../../../proto", import.meta.url))],
  longs: String,
});

/** A stock gRPC client, with the .proto files as any user of another language has them. */
export function grpcJsCaller(url: string): Caller {
  const client = new grpc.Client(new URL(url).host, grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": 32 << 20,
  });
  return {
    name: "grpc-js",
    canStreamRequests: true,
    close: () => client.close(),
    async call(rpc, requests, options) {
      const { input, output } = methodOf(rpc);
      const method = definedMethod(rpc);
      // JSON and what the library takes are two forms, so both ways go through bytes once more.
      const given = (Array.isArray(requests) ? requests : [requests]).map((request) =>
        method.requestDeserialize(Buffer.from(toBinary(input, fromJson(input, request)))),
      );
      const { messages, error } = await start(client, method, given, options ?? {});
      const answers = messages.map((message) =>
        asObject(toJson(output, fromBinary(output, method.responseSerialize(message)))),
      );
      return { answers, ...(error === undefined ? {} : { error }) };
    },
  };
}

function definedMethod(rpc: string): grpc.MethodDefinition<object, object> {
  const [service = "", method = ""] = rpc.split("/");
  const found = definition[`tailrace.v1.${service}`];
  assert.ok(found !== undefined && !("format" in found), rpc);
  const { [method]: described } = found as grpc.ServiceDefinition;
  assert.ok(described !== undefined, rpc);
  return described;
}

interface Messages {
  readonly messages: object[];
  readonly error?: Outcome["error"];
}

function start(
  client: grpc.Client,
  method: grpc.MethodDefinition<object, object>,
  requests: object[],
  { timeoutMs, signal }: CallOptions,
): Promise<Messages> {
  const { path, requestSerialize, responseDeserialize } = method;
  const options = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
  const [request = {}] = requests;
  return new Promise((resolve) => {
    const messages: object[] = [];
    const fail = (error: grpc.ServiceError) => resolve({ messages, error: explain(error) });
    if (!method.responseStream) {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, options, (error, answer) => {
        if (error !== null) fail(error);
        else resolve({ messages: answer === undefined ? [] : [answer] });
      });
      return;
    }
    const listen = (call: grpc.ClientReadableStream<object> | grpc.ClientDuplexStream<object, object>) => {
      signal?.addEventListener("abort", () => call.cancel());
      call.on("data", (answer: object) => messages.push(answer));
      call.on("error", fail);
      call.on("end", () => resolve({ messages }));
    };
    if (!method.requestStream) {
      listen(client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, options));
      return;
    }
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, options);
    listen(call);
    for (const one of requests) call.write(one);
    call.end();
  });
}

function explain(error: grpc.ServiceError): NonNullable<Outcome["error"]> {
  const headers = new Headers({ "grpc-status": String(error.code) });
  const [details] = error.metadata.get("grpc-status-details-bin");
  if (details !== undefined) headers.set("grpc-status-details-bin", Buffer.from(details).toString("base64"));
  const parsed = findTrailerError(headers);
  assert.ok(parsed !== undefined);
  const [detail] = parsed.findDetails(ErrorDetailSchema);
  return { code: codeToString(parsed.code), message: error.details, detail };
}
