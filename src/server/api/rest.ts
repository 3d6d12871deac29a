/**
 * The REST face: one record in by POST, records out by GET, for curl and for what has no protobuf.
 *
 *     POST /v1/streams/NAME/records?stream_id=&producer_id=&producer_epoch=&producer_sequence=&fence=&expected_offset=
 *                                        &routing=
 *     GET  /v1/streams/NAME/records?from=&end=&max_records=&max_bytes=&wait_ms=&stream_id=&consistency=&at_least_offset=
 *     GET, PATCH /v1/streams/NAME/settings        how the stream stands, and changing its settings (`rest-settings.ts`)
 *     GET  /v1/cluster                            the nodes (`rest-cluster.ts`)
 *
 * POST takes one record's value as its body, and answers an AppendResponse as JSON. What it depends on is as in
 * AppendRequest; a producer's id is in hexadecimal, a fence token is text.
 * `routing` is `pass_on` (the default) or `refuse`, `consistency` is `local` (the default) or `linearizable`.
 * `from` is an offset, `earliest` (the default), `latest`, `-N` (N records before the end) or a time of RFC 3339. GET
 * answers a ReadResponse as JSON. With `Accept: text/plain` it answers the values, a line each; with
 * `Accept: application/octet-stream` the value of one record and nothing else, or 204 if there is none.
 * @module
 */
import { create, toJsonString } from "@bufbuild/protobuf";
import type { Context } from "hono";
import { invalidField } from "../../base/errors.ts";
import { cutRecords, eachRecord, recordValue } from "../../base/records.ts";
import { RecordsWriter } from "../../base/records-writer.ts";
import {
  AppendResponseSchema,
  ReadRequestSchema,
  ReadResponseSchema,
  Routing,
} from "../../wire/gen/tailrace/v1/log_pb.ts";
import { appendResponse, readResponse } from "./answers.ts";
import type { ApiApp, ApiEnv } from "./app.ts";
import { append } from "./append.ts";
import { cacheControl } from "./caching.ts";
import { Call } from "./call.ts";
import type { ApiContext } from "./context.ts";
import { type ReadAnswer, read } from "./read.ts";
import { readQuery } from "./requests.ts";
import { tellCluster } from "./rest-cluster.ts";
import { restError } from "./rest-errors.ts";
import {
  conditionNames,
  conditionsIn,
  consistencyOf,
  freshnessNames,
  optional,
  routingOf,
  startOf,
} from "./rest-query.ts";
import { asksFor, bigintOf, bodyOf, idOf, json, numberOf, queryOf, restPrefix, streamOf } from "./rest-request.ts";
import { changeSettings, tellOne } from "./rest-settings.ts";

/** Adds the routes. */
export function addRest(app: ApiApp, api: ApiContext): void {
  app.post(`${restPrefix}*`, (c) => served(c, api, "rest/append", appendOne));
  app.get(`${restPrefix}*`, (c) =>
    asksFor(c, "settings") ? served(c, api, "rest/get_stream", tellOne) : served(c, api, "rest/read", readSome),
  );
  app.get("/v1/cluster", (c) => served(c, api, "rest/get_servers", tellCluster));
  app.patch(`${restPrefix}*`, (c) => served(c, api, "rest/update_stream", changeSettings));
}

type Work = (c: Context<ApiEnv>, api: ApiContext, call: Call) => Promise<Response>;

/** Does `work` for one call, from its first byte to its answer. */
async function served(c: Context<ApiEnv>, api: ApiContext, route: string, work: Work): Promise<Response> {
  const call = new Call(api.nextCallId(), route, c.env?.incoming);
  const startMs = api.clock.monotonicMs();
  const onGone = () => call.end("canceled");
  const { signal } = c.req.raw;
  signal.addEventListener("abort", onGone);
  api.drain.enter();
  let code = "ok";
  try {
    return await work(c, api, call);
  } catch (error) {
    const refusal = restError(api.mapError(error, { callId: call.id, rpc: call.rpc }));
    code = refusal.code;
    const incoming = c.env?.incoming;
    const isBodyLeft = incoming?.httpVersionMajor === 1 && !incoming.complete;
    if (isBodyLeft) refusal.response.headers.set("connection", "close");
    return refusal.response;
  } finally {
    signal.removeEventListener("abort", onGone);
    call.finish();
    api.drain.leave();
    api.metrics.called(call.rpc, "rest", code, (api.clock.monotonicMs() - startMs) / 1000);
  }
}

