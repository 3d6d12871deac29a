/**
 * A stream and its settings by plain HTTP:
 *
 *     GET   /v1/streams/NAME/settings                                  200 with a Stream as JSON
 *     PATCH /v1/streams/NAME/settings?expected_version=&stream_id=     the body is a StreamSettings as JSON, of those to
 *                                                                      change; 200 with the Stream as it is then
 * @module
 */
import { create, fromJson, type JsonValue, toJsonString } from "@bufbuild/protobuf";
import type { Context } from "hono";
import { invalidField } from "../../base/errors.ts";
import {
  GetStreamRequestSchema,
  type Stream,
  StreamSchema,
  type StreamSettings,
  StreamSettingsSchema,
  UpdateStreamRequestSchema,
} from "../../wire/gen/tailrace/v1/stream_pb.ts";
import type { ApiEnv } from "./app.ts";
import { noStore } from "./caching.ts";
import type { Call } from "./call.ts";
import { getStream, updateStream } from "./catalogue.ts";
import type { ApiContext } from "./context.ts";
import { bigintOf, bodyOf, json, queryOf, streamOf } from "./rest-request.ts";

/** Tells of the stream. */
export async function tellOne(c: Context<ApiEnv>, api: ApiContext, call: Call): Promise<Response> {
  const name = streamOf(c, "settings");
  queryOf(c, []);
  const { stream } = await getStream(api, create(GetStreamRequestSchema, { name }), call);
  return answer(stream);
}

/** Changes the settings that the body has. */
export async function changeSettings(c: Context<ApiEnv>, api: ApiContext, call: Call): Promise<Response> {
  const name = streamOf(c, "settings");
  const query = queryOf(c, ["expected_version", "stream_id"]);
  const streamId = bigintOf(query, "stream_id");
  const expected = bigintOf(query, "expected_version");
  const request = create(UpdateStreamRequestSchema, {
    name,
    settings: settingsIn(await bodyOf(c, api, call)),
    ...(streamId === undefined ? {} : { streamId }),
    ...(expected === undefined ? {} : { expectedSettingsVersion: expected }),
  });
  const { stream } = await updateStream(api, request, call);
  return answer(stream);
}

function settingsIn(body: Uint8Array): StreamSettings {
  try {
    const value: JsonValue = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    return fromJson(StreamSettingsSchema, value);
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 200) : "it can't be parsed";
    throw invalidField("body", why, 'Send settings as JSON, such as {"retentionAgeS": "604800"}');
  }
}

function answer(stream: Stream | undefined): Response {
  return json(toJsonString(StreamSchema, stream ?? create(StreamSchema)), { "cache-control": noStore });
}
