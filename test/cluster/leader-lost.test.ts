/**
 * Leaders end in the middle of appends that go through other nodes: with a producer each batch is stored once, in order;
 * without one the answer says whether it may be sent again.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { present } from "../../src/base/assert.ts";
import { Appender, appendBatch, createClient, readParts, toRequestError } from "../../src/client/index.ts";
import { Http2Session } from "../../src/host/http2-session.ts";
import { RecordsSchema } from "../../src/wire/gen/tailrace/v1/record_pb.ts";
import { payloadOf } from "../support/streams.ts";
import { until } from "../support/until.ts";
import { temporaryFolder } from "./support/node.ts";
import { newCluster, ServedNode, type TestCluster } from "./support/served-node.ts";

const timeout = 120_000;
const ids = ["a", "b", "c"];
const stream = "s";

let cluster: TestCluster;
let nodes: ServedNode[] = [];
let starts = 0;
const sessions: Http2Session[] = [];

beforeEach(
  async () => {
    starts = 1;
    cluster = await newCluster(await temporaryFolder(), ids);
    nodes = await Promise.all(ids.map((id) => ServedNode.start(cluster, id, starts)));
    await clientOf(at(0), "Connect").log.append({ stream, batch: payloadOf("first") });
  },
  { timeout },
);
afterEach(async () => {
  for (const session of sessions.splice(0)) session.close();
  for (const node of nodes) await node.kill();
  await fs.rm(cluster.path, { recursive: true });
});

const at = (index: number) => present(nodes[index], "there are three");

type Protocol = "gRPC" | "gRPC-Web" | "Connect" | "Connect JSON";

function clientOf({ url: baseUrl }: ServedNode, protocol: Protocol) {
  const sessionManager = new Http2Session(baseUrl);
  sessions.push(sessionManager);
  const options = { baseUrl, httpVersion: "2" as const, sessionManager, acceptCompression: [] };
  const transports: Record<Protocol, () => Transport> = {
    gRPC: () => createGrpcTransport({ baseUrl, sessionManager, acceptCompression: [] }),
    "gRPC-Web": () => createGrpcWebTransport(options),
    Connect: () => createConnectTransport(options),
    "Connect JSON": () => createConnectTransport({ ...options, useBinaryFormat: false }),
  };
  return createClient(transports[protocol]());
}

async function leader(): Promise<ServedNode> {
  await until(() => nodes.some((node) => node.leads(stream)));
  return present(
    nodes.find((node) => node.leads(stream)),
    "one leads",
  );
}

/** Kills the leader, and starts it again once another leads. */
async function replaceLeader(): Promise<void> {
  const lost = await leader();
  nodes = nodes.filter((node) => node !== lost);
  await lost.kill();
  await leader();
  starts += 1;
  nodes.push(await ServedNode.start(cluster, lost.id, starts));
}

async function valuesIn(node: ServedNode): Promise<string[]> {
  const values: string[] = [];
  const client = clientOf(node, "Connect");
  for await (const { batches } of readParts(client, { stream, start: { case: "earliest", value: true } })) {
    for (const { payload, skip } of batches) {
      const { records } = fromBinary(RecordsSchema, payload);
      values.push(...records.slice(skip).map(({ value }) => new TextDecoder().decode(value)));
    }
  }
  return values;
}

/** All nodes have the same, by their digests. */
async function settled(): Promise<void> {
  await until(() => nodes.every((node) => node.has(stream)));
  await until(async () => new Set(await Promise.all(nodes.map((node) => node.digest(stream)))).size === 1);
}

/** A node that a client may talk to all the time: it is not the leader now, and does not end while it is not. */
const others = async () => {
  const leads = await leader();
  return nodes.filter((node) => node !== leads);
};

