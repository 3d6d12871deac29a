/**
 * The peer port: what nodes ask of each other, over HTTP/2. It is open before the node is of a cluster, and before it has read
 * its log: what is not there yet is answered by UNAVAILABLE, and asked again.
 * Who can reach it is a peer: this is where the port's certificates go, as those of connections go where they are made.
 * @module
 */

import type { Interceptor } from "@connectrpc/connect";
import { Code, ConnectError, createConnectRouter, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { getRequestListener } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { Hono } from "hono";
import type { Logger } from "pino";
import type { Clock } from "../../host/clock.ts";
import type { Strangers } from "../../membership/strangers.ts";
import type { MemberService } from "../../membership/types.ts";
import { GossipService, PeerService } from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
import { forwardedHeader } from "../api/call.ts";
import { type Address, type Incoming, type Outgoing, Port, type PortSettings } from "../listen.ts";
import { gossipService } from "./gossip-network.ts";
import { healthService, type NodeHealth } from "./health.ts";
import { memberService } from "./member-network.ts";
import { type PeerCall, peerCallKey } from "./peer-call.ts";
import type { PeerSessions } from "./peer-service.ts";

/** What it stands on. */
export interface PeerPortOptions {
  /** `undefined`: the node's data folder is not open yet. */
  readonly members: () => MemberService | undefined;
  /** `undefined`: the node is of no cluster yet. */
  readonly sessions: () => PeerSessions | undefined;
  /** How this node is; `undefined`: its data folder is not open yet. */
  readonly health: () => NodeHealth | undefined;
  /** What else is served here. */
  readonly further?: readonly FurtherRpcs[];
  readonly strangers: Strangers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings?: Partial<PortSettings>;
}

/** RPCs that are served by others. */
export interface FurtherRpcs {
  readonly paths: readonly string[];
  serve(incoming: Incoming, outgoing: Outgoing): void;
}

/** The peer port of a node. */
export interface PeerPort {
  /** Opens it; 0 takes a free one. @throws {ListenError} */
  listen(address: { host: string; port: number }): Promise<Address>;
  /** Cuts off all connections, those with calls too. */
  close(): Promise<void>;
}

const defaultSettings: PortSettings = {
  connectionsMax: 1_000,
  callsPerConnectionMax: 1_000,
  headersMaxBytes: 64 << 10,
  idleTimeoutMs: 75_000,
  pingIntervalMs: 5_000,
  windowBytes: 8 << 20,
};

/** Largest message: a batch has at most 8 MiB, and others may go with it. */
const messageMaxBytes = 17 << 20;

interface PeerEnv {
  Bindings: { incoming: Incoming; outgoing: Outgoing };
}

export function createPeerPort(options: PeerPortOptions): PeerPort {
  const { clock, strangers, settings } = options;
  const app = createApp(options);
  const listener = getRequestListener(app.fetch, {
    autoCleanupIncoming: false,
    overrideGlobalObjects: false,
    hostname: "localhost",
  });
  const port = new Port(
    (incoming, outgoing) => void listener(incoming, outgoing),
    { ...defaultSettings, ...settings },
    clock,
    () => strangers.met("too many", "More connections came to the peer port than the limit connectionsMax lets in"),
    (remote, why) => strangers.met(remote, `${remote} says to the peer port what no node says: ${why}`),
  );
  return { listen: ({ host, port: number }) => port.listen(host, number), close: () => port.close() };
}

function createApp(options: PeerPortOptions): Hono<PeerEnv> {
  const { strangers, logger, further = [] } = options;
  const app = new Hono<PeerEnv>();
  for (const handler of handlers(options)) {
    app.post(handler.requestPath, (c) => {
      void serve(handler, c.env.incoming, c.env.outgoing, options);
      return RESPONSE_ALREADY_SENT;
    });
  }
  for (const { paths, serve: serveFurther } of further) {
    for (const path of paths) {
      app.post(path, (c) => {
        // A client's call comes here by way of a node only: what does not is meant for the api port.
        if (c.req.header(forwardedHeader) === undefined) return c.notFound();
        serveFurther(c.env.incoming, c.env.outgoing);
        return RESPONSE_ALREADY_SENT;
      });
    }
  }
  app.notFound((c) => {
    const remote = remoteOf(c.env.incoming);
    strangers.met(
      remote,
      `${remote} asks the peer port for ${c.req.path.slice(0, 100)}, which no node of this version does`,
    );
    return c.json(
      { code: "unimplemented", message: "This is the port for other nodes: clients use the api port" },
      404,
    );
  });
  app.onError((error, c) => {
    logger.error({ err: error }, "A peer's request failed by a fault of the node");
    return c.json({ code: "internal", message: "Internal error" }, 500);
  });
  return app;
}

const markRead: Interceptor = (next) => async (request) => {
  request.contextValues.get(peerCallKey).isRead = true;
  return await next(request);
};

function handlers({ members, sessions, health }: PeerPortOptions): readonly UniversalHandler[] {
  const router = createConnectRouter({
    acceptCompression: [],
    readMaxBytes: messageMaxBytes,
    interceptors: [markRead],
    grpc: false,
    grpcWeb: false,
  });
  const there = <T>(found: T | undefined, what: string): T => {
    if (found === undefined) throw new ConnectError(`This node ${what}`, Code.Unavailable);
    return found;
  };
  const ready = () => there(sessions(), "is of no cluster yet").service;
  const member = () => there(members(), "has not opened its data folder yet");
  router.service(PeerService, {
    ...memberService(member),
    ...healthService(health),
    session: (requests, context) => ready().session(requests, context),
    call: (request, context) => ready().call(request, context),
    range: (request, context) => ready().range(request, context),
    confirm: (request, context) => ready().confirm(request, context),
    close: (request, context) => ready().close(request, context),
  });
  router.service(
    GossipService,
    gossipService((message) => member().gossiped(message)),
  );
  return router.handlers;
}

async function serve(
  handler: UniversalHandler,
  incoming: Incoming,
  outgoing: Outgoing,
  { strangers, logger }: PeerPortOptions,
): Promise<void> {
  const remote = remoteOf(incoming);
  const call: PeerCall = {
    isRead: false,
    strange: (why) =>
      strangers.met(remote, `${remote} says to the peer port what no node of this version says: ${why}`),
  };
  try {
    const contextValues = createContextValues().set(peerCallKey, call);
    const request = universalRequestFromNodeRequest(incoming, outgoing, undefined, contextValues);
    const response = await handler(request);
    // One that was cut off could not be read either, and is no stranger's.
    const isStrange = !call.isRead && response.status >= 400 && !incoming.aborted;
    if (isStrange) call.strange(`no ${handler.method.name} that can be read`);
    await universalResponseToNodeResponse(response, outgoing);
  } catch (error) {
    // A peer that goes in the middle of a call is no fault of anybody's.
    logger.debug({ err: error }, "A peer's call was cut off");
    outgoing.destroy();
  }
}

function remoteOf(incoming: Incoming): string {
  return incoming.socket.remoteAddress ?? "an address that is not known";
}
