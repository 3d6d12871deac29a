import { TailraceError } from "../../base/errors.ts";
import type { Limits } from "../../base/limits.ts";
import type { Clock } from "../../host/clock.ts";
import type { Streams } from "../../stream/types.ts";
import type { Incoming } from "../listen.ts";
import type { BodyMemory } from "./body-memory.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Drain } from "./drain.ts";
import type { ErrorMapper } from "./errors.ts";
import type { ApiMetrics } from "./metrics.ts";

/** Where the node is between its start and its end. Asked anew for each call. */
export type NodeState =
  | { readonly kind: "recovering"; readonly progress: string }
  | { readonly kind: "serving"; readonly streams: Streams; readonly cluster: ClusterView }
  | { readonly kind: "failed"; readonly why: string };

/** What all handlers share. */
export interface ApiContext {
  readonly state: () => NodeState;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly metrics: ApiMetrics;
  readonly drain: Drain;
  /** Where a client of this node may go that stops, such as `http://10.0.0.2:8400`; empty: no other node is known. */
  readonly elsewhere: () => string;
  /** Whether another node passed the call on. */
  readonly isPassedOn: (incoming: Incoming) => boolean;
  readonly mapError: ErrorMapper;
  /** The body of a request of one message must have come within this. */
  readonly bodyTimeoutMs: number;
  readonly bodyMemory: BodyMemory;
  /** A fresh id for a call. */
  readonly nextCallId: () => string;
}

/** How long a client should wait for a node that starts or stops. */
const retryAfterMs = 1000;

/**
 * The streams, if calls may use them now.
 * @throws {TailraceError} `not_ready`.
 */
export function openStreams(api: ApiContext): Streams {
  return serving(api).streams;
}

/**
 * The cluster, if calls may ask of it now.
 * @throws {TailraceError} `not_ready`.
 */
export function openCluster(api: ApiContext): ClusterView {
  return serving(api).cluster;
}

function serving({ state, drain }: ApiContext): Extract<NodeState, { kind: "serving" }> {
  if (drain.isDraining) throw notReady("the node stops", "Connect again in a moment, or to another node");
  const now = state();
  switch (now.kind) {
    case "serving":
      return now;
    case "recovering":
      throw notReady(`the node starts, ${now.progress}`, "Try again in a moment");
    case "failed":
      throw notReady(now.why, "See the node's log");
  }
}

function notReady(why: string, todo: string): TailraceError {
  return new TailraceError("not_ready", { what: "Cannot serve the call", why, todo }, { retryAfterMs });
}