describe("a producer whose leader ends", () => {
  test("stores each batch once and in order, by each protocol and another node", { timeout }, async () => {
    const protocols: Protocol[] = ["gRPC", "gRPC-Web", "Connect", "Connect JSON"];
    const acknowledged = new Map<Protocol, string[]>(protocols.map((protocol) => [protocol, []]));
    let isOver = false;
    const [one, two] = await others();
    const writers = protocols.map(async (protocol, number) => {
      const id = new Uint8Array(16).fill(number + 1);
      const values = present(acknowledged.get(protocol), "it is one of them");
      const client = clientOf(present(number % 2 === 0 ? one : two, "two do not lead"), protocol);
      for (let sequence = 0; !isOver; sequence++) {
        const value = `p${number} ${sequence}`;
        const options = { stream, payload: payloadOf(value), producer: { id, sequence }, triesMax: 30 };
        await appendBatch(client, options);
        values.push(value);
      }
    });
    const begin = performance.now();
    await replaceLeader();
    console.log(`the leader was killed and replaced within ${(performance.now() - begin).toFixed(0)} ms`);
    const counts = () => [...acknowledged.values()].map(({ length }) => length);
    const before = counts();
    await until(() => counts().every((count, i) => count > (before[i] ?? 0) + 20));
    isOver = true;
    await Promise.all(writers);
    await settled();
    for (const node of nodes) {
      const values = await valuesIn(node);
      for (const [number, protocol] of protocols.entries()) {
        const found = values.filter((value) => value.startsWith(`p${number} `));
        assert.deepEqual(found, acknowledged.get(protocol), `${protocol} at ${node.id}`);
      }
    }
  });

  test("keeps its order in a stream of appends by another node", { timeout }, async () => {
    const [one] = await others();
    const client = clientOf(present(one, "two do not lead"), "gRPC");
    let acknowledged = 0;
    const appender = new Appender(client, {
      stream,
      producer: { id: new Uint8Array(16).fill(9) },
      triesMax: 30,
      onAppended: () => {
        acknowledged += 1;
      },
    });
    let sent = 0;
    let isOver = false;
    const sending = (async () => {
      while (!isOver) {
        const value = `n ${sent}`;
        sent += 1;
        await appender.send({ payload: payloadOf(value), records: 1 });
      }
    })();
    await until(() => acknowledged > 100);
    await replaceLeader();
    const before = acknowledged;
    await until(() => acknowledged > before + 100);
    isOver = true;
    await sending;
    await appender.finish();
    await settled();
    const values = (await valuesIn(present(one, "it is there"))).filter((value) => value.startsWith("n "));
    assert.deepEqual(
      values,
      Array.from({ length: sent }, (_, i) => `n ${i}`),
    );
    console.log(`${sent} appends in one stream, over a leader's end`);
  });
});

describe("who appends without a producer", () => {
  test("is told what became of each append, and what is told holds", { timeout }, async () => {
    const [one, two] = await others();
    const outcomes = new Map<string, "there" | "not there" | "unknown">();
    let isOver = false;
    const writers = [one, two, one, two].map(async (node, number) => {
      const client = clientOf(present(node, "two do not lead"), number < 2 ? "gRPC" : "Connect JSON");
      for (let i = 0; !isOver; i++) {
        const value = `w${number} ${i}`;
        try {
          await client.log.append({ stream, batch: payloadOf(value) });
          outcomes.set(value, "there");
        } catch (error) {
          outcomes.set(value, toRequestError(error).nothingWritten ? "not there" : "unknown");
        }
      }
    });
    await until(() => outcomes.size > 100);
    await replaceLeader();
    const before = outcomes.size;
    await until(() => outcomes.size > before + 100);
    isOver = true;
    await Promise.all(writers);
    await settled();
    const values = await valuesIn(present(one, "it is there"));
    const counts = new Map<string, number>();
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    for (const [value, outcome] of outcomes) {
      const count = counts.get(value) ?? 0;
      if (outcome === "unknown") assert.ok(count <= 1, `${value} is there ${count} times`);
      else assert.equal(count, outcome === "there" ? 1 : 0, `${value} is ${outcome}`);
    }
    const said = [...outcomes.values()];
    console.log(
      `of ${said.length} appends ${said.filter((outcome) => outcome === "unknown").length} have an unknown fate`,
    );
  });
});
