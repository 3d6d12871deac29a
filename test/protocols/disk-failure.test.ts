/** What clients are told when the node's disk fails under their calls, over every protocol. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DiskError } from "../../src/base/disk-errors.ts";
import { Fate } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { callerKinds } from "./support/callers.ts";
import { gatedNode } from "./support/slow-streams.ts";

const gated = gatedNode();

describe("when the disk fails", () => {
  for (const [number, { name }] of callerKinds().entries()) {
    test(`an append on its way is told that its fate is unknown: ${name}`, async () => {
      gated.gate.beforeAppend = () => Promise.reject(new DiskError("Cannot sync /secret/place/journal/0: EIO", "EIO"));
      const { error } = (await gated.callers[number]?.call("LogService/Append", { stream: "s", records: [{}] })) ?? {};
      assert.equal(error?.code, "internal");
      // grpc-js leaves some of what a gRPC message has percent-encoded as it is.
      assert.match(decodeURIComponent(error.message), /disk failed: what became of the append is not known/);
      assert.doesNotMatch(error.message, /secret/);
      assert.equal(error.detail?.fate, Fate.UNKNOWN);
      assert.match(error.detail.todo, /Read the stream/);
    });
  }

  test("the log is not flooded: the node says once what failed", () => assert.deepEqual(gated.node.logged, []));
});
