/**
 * How nodes are, asked of each other: one small call, since thousands of streams are not to be counted for it.
 * @module
 */
import { Code, ConnectError, createClient, type ServiceImpl, type Transport } from "@connectrpc/connect";
import { PeerService } from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
import type { ServerHealth } from "../api/cluster-view.ts";

/** A node, and how it is. */
export interface NodeHealth {
  readonly node: string;
  readonly health: ServerHealth;
}

/** Who shows the cluster waits for it. */
const timeoutMs = 500;
/** Longest reason that is taken. */
const whyMaxLength = 1000;

/** What a peer port serves. @param own How this node is; undefined: it has not opened its data folder yet. */
export function healthService(own: () => NodeHealth | undefined): Pick<ServiceImpl<typeof PeerService>, "health"> {
  return {
    health: () => {
      const said = own();
      if (!said) throw new ConnectError("This node has not opened its data folder yet", Code.Unavailable);
      const { node: nodeId, health } = said;
      return { nodeId, kind: health.kind, why: health.kind === "serving" ? "" : health.why };
    },
  };
}

/** Asks a node; undefined: it gave no answer, or none that this version knows. */
export async function askHealth(transport: Transport, node: string): Promise<ServerHealth | undefined> {
  try {
    const { nodeId, kind, why: said } = await createClient(PeerService, transport).health({}, { timeoutMs });
    if (nodeId !== node) return undefined;
    const why = said.slice(0, whyMaxLength);
    if (kind === "serving") return { kind };
    return kind === "degraded" || kind === "stopping" ? { kind, why } : undefined;
  } catch {
    return undefined;
  }
}
