import { TailraceError } from "../../base/errors.ts";
import type { Limits } from "../../base/limits.ts";
import type { Clock } from "../../host/clock.ts";
import type { Streams } from "../../stream/types.ts";
import type { BodyMemory } from "./body-memory.ts";
import type { Drain } from "./drain.ts";
import type { ErrorMapper } from "./errors.ts";
import type { ApiMetrics } from "./metrics.ts";

/** Where the node is between its start and its end. Asked anew for each call. */
export type NodeState =
  | { readonly kind: "recovering"; readonly progress: string }
  | { readonly kind: "serving"; readonly streams: Streams }
  | { readonly kind: "failed"; readonly why: string };

/** What all handlers share. */
export interface ApiContext {
  readonly state: () => NodeState;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly metrics: ApiMetrics;
  readonly drain: Drain;
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
export function openStreams({ state, drain }: ApiContext): Streams {
  if (drain.isDraining) throw notReady("the node stops", "Connect again in a moment, or to another node");
  const now = state();
  switch (now.kind) {
    case "serving":
      return now.streams;
    case "recovering":
      throw notReady(`the node starts, ${now.progress}`, "Try again in a moment");
    case "failed":
      throw notReady(now.why, "See the node's log");
  }
}

function notReady(why: string, todo: string): TailraceError {
  return new TailraceError("not_ready", { what: "Cannot serve the call", why, todo }, { retryAfterMs });
}
