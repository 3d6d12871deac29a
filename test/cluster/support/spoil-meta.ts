/**
 * Spoiling the cluster's own log on the disk of a node.
 * @module
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { connectTo } from "../../../src/cli/connection.ts";
import { until } from "../../support/until.ts";
import type { Cluster } from "./cluster.ts";
import { agreed } from "./judge.ts";
import type { ClusterNode } from "./node-process.ts";
import { lead } from "./servers.ts";

/** So small a journal that what stands in it is soon moved to segments. */
export const smallJournal = ["--journal-files", "2", "--journal-file-bytes", "1MiB"];

const streams = Array.from({ length: 24 }, (_, at) => `s${at}`);
/** Together they fill that journal more than once; each is too small to go to a segment at once. */
const fillers = { count: 60, bytes: 50_000 };

/** Spoils the segment of `_meta` on a node that was killed; resolves when that node has all again, and a vote, and has said so. */
export async function spoilMeta(cluster: Cluster, node: ClusterNode, spoil: (file: string) => void): Promise<void> {
  const file = await segmentOfMeta(node);
  await node.end("SIGKILL");
  spoil(file);
  node.start();
  await node.ready();
  assert.match(
    node.output,
    /The catalogue of streams is damaged here: groups.0.\S+ .*It is fetched anew from another node/,
  );
  const metrics = await (await fetch(`${node.url}/metrics`)).text();
  assert.match(metrics, /^tailrace_replicas_renewed_total 1$/m);
  for (const name of ["_meta", ...streams]) await agreed(cluster.nodes, name);
  // The replica that it was counts no more: with that one still among the voters the next loss would be one too many.
  const replaced = `The replica that ${node.id} was before it came back as a new one is no voter of the cluster any more`;
  await until(() => cluster.nodes.some(({ output }) => output.includes(replaced)));
  // It has a vote again: else it could not lead.
  await lead(node, "_meta");
}

/** Makes streams, and appends until `_meta` is in a segment. */
export async function fill(node: ClusterNode): Promise<void> {
  const { client, close } = connectTo(node.url);
  try {
    for (const name of streams) await client.streams.createStream({ name });
    const value = new Uint8Array(fillers.bytes);
    for (let i = 0; i < fillers.count; i++) {
      await client.log.append({ stream: streams[i % streams.length] ?? "", records: [{ value }] });
    }
  } finally {
    close();
  }
}

/** Resolves with the file that the most of it is in, once that was moved there out of the journal. */
async function segmentOfMeta({ data }: ClusterNode): Promise<string> {
  const folder = path.join(data, "groups", "0");
  const files = () =>
    (fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true, encoding: "utf8" }) : [])
      .filter((name) => name.endsWith(".log"))
      .map((name) => path.join(folder, name));
  await until(() => files().some((file) => fs.statSync(file).size > 4096));
  return files()[0] ?? "";
}
