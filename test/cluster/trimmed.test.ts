/**
 * A follower that is away while the others trim a stream, and let go the files that it would have gone on with.
 */
import assert from "node:assert/strict";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import { toRequestError } from "../../src/client/errors.ts";
import { atOffset } from "../../src/client/reader.ts";
import { Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { Form } from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import { Metrics } from "../support/metrics.ts";
import { until } from "../support/until.ts";
import { withCluster } from "./support/cluster.ts";
import { hex } from "./support/cluster-client.ts";
import { agreed } from "./support/judge.ts";
import type { ClusterNode } from "./support/node-process.ts";
import { lead } from "./support/servers.ts";

const segmentMaxBytes = 1 << 20;
/** So large that each goes to a segment at once, and four fill one. */
const valueBytes = 300_000;
const before = 3;
const meanwhile = 21;
const streams = [
  { name: "by-hand", trims: true, settings: {} },
  { name: "by-retention", trims: false, settings: { retentionBytes: BigInt(2 * segmentMaxBytes) } },
];

test("a follower that the log start has passed begins anew at a checkpoint, and holds and serves what the others do", {
  timeout: 120_000,
}, async () => {
  const args = ["--retention-interval", "1s"];
  await withCluster({ nodes: 3, args }, async ({ nodes }) => {
    const [first, second, away] = nodes;
    assert.ok(first && second && away);
    const { client, close } = connectTo(first.url);
    const ids = new Map<string, bigint>();
    for (const { name, settings } of streams) {
      const created = { name, settings: { segmentMaxBytes: BigInt(segmentMaxBytes), ...settings } };
      ids.set(name, (await client.streams.createStream(created)).stream?.id ?? 0n);
      await append(client, name, before);
      await agreed(nodes, name);
    }
    await away.end("SIGKILL");
    for (const { name, trims } of streams) {
      await append(client, name, meanwhile);
      if (trims) await client.streams.trimStream({ name, logStart: BigInt(before + meanwhile - 2) });
      for (const node of [first, second]) await until(() => firstIndexOf(node, ids.get(name)) > before + meanwhile / 2);
    }
    assert.ok([...ids.values()].every((id) => firstIndexOf(away, id) === 0));

    away.start();
    await away.ready();
    for (const { name } of streams) await agreed(nodes, name);
    assert.equal((await Metrics.of(away.url)).get("tailrace_replicas_restarted_total"), streams.length);
    for (const [name, id] of ids) {
      const line = `The log of the stream with id ${id} begins anew at a checkpoint of its leader: it was too far behind`;
      await until(() => away.output.includes(line));
      // What it begins with is all that it needs: it can lead, and others follow it.
      await lead(away, name);
      await append(client, name, 1);
      await agreed(nodes, name);
    }
    const there = await Promise.all(streams.map(({ name }) => readAll(first, name)));
    close();
    await Promise.all([first, second].map((node) => node.end("SIGKILL")));
    const alone = await Promise.all(streams.map(({ name }) => readAll(away, name)));
    assert.deepEqual(alone, there);
    assert.deepEqual(
      alone.map(({ batches }) => batches.at(-1)?.startOffset),
      streams.map(() => BigInt(before + meanwhile)),
    );
    assert.equal(alone[0]?.logStart, BigInt(before + meanwhile - 2));
  });
});

type Client = ReturnType<typeof connectTo>["client"];

/** Appends records of one batch each. */
async function append({ log }: Client, stream: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++)
    await log.append({ stream, records: [{ value: new Uint8Array(valueBytes).fill(i) }] });
}

/** All that a node gives of a stream, from where it says that it begins. */
async function readAll(node: ClusterNode, stream: string) {
  const { client, close } = connectTo(node.url);
  try {
    const { detail } = toRequestError(await client.log.read({ stream, start: { at: atOffset(0) } }).catch((e) => e));
    assert.equal(detail?.reason, Reason.BELOW_LOG_START);
    const { stream: found } = await client.streams.getStream({ name: stream });
    assert.ok(found);
    assert.equal(detail.logStart, found.logStart);
    const batches: { index: bigint; startOffset: bigint; digest: string; payload: string }[] = [];
    for (let next = Number(found.logStart); next < Number(found.highWatermark); ) {
      const answer = await client.log.read({ stream, start: { at: atOffset(next) }, form: Form.PAYLOAD });
      for (const { index, startOffset, digest, payload } of answer.batches) {
        batches.push({ index, startOffset, digest: hex(digest), payload: sha256(payload) });
      }
      next = Number(answer.nextOffset);
    }
    return { logStart: found.logStart, digest: hex(found.digest), batches };
  } finally {
    close();
  }
}

function sha256(bytes: Uint8Array): string {
  return crypto.createHash("sha256").update(bytes).digest("hex");
}

/** Index of the batch that the files of a stream begin with. */
function firstIndexOf({ data }: ClusterNode, id: bigint | undefined): number {
  const folder = path.join(data, "groups", `${id}`);
  const files = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".log"));
  return Math.min(...files.map((file) => Number.parseInt(path.basename(file), 10)));
}
