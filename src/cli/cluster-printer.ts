/**
 * A cluster for the terminal, and for a program.
 * @module
 */
import { LagReason, type Server, ServerHealth, ServerRole } from "../wire/gen/tailrace/v1/cluster_pb.ts";
import { toPosition } from "../wire/position.ts";
import { type Finding, findingsOf, stateName, stateWords } from "./cluster-findings.ts";
import type { Picture } from "./cluster-picture.ts";
import { sentences } from "./failure.ts";
import { isoOf } from "./json-printer.ts";
import { onOneLine } from "./one-line.ts";
import { formatCount, formatDuration } from "./units.ts";

/** What is wrong, then each node with what it leads and how far it is behind. */
export function statusText(picture: Picture, nowMs: number): string {
  const { cluster, servers } = picture;
  const findings = findingsOf(picture, nowMs);
  const head = [
    `cluster ${cluster.id}`,
    `${servers.length} ${servers.length === 1 ? "node" : "nodes"}`,
    `${cluster.voters.length} ${cluster.voters.length === 1 ? "voter" : "voters"}`,
    `leader ${cluster.leader === "" ? "none" : cluster.leader}`,
    `${formatCount(Number(cluster.streams))} ${cluster.streams === 1n ? "stream" : "streams"}`,
  ].join(", ");
  const said = findings.map((finding) => `${finding.severity}: ${sentences(finding.what, finding.todo)}`);
  const rows = servers.map((server) => [
    server.id,
    server.region === "" ? "-" : server.region,
    roleWords(server),
    stateWords(server, nowMs),
    formatCount(Number(server.leads)),
    formatCount(Number(server.holds)),
    lagWords(server),
  ]);
  const table = columns([["ID", "REGION", "ROLE", "STATE", "LEADS", "HOLDS", "BEHIND"], ...rows]);
  return [head, ...(said.length === 0 ? ["nothing is wrong"] : said), "", table].map((line) => `${line}\n`).join("");
}

/** Each node and where it is found. */
export function membersText({ servers }: Picture, nowMs: number): string {
  const rows = servers.map((server) => [
    server.id,
    server.region === "" ? "-" : server.region,
    roleWords(server),
    stateWords(server, nowMs),
    server.version,
    server.apiUrl === "" ? "-" : server.apiUrl,
    server.peerAddress === "" ? "-" : server.peerAddress,
  ]);
  return `${columns([["ID", "REGION", "ROLE", "STATE", "VERSION", "API", "PEER"], ...rows])}\n`;
}

/** All of it as JSON, on one line. */
export function statusJson(picture: Picture, nowMs: number): string {
  const { cluster, servers, unreached } = picture;
  return `${JSON.stringify({
    id: cluster.id,
    leader: cluster.leader === "" ? null : cluster.leader,
    term: toPosition(cluster.term, "term"),
    voters: cluster.voters,
    votersWanted: cluster.votersWanted,
    streams: toPosition(cluster.streams, "streams"),
    leaderless: toPosition(cluster.leaderless, "leaderless"),
    leaderlessStreams: cluster.leaderlessStreams.map(({ name, voters }) => ({ name, voters })),
    servers: servers.map(serverJson),
    unreached,
    findings: findingsOf(picture, nowMs),
  })}\n`;
}

/** Whether something is in somebody's way. */
export function hasProblem(picture: Picture, nowMs: number): boolean {
  return findingsOf(picture, nowMs).some(({ severity }: Finding) => severity === "problem");
}

/** A node as JSON. */
export function serverJson(server: Server): object {
  const { id, apiUrl, peerAddress, region, isVoter, isLeader, version, state, stateSince, leadsStreams, lag } = server;
  return {
    ...{ id, apiUrl, peerAddress, region, role: roleName(server), isVoter, isLeader, version },
    state: stateName(state),
    ...(stateSince && { stateSince: isoOf(stateSince) }),
    leads: toPosition(server.leads, "leads"),
    leadsStreams,
    holds: toPosition(server.holds, "holds"),
    health: healthName(server.health),
    ...(server.healthReason === "" ? {} : { healthReason: server.healthReason }),
    ...(lag && {
      lag: {
        stream: lag.stream,
        ...(lag.batches === undefined ? {} : { batches: toPosition(lag.batches, "batches") }),
        ...(lag.bytes === undefined ? {} : { bytes: toPosition(lag.bytes, "bytes") }),
        ...(lag.ms === undefined ? {} : { ms: toPosition(lag.ms, "ms") }),
        reason: lagReasonName(lag.reason),
        streams: toPosition(lag.streams, "streams"),
      },
    }),
  };
}

function roleName({ role }: Server): string {
  switch (role) {
    case ServerRole.VOTER:
      return "voter";
    case ServerRole.OBSERVER:
      return "observer";
    default:
      return "unknown";
  }
}

/** Started as one whose vote may count, it may not be one yet, or not any more. */
function roleWords(server: Server): string {
  if (server.isLeader) return "leader";
  return server.role === ServerRole.VOTER && !server.isVoter ? "no voter" : roleName(server);
}

function healthName(health: ServerHealth): string {
  switch (health) {
    case ServerHealth.SERVING:
      return "serving";
    case ServerHealth.DEGRADED:
      return "degraded";
    case ServerHealth.STOPPING:
      return "stopping";
    default:
      return "unknown";
  }
}

function lagReasonName(reason: LagReason): string {
  switch (reason) {
    case LagReason.NOT_FOLLOWING:
      return "not following";
    case LagReason.SLOW:
      return "slow";
    default:
      return "catching up";
  }
}

function lagWords({ lag }: Server): string {
  if (lag === undefined) return "-";
  const { stream, batches, ms, reason } = lag;
  const far = [
    ...(batches === undefined ? [] : [`${formatCount(Number(batches))} ${batches === 1n ? "batch" : "batches"}`]),
    ...(ms === undefined || ms === 0n ? [] : [formatDuration(Number(ms))]),
  ].join(", ");
  return `${stream}:${far === "" ? "" : ` ${far}`} (${lagReasonName(reason)})`;
}

/** Rows as columns, each as wide as it must be. */
function columns(rows: readonly (readonly string[])[]): string {
  const clean = rows.map((row) => row.map(onOneLine));
  const widths = (clean[0] ?? []).map((_, at) => Math.max(...clean.map((row) => row[at]?.length ?? 0)));
  return clean
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
