/**
 * What is wrong with a cluster, and what to do about it.
 * @module
 */
import { LagReason, type Server, ServerHealth, ServerRole, ServerState } from "../wire/gen/tailrace/v1/cluster_pb.ts";
import { toMicros } from "../wire/timestamp.ts";
import type { Picture } from "./cluster-picture.ts";
import { formatBytes, formatCount, formatDuration } from "./units.ts";

/** A `problem` is in somebody's way now; a `warning` may come to be in the way. Each a sentence or two without control characters. */
export interface Finding {
  readonly severity: "problem" | "warning";
  readonly what: string;
  readonly todo: string;
}

/** A follower that is further behind than either is told of. */
const lagMaxMs = 10_000;
const lagMaxBatches = 1000;
/** Who has been dead for so long does not come back by itself. */
const deadLongMs = 10 * 60_000;
const metaName = "_meta";
/** Streams or nodes that are named in one sentence. */
const namesMax = 5;

/** All that is wrong, the worst first. @param nowMs Milliseconds since 1970. */
export function findingsOf(picture: Picture, nowMs: number): readonly Finding[] {
  const found = [
    ...quorum(picture, nowMs),
    ...leaderless(picture),
    ...picture.servers.flatMap((server) => health(server)),
    ...picture.servers.flatMap((server) => dead(picture, server, nowMs)),
    ...picture.servers.flatMap((server) => lagging(picture, server)),
    ...voterCount(picture),
    ...picture.servers.flatMap((server) => idle(picture, server)),
    ...unreached(picture),
    ...versions(picture),
  ];
  return [
    ...found.filter(({ severity }) => severity === "problem"),
    ...found.filter(({ severity }) => severity === "warning"),
  ];
}

/** Whether a node is up: it is heard by the one that was asked, or it answered. */
export function isUp({ answered }: Picture, { id, state }: Server): boolean {
  return state === ServerState.ALIVE || state === ServerState.SUSPECT || answered.has(id);
}

/** How a node stands, and since when: `dead for 5 min`. */
export function stateWords({ state, stateSince }: Server, nowMs: number): string {
  const name = stateName(state);
  if (state === ServerState.ALIVE || stateSince === undefined) return name;
  return `${name} for ${formatDuration(nowMs - toMicros(stateSince, "state_since") / 1000)}`;
}

/** Such as `alive`. */
export function stateName(state: ServerState): string {
  switch (state) {
    case ServerState.UNSPECIFIED:
      return "not heard of";
    case ServerState.ALIVE:
      return "alive";
    case ServerState.SUSPECT:
      return "suspect";
    case ServerState.DEAD:
      return "dead";
    case ServerState.LEFT:
      return "left";
    default:
      return `state ${state}, which this version does not know`;
  }
}

function quorum(picture: Picture, nowMs: number): Finding[] {
  const { voters, leaderlessStreams } = picture.cluster;
  const missing = voters.filter((id) => !picture.servers.some((server) => server.id === id && isUp(picture, server)));
  const needed = Math.floor(voters.length / 2) + 1;
  const up = voters.length - missing.length;
  if (up < needed) {
    const which = missing.map((id) => {
      const server = picture.servers.find((found) => found.id === id);
      return server ? `${id} (${stateWords(server, nowMs)})` : `${id} (not heard of)`;
    });
    return [
      {
        severity: "problem",
        what:
          `There is no quorum: of ${voters.length} voters ${needed} must be up, and ${up} ${up === 1 ? "is" : "are"}. ` +
          `Missing: ${which.join(", ")}`,
        todo: "Start them again with their data folders; if a majority of the disks is lost for good, see docs/cluster.md",
      },
    ];
  }
  // An observer may follow another than the leader, and not know who leads.
  if (!leaderlessStreams.some(({ name }) => name === metaName)) return [];
  const what = `The cluster has no leader, though ${up} of ${voters.length} voters are up`;
  return [
    { severity: "problem", what, todo: "Look again in some seconds; if it stays so, they do not reach each other" },
  ];
}

function leaderless(picture: Picture): Finding[] {
  const { leaderless: count, leaderlessStreams } = picture.cluster;
  const streams = leaderlessStreams.filter(({ name }) => !name.startsWith("_"));
  if (streams.length === 0) return [];
  const down = new Set(picture.servers.filter((server) => !isUp(picture, server)).map(({ id }) => id));
  const missing = [...new Set(streams.flatMap(({ voters }) => voters.filter((id) => down.has(id))))];
  const names = some(streams.map(({ name }) => name));
  return [
    {
      severity: "problem",
      what: `${counted(count, "stream")} ${count === 1n ? "has" : "have"} no leader, so that nothing is appended: ${names}`,
      todo:
        missing.length > 0
          ? `Start ${some(missing)} again: ${missing.length === 1 ? "it votes" : "they vote"} there`
          : "Look again in some seconds; if it stays so, their nodes do not reach each other",
    },
  ];
}

function health({ id, health: kind, healthReason: why }: Server): Finding[] {
  switch (kind) {
    case ServerHealth.DEGRADED:
      return [{ severity: "problem", what: `Node ${id} can't do all: ${why}`, todo: "See to that node" }];
    case ServerHealth.STOPPING:
      return [{ severity: "warning", what: `Node ${id} stops: ${why}`, todo: "" }];
    default:
      return [];
  }
}

