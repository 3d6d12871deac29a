/**
 * Retention in a cluster: who leads a stream lets go what its settings do not keep, and all others what that says.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import { until } from "../support/until.ts";
import { withCluster } from "./support/cluster.ts";
import { agreed } from "./support/judge.ts";
import type { ClusterNode } from "./support/node-process.ts";
import { lead } from "./support/servers.ts";

const timeout = 120_000;
const args = ["--retention-interval", "1s"];
const segmentMaxBytes = 1 << 20;
const keptBytes = 2 * segmentMaxBytes;
/** So large that each goes to a segment at once, and four fill one. */
const valueBytes = 300_000;
const rounds = 4;
const aRound = 12;

describe("what a stream's settings do not keep", () => {
  test("goes on all nodes, whoever leads, and however often that changes", { timeout }, async () => {
    await withCluster({ nodes: 3, args }, async ({ nodes }) => {
      const [first] = nodes;
      assert.ok(first);
      const { client, close } = connectTo(first.url);
      const settings = { segmentMaxBytes: BigInt(segmentMaxBytes) };
      const create = async (name: string, retention: { retentionBytes?: bigint; retentionAgeS?: bigint }) => {
        const { stream } = await client.streams.createStream({ name, settings: { ...settings, ...retention } });
        return stream?.id ?? 0n;
      };
      const bytes = await create("by-bytes", { retentionBytes: BigInt(keptBytes) });
      const age = await create("by-age", { retentionAgeS: 1n });
      const append = async (stream: string) => {
        await client.log.append({ stream, records: [{ value: new Uint8Array(valueBytes) }] });
      };
      let begins = 0;
      for (let round = 0; round < rounds; round++) {
        const leader = nodes[round % nodes.length];
        assert.ok(leader);
        for (const name of ["by-bytes", "by-age"]) await lead(leader, name);
        for (let i = 0; i < aRound; i++) await Promise.all([append("by-bytes"), append("by-age")]);
        // Each leads until it has let something go, and so have those that follow it.
        const before = begins;
        await until(() => nodes.every((node) => firstIndexOf(node, bytes) > before));
        begins = firstIndexOf(leader, bytes);
      }
      for (const node of nodes) {
        await until(() => storedIn(node, bytes) < keptBytes + 2 * (segmentMaxBytes + valueBytes));
        await until(() => storedIn(node, age) < segmentMaxBytes);
      }
      for (const name of ["by-bytes", "by-age"]) await agreed(nodes, name);
      const told = await client.streams.getStream({ name: "by-age" });
      assert.equal(told.stream?.logStart, BigInt(rounds * aRound));
      const kept = await client.streams.getStream({ name: "by-bytes" });
      assert.ok((kept.stream?.storedBytes ?? 0n) >= keptBytes, `${kept.stream?.storedBytes} bytes are kept`);
      close();
    });
  });

  test("goes from a stream with one voter, too, which nobody asks for anything after a start", {
    timeout,
  }, async () => {
    await withCluster({ nodes: 3, args }, async ({ nodes }) => {
      const [first] = nodes;
      assert.ok(first);
      const { client, close } = connectTo(first.url);
      const name = "alone";
      const settings = { retentionAgeS: 3n, replicationFactor: 1n };
      const id = (await client.streams.createStream({ name, settings })).stream?.id;
      await client.log.append({ stream: name, records: [{ value: new Uint8Array(valueBytes) }] });
      const holder = nodes.find((node) => fs.existsSync(path.join(node.data, "groups", `${id}`)));
      assert.ok(holder);
      await holder.end("SIGKILL");
      holder.start();
      await holder.ready();
      assert.ok(storedIn(holder, id) > valueBytes);
      await until(() => storedIn(holder, id) < valueBytes);
      close();
    });
  });
});

function logsOf({ data }: ClusterNode, id: bigint | undefined): string[] {
  const folder = path.join(data, "groups", `${id}`);
  const files = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".log"));
  return files.map((file) => path.join(folder, file));
}

/** Index of the batch that the files of a stream begin with. */
function firstIndexOf(node: ClusterNode, id: bigint | undefined): number {
  return Math.min(...logsOf(node, id).map((file) => Number.parseInt(path.basename(file), 10)));
}

/** Bytes of a stream's files. */
function storedIn(node: ClusterNode, id: bigint | undefined): number {
  // One may go in between.
  return logsOf(node, id).reduce((sum, file) => sum + (fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
}
