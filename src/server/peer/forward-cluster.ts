/**
 * Changes of the cluster that this node passes on to the one that leads it: ClusterService on that node's peer port. They are
 * few, so that each has a connection of its own.
 * @module
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { UnreachableError } from "../../stream/peers.ts";
import { ClusterService, type TransferLeadershipRequestSchema } from "../../wire/gen/tailrace/v1/cluster_pb.ts";
import { toPosition } from "../../wire/position.ts";
import { forwardedHeader } from "../api/call.ts";
import type { ClusterChanges, LeadershipRequest } from "../api/cluster-view.ts";
import type { ForwardOptions } from "./forward.ts";
import { forwardedError } from "./forwarded-errors.ts";

/** A change is waited for there, and may take seconds. */
const timeoutMs = 15_000;

/**
 * The changes that a node does itself. What it refuses is refused here in its words. Each throws `UnreachableError` where nothing
 * has left for it, and `LostError` where no answer came.
 */
export function clusterAt(
  options: Pick<ForwardOptions, "node" | "addressOf" | "connect" | "neverLeft">,
  node: string,
): ClusterChanges {
  return {
    addVoter: (nodeId) =>
      ask(options, node, async (cluster, call) => (await cluster.addVoter({ nodeId }, call)).voters),
    removeVoter: (nodeId, force) =>
      ask(options, node, async (cluster, call) => (await cluster.removeVoter({ nodeId, force }, call)).voters),
    transferLeadership: (request) =>
      ask(options, node, async (cluster, call) => {
        const { moved, failed, failure } = await cluster.transferLeadership(transferRequest(request), call);
        return {
          moved: toPosition(moved, "moved"),
          failed: toPosition(failed, "failed"),
          failure: failure === "" ? undefined : failure,
        };
      }),
  };
}

type ClusterClient = Client<typeof ClusterService>;

async function ask<T>(
  { node: self, addressOf, connect, neverLeft }: Parameters<typeof clusterAt>[0],
  node: string,
  change: (cluster: ClusterClient, call: { timeoutMs: number; headers: HeadersInit }) => Promise<T>,
): Promise<T> {
  const baseUrl = addressOf(node);
  if (baseUrl === undefined) throw new UnreachableError(`node ${node} has no address that is known`);
  const sessionManager = connect(baseUrl);
  const transport = createConnectTransport({ baseUrl, httpVersion: "2", sessionManager, acceptCompression: [] });
  try {
    return await change(createClient(ClusterService, transport), { timeoutMs, headers: { [forwardedHeader]: self } });
  } catch (error) {
    throw forwardedError(error, neverLeft);
  } finally {
    sessionManager.close();
  }
}

function transferRequest(request: LeadershipRequest): MessageInitShape<typeof TransferLeadershipRequestSchema> {
  switch (request.kind) {
    case "stream":
      return { what: { case: "stream", value: request.name }, to: request.to ?? "" };
    case "node":
      return { what: { case: "nodeId", value: request.id }, to: request.to ?? "" };
    case "spread":
      return { what: { case: "spread", value: true } };
  }
}
