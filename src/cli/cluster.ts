/**
 * `tailrace cluster`: status, members, transfer, add, remove.
 * @module
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TransferLeadershipRequestSchema } from "../wire/gen/tailrace/v1/cluster_pb.ts";
import { toPosition } from "../wire/position.ts";
import { assemble, namesMax, type Picture, picture } from "./cluster-picture.ts";
import { hasProblem, membersText, serverJson, statusJson, statusText } from "./cluster-printer.ts";
import { watchCluster } from "./cluster-watch.ts";
import { withClient } from "./connection.ts";
import { exitCodes } from "./exit.ts";
import { sentences } from "./failure.ts";
import { standardOutput } from "./output.ts";
import { exitOnSignals } from "./stop-signal.ts";

export interface ClusterOptions {
  readonly server: string;
  readonly json?: boolean;
}

export interface StatusOptions extends ClusterOptions {
  readonly watch?: boolean;
}

export interface TransferOptions extends ClusterOptions {
  /** One of these: a stream, a node, all. */
  readonly stream?: string;
  readonly from?: string;
  readonly spread?: boolean;
  readonly to?: string;
}

export interface RemoveOptions extends ClusterOptions {
  readonly force?: boolean;
}

/** `tailrace cluster status`; resolves with the exit code: `failed` where there is a problem. */
export async function clusterStatus(options: StatusOptions): Promise<number> {
  exitOnSignals();
  const output = standardOutput();
  const text = (seen: Picture) => (options.json ? statusJson : statusText)(seen, Date.now());
  if (options.watch) return await watchCluster(options.server, output, text);
  const seen = await withClient(options.server, async (client) =>
    picture(await client.cluster.getServers({ namesMax })),
  );
  await output.write(text(seen));
  return hasProblem(seen, Date.now()) ? exitCodes.failed : exitCodes.ok;
}

/** `tailrace cluster members`; resolves with the exit code. */
export async function clusterMembers(options: ClusterOptions): Promise<number> {
  const answer = await withClient(options.server, (client) => client.cluster.getServers({ namesMax }));
  const seen = assemble([answer], []);
  const lines = () => seen.servers.map((server) => `${JSON.stringify(serverJson(server))}\n`).join("");
  await standardOutput().write(options.json ? lines() : membersText(seen, Date.now()));
  return exitCodes.ok;
}

/** `tailrace cluster add`; resolves with the exit code. */
export async function addVoter(nodeId: string, options: ClusterOptions): Promise<number> {
  const { voters } = await withClient(options.server, (client) => client.cluster.addVoter({ nodeId }));
  return await tellVoters(`node ${nodeId} is a voter`, voters, options);
}

/** `tailrace cluster remove`; resolves with the exit code. */
export async function removeVoter(nodeId: string, options: RemoveOptions): Promise<number> {
  const request = { nodeId, force: options.force ?? false };
  const { voters } = await withClient(options.server, (client) => client.cluster.removeVoter(request));
  return await tellVoters(`node ${nodeId} is no voter any more`, voters, options);
}

/** `tailrace cluster transfer`; resolves with the exit code: `failed` where something was not moved. */
export async function transferLeadership(options: TransferOptions): Promise<number> {
  const request = { what: whatOf(options), to: options.to ?? "" };
  const answer = await withClient(options.server, (client) => client.cluster.transferLeadership(request));
  const moved = toPosition(answer.moved, "moved");
  const failed = toPosition(answer.failed, "failed");
  const facts = { moved, failed, ...(answer.failure === "" ? {} : { failure: answer.failure }) };
  const line = `${moved} ${moved === 1 ? "stream has" : "streams have"} another leader`;
  const but = failed === 0 ? "" : `; ${failed} ${failed === 1 ? "has" : "have"} not: ${sentences(answer.failure)}`;
  await standardOutput().write(`${options.json ? JSON.stringify(facts) : `${line}${but}`}\n`);
  return failed > 0 ? exitCodes.failed : exitCodes.ok;
}

type What = NonNullable<MessageInitShape<typeof TransferLeadershipRequestSchema>["what"]>;

function whatOf({ stream, from }: TransferOptions): What {
  if (stream !== undefined) return { case: "stream", value: stream };
  return from === undefined ? { case: "spread", value: true } : { case: "nodeId", value: from };
}

async function tellVoters(done: string, voters: readonly string[], { json }: ClusterOptions): Promise<number> {
  const line = `${done}; the voters are ${voters.join(", ")}`;
  await standardOutput().write(`${json ? JSON.stringify({ voters }) : line}\n`);
  return exitCodes.ok;
}
