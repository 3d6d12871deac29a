import assert from "node:assert/strict";
import { createServer } from "node:http2";
import { test } from "node:test";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { present } from "../../base/assert.ts";
import { systemClock } from "../../host/clock.ts";
import { Http2Session } from "../../host/http2-session.ts";
import { StreamService } from "../../wire/gen/tailrace/v1/stream_pb.ts";
import { Forward } from "./forward.ts";

for (const { knows, id, reason } of [
  { knows: "an older stream has not heard of the one that is meant", id: 3, reason: "not_ready" },
  { knows: "a newer stream says that the one that is meant is gone", id: 9, reason: "stream_replaced" },
]) {
  test(`a node that describes ${knows}`, async () => {
    const getStream = () => ({ stream: { name: "s", id: BigInt(id) } });
    const server = createServer(
      connectNodeAdapter({ routes: ({ service }) => void service(StreamService, { getStream }) }),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = present(typeof address === "object" ? address?.port : undefined, "it listens");
    const forward = new Forward({
      ...{ clusterId: "", node: "here", apiUrlOf: () => "", clock: systemClock, answerMaxMs: 5000 },
      addressOf: () => `http://127.0.0.1:${port}`,
      connect: (to) => new Http2Session(to),
      neverLeft: () => false,
    });
    const patience = { client: "", timeoutMs: 5000, signal: new AbortController().signal };
    try {
      await assert.rejects(forward.describe("there", { name: "s", id: 5 }, patience), { reason });
    } finally {
      forward.close();
      await new Promise((resolve) => server.close(resolve));
    }
  });
}
