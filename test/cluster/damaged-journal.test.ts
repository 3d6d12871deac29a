/**
 * A node's journal is damaged: what it promised may be gone, so it does not start, and says what to do. That is done.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { until } from "../support/until.ts";
import { caughtUp } from "./support/judge.ts";
import { lead } from "./support/servers.ts";
import { flipByte } from "./support/spoil.ts";
import { backMaxMs, underLoad } from "./support/under-load.ts";

test("a journal with a flipped byte in its middle: the node says what to do; with an empty folder it has all again", {
  timeout: 120_000,
}, async () => {
  await underLoad("journal damaged", { nodes: 3 }, async ({ cluster, load, stream }) => {
    const node = cluster.node("c");
    await node.end("SIGKILL");
    // In the second of many frames: each begins at a border of 4 KiB.
    flipByte(path.join(node.data, "journal", "0"), 4096 + 20);
    node.start();
    await until(() => !node.isUp);
    assert.match(node.output, /\[ended: 1\]\n$/);
    const [said = ""] = node.output.match(/^tailrace: .*$/m) ?? [];
    assert.match(said, /The journal is damaged: \S+journal.0, from byte 4096: .* is whole\. /);
    assert.match(
      said,
      /In a cluster whose other nodes are well, move the data folder away, and start the node with an empty one, with the same --node-id and --seeds: they have what it had\. /,
    );
    fs.renameSync(node.data, `${node.data}.away`);
    node.start();
    await node.ready();
    await caughtUp(node, cluster.others(node), stream);
    // It has a vote again: else it could not lead.
    await lead(node, stream);
    await load.nextAck(backMaxMs);
  });
});
