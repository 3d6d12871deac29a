/**
 * Three nodes on real disks and sockets: any of them takes any request, whoever leads.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { fromBinary, type JsonObject } from "@bufbuild/protobuf";
import { present } from "../../src/base/assert.ts";
import { connectTo } from "../../src/cli/connection.ts";
import { followParts } from "../../src/client/index.ts";
import { metaName } from "../../src/stream/meta-log.ts";
import { Fate, Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { RecordsSchema } from "../../src/wire/gen/tailrace/v1/record_pb.ts";
import { allCallers, type Caller } from "../protocols/support/callers.ts";
import { runCli } from "../support/cli.ts";
import { until } from "../support/until.ts";
import { temporaryFolder } from "./support/node.ts";
import { newCluster, ServedNode, type TestCluster } from "./support/served-node.ts";

const timeout = 60_000;
const ids = ["a", "b", "c"];

let cluster: TestCluster;
let nodes: ServedNode[] = [];
let callers: { node: ServedNode; all: Caller[] }[] = [];

before(
  async () => {
    cluster = await newCluster(await temporaryFolder(), ids);
    nodes = await Promise.all(ids.map((id) => ServedNode.start(cluster, id)));
    callers = nodes.map((node) => ({ node, all: allCallers(node.url) }));
  },
  { timeout },
);
after(async () => {
  for (const { all } of callers) for (const caller of all) caller.close();
  for (const node of nodes) await node.kill();
  await fs.rm(cluster.path, { recursive: true });
});

const value = (text: string) => Buffer.from(text).toString("base64");
const records = (...texts: string[]) => texts.map((text) => ({ value: value(text) }));

async function answer(caller: Caller, rpc: string, request: JsonObject | JsonObject[]): Promise<JsonObject[]> {
  const { answers, error } = await caller.call(rpc, request, { timeoutMs: 15_000 });
  assert.equal(error, undefined, `${caller.name} ${rpc}: ${error?.code} ${error?.message}`);
  return answers;
}

/** The first caller of a node. */
function first(at: number): Caller {
  return present(callers[at]?.all[0], "each node has callers");
}

/** The node that leads a stream. */
async function leaderOf(name: string): Promise<ServedNode> {
  await until(() => nodes.some((node) => node.leads(name)));
  return present(
    nodes.find((node) => node.leads(name)),
    "one leads it",
  );
}

/** What a client that follows a stream is given, until the signal aborts. */
function followed(url: string, stream: string, signal: AbortSignal): { values: string[]; ended: Promise<void> } {
  const { client, close } = connectTo(url);
  const values: string[] = [];
  const run = async () => {
    for await (const { batches } of followParts(client, { stream, start: { case: "earliest", value: true }, signal })) {
      for (const { payload, skip } of batches) {
        const { records: got } = fromBinary(RecordsSchema, payload);
        values.push(...got.slice(skip).map((record) => Buffer.from(record.value).toString()));
      }
    }
  };
  return { values, ended: run().finally(close) };
}

async function valuesAt(caller: Caller, stream: string): Promise<string[]> {
  const [read] = await answer(caller, "LogService/Read", { stream, consistency: "CONSISTENCY_LINEARIZABLE" });
  const batches = (read?.["batches"] ?? []) as { records: { value: string }[] }[];
  return batches.flatMap((batch) => batch.records.map((record) => Buffer.from(record.value, "base64").toString()));
}

describe("any node", () => {
  test("takes appends by every protocol, and reads give them on each", { timeout }, async () => {
    const appended: string[] = [];
    const since = performance.now();
    for (const { node, all } of callers) {
      for (const caller of all) {
        const text = `${node.id} ${caller.name}`;
        const [receipt] = await answer(caller, "LogService/Append", { stream: "s", records: records(text) });
        assert.equal(receipt?.["startOffset"] ?? "0", String(appended.length));
        appended.push(text);
      }
    }
    console.log(`${appended.length} appends by all nodes took ${(performance.now() - since).toFixed(0)} ms`);
    for (const { all } of callers) {
      for (const caller of all) assert.deepEqual(await valuesAt(caller, "s"), appended, caller.name);
    }
  });
});

