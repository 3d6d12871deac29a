/**
 * Calls that connect's own handlers serve: streams, JSON, gRPC-Web, compression, and what is not busy.
 * @module
 */
import { createContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Call } from "./call.ts";
import { completeErrors } from "./complete-errors.ts";
import type { ApiContext } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { tooSlow } from "./message-body.ts";
import type { RequestKind } from "./protocols.ts";
import { RequestBody } from "./request-body.ts";
import { callKey } from "./services.ts";
import { connectTimeout, connectTimeoutHeader, grpcTimeout, grpcTimeoutHeader } from "./timeouts.ts";

/**
 * Takes one call from its first byte to its answer.
 * @returns The outcome's code. Never rejects.
 */
export async function serveByConnect(
  api: ApiContext,
  exchange: Exchange,
  kind: RequestKind,
  handler: UniversalHandler,
  call: Call,
): Promise<string> {
  const context = { callId: call.id, rpc: call.rpc };
  const { methodKind } = handler.method;
  const isOneMessage = methodKind === "unary" || methodKind === "server_streaming";
  const explain = (reason: unknown) => api.mapError(reason, context);
  const abort = new AbortController();
  call.onEnd((reason) => abort.abort(explain(reason)));
  const body = new RequestBody(exchange, call, { memory: api.bodyMemory, holdsAll: isOneMessage, explain });
  const timer = api.clock.after(api.bodyTimeoutMs, () => {
    if (isOneMessage) body.fail(tooSlow(api.bodyTimeoutMs));
  });
  try {
    const response = await handler({
      httpVersion: exchange.incoming.httpVersion,
      method: exchange.incoming.method ?? "",
      url: `http://localhost${exchange.incoming.url ?? "/"}`,
      header: takeHeaders(api, exchange, kind, call),
      body,
      signal: abort.signal,
      contextValues: createContextValues().set(callKey, call),
    });
    const completed = await completeErrors(response, kind, (error) => api.mapError(error, context));
    exchange.writeHead(completed.status, Object.fromEntries(completed.header));
    for await (const chunk of completed.body) {
      await exchange.write(chunk);
      if (exchange.isClosed) return "canceled";
    }
    exchange.end(undefined, completed.trailer && Object.fromEntries(completed.trailer));
    return completed.outcome.code;
  } catch (error) {
    // Connect's handlers answer every error of ours, so this one is a bug, unless the client is gone.
    if (exchange.isClosed) return "canceled";
    exchange.destroy();
    return codeToString(api.mapError(error, context).code);
  } finally {
    timer.cancel();
    void body.return();
  }
}

/** The request's headers, but for its deadline: that is the call's to keep, as connect's timer can't hold a long one. */
function takeHeaders(api: ApiContext, exchange: Exchange, { protocol }: RequestKind, call: Call): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(exchange.incoming.headers)) {
    if (name.startsWith(":") || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one);
  }
  const name = protocol === "connect" ? connectTimeoutHeader : grpcTimeoutHeader;
  const header = headers.get(name);
  if (header === null) return headers;
  const { timeoutMs } = protocol === "connect" ? connectTimeout(header, call.id) : grpcTimeout(header, call.id);
  // A malformed one stays, for connect's handler to refuse.
  if (timeoutMs === undefined) return headers;
  headers.delete(name);
  call.endAfter(timeoutMs, api.clock);
  return headers;
}
