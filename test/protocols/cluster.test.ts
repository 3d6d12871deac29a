/**
 * ClusterService by each protocol and library, over a cluster that a test makes up; and what a lone node says.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { JsonObject } from "@bufbuild/protobuf";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { TailraceError } from "../../src/base/errors.ts";
import { createClient } from "../../src/client/index.ts";
import { Http2Session } from "../../src/host/http2-session.ts";
import type {
  ClusterStatus,
  ClusterView,
  LeadershipMoved,
  LeadershipRequest,
  ServerStatus,
} from "../../src/server/api/cluster-view.ts";
import type { WatchServersResponse } from "../../src/wire/gen/tailrace/v1/cluster_pb.ts";
import { Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { until } from "../support/until.ts";
import { allCallers, type Caller, callerKinds } from "./support/callers.ts";
import { startTestNode, type TestNode } from "./support/test-node.ts";

const a: ServerStatus = {
  ...{ id: "a", apiUrl: "http://10.0.0.1:8400", peerAddress: "10.0.0.1:8401", region: "ams", role: "voter" },
  ...{ version: "1.2.3", state: "alive", stateSinceMicros: undefined, isSelf: true, holds: 12 },
  ...{ leads: { count: 12, first: ["orders", "users"] }, health: { kind: "degraded", why: "no room" }, lag: undefined },
};
const b: ServerStatus = {
  ...a,
  ...{ id: "b", apiUrl: "", role: "observer", state: "dead", stateSinceMicros: 1_000_000, isSelf: false },
  ...{ leads: { count: 0, first: [] }, health: undefined },
  lag: { stream: "orders", batches: 7, ms: 1500.4, reason: "not_following", streams: 3 },
};
const status: ClusterStatus = {
  ...{ id: "00ff", leader: "b", term: 4, voters: ["a", "c"], votersWanted: 3, streams: 20, servers: [a, b] },
  leaderless: { count: 2, first: [{ name: "lost", voters: ["b", "c"] }] },
};

/** The same as JSON. */
const told: JsonObject = {
  cluster: {
    ...{ id: "00ff", leader: "b", term: "4", voters: ["a", "c"], votersWanted: 3, streams: "20", leaderless: "2" },
    leaderlessStreams: [{ name: "lost", voters: ["b", "c"] }],
  },
  servers: [
    {
      ...{ id: "a", apiUrl: "http://10.0.0.1:8400", peerAddress: "10.0.0.1:8401", region: "ams", version: "1.2.3" },
      ...{ role: "SERVER_ROLE_VOTER", isVoter: true, isSelf: true, state: "SERVER_STATE_ALIVE" },
      ...{ leads: "12", leadsStreams: ["orders", "users"], holds: "12" },
      ...{ health: "SERVER_HEALTH_DEGRADED", healthReason: "no room" },
    },
    {
      ...{ id: "b", peerAddress: "10.0.0.1:8401", region: "ams", role: "SERVER_ROLE_OBSERVER", version: "1.2.3" },
      ...{ state: "SERVER_STATE_DEAD", isLeader: true, stateSince: "1970-01-01T00:00:01Z", holds: "12" },
      lag: { stream: "orders", batches: "7", ms: "1500", reason: "LAG_REASON_NOT_FOLLOWING", streams: "3" },
    },
  ],
};

/** Says what it is told to say, and keeps what it was asked. */
class MadeUpCluster implements ClusterView {
  status = status;
  readonly asked: unknown[] = [];
  readonly listeners = new Set<() => void>();

