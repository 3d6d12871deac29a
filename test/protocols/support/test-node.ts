/**
 * An api port over streams in memory: what the protocols are tried on. Appends can be held back or refused.
 * @module
 */
import { pino } from "pino";
import { Registry } from "prom-client";
import { defaultLimits, type Limits } from "../../../src/base/limits.ts";
import { systemClock } from "../../../src/host/clock.ts";
import { type Api, createApi } from "../../../src/server/api/api.ts";
import type { ClusterView } from "../../../src/server/api/cluster-view.ts";
import type { NodeState } from "../../../src/server/api/context.ts";
import { LoneCluster } from "../../../src/server/api/lone-cluster.ts";
import type { ApiSettings } from "../../../src/server/api/settings.ts";
import type { Streams } from "../../../src/stream/types.ts";
import { MemoryFolder } from "../../support/memory-folder.ts";
import { streamsOf } from "../../support/streams.ts";

export interface TestNode {
  readonly url: string;
  readonly port: number;
  readonly folder: MemoryFolder;
  readonly streams: Streams;
  /** Where the node stands; a test may change it. */
  state: NodeState;
  /** Lines of the log, parsed. */
  readonly logged: { msg: string; callId?: string; err?: { message: string } }[];
  readonly api: Api;
  readonly registry: Registry;
  close(): Promise<void>;
}

export interface TestNodeOptions {
  readonly limits?: Partial<Limits>;
  readonly settings?: Partial<ApiSettings>;
  readonly createOnAppend?: boolean;
  /** The port; absent: a free one. */
  readonly port?: number;
  /** Puts something between the api and the streams. */
  readonly wrap?: (streams: Streams) => Streams;
  /** The cluster that it says it is one of; absent: it is alone. */
  readonly cluster?: ClusterView;
}

export async function startTestNode(options: TestNodeOptions = {}): Promise<TestNode> {
  const limits = { ...defaultLimits, ...options.limits };
  const folder = new MemoryFolder();
  const inner = await streamsOf(folder, { limits, createOnAppend: options.createOnAppend ?? true });
  const streams = options.wrap?.(inner) ?? inner;
  const registry = new Registry();
  const logged: TestNode["logged"] = [];
  const logger = pino({ level: "info" }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const lone = { id: "n1", clusterId: "00", apiUrl: "http://n1:8400", version: "0.0.0-test", streams: inner };
  const cluster = options.cluster ?? new LoneCluster({ ...lone, health: () => ({ kind: "serving" }) });
  const node: { state: NodeState } = { state: { kind: "serving", streams, cluster } };
  const api = createApi({
    state: () => node.state,
    limits,
    clock: systemClock,
    logger,
    registry,
    version: "0.0.0-test",
    settings: { drainGraceMs: 2000, ...options.settings },
  });
  const { url, port } = await api.listen({ host: "127.0.0.1", port: options.port ?? 0 });
  return Object.assign(node, { url, port, folder, streams, logged, api, registry, close: () => api.close() });
}
