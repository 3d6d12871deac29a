/**
 * What people, load balancers and Prometheus ask a node: is it alive, is it ready, which version, how does it do.
 * @module
 */
import type { Registry } from "prom-client";
import type { ApiApp } from "./app.ts";
import { noStore } from "./caching.ts";
import type { ApiContext } from "./context.ts";

const headers = { "cache-control": noStore };

const hello = `tailrace: a durable log. Try:

  curl -X POST HOST/v1/streams/hello/records -H 'content-type: text/plain' --data-binary 'first record'
  curl HOST/v1/streams/hello/records -H 'accept: text/plain'

gRPC, gRPC-Web and Connect: services LogService, StreamService and ClusterService of tailrace.v1.
Also here: /healthz /readyz /version /metrics
`;

/** The paths of all pages. */
export const pagePaths = ["/", "/healthz", "/readyz", "/version", "/metrics"];

/** Adds the routes. */
export function addPages(app: ApiApp, api: ApiContext, registry: Registry, version: string): void {
  app.get("/", (c) => c.text(hello.replaceAll("HOST", new URL(c.req.url).host), 200, headers));
  app.get("/healthz", (c) => c.text("ok\n", 200, headers));
  app.get("/readyz", (c) => {
    const readiness = readinessOf(api);
    return c.json(readiness, readiness.ready ? 200 : 503, headers);
  });
  app.get("/version", (c) => c.json({ name: "tailrace", version }, 200, headers));
  app.get("/metrics", async (c) => {
    const text = await registry.metrics();
    return c.body(text, 200, { ...headers, "content-type": registry.contentType });
  });
}

/** Whether calls are served now; if not, why. */
function readinessOf({ state, drain }: ApiContext): { ready: boolean; reason?: string; progress?: string } {
  if (drain.isDraining) return { ready: false, reason: "the node stops" };
  const now = state();
  switch (now.kind) {
    case "serving":
      return { ready: true };
    case "recovering":
      return { ready: false, reason: "the node starts", progress: now.progress };
    case "failed":
      return { ready: false, reason: now.why };
  }
}
