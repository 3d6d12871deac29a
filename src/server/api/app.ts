import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { type Context, Hono } from "hono";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { Incoming, Outgoing } from "../listen.ts";
import type { ApiContext } from "./context.ts";
import { createCors } from "./cors.ts";
import { addPages, pagePaths } from "./pages.ts";
import { addRest } from "./rest.ts";
import { createRpcServer, type RpcServer } from "./rpc.ts";
import type { ApiSettings } from "./settings.ts";

/** What @hono/node-server gives with each request. */
export interface ApiEnv {
  Bindings: { incoming: Incoming; outgoing: Outgoing };
}

export type ApiApp = Hono<ApiEnv>;

export interface AppOptions {
  readonly settings: ApiSettings;
  readonly registry: Registry;
  readonly version: string;
  readonly logger: Logger;
}

/** The routes of the api port. */
export function createApp(api: ApiContext, { settings, registry, version, logger }: AppOptions): ApiApp {
  const app: ApiApp = new Hono();
  const cors = createCors(settings.corsOrigins);
  const rpcs = createRpcServer(api, cors);
  const serveRpc = (c: Context<ApiEnv>) => handOver(c, rpcs);
  for (const path of rpcs.paths) {
    // With a second handler on the way, such as middleware, Hono would take twice as long to get there.
    app.on(["POST", "GET"], path, serveRpc);
    app.options(path, cors.middleware);
  }
  for (const path of [...pagePaths, "/v1/*"]) app.use(path, cors.middleware);
  addPages(app, api, registry, version);
  addRest(app, api);
  app.notFound((c) => {
    const isRpc =
      c.req.method === "POST" && /^application\/(grpc|connect|proto)/.test(c.req.header("content-type") ?? "");
    if (isRpc) return serveRpc(c);
    return c.json({ code: "not_found", message: `There is nothing at ${c.req.path.slice(0, 200)}` }, 404);
  });
  app.onError((error, c) => {
    const id = api.nextCallId();
    logger.error({ err: error, callId: id }, "A request failed by a fault of the node");
    return c.json({ code: "internal", message: `Internal error in call ${id}: the node's log has the cause` }, 500);
  });
  return app;
}

function handOver(c: Context<ApiEnv>, rpcs: RpcServer): Response {
  // Where the app is mounted in a server that is not fed by @hono/node-server there is nothing to hand over.
  if (c.env?.incoming === undefined) {
    return c.json({ code: "unimplemented", message: "RPCs need a server that is fed by @hono/node-server" }, 501);
  }
  rpcs.serve(c.env.incoming, c.env.outgoing);
  return RESPONSE_ALREADY_SENT;
}
