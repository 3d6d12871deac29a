/**
 * A node as a process of its own, started by `tailrace serve` from the sources: what can be killed.
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { runtimeCommand } from "./runtime.ts";

const startMaxMs = 60_000;

/** A running node. */
export interface NodeProcess {
  /** Where it listens, such as `http://127.0.0.1:40123`. */
  readonly url: string;
  readonly pid: number;
  /** What it wrote so far, on both outputs. */
  output(): string;
  /** Sends a signal and resolves with the exit code, or the signal's name, when the process has ended. */
  end(signal: "SIGKILL" | "SIGTERM" | "SIGINT"): Promise<number | string>;
}

export interface NodeProcessOptions {
  readonly data: string;
  /** More arguments of `serve`. */
  readonly args?: readonly string[];
  /** What to run instead of the sources: command and first arguments. */
  readonly program?: readonly string[];
  /** A command and its arguments that the node is run by, such as strace. */
  readonly wrapper?: readonly string[];
}

/** Command and first arguments of the command line, from the sources. */
export const cliCommand = runtimeCommand("../../src/cli/main", import.meta.url);

/** A test that fails leaves its node running: it ends with the tests. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a node on a port of the system's choice; resolves when it is ready. */
export async function startNode(options: NodeProcessOptions): Promise<NodeProcess> {
  const { data, args = [], program = cliCommand, wrapper = [] } = options;
  const [command = "", ...rest] = [...wrapper, ...program, "serve", "--data", data];
  const child = spawn(command, [...rest, "--listen", "127.0.0.1:0", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    // Tests create more streams in a second than a client should.
    env: { ...process.env, UV_THREADPOOL_SIZE: "16", TAILRACE_STREAM_CREATIONS_MAX_PER_S: "none" },
  });
  running.add(child);
  const output: string[] = [];
  const ended = new Promise<number | string>((resolve) => {
    child.once("exit", (code, signal) => {
      running.delete(child);
      resolve(code ?? signal ?? "unknown");
    });
  });
  const url = await listening(child, output, ended);
  const { pid } = child;
  assert.ok(pid !== undefined);
  return {
    url,
    pid,
    output: () => output.join(""),
    end(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

/** Waits for the address in the node's output, then for its readiness. */
async function listening(child: ChildProcess, output: string[], ended: Promise<unknown>): Promise<string> {
  const begin = performance.now();
  const said = new Promise<string>((resolve) => {
    const take = (chunk: Buffer) => {
      output.push(chunk.toString());
      const [, url] = /(http:\/\/127\.0\.0\.1:[1-9]\d*)/.exec(output.join("")) ?? [];
      if (url !== undefined) resolve(url);
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
  });
  const url = await Promise.race([said, ended.then(() => undefined)]);
  if (url === undefined) throw new Error(`the node ended at its start:\n${output.join("")}`);
  while (performance.now() - begin < startMaxMs) {
    const ready = await fetch(`${url}/readyz`).catch(() => undefined);
    await ready?.arrayBuffer();
    if (ready?.status === 200) return url;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  child.kill("SIGKILL");
  throw new Error(`the node was not ready within ${startMaxMs} ms:\n${output.join("")}`);
}
