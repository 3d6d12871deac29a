import { create } from "@bufbuild/protobuf";
import { checkStreamName } from "../../base/stream-name.ts";
import { type FenceRequest, type FenceResponse, FenceResponseSchema } from "../../wire/gen/tailrace/v1/log_pb.ts";
import { fromPosition } from "../../wire/position.ts";
import type { Call } from "./call.ts";
import { type ApiContext, openStreams } from "./context.ts";
import { fenceToken, streamIdOf } from "./requests.ts";

/** Lets a writer take a stream over. */
export async function fence(api: ApiContext, request: FenceRequest, call: Call): Promise<FenceResponse> {
  checkStreamName(request.stream, "stream");
  const token = fenceToken(request.token, "token");
  const { streamId } = streamIdOf(request.streamId, "stream_id");
  const stream = await call.race(openStreams(api).find(request.stream, streamId, call));
  const nextOffset = await call.race(stream.fence(token));
  return create(FenceResponseSchema, { streamId: fromPosition(stream.id), nextOffset: fromPosition(nextOffset) });
}
