/**
 * What nodes tell of their cluster, and what changes it, on real replicas with real sockets between them. The catalogue, what
 * gossip tells, and what follows the catalogue are the test's.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Registry } from "prom-client";
import { present } from "../../src/base/assert.ts";
import { BatchKind } from "../../src/base/batch.ts";
import { TailraceError } from "../../src/base/errors.ts";
import { NodeChanges } from "../../src/cluster/cluster-changes.ts";
import { type KnownNode, NodeCluster } from "../../src/cluster/cluster-view.ts";
import { metricFacts } from "../../src/cluster/metric-facts.ts";
import { ReplicationWatch } from "../../src/cluster/replication-watch.ts";
import { systemClock } from "../../src/host/clock.ts";
import { nodeOf } from "../../src/raft/types.ts";
import { replicaOf } from "../../src/replica/core-batch.ts";
import { NotLeaderError } from "../../src/replica/replica-errors.ts";
import type { ServerHealth, ServerStatus } from "../../src/server/api/cluster-view.ts";
import { registerClusterMetrics } from "../../src/server/cluster-metrics.ts";
import { UnreachableError } from "../../src/stream/peers.ts";
import { builtInSettings } from "../../src/stream/settings.ts";
import type { Placement } from "../../src/wire/catalogue.ts";
import { encodeCheckpoint, encodeVoters } from "../../src/wire/checkpoint.ts";
import { until } from "../support/until.ts";
import { TestNode, temporaryFolder } from "./support/node.ts";

const timeout = 60_000;
const founders = ["a", "b", "c"];
/** Streams, by id. */
const names = new Map([
  [1, "orders"],
  [2, "users"],
  [3, "clicks"],
]);

/** How a node says that it is when it is asked by another. */
function healthOf(id: string): ServerHealth {
  return { kind: "degraded", why: `${id} was asked` };
}

/** What all nodes have in common. */
class Catalogue {
  readonly placements = new Map<number, readonly string[]>([...names.keys()].map((id) => [id, founders]));
  chosen = { added: [] as readonly string[], removed: [] as readonly string[] };
  readonly states = new Map<string, KnownNode["state"]>();
  readonly listeners = new Set<() => void>();

  *stored() {
    for (const [id, nodes] of this.placements) {
      const creation = { name: names.get(id) ?? "", startOffset: 0, checkpoint: new Uint8Array(0) };
      yield { id, createdMicros: 1, creation, nodes, isDeleting: false };
    }
  }

  become(node: string, state: KnownNode["state"]): void {
    this.states.set(node, state);
    for (const listener of this.listeners) listener();
  }
}

/** One node with all that tells of it. */
class ViewedNode {
  readonly node: TestNode;
  readonly watch: ReplicationWatch;
  readonly cluster: NodeCluster;
  readonly registry = new Registry();
  readonly #catalogue: Catalogue;
  readonly #timer: ReturnType<typeof setInterval>;

  private constructor(node: TestNode, watch: ReplicationWatch, catalogue: Catalogue, at: (id: string) => NodeChanges) {
    this.node = node;
    this.watch = watch;
    this.#catalogue = catalogue;
    const { driver } = node;
    const members = (): KnownNode[] =>
      [...catalogue.states].map(([id, state]) => ({
        ...{ id, state, isSelf: id === node.id, peerAddress: `${id}:1`, apiUrl: "", region: "", version: "1" },
        role: id === "o" ? ("observer" as const) : ("voter" as const),
      }));
    const nodes = {
      members,
      onChange(listener: () => void) {
        catalogue.listeners.add(listener);
        return () => void catalogue.listeners.delete(listener);
      },
    };
    const leads = () => driver.core.group(0)?.role.kind === "leader";
    const streams = {
      stored: () => catalogue.stored(),
      place: async (placements: readonly Placement[]) => {
        if (!leads()) throw new NotLeaderError(0, null);
        for (const { id, nodes: placed } of placements) catalogue.placements.set(id, placed);
      },
      get chosenVoters() {
        return catalogue.chosen;
      },
      chooseVoters: async (chosen: Catalogue["chosen"]) => {
        if (!leads()) throw new NotLeaderError(0, null);
        catalogue.chosen = chosen;
      },
    };
    this.changes = new NodeChanges({ driver, streams, nodes, clock: systemClock, leadersChosen: () => {}, at });
    this.cluster = new NodeCluster({
      ...{ clusterId: "c1", driver, streams, nodes, watch, changes: this.changes, votersWanted: 3, clock: systemClock },
      health: () => ({ kind: "serving" }),
      healths: { of: async (others) => new Map(others.map((other) => [other, healthOf(other)] as const)) },
    });
    const metrics = registerClusterMetrics(this.registry, metricFacts({ driver, streams, watch, members }));
    this.roundTrip = metrics.roundTrip;
    this.#timer = setInterval(() => this.#follow(), 20);
  }

