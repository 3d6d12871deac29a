/**
 * What a node of a cluster tells of replication and of the other nodes, for /metrics: read at each scrape. Labels are few: nodes
 * of the cluster, and of streams only `_meta` and the first that there are, by id.
 * @module
 */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** A group of this node, as it stands. */
export interface GroupMetrics {
  /** Name of the stream. */
  readonly name: string;
  readonly term: number;
  /** What the replica does; `observer`: it follows, and is no voter. */
  readonly role: GroupRole;
  /** Whether a leader is known. */
  readonly hasLeader: boolean;
  /** Committed batches, as the leader tells, that this node does not give its readers yet. */
  readonly applyLag: number;
  /** Of a group that is led here: those that follow, or should. */
  readonly followers: readonly FollowerMetrics[];
}

export type GroupRole = "leader" | "follower" | "observer" | "candidate" | "stopped";

/** One that follows. Undefined: it has not said what it has. */
export interface FollowerMetrics {
  readonly node: string;
  /** Batches of the leader's log that it does not hold durably. */
  readonly logLag: number | undefined;
  /** Committed ones among them. */
  readonly commitLag: number | undefined;
}

/** Where all of it comes from, asked at each scrape. */
export interface ClusterFacts {
  /** All groups of this node, by id: `_meta` first. */
  groups(): Iterable<GroupMetrics>;
  /** Numbers that only grow. */
  counts(): ClusterCounts;
  /** Nodes that gossip tells of, this one too, by their state. */
  members(): { readonly [state in "alive" | "suspect" | "dead" | "left"]: number };
}

/** What happened since the node's start. */
export interface ClusterCounts {
  readonly elections: number;
  readonly electionsWon: number;
  readonly leaders: number;
  readonly restarted: number;
  readonly repaired: number;
  readonly renewed: number;
  readonly left: number;
  readonly replaced: number;
  readonly missed: ReadonlyMap<string, number>;
}

/** Streams with metrics of their own, `_meta` counted. */
const streamsMax = 20;
/** Nodes with metrics of their own; others go by the name `other`. */
const nodesMax = 100;
const roundTripBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const roles: readonly GroupRole[] = ["leader", "follower", "observer", "candidate", "stopped"];

/** Takes what is measured when it happens. */
export interface ClusterMetrics {
  /** A beat took so long to a node and back. */
  roundTrip(node: string, ms: number): void;
}

/** Registers them. */
export function registerClusterMetrics(registry: Registry, facts: ClusterFacts): ClusterMetrics {
  const nodes = new Names(nodesMax);
  registerGroups(registry, facts, nodes);
  registerCounts(registry, facts, nodes);
  new Gauge({
    name: "tailrace_gossip_members",
    help: "Nodes that gossip tells of, this one too, by their state",
    labelNames: ["state"],
    registers: [registry],
    collect() {
      for (const [state, count] of Object.entries(facts.members())) this.set({ state }, count);
    },
  });
  const roundTrips = new Histogram({
    name: "tailrace_session_round_trip_seconds",
    help: "Time from a beat of this node to its echo, by the node that follows here",
    labelNames: ["node"],
    buckets: roundTripBuckets,
    registers: [registry],
  });
  return { roundTrip: (node, ms) => roundTrips.observe({ node: nodes.known(node) }, ms / 1000) };
}

