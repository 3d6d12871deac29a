/** What caches may keep of a stream that is appended to in the same moment. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gatedNode } from "./support/slow-streams.ts";

const gated = gatedNode();

test("a range that became full while it was read, and is not full in the answer, is not kept by caches", async () => {
  const records = `${gated.node.url}/v1/streams/filling/records`;
  const append = async () => {
    const response = await fetch(records, { method: "POST", body: "a record" });
    const { streamId } = (await response.json()) as { streamId: string };
    return streamId;
  };
  const streamId = await append();
  const read = async () => {
    const response = await fetch(`${records}?from=0&end=2&stream_id=${streamId}`);
    await response.arrayBuffer();
    const { headers } = response;
    return [response.status, headers.get("tailrace-next-offset"), headers.get("cache-control")];
  };
  gated.gate.afterRead = async () => {
    gated.gate.afterRead = () => Promise.resolve();
    await append();
  };
  assert.deepEqual(await read(), [200, "1", "no-store"]);
  assert.deepEqual(await read(), [200, "2", "public, max-age=31536000, immutable"]);
});
