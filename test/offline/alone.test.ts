/**
 * `tailrace repair DIR --alone`: a folder of a cluster whose other nodes are lost goes on alone, with what it has, in a cluster
 * that the others are not of.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import { checkpointPrefixBytes } from "../../src/wire/checkpoint.ts";
import { once } from "../format/both-readers.ts";
import { runCli } from "../support/cli.ts";
import { openFolder } from "../support/data-folder.ts";
import { startNode } from "../support/node-process.ts";
import { streamsOf } from "../support/streams.ts";
import { copied, fingerprint, largeRecords, nowhere, oneOfThree, smallRecords, stoppedFolder } from "./folders.ts";

const timeout = 120_000;

/** A folder whose logs have two more voters, which are nowhere. */
const leftBehind = once(async () => {
  const folder = await stoppedFolder("SIGKILL");
  await oneOfThree(folder.data);
  return folder;
});

describe("a folder whose cluster is lost", () => {
  test("goes on alone with all that it has", { timeout }, async () => {
    const { data } = await leftBehind();
    const folder = copied(data);
    const id = fs.readFileSync(path.join(folder, "id"));
    const clusterId = await clusterIdOf(copied(data));
    const { code, stdout, stderr } = await runCli(nowhere, ["repair", folder, "--alone"]);
    assert.equal(stderr, "");
    assert.equal(code, 0);
    assert.match(stdout.toString(), /^cluster: this folder begins one of its own, with another id, /m);
    assert.match(stdout.toString(), /^2 logs are told that this disk is their voter$/m);
    const other = fs.readFileSync(path.join(folder, "id"));
    assert.notDeepEqual(other.subarray(16, 32), id.subarray(16, 32), "it is another disk");
    assert.deepEqual(other.subarray(32, 64), id.subarray(32, 64), "it is the same node");
    assert.notDeepEqual(await clusterIdOf(copied(folder)), clusterId);

    const node = await startNode({ data: folder });
    const { client, close } = connectTo(node.url);
    for (const [stream, kept] of [
      ["large", largeRecords],
      ["small", smallRecords],
    ] as const) {
      const { startOffset } = await client.log.append({ stream, records: [{ value: Uint8Array.of(7) }] });
      assert.equal(startOffset, BigInt(kept));
    }
    await client.streams.createStream({ name: "new" });
    close();
    assert.equal(await node.end("SIGTERM"), 0);
    assert.equal((await runCli(nowhere, ["verify", folder])).code, 0);
  });

  test("names the streams that it held no copy of: they begin anew, empty", { timeout }, async () => {
    const folder = copied((await leftBehind()).data);
    await letGo(folder, "small");
    const { code, stdout } = await runCli(nowhere, ["repair", folder, "--alone"]);
    assert.equal(code, 0);
    const lines = stdout.toString().split("\n");
    const said = lines.filter((line) => line.endsWith(": begins anew, empty, when the node starts"));
    assert.equal(said.length, 1, stdout.toString());
    assert.match(said[0] ?? "", /"small"/);
    const node = await startNode({ data: folder });
    const { client, close } = connectTo(node.url);
    for (const [stream, kept] of [
      ["large", largeRecords],
      ["small", 0],
    ] as const) {
      const { startOffset } = await client.log.append({ stream, records: [{ value: Uint8Array.of(7) }] });
      assert.equal(startOffset, BigInt(kept));
    }
    close();
    assert.equal(await node.end("SIGTERM"), 0);
  });

  test("is not changed by a plain repair, which finds nothing wrong in it", { timeout }, async () => {
    const { data } = await leftBehind();
    const before = fingerprint(data);
    const { code, stdout } = await runCli(nowhere, ["repair", data]);
    assert.deepEqual([code, stdout.toString()], [0, "nothing is damaged: there is nothing to repair\n"]);
    assert.deepEqual(fingerprint(data), before);
  });
});

/** As a node does from which a stream is moved away. */
async function letGo(data: string, stream: string): Promise<void> {
  const folder = await openFolder(data);
  try {
    const { id } = (await streamsOf(folder)).get(stream);
    const log = folder.log(id);
    assert.ok(log);
    const [batch0] = await log.read({ from: { index: 0 }, belowIndex: 1, maxBytes: 1 });
    assert.ok(batch0);
    const { baseOffset: startOffset, appendTimeMicros, payload } = batch0;
    const checkpointState = payload.slice(checkpointPrefixBytes);
    await folder.renew({ group: id, checkpointState, startOffset, appendTimeMicros, note: log.note });
  } finally {
    await folder.close();
  }
}

/** Opens the folder for that: it is another one afterwards. */
async function clusterIdOf(data: string): Promise<Uint8Array> {
  const folder = await openFolder(data);
  try {
    return (await streamsOf(folder)).clusterId.slice();
  } finally {
    await folder.close();
  }
}