async function appendOne(c: Context<ApiEnv>, api: ApiContext, call: Call): Promise<Response> {
  const stream = streamOf(c, "records");
  const query = queryOf(c, ["stream_id", "routing", ...conditionNames]);
  checkContentType(c.req.header("content-type"));
  const value = await bodyOf(c, api, call);
  const writer = new RecordsWriter(value.length + 16);
  writer.add(value);
  const payload = writer.take();
  const options = { ...conditionsIn(query), field: "body" };
  const isRefusedElsewhere = routingOf(query) === Routing.REFUSE;
  const command = () => ({ stream, ...idOf(query), payload, isRefusedElsewhere, options });
  const receipt = await append(api, command, call);
  return json(toJsonString(AppendResponseSchema, appendResponse(receipt)), {});
}

async function readSome(c: Context<ApiEnv>, api: ApiContext, call: Call): Promise<Response> {
  const stream = streamOf(c, "records");
  const query = queryOf(c, ["from", "end", "max_records", "max_bytes", "wait_ms", "stream_id", ...freshnessNames]);
  const form = answerForm(c.req.header("accept"));
  const { streamId } = idOf(query);
  const request = create(ReadRequestSchema, {
    stream,
    start: startOf(query.get("from") ?? "earliest"),
    maxRecords: form === "value" ? 1 : (numberOf(query, "max_records") ?? 0),
    maxBytes: numberOf(query, "max_bytes") ?? 0,
    waitMs: numberOf(query, "wait_ms") ?? 0,
    ...optional("streamId", bigintOf(query, "stream_id")),
    ...optional("endOffset", bigintOf(query, "end")),
    ...optional("atLeastOffset", bigintOf(query, "at_least_offset")),
    consistency: consistencyOf(query),
  });
  const answer = await read(api, () => readQuery(request, api.limits), call);
  const headers = {
    "cache-control": cacheControl(answer, streamId),
    vary: "Accept",
    "tailrace-stream-id": String(answer.streamId),
    "tailrace-next-offset": String(answer.nextOffset),
    "tailrace-high-watermark": String(answer.highWatermark),
    ...(answer.lagMs === undefined ? {} : { "tailrace-lag-ms": String(Math.ceil(answer.lagMs)) }),
  };
  if (form === "json") return json(toJsonString(ReadResponseSchema, readResponse(answer, "records", "json")), headers);
  const values = valuesOf(answer);
  if (form === "lines") return bytes(lines(values), { ...headers, "content-type": "text/plain; charset=utf-8" });
  const [value] = values;
  if (value === undefined) return new Response(null, { status: 204, headers });
  return bytes(value, { ...headers, "content-type": "application/octet-stream" });
}

function checkContentType(contentType: string | undefined): void {
  const type = (contentType ?? "application/octet-stream").split(";", 1)[0]?.trim().toLowerCase();
  if (type === "application/octet-stream" || type === "text/plain") return;
  const todo =
    "Send application/octet-stream or text/plain: with curl, -H 'content-type: text/plain' --data-binary @FILE";
  throw invalidField("content-type", `a record can't be of type ${String(type).slice(0, 80)}`, todo);
}

function answerForm(accept: string | undefined): "json" | "lines" | "value" {
  switch (accept?.split(/[;,]/, 1)[0]?.trim().toLowerCase()) {
    case "text/plain":
      return "lines";
    case "application/octet-stream":
      return "value";
    default:
      return "json";
  }
}

function valuesOf({ batches }: ReadAnswer): Uint8Array[] {
  const values: Uint8Array[] = [];
  for (const { batch, skip, take } of batches) {
    const payload = cutRecords(batch.payload, skip, take);
    eachRecord(payload, (start, end) => values.push(recordValue(payload, start, end)));
  }
  return values;
}

function lines(values: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(values.reduce((length, value) => length + value.length + 1, 0));
  let at = 0;
  for (const value of values) {
    joined.set(value, at);
    at += value.length;
    joined[at++] = 0x0a;
  }
  return joined;
}

function bytes(body: Uint8Array, headers: Record<string, string>): Response {
  return new Response(new Uint8Array(body), { headers });
}
