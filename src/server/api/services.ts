/**
 * The RPCs as connect's router takes them: each parses, calls one handler, and maps the answer.
 * @module
 */
import { create, isMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { type ConnectRouter, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { present } from "../../base/assert.ts";
import { ClusterService } from "../../wire/gen/tailrace/v1/cluster_pb.ts";
import {
  AppendRequestSchema,
  AppendStreamRequestSchema,
  type AppendStreamResponse,
  AppendStreamResponseSchema,
  LogService,
  type ReadRequest,
  type ReadResponse,
  type TailRequest,
  type TailResponse,
} from "../../wire/gen/tailrace/v1/log_pb.ts";
import { type Record, RecordsSchema } from "../../wire/gen/tailrace/v1/record_pb.ts";
import { StreamService } from "../../wire/gen/tailrace/v1/stream_pb.ts";
import { appendMethod, appendStreamMethod, recordsAside } from "../../wire/records-aside.ts";
import { appendResponse, type Encoding, readResponse, tailResponse } from "./answers.ts";
import { append } from "./append.ts";
import { appendStream } from "./append-stream.ts";
import { cacheControl } from "./caching.ts";
import type { Call } from "./call.ts";
import { createStream, deleteStream, getStream, listStreams, trimStream, updateStream } from "./catalogue.ts";
import { addVoter, getServers, removeVoter, transferLeadership, watchServers } from "./cluster.ts";
import type { ApiContext } from "./context.ts";
import { fence } from "./fence.ts";
import { read } from "./read.ts";
import { type AppendCommand, appendCommand, formOf, readQuery, streamIdOf, tailQuery } from "./requests.ts";
import { tail } from "./tail.ts";

/** Where the call is found that a request belongs to. */
export const callKey = createContextKey<Call | undefined>(undefined, { description: "the call" });

/** Adds all RPCs to a router that sees requests in one encoding only. */
export function addServices(router: ConnectRouter, api: ApiContext, encoding: Encoding): void {
  switch (encoding) {
    case "json":
      addAppends(router, api);
      break;
    case "protobuf":
      addAppendsOfBytes(router, api);
      break;
  }
  router.rpc(LogService.method.read, (request, context) => readOnce(api, request, context, encoding));
  router.rpc(LogService.method.tail, (request, context) => tailFrames(api, request, context, encoding));
  router.rpc(LogService.method.fence, (request, context) => mapped(api, context, (call) => fence(api, request, call)));
  router.service(StreamService, {
    createStream: (request, context) => mapped(api, context, (call) => createStream(api, request, call)),
    updateStream: (request, context) => mapped(api, context, (call) => updateStream(api, request, call)),
    getStream: (request, context) => mapped(api, context, (call) => getStream(api, request, call)),
    listStreams: (request, context) => mapped(api, context, (call) => listStreams(api, request, call)),
    deleteStream: (request, context) => mapped(api, context, (call) => deleteStream(api, request, call)),
    trimStream: (request, context) => mapped(api, context, (call) => trimStream(api, request, call)),
  });
  router.service(ClusterService, {
    getServers: (request, context) => mapped(api, context, (call) => getServers(api, request, call)),
    watchServers: (request, context) => watchServers(api, request, callOf(context)),
    addVoter: (request, context) => mapped(api, context, (call) => addVoter(api, request, call)),
    removeVoter: (request, context) => mapped(api, context, (call) => removeVoter(api, request, call)),
    transferLeadership: (request, context) => mapped(api, context, (call) => transferLeadership(api, request, call)),
  });
}

/** Appends whose records came as JSON: the only ones that the server encodes. */
function addAppends(router: ConnectRouter, api: ApiContext): void {
  const { append: unary, appendStream: stream } = LogService.method;
  router.rpc(unary, async (request, context) => {
    const command = () => appendCommand(request, encoded(request.records));
    return appendResponse(await append(api, command, callOf(context)));
  });
  router.rpc(stream, (requests, context) => {
    const commands = mapEach(requests, (request) => appendCommand(request, encoded(request.records)));
    return appendResponses(api, commands, context);
  });
}

/** Appends whose records are the request's own bytes. */
function addAppendsOfBytes(router: ConnectRouter, api: ApiContext): void {
  const command = (request: Message) => {
    const isAppend = isMessage(request, AppendRequestSchema) || isMessage(request, AppendStreamRequestSchema);
    const known = present(isAppend ? request : undefined, "the request is an append");
    return appendCommand(known, recordsAside(request));
  };
  router.rpc(appendMethod, async (request: Message, context: HandlerContext) =>
    appendResponse(await append(api, () => command(request), callOf(context))),
  );
  router.rpc(appendStreamMethod, (requests: AsyncIterable<Message>, context: HandlerContext) =>
    appendResponses(api, mapEach(requests, command), context),
  );
}

async function* appendResponses(
  api: ApiContext,
  commands: AsyncIterable<() => AppendCommand>,
  context: HandlerContext,
): AsyncGenerator<AppendStreamResponse> {
  for await (const receipt of appendStream(api, commands, callOf(context))) {
    yield create(AppendStreamResponseSchema, { appended: appendResponse(receipt) });
  }
}

async function readOnce(
  api: ApiContext,
  request: ReadRequest,
  context: HandlerContext,
  encoding: Encoding,
): Promise<ReadResponse> {
  const answer = await read(api, () => readQuery(request, api.limits), callOf(context));
  if (context.requestMethod === "GET") {
    const { streamId } = streamIdOf(request.streamId, "stream_id");
    context.responseHeader.set("cache-control", cacheControl(answer, streamId));
  }
  return readResponse(answer, formOf(request.form), encoding);
}

async function* tailFrames(
  api: ApiContext,
  request: TailRequest,
  context: HandlerContext,
  encoding: Encoding,
): AsyncGenerator<TailResponse> {
  for await (const frame of tail(api, () => tailQuery(request, api.limits), callOf(context))) {
    yield tailResponse(frame, formOf(request.form), encoding);
  }
}

/** Does `work`; what it throws becomes what the client is told. */
async function mapped<T>(api: ApiContext, context: HandlerContext, work: (call: Call) => Promise<T>): Promise<T> {
  const call = callOf(context);
  try {
    return await work(call);
  } catch (error) {
    throw api.mapError(error, { callId: call.id, rpc: call.rpc });
  }
}

function callOf(context: HandlerContext): Call {
  return present(context.values.get(callKey), "each request belongs to a call");
}

function encoded(records: Record[]): Uint8Array {
  return records.length === 0 ? new Uint8Array(0) : toBinary(RecordsSchema, create(RecordsSchema, { records }));
}

/** Each request as a function that makes a command of it: what is wrong with one is found in its turn. */
async function* mapEach<T>(
  requests: AsyncIterable<T>,
  command: (request: T) => AppendCommand,
): AsyncGenerator<() => AppendCommand> {
  for await (const request of requests) yield () => command(request);
}
