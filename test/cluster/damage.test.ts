/**
 * A node whose disk lost or spoiled a part of a stream: it mends it from the others, or begins it anew, and says so.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import { until } from "../support/until.ts";
import { withCluster } from "./support/cluster.ts";
import { agreed, finalLog } from "./support/judge.ts";
import type { ClusterNode } from "./support/node-process.ts";
import { votesIn } from "./support/servers.ts";
import { flipByte } from "./support/spoil.ts";

const stream = "large";
const batches = 12;
/** So large that each goes to a segment at once. */
const valueBytes = 400_000;

for (const { what, spoil, says } of [
  {
    what: "a byte that has flipped in a segment is mended from another node",
    spoil: (file: string) => flipByte(file, 3 * valueBytes),
    says: /mended|repaired/,
  },
  {
    what: "a byte that has flipped in the checkpoint that a start reads: the segment is begun anew",
    spoil: (file: string) => flipByte(file, 150),
    says: /was damaged: it is fetched anew/,
  },
  {
    what: "a segment that lost its end is begun anew",
    spoil: (file: string) => fs.truncateSync(file, 2 * valueBytes),
    says: /was damaged: it is fetched anew/,
  },
]) {
  test(what, { timeout: 120_000 }, async () => {
    await withCluster({ nodes: 3 }, async ({ nodes }) => {
      const [first, ...others] = nodes;
      assert.ok(first);
      const last = others.at(-1);
      assert.ok(last);
      await append(first, batches);
      // Until it holds the stream another node answers for it: that all agree is no sign of it.
      await until(() => votesIn(last, stream));
      await agreed(nodes, stream);
      const before = await finalLog(first, stream);
      await last.end("SIGKILL");
      spoil(segmentOf(last));
      last.start();
      await last.ready();
      // What is spoiled is met by who reads it.
      await untilSame(last, before);
      await until(() => says.test(last.output));
      await until(() => votesIn(last, stream));
      await agreed(nodes, stream);
      await append(last, 1);
      await agreed(nodes, stream);
      const after = await finalLog(first, stream);
      await Promise.all([first, ...others.slice(0, -1)].map((node) => node.end("SIGKILL")));
      await untilSame(last, after);
    });
  });
}

async function append(node: ClusterNode, count: number): Promise<void> {
  const { client, close } = connectTo(node.url);
  try {
    for (let i = 0; i < count; i++) {
      await client.log.append({ stream, records: [{ value: new Uint8Array(valueBytes).fill(i) }] });
    }
  } finally {
    close();
  }
}

/** Reads it all at one node until that gives what was there. */
async function untilSame(node: ClusterNode, wanted: Awaited<ReturnType<typeof finalLog>>): Promise<void> {
  const begin = performance.now();
  for (;;) {
    let found: unknown;
    try {
      found = await finalLog(node, stream);
      if (JSON.stringify(found) === JSON.stringify(wanted)) return;
    } catch (error) {
      found = error;
    }
    if (performance.now() - begin > 60_000) assert.fail(`node ${node.id} gives ${String(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function segmentOf({ data }: ClusterNode): string {
  const groups = path.join(data, "groups");
  const files = fs
    .readdirSync(groups, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".log"))
    .map((file) => path.join(groups, file))
    .filter((file) => fs.statSync(file).size > valueBytes);
  assert.equal(files.length, 1, `one segment has the batches: ${files.join(", ")}`);
  return files[0] ?? "";
}