  readonly changes: NodeChanges;
  readonly roundTrip: (node: string, ms: number) => void;

  static async start(
    id: string,
    folder: string,
    addresses: Map<string, string>,
    catalogue: Catalogue,
    at: (id: string) => NodeChanges,
  ): Promise<ViewedNode> {
    const watch: ReplicationWatch = new ReplicationWatch({
      ...{ missedAfterMs: 200, nowMs: () => performance.now() },
      roundTrip: (to, ms) => viewed.roundTrip(to, ms),
    });
    const node = await TestNode.start(id, `${folder}/${id}`, addresses, 1, (input, effects) =>
      watch.stepped(input, effects),
    );
    const viewed: ViewedNode = new ViewedNode(node, watch, catalogue, at);
    return viewed;
  }

  async kill(): Promise<void> {
    clearInterval(this.#timer);
    this.cluster.stop();
    await this.node.kill();
  }

  leads(group: number): boolean {
    return this.node.driver.core.group(group)?.role.kind === "leader";
  }

  async append(group: number, bytes: number): Promise<void> {
    const batch = { kind: BatchKind.records, payload: new Uint8Array(bytes), recordCount: 1 };
    await this.node.driver.group(group)?.append(batch);
  }

  /** What brings groups to what the catalogue says, in short. */
  #follow(): void {
    const { driver, id: self } = this.node;
    for (const [group, [first]] of this.#catalogue.placements) {
      const g = driver.core.group(group);
      if (g?.role.kind !== "leader" || first === self || g.role.handover) continue;
      const to = g.log.voters.find((voter) => nodeOf(voter) === first);
      driver
        .group(group)
        ?.transfer(to)
        .catch(() => {});
    }
    const meta = driver.core.group(0);
    if (meta?.role.kind !== "leader" || meta.role.change || meta.role.handover) return;
    const { added, removed } = this.#catalogue.chosen;
    const { voters } = meta.log;
    const gone = voters.find((voter) => removed.includes(nodeOf(voter)));
    const come = [...meta.feeds.keys()].find((voter) => added.includes(nodeOf(voter)) && !voters.includes(voter));
    const wanted = come ? [...voters, come] : voters.filter((voter) => voter !== gone);
    if (gone === meta.self)
      driver
        .group(0)
        ?.transfer()
        .catch(() => {});
    else if (come || gone)
      driver
        .group(0)
        ?.change(wanted)
        .catch(() => {});
  }
}

