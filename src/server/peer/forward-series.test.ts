import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { systemClock } from "../../host/clock.ts";
import { Reason } from "../../wire/gen/tailrace/v1/error_pb.ts";
import { type AppendStreamResponseSchema, LogService } from "../../wire/gen/tailrace/v1/log_pb.ts";
import { withDetail } from "../api/errors.ts";
import { ForwardSeries } from "./forward-series.ts";
import { forwardedError } from "./forwarded-errors.ts";

/** Not below 2^53. */
const tooLarge = 2n ** 60n;

async function* saysWhatCannotBe(): AsyncGenerator<MessageInitShape<typeof AppendStreamResponseSchema>> {
  yield { appended: { streamId: tooLarge } };
}

// biome-ignore lint/correctness/useYield: it fails before it has answered.
async function* refusesByWhatCannotBe(): AsyncGenerator<MessageInitShape<typeof AppendStreamResponseSchema>> {
  throw withDetail(Code.NotFound, "Cannot append: there is none", {
    ...{ todo: "Create it", reason: Reason.STREAM_NOT_FOUND, streamId: tooLarge },
  });
}

for (const [what, appendStream] of [
  ["an answer", saysWhatCannotBe],
  ["a refusal", refusesByWhatCannotBe],
] as const) {
  test(`${what} with a position that can't be leaves the fate of the append unknown, and nobody waiting`, async () => {
    const transport = createRouterTransport(({ service }) => void service(LogService, { appendStream }));
    const series = new ForwardSeries({
      ...{ log: createClient(LogService, transport), headers: {}, stream: { stream: "s", streamId: 7n } },
      ...{ clock: systemClock, answerMaxMs: 10_000, explain: (error) => forwardedError(error, () => false) },
    });
    await assert.rejects(series.append(new Uint8Array(0), {}), { name: "LostError" });
    assert.equal(series.isOpen, false);
  });
}
