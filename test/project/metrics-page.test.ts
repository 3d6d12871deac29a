/** docs/metrics.md names each metric of ours with its labels, and no other. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";
import { Registry } from "prom-client";
import { ApiMetrics } from "../../src/server/api/metrics.ts";
import { registerClusterMetrics } from "../../src/server/cluster-metrics.ts";
import { registerLogMetrics } from "../../src/server/log-metrics.ts";

const page = fs.readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");

/** Nothing is collected here. */
function never(): never {
  throw new Error("nobody asks for values");
}

test("docs/metrics.md has all metrics, with their labels", () => {
  const registry = new Registry();
  new ApiMetrics(registry, { calls: never, connections: never });
  registerLogMetrics(registry, never, { count: never, max: 0, storedBytes: never, storedMaxBytes: 0 });
  registerClusterMetrics(registry, { groups: never, counts: never, members: never });
  const registered = registry.getMetricsAsArray().map((metric) => {
    const labels = "labelNames" in metric && Array.isArray(metric.labelNames) ? metric.labelNames : [];
    return `${metric.name}${labels.length > 0 ? `{${labels.join(", ")}}` : ""}`;
  });
  const named = [...page.matchAll(/^\| `(tailrace_[^`]*)` \|/gm)].map(([, name]) => name);
  assert.deepEqual(named, registered);
});
