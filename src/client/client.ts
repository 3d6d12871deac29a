import { type Client, createClient as createServiceClient, type Transport } from "@connectrpc/connect";
import { ClusterService } from "../wire/gen/tailrace/v1/cluster_pb.ts";
import { LogService } from "../wire/gen/tailrace/v1/log_pb.ts";
import { StreamService } from "../wire/gen/tailrace/v1/stream_pb.ts";

/** The services of a node. The functions beside this one are built on it. */
export interface TailraceClient {
  readonly log: Client<typeof LogService>;
  readonly streams: Client<typeof StreamService>;
  readonly cluster: Client<typeof ClusterService>;
}

/**
 * A client of the node that the transport leads to.
 * @param transport Any transport of Connect: in a browser that of `@connectrpc/connect-web`, elsewhere that of
 * `@connectrpc/connect-node`. Appending by stream needs HTTP/2, which browsers do not offer for it.
 */
export function createClient(transport: Transport): TailraceClient {
  return {
    log: createServiceClient(LogService, transport),
    streams: createServiceClient(StreamService, transport),
    cluster: createServiceClient(ClusterService, transport),
  };
}