describe("who does not lead", () => {
  test("refuses an append that is not to be passed on, and says who does", { timeout }, async () => {
    await answer(first(0), "LogService/Append", { stream: "refusing", records: records("0") });
    const leader = await leaderOf("refusing");
    for (const { node, all } of callers) {
      for (const caller of all) {
        const request = { stream: "refusing", records: records("1"), routing: "ROUTING_REFUSE" };
        const { error } = await caller.call("LogService/Append", request);
        if (node === leader) {
          assert.equal(error, undefined, caller.name);
          continue;
        }
        const { reason, fate, leader: told } = error?.detail ?? {};
        assert.deepEqual(
          [error?.code, reason, fate],
          ["unavailable", Reason.NOT_LEADER, Fate.NOTHING_WRITTEN],
          caller.name,
        );
        assert.deepEqual([told?.nodeId, told?.url], [leader.id, leader.url]);
      }
      const path = `${node.url}/v1/streams/refusing/records?routing=refuse`;
      const response = await fetch(path, { method: "POST", body: "2" });
      assert.equal(response.status, node === leader ? 200 : 503);
    }
  });

  test("tells the command line who does, or passes on", { timeout }, async () => {
    const leader = await leaderOf("refusing");
    const { url } = present(
      nodes.find((node) => node !== leader),
      "two do not lead",
    );
    const line = Buffer.from("by the command line\n");
    const refused = await runCli(url, ["append", "refusing", "--routing", "refuse"], line);
    assert.equal(refused.code, 1);
    assert.ok(refused.stderr.includes(`Ask ${leader.id} at ${leader.url}`), refused.stderr);
    const appended = await runCli(url, ["append", "refusing", "--json"], line);
    assert.equal(appended.code, 0, appended.stderr);
    const { nextOffset } = JSON.parse(appended.stdout.toString());
    for (const flags of [
      ["--consistency", "linearizable"],
      ["--at-least-offset", String(nextOffset)],
    ]) {
      const read = await runCli(url, ["read", "refusing", "--from", "-1", ...flags]);
      assert.deepEqual([read.code, read.stdout.toString()], [0, line.toString()], read.stderr);
    }
  });

  test("passes on fences, trims and settings, and shows at once what became of them", { timeout }, async () => {
    await answer(first(0), "LogService/Append", { stream: "changed", records: records("0", "1", "2") });
    for (const [at, { all }] of callers.entries()) {
      const [caller] = all;
      assert.ok(caller);
      const token = value(`writer ${at}`);
      const [fenced] = await answer(caller, "LogService/Fence", { stream: "changed", token });
      assert.equal(fenced?.["nextOffset"], "3");
      const [trimmed] = await answer(caller, "StreamService/TrimStream", { name: "changed", logStart: String(at + 1) });
      assert.equal(trimmed?.["logStart"], String(at + 1));
      const settings = { recordMaxBytes: String(1000 + at) };
      const [updated] = await answer(caller, "StreamService/UpdateStream", { name: "changed", settings });
      const { settings: now } = (updated?.["stream"] ?? {}) as { settings?: { recordMaxBytes: string } };
      assert.equal(now?.recordMaxBytes, settings.recordMaxBytes);
      const late = { name: "changed", settings: { recordMaxBytes: "1" }, expectedSettingsVersion: "1" };
      const { error } = await caller.call("StreamService/UpdateStream", late);
      assert.deepEqual(
        [error?.code, error?.detail?.reason, error?.detail?.settings?.recordMaxBytes],
        ["failed_precondition", Reason.SETTINGS_CHANGED, BigInt(1000 + at)],
      );
      const other = await caller.call("LogService/Append", {
        stream: "changed",
        records: records("3"),
        fence: value("x"),
      });
      assert.deepEqual(
        [other.error?.detail?.reason, Buffer.from(other.error?.detail?.fence ?? []).toString()],
        [Reason.FENCED, `writer ${at}`],
      );
    }
  });

  test("creates and deletes by way of the catalogue's leader, and knows it at once", { timeout }, async () => {
    for (const [at, { all, node }] of callers.entries()) {
      const [caller] = all;
      assert.ok(caller);
      const name = `made/${node.id}`;
      const [made] = await answer(caller, "StreamService/CreateStream", { name, settings: { retentionAgeS: "1000" } });
      assert.equal(made?.["created"], true);
      const sinceMs = performance.now();
      const other = first((at + 1) % 3);
      const [again] = await answer(other, "StreamService/CreateStream", { name, settings: { retentionAgeS: "1000" } });
      assert.equal(again?.["created"] ?? false, false);
      const { error: exists } = await other.call("StreamService/CreateStream", { name });
      assert.equal(exists?.detail?.reason, Reason.STREAM_EXISTS);
      // Another node may not have heard of it: it asks before it says no.
      await answer(first((at + 2) % 3), "LogService/Append", { stream: name, records: records("0") });
      console.log(`a new stream took its first append after ${(performance.now() - sinceMs).toFixed(0)} ms`);
      const { error } = await caller.call("LogService/Read", { stream: `nothing/${node.id}` });
      assert.equal(error?.detail?.reason, Reason.STREAM_NOT_FOUND);
      const [deleted] = await answer(other, "StreamService/DeleteStream", { name });
      assert.equal(typeof deleted?.["streamId"], "string");
      for (const [where] of nodes.entries()) {
        const { error: gone } = await first(where).call("LogService/Append", {
          ...{ stream: name, records: records("1") },
          streamId: deleted?.["streamId"] ?? "",
        });
        assert.equal(gone?.code, "not_found", JSON.stringify(gone));
      }
    }
  });
});