  async describe(namesMax: number): Promise<ClusterStatus> {
    this.asked.push(namesMax);
    return this.status;
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async addVoter(node: string): Promise<readonly string[]> {
    if (node === "z") {
      const words = { what: 'Cannot add node "z"', why: "it has not caught up", todo: "Wait until it has" };
      throw new TailraceError("cluster_refused", words);
    }
    return ["a", node];
  }

  async removeVoter(node: string, force: boolean): Promise<readonly string[]> {
    this.asked.push({ node, force });
    return ["a"];
  }

  async transferLeadership(request: LeadershipRequest): Promise<LeadershipMoved> {
    this.asked.push(request);
    return { moved: 3, failed: 1, failure: "nobody holds it" };
  }
}

const cluster = new MadeUpCluster();
let node: TestNode;
let callers: Caller[] = [];
before(async () => {
  node = await startTestNode({ cluster });
  callers = allCallers(node.url);
});
after(async () => {
  for (const caller of callers) caller.close();
  await node.close();
});

const timeout = 20_000;

for (const [number, { name }] of callerKinds().entries())
  describe(name, () => {
    const call = async (rpc: string, request: JsonObject) => {
      const caller = callers[number];
      assert.ok(caller);
      cluster.asked.length = 0;
      const { answers, error } = await caller.call(`ClusterService/${rpc}`, request);
      const { code, message, detail } = error ?? {};
      return { answers, ...(error && { code, message, reason: detail?.reason, field: detail?.field }) };
    };

    test("tells of the nodes", { timeout }, async () => {
      assert.deepEqual(await call("GetServers", {}), { answers: [told] });
      assert.deepEqual(cluster.asked, [10]);
      await call("GetServers", { namesMax: 3 });
      assert.deepEqual(cluster.asked, [3]);
    });

    test("adds and removes voters", { timeout }, async () => {
      assert.deepEqual(await call("AddVoter", { nodeId: "b" }), { answers: [{ voters: ["a", "b"] }] });
      assert.deepEqual(await call("RemoveVoter", { nodeId: "b" }), { answers: [{ voters: ["a"] }] });
      assert.deepEqual(cluster.asked, [{ node: "b", force: false }]);
      await call("RemoveVoter", { nodeId: "b", force: true });
      assert.deepEqual(cluster.asked, [{ node: "b", force: true }]);
    });

    test("says why one can't be added", { timeout }, async () => {
      const { answers, code, message, reason } = await call("AddVoter", { nodeId: "z" });
      assert.deepEqual(
        { answers, code, reason },
        { answers: [], code: "failed_precondition", reason: Reason.CLUSTER_REFUSED },
      );
      assert.match(message ?? "", /^Cannot add node .* it has not caught up$/);
    });

    const transfers: { request: JsonObject; asked: LeadershipRequest }[] = [
      { request: { stream: "orders", to: "b" }, asked: { kind: "stream", name: "orders", to: "b" } },
      { request: { stream: "_meta" }, asked: { kind: "stream", name: "_meta", to: undefined } },
      { request: { nodeId: "a" }, asked: { kind: "node", id: "a", to: undefined } },
      { request: { spread: true }, asked: { kind: "spread" } },
    ];
    for (const { request, asked } of transfers)
      test(`has others lead: ${JSON.stringify(request)}`, { timeout }, async () => {
        const answer = { moved: "3", failed: "1", failure: "nobody holds it" };
        assert.deepEqual(await call("TransferLeadership", request), { answers: [answer] });
        assert.deepEqual(cluster.asked, [asked]);
      });

    const refused: { rpc: string; request: JsonObject; field: string }[] = [
      { rpc: "GetServers", request: { namesMax: 1001 }, field: "names_max" },
      { rpc: "WatchServers", request: { namesMax: 1001 }, field: "names_max" },
      { rpc: "WatchServers", request: { intervalMs: 199 }, field: "interval_ms" },
      { rpc: "WatchServers", request: { intervalMs: 60_001 }, field: "interval_ms" },
      { rpc: "AddVoter", request: {}, field: "node_id" },
      { rpc: "RemoveVoter", request: { nodeId: "a/b" }, field: "node_id" },
      { rpc: "TransferLeadership", request: {}, field: "what" },
      { rpc: "TransferLeadership", request: { nodeId: "" }, field: "node_id" },
      { rpc: "TransferLeadership", request: { spread: false }, field: "spread" },
      { rpc: "TransferLeadership", request: { spread: true, to: "b" }, field: "to" },
      { rpc: "TransferLeadership", request: { stream: "orders", to: " " }, field: "to" },
    ];
    for (const { rpc, request, field } of refused)
      test(`${rpc} refuses ${JSON.stringify(request)}`, { timeout }, async () => {
        const { answers, code, reason, field: named } = await call(rpc, request);
        assert.deepEqual(
          { answers, code, reason, named },
          { answers: [], code: "invalid_argument", reason: Reason.INVALID_FIELD, named: field },
        );
        assert.deepEqual(cluster.asked, []);
      });
  });

describe("WatchServers", () => {
  interface Watched {
    readonly seen: WatchServersResponse[];
    readonly ended: Promise<unknown>;
    close(): void;
  }

  function watch(url: string, intervalMs: number): Watched {
    const session = new Http2Session(url);
    const client = createClient(createGrpcTransport({ baseUrl: url, sessionManager: session }));
    const abort = new AbortController();
    const seen: WatchServersResponse[] = [];
    const ended = (async () => {
      try {
        const { signal } = abort;
        for await (const answer of client.cluster.watchServers({ intervalMs }, { signal })) seen.push(answer);
        return undefined;
      } catch (error) {
        return error;
      }
    })();
    const close = () => {
      abort.abort();
      session.close();
    };
    return { seen, ended, close };
  }

  test("tells at once, and when something changes, and no more when nobody listens", { timeout }, async () => {
    const watched = watch(node.url, 60_000);
    await until(() => watched.seen.length === 1 && cluster.listeners.size === 1);
    cluster.status = { ...status, leader: "c", term: 5 };
    // Many changes at once are told as one.
    for (const listener of cluster.listeners) for (let change = 0; change < 100; change++) listener();
    await until(() => watched.seen.length === 2);
    assert.deepEqual(
      watched.seen.map((answer) => [answer.cluster?.leader, answer.cluster?.term, answer.servers.length]),
      [
        ["b", 4n, 2],
        ["c", 5n, 2],
      ],
    );
    cluster.status = status;
    watched.close();
    await until(() => cluster.listeners.size === 0);
    assert.equal(watched.seen.length, 2);
  });

  test("tells again after a while, where nothing changes", { timeout }, async () => {
    const watched = watch(node.url, 200);
    await until(() => watched.seen.length === 3);
    watched.close();
  });

  test("ends when the node stops", { timeout }, async () => {
    const other = await startTestNode({ cluster });
    const watched = watch(other.url, 60_000);
    await until(() => watched.seen.length === 1);
    await other.close();
    assert.match(String(await watched.ended), /unavailable.*the node stops/);
  });
});

describe("REST", () => {
  test("tells of the nodes", { timeout }, async () => {
    const response = await fetch(`${node.url}/v1/cluster?names_max=5`);
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.deepEqual(await response.json(), told);
    assert.equal(cluster.asked.at(-1), 5);
  });

  test("refuses what it does not know", { timeout }, async () => {
    const response = await fetch(`${node.url}/v1/cluster?names=5`);
    assert.equal(response.status, 400);
  });
});

describe("a lone node", () => {
  let lone: TestNode;
  let caller: Caller | undefined;
  before(async () => {
    lone = await startTestNode();
    [caller] = allCallers(lone.url);
  });
  after(async () => {
    caller?.close();
    await lone.close();
  });
  const call = async (rpc: string, request: JsonObject) => {
    assert.ok(caller);
    return await caller.call(`ClusterService/${rpc}`, request);
  };

  test("is a cluster of itself", { timeout }, async () => {
    for (const stream of ["one", "two", "three"]) await lone.streams.create(stream, {});
    const { answers } = await call("GetServers", { namesMax: 2 });
    assert.deepEqual(answers, [
      {
        cluster: { id: "00", leader: "n1", voters: ["n1"], votersWanted: 1, streams: "3" },
        servers: [
          {
            ...{ id: "n1", apiUrl: "http://n1:8400", role: "SERVER_ROLE_VOTER", isVoter: true, isLeader: true },
            ...{ isSelf: true, version: "0.0.0-test", state: "SERVER_STATE_ALIVE", health: "SERVER_HEALTH_SERVING" },
            ...{ leads: "3", leadsStreams: ["one", "three"], holds: "3" },
          },
        ],
      },
    ]);
    assert.deepEqual((await call("AddVoter", { nodeId: "n1" })).answers, [{ voters: ["n1"] }]);
  });

  for (const [rpc, request] of [
    ["AddVoter", { nodeId: "n2" }],
    ["RemoveVoter", { nodeId: "n1" }],
    ["TransferLeadership", { stream: "one", to: "n2" }],
  ] as const)
    test(`refuses ${rpc}, and says how to be alone no more`, { timeout }, async () => {
      const { error } = await call(rpc, request);
      assert.equal(error?.code, "failed_precondition");
      assert.match(error.message, /this node is alone/);
      assert.match(error.detail?.todo ?? "", /--peer-listen/);
    });
});
