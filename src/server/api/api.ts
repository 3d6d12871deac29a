/**
 * The api port: one Hono app for gRPC, gRPC-Web, Connect, REST and the pages, and the port that feeds it.
 * @module
 */
import { getRequestListener } from "@hono/node-server";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { Limits } from "../../base/limits.ts";
import type { Clock } from "../../host/clock.ts";
import { type Address, type Incoming, type Outgoing, Port } from "../listen.ts";
import { type ApiApp, createApp } from "./app.ts";
import { BodyMemory } from "./body-memory.ts";
import type { ApiContext, NodeState } from "./context.ts";
import { Drain } from "./drain.ts";
import { errorMapper } from "./errors.ts";
import { ApiMetrics } from "./metrics.ts";
import { type ApiSettings, defaultApiSettings } from "./settings.ts";

/** What an api port is made from. */
export interface ApiOptions {
  /** Where the node stands, asked anew for each call: the port may be open before the streams are. */
  readonly state: () => NodeState;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where the port's metrics are registered; `/metrics` gives all that is in it. */
  readonly registry: Registry;
  /** The version that `/version` tells. */
  readonly version: string;
  readonly settings?: Partial<ApiSettings>;
  /** Where a client may go when this node stops; left out: nowhere. */
  readonly elsewhere?: () => string;
}

/** How calls that are open are let end. What is left out is by the settings. */
export interface CloseOptions {
  /** How long that may take, milliseconds. */
  readonly drainMaxMs?: number;
  /** How long answers may take behind that, when there is nothing left to wait for; 200 at least. */
  readonly answerMaxMs?: number;
  /** Called when some are open still: has what they wait for end, so that they are answered. */
  readonly giveUp?: () => void;
}

/** The api port of a node. */
export interface Api {
  /** For mounting in a server of one's own; RPCs need one that is fed by @hono/node-server. */
  readonly app: ApiApp;
  /** Opens the port; 0 takes a free one. @throws {ListenError} */
  listen(address: { host: string; port: number }): Promise<Address>;
  /** Serves a call that came in by another port: one that another node passed on. */
  serve(incoming: Incoming, outgoing: Outgoing): void;
  /**
   * Refuses new calls, ends tails with a frame that says so, lets the other calls end, then closes all connections.
   * Resolves when that is done, at the latest a moment after `drainMaxMs` and `answerMaxMs`.
   */
  close(how?: CloseOptions): Promise<void>;
}

/** Answers have as long at least. */
const answerLeastMs = 200;

export function createApi(options: ApiOptions): Api {
  const { limits, clock, registry, logger } = options;
  const settings: ApiSettings = { ...defaultApiSettings, ...options.settings };
  const drain = new Drain();
  const metrics = new ApiMetrics(registry, { calls: () => drain.openCalls, connections: () => port.connections });
  const passedOn = new WeakSet<Incoming>();
  const api: ApiContext = {
    isPassedOn: (incoming) => passedOn.has(incoming),
    state: options.state,
    limits,
    clock,
    metrics,
    drain,
    elsewhere: options.elsewhere ?? (() => ""),
    mapError: errorMapper(logger, limits.requestMaxBytes),
    bodyTimeoutMs: settings.bodyTimeoutMs,
    bodyMemory: new BodyMemory(settings.requestBodiesMaxBytes),
    nextCallId: callIds(clock),
  };
  const app = createApp(api, { ...options, settings });
  const listener = getRequestListener(app.fetch, {
    autoCleanupIncoming: false,
    overrideGlobalObjects: false,
    hostname: "localhost",
  });
  const port: Port = new Port(
    (incoming, outgoing) => void listener(incoming, outgoing),
    settings,
    clock,
    () => metrics.connectionRefused(),
  );
  return {
    app,
    listen: ({ host, port: number }) => port.listen(host, number),
    serve(incoming, outgoing) {
      passedOn.add(incoming);
      void listener(incoming, outgoing);
    },
    async close({ drainMaxMs = settings.drainGraceMs, answerMaxMs = 0, giveUp = () => {} } = {}) {
      const drained = drain.begin();
      await Promise.race([drained, passed(clock, drainMaxMs)]);
      if (drain.openCalls > 0) {
        giveUp();
        await Promise.race([drained, passed(clock, Math.max(answerMaxMs, answerLeastMs))]);
      }
      await port.close();
    },
  };
}

function passed(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/** Ids of calls: the moment of the start, so that no two starts share one, and a count. */
function callIds(clock: Clock): () => string {
  const start = Math.floor(clock.nowMicros() / 1000).toString(36);
  let count = 0;
  return () => `${start}-${(count++).toString(36)}`;
}
