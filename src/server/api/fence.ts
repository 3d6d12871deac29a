import { create } from "@bufbuild/protobuf";
import { checkStreamName } from "../../base/stream-name.ts";
import { type FenceRequest, type FenceResponse, FenceResponseSchema } from "../../wire/gen/tailrace/v1/log_pb.ts";
import { fromPosition } from "../../wire/position.ts";
import type { Call } from "./call.ts";
import type { ApiContext } from "./context.ts";
import { withStream } from "./renamed.ts";
import { fenceToken, streamIdOf } from "./requests.ts";

/** Lets a writer take a stream over. */
export async function fence(api: ApiContext, request: FenceRequest, call: Call): Promise<FenceResponse> {
  checkStreamName(request.stream, "stream");
  const token = fenceToken(request.token, "token");
  const { streamId } = streamIdOf(request.streamId, "stream_id");
  return await withStream(api, { name: request.stream, streamId }, call, async (stream) => {
    const nextOffset = await call.race(stream.fence(token));
    return create(FenceResponseSchema, { streamId: fromPosition(stream.id), nextOffset: fromPosition(nextOffset) });
  });
}