describe("a stream that nothing was appended to", () => {
  const asked: [string, string, (name: string) => JsonObject, string | undefined][] = [
    ["read", "LogService/Read", (stream) => ({ stream, consistency: "CONSISTENCY_LINEARIZABLE" }), undefined],
    ["read past its end", "LogService/Read", (stream) => ({ stream, start: { offset: "7" } }), "out_of_range"],
    ["trimmed", "StreamService/TrimStream", (name) => ({ name, logStart: "0" }), undefined],
    ["changed", "StreamService/UpdateStream", (name) => ({ name, settings: { retentionAgeS: "60" } }), undefined],
  ];
  for (const [what, rpc, request, code] of asked) {
    test(`is ${what} at once, by any node`, { timeout }, async () => {
      for (const [at] of nodes.entries()) {
        const name = `empty/${what.replaceAll(" ", "-")}/${at}`;
        await answer(first(0), "StreamService/CreateStream", { name });
        const { error } = await first(at).call(rpc, request(name), { timeoutMs: 4_000 });
        assert.equal(error?.code, code, error?.message);
        const [described] = await answer(first(at), "StreamService/GetStream", { name });
        const { nextIndex, digest } = (described?.["stream"] ?? {}) as { nextIndex?: string; digest?: string };
        assert.ok(Number(nextIndex) >= 1 && digest !== undefined, "what it begins with is there");
      }
    });
  }
});

describe("a stream that others create in this moment", () => {
  test("takes an append, whatever its settings are", { timeout }, async () => {
    for (let i = 0; i < 20; i++) {
      const name = `moment/${i}`;
      const request = { stream: name, records: records("0") };
      const create = first(i % 3).call("StreamService/CreateStream", { name, settings: { retentionAgeS: "60" } });
      await Promise.all(nodes.map((_, at) => answer(first(at), "LogService/Append", request)));
      const { error } = await create;
      assert.ok(error === undefined || error.detail?.reason === Reason.STREAM_EXISTS, error?.message);
    }
  });
});

