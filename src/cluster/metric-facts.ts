/**
 * What the metrics of a cluster are read from.
 * @module
 */
import { type Group, sourceOf } from "../raft/group.ts";
import type { RaftDriver } from "../replica/raft-driver.ts";
import type { ClusterFacts, GroupMetrics, GroupRole } from "../server/cluster-metrics.ts";
import { metaGroup, metaName } from "../stream/meta-log.ts";
import type { LocalStreams } from "../stream/streams.ts";
import { behind, followersOf, isLed } from "./group-facts.ts";
import type { ReplicationWatch } from "./replication-watch.ts";

/** What a node has. */
export interface MetricParts {
  readonly driver: RaftDriver;
  readonly streams: Pick<LocalStreams, "stored">;
  readonly watch: ReplicationWatch;
  readonly members: () => readonly { readonly state: "alive" | "suspect" | "dead" | "left" }[];
}

export function metricFacts({ driver, streams, watch, members }: MetricParts): ClusterFacts {
  return {
    *groups() {
      const meta = metricsOf(driver, metaGroup, metaName);
      if (meta) yield meta;
      for (const { id, creation } of streams.stored()) {
        const found = metricsOf(driver, id, creation.name);
        if (found) yield found;
      }
    },
    counts: () => watch,
    members() {
      const counts = { alive: 0, suspect: 0, dead: 0, left: 0 };
      for (const { state } of members()) counts[state] += 1;
      return counts;
    },
  };
}

/** Undefined: it is not here. */
function metricsOf(driver: RaftDriver, group: number, name: string): GroupMetrics | undefined {
  const g = driver.core.group(group);
  const replica = driver.group(group);
  if (!g || !replica) return undefined;
  const known = Math.max(g.log.commit, sourceOf(g)?.saidCommit ?? 0);
  return {
    ...{ name, term: g.term, role: roleOf(g), hasLeader: isLed(g) },
    applyLag: Math.max(known - replica.log.commit.index, 0),
    followers: followersOf(g).map((follower) => ({
      node: follower.node,
      logLag: behind(follower, g.log.end),
      commitLag: behind(follower, g.log.commit),
    })),
  };
}

function roleOf(g: Group): GroupRole {
  switch (g.role.kind) {
    case "leader":
    case "stopped":
    case "candidate":
      return g.role.kind;
    case "prospective":
      return "candidate";
    case "follower":
      return g.log.voters.includes(g.self) ? "follower" : "observer";
  }
}
