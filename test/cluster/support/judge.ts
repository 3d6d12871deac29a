/**
 * What must hold when the faults are over: all nodes have the same log, and it explains all that clients were told.
 * @module
 */
import assert from "node:assert/strict";
import { BatchKind } from "../../../src/base/batch.ts";
import { connectTo } from "../../../src/cli/connection.ts";
import type { TailraceClient } from "../../../src/client/client.ts";
import { atOffset } from "../../../src/client/reader.ts";
import { systemHash } from "../../../src/host/hash.ts";
import { readHeader } from "../../../src/log/batch-reader.ts";
import { checkHistory } from "../../../src/sim/history/check.ts";
import type { LogBatch, SeenBatch } from "../../../src/sim/history/history.ts";
import { Form } from "../../../src/wire/gen/tailrace/v1/log_pb.ts";
import type { Batch } from "../../../src/wire/gen/tailrace/v1/record_pb.ts";
import { hex, seen } from "./cluster-client.ts";
import type { Load } from "./load.ts";
import type { ClusterNode } from "./node-process.ts";
import { votesIn } from "./servers.ts";

const settleMaxMs = 40_000;
const toldMax = 10;
/** So many nodes hold a stream, where there are as many. */
const usualVoters = 3;

/** Stops the load, waits until all nodes have the same, and compares that with what the clients saw. */
export async function judge(load: Load, nodes: readonly ClusterNode[], stream: string): Promise<void> {
  await load.stop();
  await held(nodes, stream);
  for (const name of [stream, "_meta"]) await agreed(nodes, name);
  const [node] = nodes;
  assert.ok(node);
  const log = await finalLog(node, stream);
  const violations = checkHistory(load.recorder.operations, new Map([[stream, log]]));
  console.log(`${stream}: ${log.length} batches; ${load.recorder.summary}`);
  const sentences = violations.map(({ sentence }) => sentence);
  assert.equal(sentences.length, 0, `${sentences.length} violations:\n${sentences.slice(0, toldMax).join("\n")}`);
  assert.deepEqual(load.outOfPlace, []);
  const records = log.filter(({ count }) => count > 0);
  await load.stopFollowing(records.length);
  for (const followed of load.followed) checkFollowed(followed, records);
}

/** Resolves when as many vote in a stream as usually do: for those that hold it later, others answer until then. */
async function held(nodes: readonly ClusterNode[], stream: string): Promise<void> {
  // There is nobody else to answer for one that is alone.
  if (nodes.length === 1) return;
  const begin = performance.now();
  for (;;) {
    const voting = await Promise.all(nodes.map((node) => votesIn(node, stream)));
    const count = voting.filter((votes) => votes).length;
    if (count >= Math.min(nodes.length, usualVoters)) return;
    assert.ok(performance.now() - begin < settleMaxMs, `${count} nodes vote in ${stream} after ${settleMaxMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Resolves when all say that they have the same log, byte for byte; one that has not had all yet is answered for. */
export async function agreed(nodes: readonly ClusterNode[], stream: string): Promise<void> {
  const begin = performance.now();
  for (;;) {
    const all = await Promise.all(nodes.map((node) => endAt(node, stream)));
    const ends = all.map((end) => end && `index ${end.index}, digest ${end.digest}`);
    if (new Set(ends).size === 1 && !ends.includes(undefined)) return;
    if (performance.now() - begin > settleMaxMs) {
      const told = nodes.map(({ id }, i) => `${id}: ${ends[i] ?? "no answer"}`);
      throw new Error(`nodes do not come to have the same ${stream} within ${settleMaxMs} ms:\n${told.join("\n")}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Resolves when a node has committed all that the others have now. */
export async function caughtUp(node: ClusterNode, others: readonly ClusterNode[], stream: string): Promise<void> {
  const ends = await Promise.all(others.map((other) => endAt(other, stream)));
  const due = Math.max(...ends.map((end) => end?.index ?? 0));
  const begin = performance.now();
  for (;;) {
    const index = (await endAt(node, stream))?.index ?? 0;
    if (index >= due) return;
    if (performance.now() - begin > settleMaxMs) {
      throw new Error(`node ${node.id} has ${index} of ${due} batches of ${stream} after ${settleMaxMs} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** All batches of a stream as one node has them. */
export async function finalLog(node: ClusterNode, stream: string): Promise<LogBatch[]> {
  const connection = connectTo(node.url);
  try {
    return await readAll(connection.client, stream);
  } finally {
    connection.close();
  }
}

async function endAt(node: ClusterNode, stream: string): Promise<{ index: number; digest: string } | undefined> {
  const connection = connectTo(node.url);
  try {
    const { stream: found } = await connection.client.streams.getStream({ name: stream }, { timeoutMs: 2_000 });
    return found && { index: Number(found.nextIndex), digest: hex(found.digest) };
  } catch {
    return undefined;
  } finally {
    connection.close();
  }
}

async function readAll(client: TailraceClient, stream: string): Promise<LogBatch[]> {
  const { stream: found } = await client.streams.getStream({ name: stream });
  assert.ok(found);
  const log: LogBatch[] = [];
  for (let next = 0; BigInt(log.length) < found.nextIndex; ) {
    const answer = await client.log.read({
      stream,
      start: { at: atOffset(next) },
      form: Form.STORED,
      maxBytes: 4 << 20,
    });
    // Of a batch in the middle of which a read begins all is given, and control batches at its offset again.
    const fresh = answer.batches.filter(({ index }) => index >= BigInt(log.length));
    assert.notEqual(fresh.length, 0, `batch ${log.length} of ${stream} is not given`);
    log.push(...fresh.map((batch) => logBatch(batch, answer.streamId)));
    next = Number(answer.nextOffset);
  }
  return log;
}

function logBatch(batch: Batch, streamId: bigint): LogBatch {
  const header = readHeader(batch.header, Number(streamId), systemHash);
  assert.ok(header, `the header of batch ${batch.index} is no header`);
  const { kind, producer } = header;
  if (kind !== BatchKind.records) {
    const { index, baseOffset, digest } = header;
    return { index, baseOffset, count: 0, digest: hex(digest) };
  }
  return {
    ...seen(batch),
    ...(producer && { producer: { id: hex(producer.id), epoch: producer.epoch, sequence: producer.sequence } }),
  };
}

/**
 * What came by following is the log from its beginning, without a gap, and nothing twice. There may be more of it: an append
 * that nobody waits for any more may still come true.
 */
function checkFollowed(followed: readonly SeenBatch[], records: readonly LogBatch[]): void {
  for (const [i, { index, baseOffset, count, value = "", digest }] of records.entries()) {
    assert.deepEqual(followed[i], { index, baseOffset, count, value, digest });
  }
}
