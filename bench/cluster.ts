/**
 * What three nodes on this machine cost, beside one that is alone: `npm run bench -- --cluster`. They share its cores and its
 * disk with each other and with the client, so ratios tell more than figures do.
 * @module
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { RecordsWriter } from "../src/base/records-writer.ts";
import { type Connection, connectTo } from "../src/cli/connection.ts";
import { toRequestError } from "../src/client/errors.ts";
import { Reason } from "../src/wire/gen/tailrace/v1/error_pb.ts";
import { AppendRequestSchema, Routing } from "../src/wire/gen/tailrace/v1/log_pb.ts";
import { measureEtcd } from "./cluster/etcd.ts";
import { measureFailover, measureRestart } from "./cluster/failover.ts";
import { grpcMethod } from "./cluster/grpc-method.ts";
import { measureIdle } from "./cluster/idle.ts";
import { measureLag } from "./cluster/lag.ts";
import { type Figures, measure, told } from "./cluster/load.ts";
import { type BenchNode, startAlone, startObserver, startThree } from "./cluster/node.ts";
import { peerBytes } from "./cluster/peer-bytes.ts";

const valueBytes = 100;
const batchRecords = 1_000;
const batchesInFlight = 8;
const unaryInFlight = 64;
/** For the catching up of an empty follower. */
const catchUpBytes = 512 << 20;
const streams = 5_000;
/** No stream has so many records: an append there is refused by whoever may take appends. */
const beyondAll = 2n ** 50n;

/** Prints a line for each figure. */
export async function benchCluster(parent: string): Promise<void> {
  const folder = fs.mkdtempSync(path.join(parent, "tailrace-bench-"));
  try {
    const one = await ofOne(path.join(folder, "one"));
    await ofThree(path.join(folder, "three"), one);
    await besideEtcd(path.join(folder, "etcd"));
    await ofMany(path.join(folder, "many"));
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

interface OfOne {
  readonly batches: Figures;
  readonly unary: Figures;
}

async function ofOne(folder: string): Promise<OfOne> {
  fs.mkdirSync(folder);
  const node = await startAlone(folder);
  const figures = await throughput(node, "one");
  say("one node, batches", told(figures.batches, megabytes));
  say("one node, unary", told(figures.unary, appends));
  await node.end("SIGTERM");
  return figures;
}

async function ofThree(folder: string, one: OfOne): Promise<void> {
  fs.mkdirSync(folder);
  const nodes = await startThree(folder);
  const leader = await leaderOf(nodes, "three");
  const figures = await throughput(leader, "three");
  say("three, batches", told(figures.batches, megabytes, one.batches));
  say("three, unary", told(figures.unary, appends, one.unary));
  const follower = nodes.find((node) => node !== leader) ?? leader;
  say("three, unary, through a follower", told(await unary(follower, "three"), appends, one.unary));
  say("lag of a follower", await measureLag(leader, follower, "three"));
  const before = await peerBytes(nodes);
  await fill(leader, "three");
  const after = await peerBytes(nodes);
  const each = before === undefined || after === undefined ? undefined : (after - before) / catchUpBytes;
  const between =
    each === undefined ? "not known: there is no ss" : `${each.toFixed(2)} for each byte of values in batches`;
  say("bytes between nodes", between);
  await catchUp(folder, nodes, leader);
  await Promise.all(nodes.map((node) => node.end("SIGTERM")));
}

async function throughput(node: BenchNode, stream: string): Promise<OfOne> {
  return { batches: await batches(node, stream), unary: await unary(node, stream) };
}

function batches(node: BenchNode, stream: string): Promise<Figures> {
  return appendsOf(node, batchesInFlight, { stream, batch: batchOf(batchRecords) });
}

function unary(node: BenchNode, stream: string): Promise<Figures> {
  return appendsOf(node, unaryInFlight, { stream, records: [{ value: new Uint8Array(valueBytes).fill(7) }] });
}

async function appendsOf(
  node: BenchNode,
  inFlight: number,
  request: MessageInitShape<typeof AppendRequestSchema>,
): Promise<Figures> {
  const method = grpcMethod(node.url, "/tailrace.v1.LogService/Append");
  const message = toBinary(AppendRequestSchema, create(AppendRequestSchema, request));
  try {
    return await measure(inFlight, () => method.call(message));
  } finally {
    method.close();
  }
}

async function fill(node: BenchNode, stream: string): Promise<void> {
  const batch = batchOf(batchRecords);
  await connected(node, async ({ client }) => {
    let left = Math.ceil(catchUpBytes / (batchRecords * valueBytes));
    const work = async () => {
      while (left-- > 0) await client.log.append({ stream, batch });
    };
    await Promise.all(Array.from({ length: batchesInFlight }, work));
  });
}

/** An observer with an empty disk, until it has in segments about what the leader has. */
async function catchUp(folder: string, nodes: readonly BenchNode[], leader: BenchNode): Promise<void> {
  const wantedBytes = 0.98 * leader.segmentBytes();
  const observer = await startObserver(folder, nodes);
  let beginMs = Number.NaN;
  for (let bytes = 0; bytes < wantedBytes; bytes = observer.segmentBytes()) {
    if (Number.isNaN(beginMs) && bytes > 0) beginMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const seconds = (performance.now() - beginMs) / 1000;
  say(
    "an empty follower catches up",
    `${megabytesOf(wantedBytes / seconds)} MB/s, ${megabytesOf(wantedBytes)} MB in all`,
  );
  await observer.end("SIGTERM");
}

async function besideEtcd(folder: string): Promise<void> {
  fs.mkdirSync(folder);
  const figures = await measureEtcd(folder, unaryInFlight, valueBytes);
  say("etcd, three, puts", figures === undefined ? "not installed" : told(figures, appends));
}

/** With thousands of streams: what they cost while nothing happens, and when a node dies. */
async function ofMany(folder: string): Promise<void> {
  fs.mkdirSync(folder);
  const nodes = await startThree(folder);
  await measureIdle(nodes, streams, say);
  await measureFailover(nodes, say);
  await measureRestart(nodes, say);
  await Promise.all(nodes.map((node) => node.end("SIGKILL")));
}

/** Appends to make the stream; then asks without effect: who leads finds the offset wrong, all others refuse before that. */
async function leaderOf(nodes: readonly BenchNode[], stream: string): Promise<BenchNode> {
  const [first] = nodes;
  if (first !== undefined) await connected(first, ({ client }) => client.streams.createStream({ name: stream }));
  for (;;) {
    for (const node of nodes) {
      const reason = await connected(node, ({ client }) =>
        client.log.append({ stream, records: [{}], expectedOffset: beyondAll, routing: Routing.REFUSE }).then(
          () => undefined,
          (error: unknown) => toRequestError(error).detail?.reason,
        ),
      );
      if (reason === Reason.OFFSET_TAKEN) return node;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function connected<T>(node: BenchNode, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = connectTo(node.url);
  try {
    return await work(connection);
  } finally {
    connection.close();
  }
}

function batchOf(records: number): Uint8Array {
  const writer = new RecordsWriter();
  const value = new Uint8Array(valueBytes).fill(7);
  for (let i = 0; i < records; i++) writer.add(value);
  return writer.take().slice();
}

function megabytes(batchesPerS: number): string {
  return `${megabytesOf(batchesPerS * batchRecords * valueBytes)} MB/s`;
}

function megabytesOf(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

function appends(perS: number): string {
  return `${perS.toFixed(0)} /s`;
}

function say(what: string, figures: string): void {
  console.log(`cluster, ${what}:`.padEnd(44), figures);
}
