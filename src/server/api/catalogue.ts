/**
 * The calls of StreamService.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { invalidField, TailraceError } from "../../base/errors.ts";
import { checkStreamName } from "../../base/stream-name.ts";
import type { Stream, StreamDescription } from "../../stream/types.ts";
import {
  type CreateStreamRequest,
  type CreateStreamResponse,
  CreateStreamResponseSchema,
  type DeleteStreamRequest,
  type DeleteStreamResponse,
  DeleteStreamResponseSchema,
  type GetStreamRequest,
  type GetStreamResponse,
  GetStreamResponseSchema,
  type ListStreamsRequest,
  type ListStreamsResponse,
  ListStreamsResponseSchema,
  type Stream as StreamMessage,
  StreamSchema,
  StreamState,
  type TrimStreamRequest,
  type TrimStreamResponse,
  TrimStreamResponseSchema,
  type UpdateStreamRequest,
  type UpdateStreamResponse,
  UpdateStreamResponseSchema,
} from "../../wire/gen/tailrace/v1/stream_pb.ts";
import { fromPosition, toPosition } from "../../wire/position.ts";
import { fromMicros } from "../../wire/timestamp.ts";
import type { Call } from "./call.ts";
import { type ApiContext, openStreams } from "./context.ts";
import { withStream } from "./renamed.ts";
import { streamIdOf } from "./requests.ts";
import { givenSettings, settingsMessage } from "./settings-message.ts";

const pageSizeMax = 1000;
const pageSizeDefault = 100;
/** Streams of a page that are described at once: those that this node does not have take a round trip each. */
const describedAtOnce = 16;

export async function createStream(
  api: ApiContext,
  request: CreateStreamRequest,
  call: Call,
): Promise<CreateStreamResponse> {
  checkStreamName(request.name, "name");
  const settings = givenSettings(request.settings);
  const { stream, created } = await call.race(openStreams(api).create(request.name, settings, call));
  return create(CreateStreamResponseSchema, { stream: await describe(stream, call), created });
}

export async function updateStream(
  api: ApiContext,
  request: UpdateStreamRequest,
  call: Call,
): Promise<UpdateStreamResponse> {
  checkStreamName(request.name, "name");
  const { streamId } = streamIdOf(request.streamId, "stream_id");
  const settings = givenSettings(request.settings);
  if (Object.keys(settings).length === 0) {
    throw invalidField("settings", "it names no setting", "Give the settings to change, and only those");
  }
  const { expectedSettingsVersion: expected } = request;
  const version = expected === undefined ? undefined : toPosition(expected, "expected_settings_version");
  const stream = await withStream(api, { name: request.name, streamId }, call, async (found) => {
    await call.race(found.update(settings, version));
    return found;
  });
  return create(UpdateStreamResponseSchema, { stream: await describe(stream, call) });
}

export async function getStream(api: ApiContext, request: GetStreamRequest, call: Call): Promise<GetStreamResponse> {
  checkStreamName(request.name, "name");
  const stream = await withStream(api, { name: request.name }, call, (found) => describe(found, call));
  return create(GetStreamResponseSchema, { stream });
}

export async function listStreams(
  api: ApiContext,
  request: ListStreamsRequest,
  call: Call,
): Promise<ListStreamsResponse> {
  const { prefix, pageSize, pageToken } = request;
  if (pageSize > pageSizeMax) {
    throw invalidField("page_size", `${pageSize} is more than ${pageSizeMax}`, "Ask for a smaller page, then the next");
  }
  const after = pageToken === "" ? {} : { after: pageToken };
  const limit = pageSize === 0 ? pageSizeDefault : pageSize;
  const page = openStreams(api).list({ prefix, ...after, limit }, call);
  const streams: StreamMessage[] = [];
  for (let at = 0; at < page.streams.length; at += describedAtOnce) {
    const some = page.streams.slice(at, at + describedAtOnce);
    const described = await Promise.all(some.map((stream) => describeInList(stream, call)));
    streams.push(...described.filter((description) => description !== undefined));
  }
  return create(ListStreamsResponseSchema, { streams, nextPageToken: page.next ?? "" });
}

export async function deleteStream(
  api: ApiContext,
  request: DeleteStreamRequest,
  call: Call,
): Promise<DeleteStreamResponse> {
  checkStreamName(request.name, "name");
  const { streamId } = streamIdOf(request.streamId, "stream_id");
  const deletedId = await call.race(openStreams(api).delete(request.name, streamId, call));
  return create(DeleteStreamResponseSchema, { streamId: fromPosition(deletedId) });
}

export async function trimStream(api: ApiContext, request: TrimStreamRequest, call: Call): Promise<TrimStreamResponse> {
  checkStreamName(request.name, "name");
  const { streamId } = streamIdOf(request.streamId, "stream_id");
  return await withStream(api, { name: request.name, streamId }, call, async (stream) => {
    const logStart = await call.race(stream.trim(toPosition(request.logStart, "log_start")));
    return create(TrimStreamResponseSchema, { streamId: fromPosition(stream.id), logStart: fromPosition(logStart) });
  });
}

async function describe(stream: Stream, call: Call): Promise<StreamMessage> {
  return streamMessage(await call.race(stream.describe()));
}

/** A stream of the page may be deleted while those before it are described, or be where nobody answers. */
async function describeInList(stream: Stream, call: Call): Promise<StreamMessage | undefined> {
  try {
    return await describe(stream, call);
  } catch (error) {
    if (error instanceof TailraceError && error.code === "not_found") return undefined;
    const { name, id, settings } = stream;
    if (!(error instanceof TailraceError && error.reason === "not_ready")) throw error;
    const known = { settings: settingsMessage(settings), settingsVersion: fromPosition(settings.version) };
    return create(StreamSchema, { name, id: fromPosition(id), ...known });
  }
}

const states = {
  normal: StreamState.UNSPECIFIED,
  read_only: StreamState.READ_ONLY,
  deleting: StreamState.DELETING,
};

function streamMessage(stream: StreamDescription): StreamMessage {
  const { firstAppendTimeMicros: first, lastAppendTimeMicros: last, settings } = stream;
  return create(StreamSchema, {
    name: stream.name,
    id: fromPosition(stream.id),
    created: fromMicros(stream.createdMicros),
    settings: settingsMessage(settings),
    settingsVersion: fromPosition(settings.version),
    logStart: fromPosition(stream.logStart),
    highWatermark: fromPosition(stream.highWatermark),
    ...(first === undefined ? {} : { firstAppendTime: fromMicros(first) }),
    ...(last === undefined ? {} : { lastAppendTime: fromMicros(last) }),
    storedBytes: fromPosition(stream.storedBytes),
    digest: stream.digest,
    nextIndex: fromPosition(stream.nextIndex),
    state: states[stream.state],
    fence: stream.fence,
  });
}