function dead(picture: Picture, server: Server, nowMs: number): Finding[] {
  const { id, isVoter, stateSince } = server;
  if (server.state === ServerState.DEAD && picture.answered.has(id)) {
    const what = `Node ${id} answers from here, but other nodes do not hear it`;
    return [
      { severity: "warning", what, todo: `Let nodes reach each other at their peer ports: ${server.peerAddress}` },
    ];
  }
  if (!isVoter || isUp(picture, server)) return [];
  const forMs = stateSince === undefined ? 0 : nowMs - toMicros(stateSince, "state_since") / 1000;
  const what = `Voter ${id} is ${stateWords(server, nowMs)}`;
  const todo =
    forMs < deadLongMs
      ? "Start it again, with its data folder or with an empty one"
      : `Start it again; if it is gone for good, run "tailrace cluster remove ${id}", and add another`;
  return [{ severity: "warning", what, todo }];
}

function lagging(picture: Picture, { id, lag }: Server): Finding[] {
  if (lag === undefined) return [];
  const server = picture.servers.find((found) => found.id === id);
  // Of one that is down it is said that it is.
  if (server && !isUp(picture, server)) return [];
  const { ms = 0n, batches = 0n, bytes, stream, streams, reason } = lag;
  if (ms < lagMaxMs && batches < lagMaxBatches && reason !== LagReason.NOT_FOLLOWING) return [];
  const far = [
    ...(batches > 0n ? [`${counted(batches, "batch", "batches")}`] : []),
    ...(bytes === undefined ? [] : [`about ${formatBytes(Number(bytes))}`]),
    ...(ms > 0n ? [formatDuration(Number(ms))] : []),
  ].join(", ");
  const others = streams > 1n ? `, and in ${counted(streams - 1n, "other stream")} less far` : "";
  const behind = `Node ${id} is ${far === "" ? "" : `${far} `}behind in ${stream}${others}`;
  switch (reason) {
    case LagReason.NOT_FOLLOWING:
      return [
        {
          severity: "warning",
          what: `${behind}: it does not follow the leader`,
          todo: "Look at its log; it and the leader must reach each other at their peer ports",
        },
      ];
    case LagReason.SLOW:
      return [
        {
          severity: "warning",
          what: `${behind}: its disk, or the network there, takes less than what is appended`,
          todo: "Look at that node's disk and network",
        },
      ];
    default:
      return [{ severity: "warning", what: `${behind}: it is catching up`, todo: "Look again in a while" }];
  }
}

function voterCount(picture: Picture): Finding[] {
  const { voters, votersWanted } = picture.cluster;
  const spare = picture.servers.filter(
    (server) => server.role === ServerRole.VOTER && !server.isVoter && isUp(picture, server),
  );
  const [next] = spare;
  const add = next ? `Run "tailrace cluster add ${next.id}"` : "Start another node, with --seeds that name these";
  if (voters.length % 2 === 0 && voters.length > 0) {
    const what =
      voters.length === 2
        ? "There are two voters: while either is down nothing is appended"
        : `There are ${voters.length} voters: no more of them may be down than of ${voters.length - 1}`;
    const remove = voters.length === 2 ? "" : ', or "tailrace cluster remove" one that is not needed';
    return [{ severity: "warning", what, todo: `${add}${remove}` }];
  }
  if (next === undefined || voters.length >= votersWanted) return [];
  const what = `${voters.length} of ${votersWanted} voters that are wanted are there, and ${some(spare.map(({ id }) => id))} is none`;
  return [{ severity: "warning", what, todo: `Wait until it has caught up; if it was removed, ${lowered(add)}` }];
}

function idle(picture: Picture, server: Server): Finding[] {
  const isIdle = server.isVoter && isUp(picture, server) && server.holds === 0n;
  const enough = BigInt(picture.cluster.voters.length);
  if (!isIdle || picture.cluster.streams < enough || enough === 1n) return [];
  const what = `Node ${server.id} holds no stream, though there are ${picture.cluster.streams}`;
  return [{ severity: "warning", what, todo: "Look again in some seconds: streams are moved there by themselves" }];
}

function unreached(picture: Picture): Finding[] {
  return picture.unreached
    .filter(({ id }) =>
      // Of one that can't do all now, such as one that starts, it is said that it can't.
      picture.servers.some((server) => server.id === id && isUp(picture, server) && !isKnownUnwell(server)),
    )
    .map(({ id, url, why }) => ({
      severity: "warning",
      what: `Node ${id} is up, but can't be asked at ${url}: ${why}`,
      todo: "Give it an --advertise-api that can be reached from here. What it leads is not looked at",
    }));
}

function isKnownUnwell({ health: kind }: Server): boolean {
  return kind === ServerHealth.DEGRADED || kind === ServerHealth.STOPPING;
}

function versions(picture: Picture): Finding[] {
  const up = picture.servers.filter((server) => isUp(picture, server));
  const found = [...new Set(up.map(({ version }) => version))].sort();
  if (found.length < 2) return [];
  return [
    { severity: "warning", what: `Nodes run versions ${found.join(" and ")}`, todo: "Bring all to the newer one" },
  ];
}

function some(names: readonly string[]): string {
  const more = names.length - namesMax;
  return names.slice(0, namesMax).join(", ") + (more > 0 ? ` and ${formatCount(more)} more` : "");
}

function counted(count: bigint, one: string, many = `${one}s`): string {
  return `${formatCount(Number(count))} ${count === 1n ? one : many}`;
}

function lowered(sentence: string): string {
  return sentence.slice(0, 1).toLowerCase() + sentence.slice(1);
}
