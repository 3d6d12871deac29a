/**
 * What is known of the cluster, as messages of the API.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import {
  type Cluster,
  ClusterSchema,
  LagReason as LagReasonValue,
  LagSchema,
  type Server,
  ServerHealth as ServerHealthValue,
  ServerRole,
  ServerSchema,
  ServerState,
} from "../../wire/gen/tailrace/v1/cluster_pb.ts";
import { fromPosition } from "../../wire/position.ts";
import { fromMicros } from "../../wire/timestamp.ts";
import type { ClusterStatus, ServerHealth, ServerLag, ServerStatus } from "./cluster-view.ts";

export function clusterMessage(status: ClusterStatus): Cluster {
  return create(ClusterSchema, {
    id: status.id,
    leader: status.leader ?? "",
    term: fromPosition(status.term),
    voters: [...status.voters],
    votersWanted: status.votersWanted,
    streams: fromPosition(status.streams),
    leaderless: fromPosition(status.leaderless.count),
    leaderlessStreams: status.leaderless.first.map(({ name, voters }) => ({ name, voters: [...voters] })),
  });
}

const roles = { voter: ServerRole.VOTER, observer: ServerRole.OBSERVER };
const states = {
  alive: ServerState.ALIVE,
  suspect: ServerState.SUSPECT,
  dead: ServerState.DEAD,
  left: ServerState.LEFT,
};
const healths = {
  serving: ServerHealthValue.SERVING,
  degraded: ServerHealthValue.DEGRADED,
  stopping: ServerHealthValue.STOPPING,
};
const lagReasons = {
  catching_up: LagReasonValue.UNSPECIFIED,
  not_following: LagReasonValue.NOT_FOLLOWING,
  slow: LagReasonValue.SLOW,
};

export function serverMessage(server: ServerStatus, { leader, voters }: ClusterStatus): Server {
  const { id, stateSinceMicros: since, leads, lag } = server;
  return create(ServerSchema, {
    id,
    apiUrl: server.apiUrl,
    peerAddress: server.peerAddress,
    region: server.region,
    role: roles[server.role],
    isVoter: voters.includes(id),
    isLeader: leader === id,
    isSelf: server.isSelf,
    version: server.version,
    state: states[server.state],
    ...(since === undefined ? {} : { stateSince: fromMicros(since) }),
    leads: fromPosition(leads.count),
    leadsStreams: [...leads.first],
    holds: fromPosition(server.holds),
    ...healthFields(server.health),
    ...(lag === undefined ? {} : { lag: lagMessage(lag) }),
  });
}

function healthFields(health: ServerHealth | undefined) {
  if (health === undefined) return {};
  return { health: healths[health.kind], healthReason: health.kind === "serving" ? "" : health.why };
}

function lagMessage({ stream, batches, bytes, ms, reason, streams }: ServerLag) {
  return create(LagSchema, {
    stream,
    ...(batches === undefined ? {} : { batches: fromPosition(batches) }),
    ...(bytes === undefined ? {} : { bytes: fromPosition(bytes) }),
    ...(ms === undefined ? {} : { ms: fromPosition(Math.max(Math.round(ms), 0)) }),
    reason: lagReasons[reason],
    streams: fromPosition(streams),
  });
}