describe("a read", () => {
  test("of a follower has all that was acknowledged, when it is linearizable", { timeout }, async () => {
    for (let i = 0; i < 30; i++) {
      const [receipt] = await answer(first(i % 3), "LogService/Append", {
        stream: "fresh",
        records: records(String(i)),
      });
      const request = { stream: "fresh", consistency: "CONSISTENCY_LINEARIZABLE", start: { latest: true } };
      const reads = await Promise.all(nodes.map((_, at) => answer(first(at), "LogService/Read", request)));
      for (const [read] of reads) assert.equal(read?.["highWatermark"], receipt?.["nextOffset"]);
    }
  });

  test("waits for an offset, and says what it has when that does not come", { timeout }, async () => {
    for (let i = 0; i < 30; i++) {
      const [receipt] = await answer(first(i % 3), "LogService/Append", { stream: "own", records: records(String(i)) });
      const atLeastOffset = String(receipt?.["nextOffset"]);
      const request = { stream: "own", atLeastOffset, waitMs: 5000, start: { beforeEnd: "1" } };
      for (const [at] of nodes.entries()) {
        const [read] = await answer(first(at), "LogService/Read", request);
        assert.equal(read?.["nextOffset"], atLeastOffset);
        assert.ok(Number(read?.["lagMs"] ?? 0) < 1000);
      }
    }
    for (const [at] of nodes.entries()) {
      const { error } = await first(at).call("LogService/Read", { stream: "own", atLeastOffset: "31", waitMs: 50 });
      assert.deepEqual(
        [error?.code, error?.detail?.reason, error?.detail?.nextOffset],
        ["unavailable", Reason.NOT_READY, 30n],
      );
      // That nothing is there is said by the leader, or as it says.
      const past = await first(at).call("LogService/Read", { stream: "own", start: { offset: "31" } });
      assert.deepEqual([past.error?.code, past.error?.detail?.nextOffset], ["out_of_range", 30n]);
    }
  });

  test("by REST chooses in the query", { timeout }, async () => {
    for (const { url } of nodes) {
      const sent = await fetch(`${url}/v1/streams/rest/records`, { method: "POST", body: "x" });
      const { nextOffset } = (await sent.json()) as { nextOffset: string };
      for (const query of ["consistency=linearizable", `at_least_offset=${nextOffset}&wait_ms=5000`]) {
        const read = await fetch(`${url}/v1/streams/rest/records?from=-1&${query}`);
        assert.deepEqual([read.status, read.headers.get("tailrace-next-offset")], [200, nextOffset]);
        assert.match(read.headers.get("tailrace-lag-ms") ?? "", /^\d+$/);
      }
      assert.equal((await fetch(`${url}/v1/streams/rest/records?consistency=eventual`)).status, 400);
    }
  });
});