function registerGroups(registry: Registry, facts: ClusterFacts, nodes: Names): void {
  const gauge = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Gauge<Label>({ name, help, labelNames, registers: [registry] });
  // The library asks metrics in the order of their making: this first one looks at all groups, once for all of those below.
  const groups = new Gauge({
    name: "tailrace_groups",
    help: "Groups of this node, by what its replica does",
    labelNames: ["role"],
    registers: [registry],
    collect: () => collectGroups(),
  });
  const leaderless = gauge("tailrace_groups_leaderless", "Groups of this node that have no leader that it knows");
  const term = gauge("tailrace_group_term", "Term of a group", "stream");
  const role = gauge("tailrace_group_role", "1 for what this node's replica does in a group", "stream", "role");
  const applyHelp = "Batches that are committed, as the leader tells, and that this node does not give readers yet";
  const apply = gauge("tailrace_group_apply_lag_batches", applyHelp, "stream");
  const logHelp = "Batches of a group led here that a follower does not hold durably";
  const log = gauge("tailrace_follower_log_lag_batches", logHelp, "stream", "node");
  const commitHelp = "Committed batches of a group led here that a follower does not hold durably";
  const commit = gauge("tailrace_follower_commit_lag_batches", commitHelp, "stream", "node");
  const worstHelp = "The highest tailrace_follower_commit_lag_batches of a follower, over all groups led here";
  const worst = gauge("tailrace_follower_commit_lag_batches_max", worstHelp, "node");
  const lagging = gauge("tailrace_follower_groups_lagging", "Groups led here in which a follower is behind", "node");

  function collectGroups(): void {
    for (const metric of [term, role, apply, log, commit, worst, lagging]) metric.reset();
    const byRole = new Map(roles.map((name) => [name, 0]));
    const byNode = new Map<string, { worst: number; lagging: number }>();
    let withoutLeader = 0;
    let streams = 0;
    for (const group of facts.groups()) {
      const { name: stream } = group;
      byRole.set(group.role, (byRole.get(group.role) ?? 0) + 1);
      if (!group.hasLeader) withoutLeader += 1;
      const isNamed = streams < streamsMax;
      streams += 1;
      if (isNamed) {
        term.set({ stream }, group.term);
        for (const name of roles) role.set({ stream, role: name }, name === group.role ? 1 : 0);
        apply.set({ stream }, group.applyLag);
      }
      for (const { node: id, logLag, commitLag } of group.followers) {
        const node = nodes.known(id);
        const of = byNode.get(node) ?? { worst: 0, lagging: 0 };
        of.worst = Math.max(of.worst, commitLag ?? 0);
        // Who has not said what it has is not there.
        if (commitLag !== 0) of.lagging += 1;
        byNode.set(node, of);
        if (isNamed && logLag !== undefined) log.set({ stream, node }, logLag);
        if (isNamed && commitLag !== undefined) commit.set({ stream, node }, commitLag);
      }
    }
    for (const [name, count] of byRole) groups.set({ role: name }, count);
    leaderless.set(withoutLeader);
    for (const [node, of] of byNode) {
      worst.set({ node }, of.worst);
      lagging.set({ node }, of.lagging);
    }
  }
}

function registerCounts(registry: Registry, facts: ClusterFacts, nodes: Names): void {
  const registers = [registry];
  const counter = (name: string, help: string, value: (counts: ClusterCounts) => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(value(facts.counts()));
      },
    });
  };
  counter("tailrace_elections_total", "Elections that replicas of this node stood for", (counts) => counts.elections);
  counter("tailrace_elections_won_total", "Elections that they won", (counts) => counts.electionsWon);
  const leadersHelp = "Leaders that replicas of this node came to know, or came to be: one for each group and term";
  counter("tailrace_leader_changes_total", leadersHelp, (counts) => counts.leaders);
  const restartedHelp =
    "Replicas of this node that were too far behind, and began anew at the leader's first checkpoint";
  counter("tailrace_replicas_restarted_total", restartedHelp, (counts) => counts.restarted);
  const repairedHelp = "Replicas of this node whose damaged bytes were replaced in place by another's";
  counter("tailrace_replicas_repaired_total", repairedHelp, (counts) => counts.repaired);
  const renewedHelp = "Replicas of this node that were damaged or lost beyond repair, and are fetched anew";
  counter("tailrace_replicas_renewed_total", renewedHelp, (counts) => counts.renewed);
  const leftHelp = "Replicas of this node that were removed, since their streams were moved to other nodes";
  counter("tailrace_replicas_left_total", leftHelp, (counts) => counts.left);
  const replacedHelp =
    "Voters of groups led here whose place a new replica took: their node was wiped, or lost its log";
  counter("tailrace_replicas_replaced_total", replacedHelp, (counts) => counts.replaced);
  new Counter({
    name: "tailrace_beats_missed_total",
    help: "Beats of this node that did not come back in time, by the node that follows here",
    labelNames: ["node"],
    registers,
    collect() {
      this.reset();
      for (const [node, count] of facts.counts().missed) this.inc({ node: nodes.known(node) }, count);
    },
  });
}

/** The first so many names; the others are one. */
class Names {
  readonly #known = new Set<string>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  known(name: string): string {
    if (this.#known.has(name)) return name;
    if (this.#known.size >= this.#most) return "other";
    this.#known.add(name);
    return name;
  }
}
