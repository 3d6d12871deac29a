/**
 * Makes a data folder with many streams and a full ring, as a kill leaves it, and starts with it.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { startNode } from "../../support/node-process.ts";
import { runtimeCommand } from "../../support/runtime.ts";
import type { StartReport } from "./full-ring.ts";

const [runtime, ...program] = runtimeCommand("./full-ring", import.meta.url);

/** What a node took to be ready, from the start of its process on. */
export interface NodeStart {
  readonly readyMs: number;
  /** Most memory that it had at once, bytes; not known on every system. */
  readonly peakBytes: number | undefined;
}

/** Fills a folder and kills who did. */
export async function fillAndKill(data: string, streams: number): Promise<{ batches: number; ringBytesUsed: number }> {
  const child = run("fill", data, streams);
  const filled = JSON.parse(await firstLine(child));
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("close", resolve));
  return filled;
}

/** Starts with a folder that was filled, the log alone; looks at all ends, and stops cleanly. */
export async function startLog(data: string): Promise<StartReport> {
  return JSON.parse(await firstLine(run("start", data, 0)));
}

/** Starts a node with it, until it is ready, and kills it. */
export async function startWholeNode(data: string): Promise<NodeStart> {
  const begin = performance.now();
  const node = await startNode({ data });
  const readyMs = performance.now() - begin;
  const status = `/proc/${node.pid}/status`;
  const [, kibibytes] = (fs.existsSync(status) && /^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync(status, "utf8"))) || [];
  await node.end("SIGKILL");
  return { readyMs, peakBytes: kibibytes === undefined ? undefined : Number(kibibytes) * 1024 };
}

/** A copy of a folder that was filled: each start changes what it finds. */
export function copyOf(data: string, name: string): string {
  const copy = path.join(path.dirname(data), name);
  fs.cpSync(data, copy, { recursive: true });
  fs.copyFileSync(`${data}.ends`, `${copy}.ends`);
  return copy;
}

function run(mode: "fill" | "start", data: string, streams: number): ChildProcess {
  const child = spawn(runtime, [...program, mode, data, String(streams)], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, UV_THREADPOOL_SIZE: "16" },
  });
  process.once("exit", () => child.kill("SIGKILL"));
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on("data", () => text.includes("\n") && resolve());
    child.once("close", (code) => (text.includes("\n") ? resolve() : reject(new Error(`it ended with ${code}`))));
  });
  return text.slice(0, text.indexOf("\n"));
}
