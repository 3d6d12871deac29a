/**
 * A node that is told to stop while clients have many appends in flight at it: all that it took is answered, truly.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { appendBatch } from "../../src/client/append.ts";
import { toRequestError } from "../../src/client/errors.ts";
import { neverLeft } from "../../src/host/http2-session.ts";
import { RecordsSchema } from "../../src/wire/gen/tailrace/v1/record_pb.ts";
import { Metrics } from "../support/metrics.ts";
import { until } from "../support/until.ts";
import { withCluster } from "./support/cluster.ts";
import { connect, type Protocol, protocols } from "./support/cluster-client.ts";
import { agreed, finalLog } from "./support/judge.ts";
import type { ClusterNode } from "./support/node-process.ts";
import { lead } from "./support/servers.ts";

const stream = "stopped";
const timeout = 120_000;
/** Appends that each protocol's clients have in flight, all the time. */
const inFlight = 40;
/** So many are answered before the node is told to stop. */
const warmUp = 300;
const graceMs = 8_000;

/** What a client was told of an append. */
type Told =
  | { readonly kind: "acknowledged"; readonly offset: number }
  | { readonly kind: "surely failed" | "fate unknown" | "not answered" };

interface Sent {
  /** No other has it. */
  readonly value: string;
  readonly protocol: Protocol;
  readonly atMs: number;
  told?: Told;
}

describe("a node that stops (SIGTERM) with many appends in flight", () => {
  for (const which of ["the leader", "a follower, which passes them on"]) {
    test(`answers each that it took: ${which}`, { timeout }, async () => {
      await withCluster({ nodes: 3 }, async ({ nodes }) => {
        const [first, second, third] = nodes;
        assert.ok(first && second && third);
        await createAt(first);
        await lead(which === "the leader" ? first : second, stream);
        const sent: Sent[] = [];
        const clients = protocols.map((protocol) => appendAt(first, protocol, sent));
        await until(() => sent.filter(({ told }) => told).length >= warmUp);
        const stoppedAtMs = performance.now();
        assert.equal(await first.end("SIGTERM"), 0);
        const tookMs = performance.now() - stoppedAtMs;
        await Promise.all(clients);
        check(sent, await valuesAt([second, third]), stoppedAtMs);
        console.log(`it ended ${tookMs.toFixed(0)} ms after SIGTERM`);
      });
    });
  }

  test("that can't be committed answers that nobody knows what becomes of them, within its grace time", {
    timeout,
  }, async () => {
    await withCluster({ nodes: 3, args: ["--shutdown-grace", `${graceMs / 1000}s`] }, async ({ nodes }) => {
      const [first, second, third] = nodes;
      assert.ok(first && second && third);
      await createAt(first);
      await lead(first, stream);
      const sent: Sent[] = [];
      const clients = protocols.map((protocol) => appendAt(first, protocol, sent));
      await until(() => sent.filter(({ told }) => told).length >= warmUp);
      for (const node of [second, third]) node.pause();
      await until(async () => (await Metrics.of(first.url)).get("tailrace_open_calls") >= protocols.length * inFlight);
      const stoppedAtMs = performance.now();
      assert.equal(await first.end("SIGTERM"), 0);
      const tookMs = performance.now() - stoppedAtMs;
      await Promise.all(clients);
      for (const node of [second, third]) node.resume();
      check(sent, await valuesAt([second, third]), stoppedAtMs);
      const unknown = sent.filter(({ told }) => told?.kind === "fate unknown");
      assert.equal(unknown.length, protocols.length * inFlight);
      console.log(`it ended ${tookMs.toFixed(0)} ms after SIGTERM`);
      assert.ok(tookMs <= graceMs, `it took ${tookMs.toFixed(0)} ms of ${graceMs}`);
    });
  });
});

async function createAt(node: ClusterNode): Promise<void> {
  const { client, close } = connect("gRPC", node.url);
  await client.streams.createStream({ name: stream });
  close();
}

/** Appends at a node, many at once, until nobody is there any more. */
async function appendAt(node: ClusterNode, protocol: Protocol, sent: Sent[]): Promise<void> {
  const { client, close } = connect(protocol, node.url);
  let serial = 0;
  const work = async () => {
    while (node.isUp) {
      const append: Sent = { value: `${protocol}-${serial++}`, protocol, atMs: performance.now() };
      sent.push(append);
      try {
        const records = [{ value: new TextEncoder().encode(append.value) }];
        const { startOffset } = await client.log.append({ stream, records });
        append.told = { kind: "acknowledged", offset: Number(startOffset) };
      } catch (error) {
        append.told = toldBy(error);
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  close();
}

function toldBy(error: unknown): Told {
  const { kind, nothingWritten } = toRequestError(error);
  if (neverLeft(error) || isRefused(error)) return { kind: "surely failed" };
  if (kind === "lost") return { kind: "not answered" };
  return { kind: nothingWritten ? "surely failed" : "fate unknown" };
}

/** Nobody listened. */
function isRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ("code" in error && error.code === "ECONNREFUSED") || isRefused(error.cause);
}

/** What was told is so, and all that the node took was answered: what came when it refused all is not there. */
function check(sent: readonly Sent[], log: readonly string[], stoppedAtMs: number): void {
  console.log(summary(sent, stoppedAtMs));
  assert.equal(new Set(log).size, log.length, "nothing is there twice");
  const there = new Set(log);
  for (const { value, protocol, atMs, told } of sent) {
    switch (told?.kind) {
      case "acknowledged":
        assert.equal(log[told.offset], value);
        break;
      case "surely failed":
        assert.ok(!there.has(value), `${value} was said to have failed, and is there`);
        break;
      case "fate unknown":
        break;
      default:
        assert.ok(atMs > stoppedAtMs, `${value} was not answered`);
        // HTTP/1.1 has no way to say that a request which is on its way as the connection is closed was not looked at.
        assert.notEqual(protocol, "gRPC", `${value} was not answered over HTTP/2`);
        assert.ok(!there.has(value), `${value} was not answered, and is there`);
    }
  }
}

function summary(sent: readonly Sent[], stoppedAtMs: number): string {
  const counts = new Map<string, number>();
  for (const { atMs, told, protocol } of sent) {
    const what = `${protocol} ${told?.kind}, sent ${atMs < stoppedAtMs ? "before" : "after"} SIGTERM`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const lines = [...counts].sort().map(([what, count]) => `${what}: ${count}`);
  return lines.join("\n");
}

/** The values that nodes have, when that is settled: another append stands behind all that may still come true. */
async function valuesAt(nodes: readonly [ClusterNode, ClusterNode]): Promise<string[]> {
  const [node] = nodes;
  const { client, close } = connect("gRPC", node.url);
  const producer = { id: new Uint8Array(16).fill(1) };
  const payload = toBinary(
    RecordsSchema,
    create(RecordsSchema, { records: [{ value: new TextEncoder().encode("last") }] }),
  );
  await appendBatch(client, { stream, payload, producer: { ...producer, sequence: 0 } });
  close();
  await agreed(nodes, stream);
  return (await finalLog(node, stream)).filter(({ count }) => count > 0).map(({ value = "" }) => value);
}