describe("a cluster of three", () => {
  let folder = "";
  let nodes = new Map<string, ViewedNode>();
  let catalogue = new Catalogue();
  const addresses = new Map<string, string>();
  const at = (id: string) => {
    const node = nodes.get(id);
    if (!node) throw new UnreachableError(`node ${id} is not there`);
    return node.changes;
  };
  const get = (id: string) => present(nodes.get(id), `node ${id} is there`);
  const leaderOf = (group: number) => [...nodes.values()].find((node) => node.leads(group));
  const told = async (id: string) => await get(id).cluster.describe(2);
  const server = async (asked: string, id: string): Promise<ServerStatus> =>
    present(
      (await told(asked)).servers.find((found) => found.id === id),
      `node ${id} is told of`,
    );

  async function make(node: ViewedNode, group: number): Promise<void> {
    const voters = founders.map((id) => replicaOf(get(id).node.replica));
    const state = { ...{ name: "s", voters, termStarts: [], producers: [], logStart: 0, fence: new Uint8Array(0) } };
    const checkpointState = encodeCheckpoint({ ...state, settings: { ...builtInSettings, version: 1 } });
    const create = { group, checkpointState, startOffset: 0, appendTimeMicros: 1, note: encodeVoters(voters) };
    const { folder: data, driver, replica } = node.node;
    await data.create(create).made;
    await driver.open(driver.add(present(data.log(group), "it was made"), replica));
  }

  async function start(id: string): Promise<ViewedNode> {
    const node = await ViewedNode.start(id, folder, addresses, catalogue, at);
    nodes.set(id, node);
    catalogue.become(id, "alive");
    return node;
  }

  async function kill(id: string): Promise<void> {
    await get(id).kill();
    nodes.delete(id);
  }

  beforeEach(async () => {
    folder = await temporaryFolder();
    [nodes, catalogue] = [new Map(), new Catalogue()];
    for (const id of founders) await start(id);
    for (const group of [0, ...names.keys()]) for (const id of founders) await make(get(id), group);
    // All of them are led, each stream by its preferred leader.
    await until(() => [0, 1, 2, 3].every((group) => leaderOf(group) !== undefined));
    await until(() => [1, 2, 3].every((group) => get("a").leads(group)));
    await until(async () => (await told("c")).leaderless.count === 0 && (await told("c")).leader !== undefined);
  });

  afterEach(async () => {
    for (const node of nodes.values()) await node.kill();
    await fs.rm(folder, { recursive: true });
  });

  test("any of them tells who votes, who leads what, and who holds what", { timeout }, async () => {
    for (const asked of founders) {
      // Under load leaders may change once more.
      await until(async () => {
        const { leader, leaderless, servers } = await told(asked);
        const [a] = servers;
        return a?.leads.count === 3 && leaderless.count === 0 && leader === leaderOf(0)?.node.id;
      });
      const { servers, term, leader, ...rest } = await told(asked);
      assert.ok(term > 0 && leader !== undefined);
      assert.deepEqual(rest, {
        ...{ id: "c1", voters: founders, votersWanted: 3, streams: 3, leaderless: { count: 0, first: [] } },
      });
      assert.deepEqual(
        servers.map(({ id, isSelf, leads, holds, health, state }) => ({ id, isSelf, leads, holds, health, state })),
        founders.map((id) => ({
          ...{ id, isSelf: id === asked, state: "alive", holds: 3 },
          leads: id === "a" ? { count: 3, first: ["orders", "users"] } : { count: 0, first: [] },
          health: id === asked ? { kind: "serving" } : healthOf(id),
        })),
      );
    }
  });

  test("a leader tells how far one is behind that is away: in what it acknowledged without it", {
    timeout,
  }, async () => {
    const node = get("a");
    // Of what it comes to lead when c is away, nobody could tell what c has.
    await node.cluster.transferLeadership({ kind: "stream", name: "_meta", to: "b" }, true);
    await until(() => get("b").leads(0));
    for (let at = 0; at < 10; at++) await node.append(1, 1000);
    await until(async () => (await server("a", "c")).lag === undefined);
    await kill("c");
    for (let at = 0; at < 10; at++) await node.append(1, 10_000);
    await node.append(2, 10);
    await until(() => node.node.driver.core.group(1)?.feeds.size === 1);
    const { lag } = await server("a", "c");
    assert.ok(lag?.batches !== undefined && lag.bytes !== undefined && lag.ms !== undefined);
    const { stream, batches, reason, streams } = lag;
    assert.deepEqual(
      { stream, batches, reason, streams },
      { stream: "orders", batches: 10, reason: "not_following", streams: 2 },
    );
    // Batches before it are smaller: about half of what it lacks, at the least.
    assert.ok(lag.bytes > 50_000 && lag.bytes < 110_000, `${lag.bytes} bytes`);
    assert.ok(lag.ms > 0 && lag.ms < 20_000, `${lag.ms} ms`);
    assert.equal((await server("a", "b")).lag, undefined);
  });

  test("what nobody leads is told, and since when a node is dead", { timeout }, async () => {
    await kill("a");
    await kill("b");
    catalogue.become("a", "dead");
    await until(async () => (await told("c")).leaderless.count === 4);
    const { leaderless, leader } = await told("c");
    const first = [
      { name: "_meta", voters: founders },
      { name: "orders", voters: founders },
    ];
    assert.deepEqual({ leader, leaderless }, { leader: undefined, leaderless: { count: 4, first } });
    const [a, b] = [await server("c", "a"), await server("c", "b")];
    assert.equal(a.state, "dead");
    assert.ok(Math.abs(Date.now() - (a.stateSinceMicros ?? 0) / 1000) < 20_000);
    assert.deepEqual([b.state, b.leads.count], ["alive", 0]);
  });

  test("who listens hears of other leaders, and of nodes", { timeout }, async () => {
    let heard = 0;
    const stop = get("b").cluster.onChange(() => {
      heard += 1;
    });
    catalogue.become("c", "suspect");
    assert.equal(heard, 1);
    await get("c").changes.transferLeadership({ kind: "stream", name: "orders", to: "b" }, true);
    assert.ok(heard > 1);
    stop();
    const before = heard;
    catalogue.become("c", "alive");
    assert.equal(heard, before);
  });

  test("leadership of a stream goes where it is told to, whoever is asked, and stays there", { timeout }, async () => {
    for (const asked of founders) {
      for (const to of founders) {
        const moved = await get(asked).cluster.transferLeadership({ kind: "stream", name: "users", to }, true);
        assert.deepEqual(moved, { moved: 1, failed: 0, failure: undefined });
        await until(() => get(to).leads(2));
        assert.equal(catalogue.placements.get(2)?.[0], to);
      }
    }
    await get("a").cluster.transferLeadership({ kind: "stream", name: "users", to: undefined }, true);
    assert.ok(leaderOf(2) !== undefined && !get("c").leads(2), "another than c leads it");
  });

  test("all that a node leads goes to the others evenly, and spreads again when that is asked for", {
    timeout,
  }, async () => {
    await get("b").cluster.transferLeadership({ kind: "stream", name: "_meta", to: "a" }, true);
    await until(() => get("a").leads(0));
    await until(async () => (await told("b")).leader === "a");
    const moved = await get("b").cluster.transferLeadership({ kind: "node", id: "a", to: undefined }, true);
    assert.deepEqual(moved, { moved: 4, failed: 0, failure: undefined });
    await until(() => [0, 1, 2, 3].every((group) => leaderOf(group) && !get("a").leads(group)));
    const led = (id: string) => [...catalogue.placements.values()].filter(([first]) => first === id).length;
    assert.deepEqual([led("b"), led("c")].sort(), [1, 2]);
    await until(async () => (await told("a")).leader !== undefined);
    const spread = await get("a").cluster.transferLeadership({ kind: "spread" }, true);
    assert.deepEqual([spread, led("a"), led("b"), led("c")], [{ moved: 1, failed: 0, failure: undefined }, 1, 1, 1]);
  });

  test("voters are removed and added again, whoever is asked", { timeout }, async () => {
    for (const asked of founders) {
      await until(async () => (await told(asked)).leader !== undefined);
      const left = founders.filter((id) => id !== "b");
      assert.deepEqual(await get(asked).cluster.removeVoter("b", false, true), left);
      assert.deepEqual(catalogue.chosen, { added: [], removed: ["b"] });
      await until(async () => (await told("b")).voters.length === 2);
      assert.deepEqual(await get(asked).cluster.addVoter("b", true), founders);
      assert.deepEqual(catalogue.chosen, { added: ["b"], removed: [] });
    }
  });

  test("a voter that is down is removed, not another one while it is; and never the last one", {
    timeout,
  }, async () => {
    const leader = present(leaderOf(0), "it is led").node.id;
    const [down = "", stays = ""] = founders.filter((id) => id !== leader);
    await kill(down);
    catalogue.become(down, "dead");
    const meta = () => get(leader).node.driver.core.group(0);
    await until(() => meta()?.feeds.size === 1);
    const refusal = await refused(get(leader).cluster.removeVoter(stays, false, true));
    assert.equal(refusal.reason, "cluster_refused");
    assert.match(refusal.message, new RegExp(`of the voters that stay ${down} must be up`));
    assert.deepEqual(catalogue.chosen, { added: [], removed: [] });
    const left = [leader, stays].sort();
    assert.deepEqual(await get(stays).cluster.removeVoter(down, true, true), left);
    assert.deepEqual(await get(stays).cluster.removeVoter(down, false, true), left);
    assert.deepEqual((await told(stays)).voters, left);
    const last = await refused(
      get(leader)
        .cluster.removeVoter(stays, false, true)
        .then(() => get(leader).cluster.removeVoter(leader, true, true)),
    );
    assert.match(last.message, /it is the only one/);
  });

  const refusals = [
    { name: "a node that nobody knows", ask: (view: NodeCluster) => view.addVoter("x", true), reason: "invalid_field" },
    {
      name: "removing a node that nobody knows",
      ask: (view: NodeCluster) => view.removeVoter("x", false, true),
      reason: "invalid_field",
    },
    { name: "an observer", ask: (view: NodeCluster) => view.addVoter("o", true), reason: "cluster_refused" },
    { name: "a node that is dead", ask: (view: NodeCluster) => view.addVoter("d", true), reason: "cluster_refused" },
    {
      name: "a stream that is not there",
      ask: (view: NodeCluster) => view.transferLeadership({ kind: "stream", name: "none", to: "a" }, true),
      reason: "stream_not_found",
    },
    {
      name: "a node that does not hold the stream",
      ask: (view: NodeCluster) => view.transferLeadership({ kind: "stream", name: "orders", to: "d" }, true),
      reason: "cluster_refused",
    },
    {
      name: "a node that is dead to lead",
      ask: (view: NodeCluster) => view.transferLeadership({ kind: "stream", name: "clicks", to: "b" }, true),
      reason: "cluster_refused",
    },
    {
      name: "_meta to one that does not vote",
      ask: (view: NodeCluster) => view.transferLeadership({ kind: "stream", name: "_meta", to: "d" }, true),
      reason: "cluster_refused",
    },
  ];
  test("refuses what can't be, and says why", { timeout }, async () => {
    catalogue.become("d", "dead");
    catalogue.become("o", "alive");
    catalogue.become("b", "dead");
    for (const { name, ask, reason } of refusals) {
      for (const asked of founders) assert.equal((await refused(ask(get(asked).cluster))).reason, reason, name);
    }
    // It may well hold the stream: what it has not is a vote.
    const toObserver = { kind: "stream", name: "orders", to: "o" } as const;
    for (const asked of founders) {
      const { message } = await refused(get(asked).cluster.transferLeadership(toObserver, true));
      assert.match(message, /node "o" does not vote in "orders"$/);
    }
    assert.deepEqual(catalogue.chosen, { added: [], removed: [] });
  });

  test("what was passed on goes no further; without a leader nothing is changed", { timeout }, async () => {
    const other = founders.find((id) => id !== leaderOf(0)?.node.id) ?? "";
    assert.equal((await refused(get(other).cluster.addVoter("a", false))).reason, "not_leader");
    for (const id of founders) if (id !== other) await kill(id);
    await until(async () => (await told(other)).leader === undefined);
    assert.equal((await refused(get(other).cluster.removeVoter("a", true, true))).reason, "not_ready");
  });

  test("metrics count what was led, elected, and how long beats took", { timeout }, async () => {
    await until(() => get("a").watch.leaders >= 4);
    for (let at = 0; at < 5; at++) await get("a").append(1, 100);
    const text = async () => await get("a").registry.metrics();
    await until(async () =>
      (await text()).includes('tailrace_follower_commit_lag_batches{stream="orders",node="c"} 0'),
    );
    const value = async (name: string) => {
      const line = (await text()).split("\n").find((found) => found.startsWith(`${name} `));
      return line === undefined ? Number.NaN : Number(line.split(" ").at(-1));
    };
    assert.ok((await value('tailrace_groups{role="leader"}')) >= 3);
    assert.equal(await value("tailrace_groups_leaderless"), 0);
    assert.equal(await value('tailrace_gossip_members{state="alive"}'), 3);
    await until(async () => (await value('tailrace_session_round_trip_seconds_count{node="b"}')) > 3);
    const perBeat =
      (await value('tailrace_session_round_trip_seconds_sum{node="b"}')) /
      (await value('tailrace_session_round_trip_seconds_count{node="b"}'));
    assert.ok(perBeat > 0 && perBeat < 0.2, `${perBeat} s a beat`);
  });
});

async function refused(work: Promise<unknown>): Promise<TailraceError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof TailraceError, String(error));
  return error;
}
