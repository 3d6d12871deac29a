import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { encodeAppendResponse } from "./append-response.ts";
import { AppendResponseSchema } from "./gen/tailrace/v1/log_pb.ts";
import { fromPosition } from "./position.ts";
import { fromMicros } from "./timestamp.ts";

const position = fc.oneof(fc.maxSafeNat(), fc.nat(300));

test("encodeAppendResponse() writes what protobuf-es writes", () => {
  fc.assert(
    fc.property(
      fc.record({
        streamId: position,
        startOffset: position,
        nextOffset: position,
        index: position,
        appendTimeMicros: position,
        digest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      }),
      (receipt) => {
        const { streamId, startOffset, nextOffset, index, appendTimeMicros, digest } = receipt;
        const message = create(AppendResponseSchema, {
          streamId: fromPosition(streamId),
          startOffset: fromPosition(startOffset),
          nextOffset: fromPosition(nextOffset),
          index: fromPosition(index),
          appendTime: fromMicros(appendTimeMicros),
          digest,
        });
        assert.deepEqual([...encodeAppendResponse(receipt)], [...toBinary(AppendResponseSchema, message)]);
      },
    ),
    { numRuns: 1000 },
  );
});
