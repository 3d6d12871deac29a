/**
 * The RPCs of the api port: finds the method, begins and ends the call, and chooses who serves it.
 * @module
 */
import { Code, createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { Incoming, Outgoing } from "../listen.ts";
import { serveByConnect } from "./adapter.ts";
import type { Encoding } from "./answers.ts";
import { noStore } from "./caching.ts";
import { Call } from "./call.ts";
import type { ApiContext } from "./context.ts";
import type { Cors } from "./cors.ts";
import { withDetail } from "./errors.ts";
import { Exchange } from "./exchange.ts";
import { type HotHandler, hotAppend, hotRead } from "./hot-handlers.ts";
import { hotProtocol, serveHot } from "./hot-unary.ts";
import type { Protocol } from "./metrics.ts";
import { type RequestKind, requestKind } from "./protocols.ts";
import { addServices } from "./services.ts";

/** One method and who serves it. */
interface Rpc {
  /** `Service/Method`, without the package. */
  readonly name: string;
  readonly isStream: boolean;
  readonly json: UniversalHandler;
  readonly protobuf: UniversalHandler;
  readonly hot: HotHandler | undefined;
}

/** Answers RPCs. */
export interface RpcServer {
  /** Paths of all RPCs. */
  readonly paths: readonly string[];
  /** Takes one request; whatever its path, it is answered. */
  serve(incoming: Incoming, outgoing: Outgoing): void;
}

export function createRpcServer(api: ApiContext, cors: Cors): RpcServer {
  const rpcs = methods(api);
  return {
    paths: [...rpcs.keys()],
    serve(incoming, outgoing) {
      const exchange = new Exchange(incoming, outgoing, api.clock);
      cors.expose(incoming.headers.origin, outgoing);
      // Answers to GET may be kept only where the handler says so.
      if (incoming.method === "GET") outgoing.setHeader("cache-control", noStore);
      const url = incoming.url ?? "";
      const queryAt = url.indexOf("?");
      const path = queryAt < 0 ? url : url.slice(0, queryAt);
      const rpc = rpcs.get(path);
      const query = url.slice(path.length + 1);
      if (rpc === undefined) return refuseUnknown(exchange, kindOf(exchange, query), path, api.nextCallId());
      const hot = rpc.hot === undefined ? undefined : hotProtocol(exchange);
      const call = beginCall(api, exchange, rpc);
      if (rpc.hot !== undefined && hot !== undefined) {
        count(api, rpc, hot, serveHot(api, exchange, hot, rpc.hot, call));
        return;
      }
      const kind = kindOf(exchange, query);
      const handler = kind.isJson ? rpc.json : rpc.protobuf;
      count(api, rpc, kind.protocol, serveByConnect(api, exchange, kind, handler, call));
    },
  };
}

function kindOf(exchange: Exchange, query: string): RequestKind {
  return requestKind(exchange.incoming.method, exchange.header("content-type"), query);
}

function beginCall(api: ApiContext, exchange: Exchange, { name }: Rpc): Call {
  const { incoming } = exchange;
  const call = new Call(api.nextCallId(), name, incoming, api.isPassedOn(incoming));
  api.drain.enter();
  exchange.onClose((isComplete) => {
    if (isComplete) call.finish();
    else call.end("canceled");
    api.drain.leave();
  });
  return call;
}

/** Counts a call that is being served when it is over. */
function count(api: ApiContext, { name, isStream }: Rpc, protocol: Protocol, served: Promise<string>): void {
  const startMs = api.clock.monotonicMs();
  void served.then((code) => {
    const seconds = isStream ? undefined : (api.clock.monotonicMs() - startMs) / 1000;
    api.metrics.called(name, protocol, code, seconds);
  });
}

function methods(api: ApiContext): Map<string, Rpc> {
  const json = handlers(api, "json");
  const protobuf = handlers(api, "protobuf");
  const hot = new Map([
    ["/tailrace.v1.LogService/Append", hotAppend(api)],
    ["/tailrace.v1.LogService/Read", hotRead(api)],
  ]);
  const found = new Map<string, Rpc>();
  for (const [path, handler] of json) {
    const other = protobuf.get(path);
    if (other === undefined) continue;
    found.set(path, {
      name: `${handler.service.name}/${handler.method.name}`,
      isStream: handler.method.methodKind !== "unary",
      json: handler,
      protobuf: other,
      hot: hot.get(path),
    });
  }
  return found;
}

function handlers(api: ApiContext, encoding: Encoding): Map<string, UniversalHandler> {
  const { requestMaxBytes } = api.limits;
  const router = createConnectRouter({
    acceptCompression: [compressionGzip, compressionBrotli],
    readMaxBytes: requestMaxBytes,
  });
  addServices(router, api, encoding);
  return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
}

function refuseUnknown(exchange: Exchange, { protocol }: RequestKind, path: string, requestId: string): void {
  const message = `There is no RPC ${path.slice(0, 200)}`;
  const todo = "See tailrace/v1/*.proto for those there are";
  const error = withDetail(Code.Unimplemented, message, { requestId, todo });
  const status = () => Object.fromEntries(setTrailerStatus(new Headers(), error));
  switch (protocol) {
    case "grpc":
      exchange.writeHead(200, { "content-type": "application/grpc+proto" });
      exchange.end(undefined, status());
      break;
    case "grpc-web":
      exchange.writeHead(200, { "content-type": "application/grpc-web+proto", ...status() });
      exchange.end();
      break;
    default: {
      const body = errorToJsonBytes(error, undefined);
      exchange.writeHead(404, { "content-type": "application/json", "content-length": String(body.length) });
      exchange.end(body);
    }
  }
}
