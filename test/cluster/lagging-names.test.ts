/**
 * A node that was held still while streams were deleted, and some created again: who names them there, as soon as it goes on, is
 * answered for whatever has the name.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { present } from "../../src/base/assert.ts";
import { withCluster } from "./support/cluster.ts";
import type { ClusterNode } from "./support/node-process.ts";

const timeout = 120_000;
/** Far less than anyone waits for a leader that is not there. */
const soonMs = 3_000;

type Answer = { streamId?: string; code?: string };

const kinds: { what: string; rpc: string; request: (name: string) => object; creates: boolean }[] = [
  {
    ...{ what: "append", rpc: "LogService/Append", creates: true },
    request: (stream) => ({ stream, records: [{ value: "MQ==" }] }),
  },
  { what: "fence", rpc: "LogService/Fence", request: (stream) => ({ stream }), creates: false },
  { what: "trim", rpc: "StreamService/TrimStream", request: (name) => ({ name, logStart: "0" }), creates: false },
  {
    ...{ what: "read", rpc: "LogService/Read", creates: false },
    request: (stream) => ({ stream, consistency: "CONSISTENCY_LINEARIZABLE" }),
  },
];

async function ask(node: ClusterNode, rpc: string, request: object): Promise<Answer> {
  const response = await fetch(`${node.url}/tailrace.v1.${rpc}`, {
    ...{ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request) },
    signal: AbortSignal.timeout(30_000),
  });
  return (await response.json()) as Answer;
}

test("a node that lags answers for whatever has a name", { timeout }, async () => {
  await withCluster({ nodes: 3 }, async ({ nodes }) => {
    const [a, , c] = nodes;
    const one = present(a, "there are three");
    const held = present(c, "there are three");
    const append = async (stream: string) =>
      present((await ask(one, "LogService/Append", { stream, records: [{ value: "MA==" }] })).streamId, "it is taken");
    const asked = kinds.flatMap((kind) => [true, false].map((isAgain) => ({ ...kind, isAgain })));
    const names = asked.map(({ what, isAgain }) => `${what}-${isAgain ? "again" : "deleted"}`);
    await Promise.all(names.map(append));
    // It knows them all, and has their records.
    for (const name of names)
      await ask(held, "LogService/Read", { stream: name, consistency: "CONSISTENCY_LINEARIZABLE" });
    held.pause();
    const now = new Map<string, string | undefined>();
    for (const [at, { isAgain }] of asked.entries()) {
      const name = present(names[at], "each has a name");
      const deleted = await ask(one, "StreamService/DeleteStream", { name });
      assert.notEqual(deleted.streamId, undefined, JSON.stringify(deleted));
      now.set(name, isAgain ? await append(name) : undefined);
    }
    // They wait for it to go on, and are the first that it sees.
    const answers = asked.map(({ rpc, request }, at) => ask(held, rpc, request(names[at] ?? "")));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const sinceMs = performance.now();
    held.resume();
    for (const [at, answer] of answers.entries()) {
      const { streamId, code } = await answer;
      const name = names[at] ?? "";
      console.log(`${name}: ${streamId ?? code} after ${(performance.now() - sinceMs).toFixed(0)} ms`);
      const { creates = false, isAgain = false } = asked[at] ?? {};
      if (isAgain) assert.deepEqual([streamId, code], [now.get(name), undefined], name);
      else assert.equal(code, creates ? undefined : "not_found", name);
    }
    assert.ok(performance.now() - sinceMs < soonMs, `${(performance.now() - sinceMs).toFixed(0)} ms`);
  });
});
