import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Registry } from "prom-client";
import { type ClusterFacts, type GroupMetrics, registerClusterMetrics } from "./cluster-metrics.ts";

const nothing = {
  elections: 0,
  electionsWon: 0,
  leaders: 0,
  restarted: 0,
  repaired: 0,
  renewed: 0,
  left: 0,
  replaced: 0,
  missed: new Map(),
};
const group = (name: string, more: Partial<GroupMetrics> = {}): GroupMetrics => ({
  ...{ name, term: 1, role: "follower", hasLeader: true, applyLag: 0, followers: [] },
  ...more,
});

function registered(groups: () => readonly GroupMetrics[], facts: Partial<ClusterFacts> = {}) {
  const registry = new Registry();
  const members = () => ({ alive: 1, suspect: 0, dead: 0, left: 0 });
  const metrics = registerClusterMetrics(registry, { groups, counts: () => nothing, members, ...facts });
  /** Lines of what begins so, as Prometheus reads them. */
  const lines = async (start: string) =>
    (await registry.metrics()).split("\n").filter((line) => line.startsWith(start) && !line.startsWith("#"));
  return { metrics, lines };
}

describe("metrics of a cluster", () => {
  test("count groups by what their replicas do, and those without a leader", async () => {
    const { lines } = registered(() => [
      group("_meta", { role: "leader" }),
      group("a", { hasLeader: false, role: "candidate" }),
      group("b", { hasLeader: false }),
      group("c", { role: "observer" }),
    ]);
    assert.deepEqual(await lines("tailrace_groups"), [
      'tailrace_groups{role="leader"} 1',
      'tailrace_groups{role="follower"} 1',
      'tailrace_groups{role="observer"} 1',
      'tailrace_groups{role="candidate"} 1',
      'tailrace_groups{role="stopped"} 0',
      "tailrace_groups_leaderless 2",
    ]);
  });

  test("tell term, role and lags of a stream, and forget what is not so any more", async () => {
    let groups = [
      group("_meta", {
        ...{ role: "leader", term: 7 },
        followers: [
          { node: "b", logLag: 5, commitLag: 3 },
          { node: "c", logLag: undefined, commitLag: undefined },
        ],
      }),
    ];
    const { lines } = registered(() => groups);
    assert.deepEqual(await lines("tailrace_group_"), [
      'tailrace_group_term{stream="_meta"} 7',
      'tailrace_group_role{stream="_meta",role="leader"} 1',
      ...["follower", "observer", "candidate", "stopped"].map(
        (role) => `tailrace_group_role{stream="_meta",role="${role}"} 0`,
      ),
      'tailrace_group_apply_lag_batches{stream="_meta"} 0',
    ]);
    assert.deepEqual(await lines("tailrace_follower_"), [
      'tailrace_follower_log_lag_batches{stream="_meta",node="b"} 5',
      'tailrace_follower_commit_lag_batches{stream="_meta",node="b"} 3',
      'tailrace_follower_commit_lag_batches_max{node="b"} 3',
      'tailrace_follower_commit_lag_batches_max{node="c"} 0',
      'tailrace_follower_groups_lagging{node="b"} 1',
      'tailrace_follower_groups_lagging{node="c"} 1',
    ]);
    groups = [group("_meta", { applyLag: 4 })];
    assert.deepEqual(await lines("tailrace_follower_"), []);
    assert.deepEqual(await lines("tailrace_group_apply"), ['tailrace_group_apply_lag_batches{stream="_meta"} 4']);
  });

  test("name few streams and few nodes, however many there are; the worst is told of all", async () => {
    const groups = Array.from({ length: 500 }, (_, at) =>
      group(`s${at}`, { role: "leader", followers: [{ node: `n${at}`, logLag: at, commitLag: at }] }),
    );
    const { metrics, lines } = registered(() => groups);
    assert.equal((await lines("tailrace_group_term")).length, 20);
    assert.equal((await lines("tailrace_follower_commit_lag_batches{")).length, 20);
    const worst = await lines("tailrace_follower_commit_lag_batches_max");
    assert.equal(worst.length, 101);
    assert.equal(worst.at(-1), 'tailrace_follower_commit_lag_batches_max{node="other"} 499');
    assert.equal(
      (await lines("tailrace_follower_groups_lagging")).at(-1),
      'tailrace_follower_groups_lagging{node="other"} 400',
    );
    metrics.roundTrip("n777", 1);
    assert.equal(
      (await lines("tailrace_session_round_trip_seconds_count")).at(-1),
      'tailrace_session_round_trip_seconds_count{node="other"} 1',
    );
  });

  test("tell what happened, and how long beats took", async () => {
    const counts = {
      elections: 1,
      electionsWon: 2,
      leaders: 3,
      restarted: 4,
      repaired: 5,
      renewed: 6,
      left: 9,
      replaced: 8,
      missed: new Map([["b", 7]]),
    };
    const { metrics, lines } = registered(() => [], { counts: () => counts });
    metrics.roundTrip("b", 4);
    const totals = await lines("tailrace_");
    for (const line of [
      "tailrace_elections_total 1",
      "tailrace_elections_won_total 2",
      "tailrace_leader_changes_total 3",
      "tailrace_replicas_restarted_total 4",
      "tailrace_replicas_repaired_total 5",
      "tailrace_replicas_renewed_total 6",
      "tailrace_replicas_left_total 9",
      "tailrace_replicas_replaced_total 8",
      'tailrace_beats_missed_total{node="b"} 7',
      'tailrace_gossip_members{state="alive"} 1',
      'tailrace_gossip_members{state="dead"} 0',
      'tailrace_session_round_trip_seconds_bucket{le="0.0025",node="b"} 0',
      'tailrace_session_round_trip_seconds_bucket{le="0.005",node="b"} 1',
    ]) {
      assert.ok(totals.includes(line), `${line} in\n${totals.join("\n")}`);
    }
  });
});