describe("a stream that this node does not have", () => {
  test("is created again with the settings that it has now, and with no others", { timeout }, async () => {
    for (const id of ids) {
      const name = `only/${id}`;
      cluster.place = () => [id];
      const create = { name, settings: { retentionAgeS: "100" } };
      await answer(first(0), "StreamService/CreateStream", create);
      cluster.place = () => ids;
      const changed = { name, settings: { retentionAgeS: "200" } };
      await answer(first(0), "StreamService/UpdateStream", changed);
      for (const [at] of nodes.entries()) {
        const [again] = await answer(first(at), "StreamService/CreateStream", changed);
        assert.equal(again?.["created"] ?? false, false);
        const { error } = await first(at).call("StreamService/CreateStream", create);
        assert.equal(error?.detail?.reason, Reason.STREAM_EXISTS);
      }
    }
  });

  test("is read, followed, described and appended to all the same", { timeout }, async () => {
    cluster.place = () => ["a", "b"];
    await answer(first(0), "StreamService/CreateStream", { name: "elsewhere" });
    cluster.place = () => ids;
    const outside = present(callers[2], "there are three");
    await until(() => outside.node.local.list({ prefix: "elsewhere", limit: 1 }).streams.length === 1);
    assert.equal(outside.node.local.get("elsewhere").log.door, undefined);
    const appended: string[] = [];
    const follow = new AbortController();
    const tail = followed(outside.node.url, "elsewhere", follow.signal);
    for (const caller of outside.all) {
      appended.push(caller.name);
      await answer(caller, "LogService/Append", { stream: "elsewhere", records: records(caller.name) });
    }
    for (const caller of outside.all) {
      assert.deepEqual(await valuesAt(caller, "elsewhere"), appended, caller.name);
      const [described] = await answer(caller, "StreamService/GetStream", { name: "elsewhere" });
      const { highWatermark } = (described?.["stream"] ?? {}) as { highWatermark?: string };
      assert.equal(highWatermark, String(appended.length));
    }
    const starts: [JsonObject, number][] = [
      [{ offset: "3" }, 3],
      [{ beforeEnd: "2" }, appended.length - 2],
      [{ latest: true }, appended.length],
    ];
    for (const [start, from] of starts) {
      const [read] = await answer(first(2), "LogService/Read", { stream: "elsewhere", start, maxRecords: 1 });
      assert.equal(read?.["nextOffset"], String(Math.min(from + 1, appended.length)));
    }
    const past = await first(2).call("LogService/Read", { stream: "elsewhere", start: { offset: "100" } });
    assert.deepEqual([past.error?.code, past.error?.detail?.reason], ["out_of_range", Reason.PAST_END]);
    await until(() => tail.values.length === appended.length);
    follow.abort();
    await tail.ended;
    assert.deepEqual(tail.values, appended);
    await answer(first(2), "StreamService/TrimStream", { name: "elsewhere", logStart: "2" });
    const below = await first(2).call("LogService/Read", { stream: "elsewhere", start: { offset: "1" } });
    assert.deepEqual([below.error?.code, below.error?.detail?.logStart], ["out_of_range", 2n]);
  });

  test("is in the list, with what the catalogue says where no node that has it answers", { timeout }, async () => {
    const listed = async () => {
      const [page] = await answer(first(2), "StreamService/ListStreams", { prefix: "elsewhere" });
      return (page?.["streams"] ?? []) as { name: string; id: string; highWatermark?: string }[];
    };
    const [whole] = await listed();
    assert.equal(whole?.highWatermark, String(callers[2]?.all.length));
    const [a, b] = [cluster.peerUrls.get("a"), cluster.peerUrls.get("b")];
    assert.ok(a !== undefined && b !== undefined);
    // Their addresses are forgotten, as if nobody knew where they are.
    cluster.peerUrls.delete("a");
    cluster.peerUrls.delete("b");
    try {
      const [part] = await listed();
      assert.deepEqual([part?.name, part?.id, part?.highWatermark], ["elsewhere", whole?.id, undefined]);
    } finally {
      cluster.peerUrls.set("a", a).set("b", b);
    }
  });

  test("comes to it, goes from it, and comes back as another replica: who reads there is given no less than before", {
    timeout,
  }, async () => {
    const c = present(nodes[2], "there are three");
    const placed = async (...placement: string[]) => {
      const meta = await leaderOf(metaName);
      const { id } = c.local.get("moving");
      await meta.local.place([{ id, nodes: placement }]);
      await until(() => c.local.nodesOf(id).join() === placement.join());
    };
    const values: string[] = [];
    const append = async () => {
      values.push(`${values.length}`);
      await answer(first(0), "LogService/Append", { stream: "moving", records: records(...values.slice(-1)) });
    };
    /** By any means that asks no leader. */
    const readsAll = async () => {
      const [read] = await answer(first(2), "LogService/Read", { stream: "moving", start: { earliest: true } });
      const batches = (read?.["batches"] ?? []) as unknown[];
      assert.deepEqual([batches.length, read?.["highWatermark"]], [values.length, `${values.length}`]);
    };
    const comesHere = async () => {
      await until(async () => {
        await c.local.settle();
        await readsAll();
        return c.local.get("moving").log.door?.isIncomplete === false;
      });
    };
    cluster.place = () => ["a", "b"];
    await append();
    cluster.place = () => ids;
    await append();
    await until(() => c.local.list({ prefix: "moving", limit: 1 }).streams.length === 1);
    const { id } = c.local.get("moving");

    // The catalogue says that it is here: it begins empty, before it has heard of any leader.
    await placed("a", "b", "c");
    await comesHere();
    assert.equal(c.driver.group(id)?.log.life, 0);

    const follow = new AbortController();
    const tail = followed(c.url, "moving", follow.signal);
    await until(() => tail.values.length === values.length);
    await placed("a", "b");
    await Promise.all([c.local.leave(id), readsAll()]);
    assert.equal(c.has("moving"), false);
    assert.equal(c.driver.group(id), undefined);
    await readsAll();
    await append();
    await until(() => tail.values.length === values.length);

    await placed("a", "b", "c");
    await comesHere();
    assert.equal(c.driver.group(id)?.log.life, 1);
    await append();
    await until(() => tail.values.length === values.length);
    follow.abort();
    await tail.ended;
    assert.deepEqual(tail.values, values);
    await until(
      async () => (await c.digest("moving")) === (await present(nodes[0], "there are three").digest("moving")),
    );

    // Deleted, nothing of it stays, nor of one that was let go.
    await placed("a", "b");
    await c.local.leave(id);
    await answer(first(0), "StreamService/DeleteStream", { name: "moving" });
    await until(() => !c.holds(id));
  });
});
