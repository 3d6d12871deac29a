/**
 * A cluster of processes on this machine, started by `tailrace dev` from the sources.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { cliCommand } from "./node-process.ts";
import { until } from "./until.ts";

/** A running cluster. */
export interface DevCluster {
  /** Where its nodes serve, n1 first. */
  readonly urls: readonly string[];
  /** What it wrote so far, on both outputs. */
  output(): string;
  /** Sends a signal and resolves with the exit code, or the signal's name, when it has ended. */
  end(signal: "SIGTERM" | "SIGINT"): Promise<number | string>;
}

export interface DevClusterOptions {
  readonly nodes: number;
  readonly data?: string;
  /** Of the first node; left out: free ones. */
  readonly port?: number;
}

/** A test that fails leaves its cluster running: it ends with the tests. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGTERM");
});

/** Starts a cluster; resolves when all its nodes are ready, and rejects with what it said when it ends before that. */
export async function startDev({ nodes, data, port = 0 }: DevClusterOptions): Promise<DevCluster> {
  const [command, ...rest] = cliCommand;
  const args = [
    "dev",
    "--nodes",
    String(nodes),
    "--port",
    String(port),
    ...(data === undefined ? [] : ["--data", data]),
  ];
  const child = spawn(command, [...rest, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TAILRACE_STREAM_CREATIONS_MAX_PER_S: "none" },
  });
  running.add(child);
  let output = "";
  const take = (chunk: Buffer) => {
    output += chunk;
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  let ending: number | string | undefined;
  const ended = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => {
      running.delete(child);
      ending = code ?? signal ?? "unknown";
      resolve(ending);
    });
  });
  await until(() => output.includes("Try, in another terminal:") || ending !== undefined);
  if (ending !== undefined) throw new Error(`the cluster ended with ${ending} before it was ready:\n${output}`);
  return {
    urls: [...output.matchAll(/^ {2}n\d+ {2}(http:\S+)$/gm)].map(([, url = ""]) => url),
    output: () => output,
    end(signal) {
      child.kill(signal);
      return ended;
    },
  };
}
