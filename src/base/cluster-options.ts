/**
 * How a node is one of a cluster.
 * @module
 */

/** Most voters that a cluster begins with: a replica keeps the names of so many, however long they are. */
export const foundersMax = 12;

/** What is said of it at its start. */
export interface ClusterOptions {
  /** Where its peer port is; port 0 takes a free one. */
  readonly peerListen: { readonly host: string; readonly port: number };
  /** Where other nodes may be: `HOST:PORT`, names or addresses (`[IPV6]:PORT`). Empty: it begins a cluster of its own. */
  readonly seeds: readonly string[];
  /** A first start waits for so many nodes that begin the cluster together; left out: it joins the one that it finds. */
  readonly bootstrapExpect?: number;
  /** Where it is, for placement and for clients. */
  readonly region: string;
  /** A `voter` may be counted in majorities, an `observer` never. */
  readonly role: "voter" | "observer";
  /** Up to so many voters joining nodes are made voters by themselves (3). */
  readonly votersWanted: number;
  /** Where others find its peer port, `HOST:PORT`; left out: where it listens. */
  readonly advertisePeer?: string;
  /** Where clients find its api port, such as `http://10.0.0.1:8400`; left out: where it listens. */
  readonly advertiseApi?: string;
}
