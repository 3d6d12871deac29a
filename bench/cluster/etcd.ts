/**
 * etcd beside it, where it is installed: three processes on this machine, each put acknowledged by a majority's disks.
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { loadSync } from "@grpc/proto-loader";
import { freePorts } from "../../src/cli/free-ports.ts";
import { grpcMethod } from "./grpc-method.ts";
import { type Figures, measure } from "./load.ts";
import { host } from "./node.ts";

const startMaxMs = 30_000;

/** Puts of one value of so many bytes, so many at once; undefined where etcd is not installed. */
export async function measureEtcd(folder: string, inFlight: number, valueBytes: number): Promise<Figures | undefined> {
  if (spawnSync("etcd", ["--version"], { stdio: "ignore" }).status !== 0) return undefined;
  const { processes, clientPorts } = await startEtcd(folder);
  try {
    const leaderPort = await leaderOf(clientPorts);
    const method = grpcMethod(`http://${host}:${leaderPort}`, "/etcdserverpb.KV/Put");
    const encoded = putEncoder();
    const value = Buffer.alloc(valueBytes, 7);
    let count = 0;
    const figures = await measure(inFlight, () => method.call(encoded(`key-${count++ % 1000}`, value)));
    method.close();
    return figures;
  } finally {
    for (const child of processes) child.kill("SIGKILL");
  }
}

async function startEtcd(folder: string): Promise<{ processes: ChildProcess[]; clientPorts: number[] }> {
  const ports = await freePorts(host, 6);
  const members = [0, 1, 2].map((i) => ({ name: `e${i}`, client: ports[2 * i] ?? 0, peer: ports[2 * i + 1] ?? 0 }));
  const cluster = members.map(({ name, peer }) => `${name}=http://${host}:${peer}`).join(",");
  const processes = members.map(({ name, client, peer }) => {
    const [clients, peers] = [`http://${host}:${client}`, `http://${host}:${peer}`];
    const args = ["--name", name, "--data-dir", path.join(folder, name), "--initial-cluster", cluster];
    const urls = ["--listen-client-urls", clients, "--advertise-client-urls", clients];
    const peerUrls = ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers];
    const child = spawn("etcd", [...args, ...urls, ...peerUrls], { stdio: "ignore" });
    process.once("exit", () => child.kill("SIGKILL"));
    return child;
  });
  return { processes, clientPorts: members.map(({ client }) => client) };
}

/** Asks each for its metrics: the leader says so there. */
async function leaderOf(ports: readonly number[]): Promise<number> {
  const beginMs = performance.now();
  while (performance.now() - beginMs < startMaxMs) {
    for (const port of ports) {
      const answer = await fetch(`http://${host}:${port}/metrics`).catch(() => undefined);
      if (/^etcd_server_is_leader 1$/m.test((await answer?.text()) ?? "")) return port;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`etcd had no leader within ${startMaxMs} ms`);
}

/** Bytes of a `PutRequest`. */
function putEncoder(): (key: string, value: Buffer) => Uint8Array {
  const file = fileURLToPath(new URL("etcd-kv.proto", import.meta.url));
  const service = loadSync(file)["etcdserverpb.KV"];
  const put = service !== undefined && "Put" in service ? service["Put"] : undefined;
  if (typeof put !== "object" || !("requestSerialize" in put)) throw new Error("etcd-kv.proto has no KV");
  return (key, value) => put.requestSerialize({ key: Buffer.from(key), value });
}
