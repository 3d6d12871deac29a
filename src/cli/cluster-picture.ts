/**
 * A cluster as all of its nodes tell of it. What a node leads, how it is, and how far others are behind in what it leads, only
 * that node knows: so each is asked, and what they say is put together.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { toRequestError } from "../client/index.ts";
import {
  type Cluster,
  ClusterSchema,
  type GetServersResponse,
  type Lag,
  type Server,
  ServerHealth,
  ServerState,
} from "../wire/gen/tailrace/v1/cluster_pb.ts";
import { connectTo } from "./connection.ts";

/** What one node says. */
export type Answer = Pick<GetServersResponse, "cluster" | "servers">;

/** A node that could not be asked. */
export interface Unreached {
  readonly id: string;
  readonly url: string;
  readonly why: string;
}

/** A cluster. */
export interface Picture {
  readonly cluster: Cluster;
  /** In the order of their ids. States are those that the first one that was asked tells. */
  readonly servers: readonly Server[];
  /** Ids of the nodes that answered. */
  readonly answered: ReadonlySet<string>;
  readonly unreached: readonly Unreached[];
}

/** Names that are asked for in each list. */
export const namesMax = 1000;
/** A node that is there answers well within it. */
const askTimeoutMs = 2000;

/** Asks the other nodes that one node tells of. */
export async function picture(first: Answer): Promise<Picture> {
  const others = first.servers.filter(
    ({ isSelf, apiUrl, state }) => !isSelf && URL.canParse(apiUrl) && state !== ServerState.LEFT,
  );
  const outcomes = await Promise.all(others.map(ask));
  const answers = outcomes.flatMap((outcome) => ("servers" in outcome ? [outcome] : []));
  const unreached = outcomes.flatMap((outcome) => ("servers" in outcome ? [] : [outcome]));
  return assemble([first, ...answers], unreached);
}

/** What nodes say, put together; the first is the one that was asked first. */
export function assemble(answers: readonly Answer[], unreached: readonly Unreached[]): Picture {
  const own = new Map(
    answers.flatMap(({ servers }) => servers.filter(({ isSelf }) => isSelf)).map((row) => [row.id, row]),
  );
  const ids = [...new Set(answers.flatMap(({ servers }) => servers.map(({ id }) => id)))].sort();
  const cluster = clusterOf(answers, own);
  const servers = ids.flatMap((id) => {
    const rows = answers.flatMap((answer) => answer.servers.filter((row) => row.id === id));
    const [told] = rows;
    return told === undefined ? [] : [serverOf(told, own.get(id), rows, cluster)];
  });
  return { cluster, servers, answered: new Set(own.keys()), unreached };
}

async function ask({ id, apiUrl: url }: Server): Promise<Answer | Unreached> {
  const { client, close } = connectTo(url);
  try {
    return await client.cluster.getServers({ namesMax }, { timeoutMs: askTimeoutMs });
  } catch (error) {
    return { id, url, why: toRequestError(error).message };
  } finally {
    close();
  }
}

/** Who has heard of the newest leader knows the voters best; what somebody leads has a leader, whoever does not know of it. */
function clusterOf(answers: readonly Answer[], own: ReadonlyMap<string, Server>): Cluster {
  const clusters = answers.flatMap(({ cluster }) => cluster ?? []);
  const [newest = create(ClusterSchema)] = clusters.toSorted((a, b) => rank(b) - rank(a));
  const led = new Set([...own.values()].flatMap(({ leadsStreams }) => leadsStreams));
  const leaderless = new Map(
    clusters
      .flatMap(({ leaderlessStreams }) => leaderlessStreams)
      .filter(({ name }) => !led.has(name) && (name !== metaName || newest.leader === ""))
      .map((stream) => [stream.name, stream]),
  );
  const most = Math.max(0, ...clusters.map(({ leaderless: count }) => Number(count)));
  return {
    ...newest,
    leaderlessStreams: [...leaderless.values()],
    // Beyond what has a name here, the number that was told is all that is known.
    leaderless: BigInt(leaderless.size < namesMax ? leaderless.size : most),
  };
}

const metaName = "_meta";

/** A term without a leader counts less than the same with one. */
function rank({ term, leader }: Cluster): number {
  return 2 * Number(term) + (leader === "" ? 0 : 1);
}

/** A node, from what others say of it (`rows`, `told` first) and it says of itself. */
function serverOf(told: Server, own: Server | undefined, rows: readonly Server[], cluster: Cluster): Server {
  const isVoter = cluster.voters.includes(told.id);
  const { lag: _, ...rest } = told;
  const lag = worstLag(rows.flatMap((row) => row.lag ?? []));
  const itself = own && { leads: own.leads, leadsStreams: own.leadsStreams, holds: own.holds, version: own.version };
  // One that serves no clients now, or can't be reached from here, has told other nodes.
  const { health, healthReason } = own ?? rows.find((row) => row.health !== ServerHealth.UNSPECIFIED) ?? told;
  return {
    ...rest,
    isVoter,
    isLeader: cluster.leader === told.id,
    ...itself,
    health,
    healthReason,
    ...(lag && { lag }),
  };
}

/** Each tells of streams that it leads, so that no stream is told of twice. */
function worstLag(lags: readonly Lag[]): Lag | undefined {
  const [worst] = lags.toSorted(
    (a, b) => Number(b.ms ?? 0n) - Number(a.ms ?? 0n) || Number(b.batches ?? 0n) - Number(a.batches ?? 0n),
  );
  return worst && { ...worst, streams: lags.reduce((sum, { streams }) => sum + streams, 0n) };
}
