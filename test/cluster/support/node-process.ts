/**
 * A node of a cluster as a process of its own on a host of its own, started by `tailrace serve` from the sources.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { cliCommand } from "../../support/node-process.ts";
import type { Host } from "./host.ts";

const startMaxMs = 60_000;
const apiPort = 8400;
const peerPort = 8401;
/** What a node wrote is kept so far back, characters. */
const outputMax = 200_000;

/** What a node is started with. */
export interface NodeOptions {
  readonly id: string;
  readonly host: Host;
  readonly data: string;
  /** Where others may be, `HOST:PORT`; left out: it is alone, and of no cluster. */
  readonly seeds?: readonly string[];
  readonly bootstrapExpect?: number;
  readonly region?: string;
  readonly role?: "voter" | "observer";
  readonly family?: 4 | 6;
  /** More arguments of `serve`. */
  readonly args?: readonly string[];
}

type Life =
  | { readonly kind: "down" }
  | { readonly kind: "up"; readonly child: ChildProcess; readonly ended: Promise<number | string> };

/** A test that fails leaves its nodes running: they end with the tests. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A node, through all its starts. */
export class ClusterNode {
  readonly id: string;
  #options: NodeOptions;
  #life: Life = { kind: "down" };
  #output = "";

  constructor(options: NodeOptions) {
    this.id = options.id;
    this.#options = options;
  }

  get host(): Host {
    return this.#options.host;
  }

  get data(): string {
    return this.#options.data;
  }

  /** Where clients find it. */
  get url(): string {
    return `http://${addressOf(this.#options)}:${apiPort}`;
  }

  get peerAddress(): string {
    return peerAddressOf(this.#options.host, this.#options.family);
  }

  get isUp(): boolean {
    return this.#life.kind === "up";
  }

  /** The most memory that its process held in this life, bytes; on Linux. */
  get peakBytes(): number {
    if (this.#life.kind === "down") throw new Error(`node ${this.id} is down`);
    const status = fs.readFileSync(`/proc/${this.#life.child.pid}/status`, "utf8");
    const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
    if (kib === undefined) throw new Error(`the system does not tell what node ${this.id} holds`);
    return Number(kib) * 1024;
  }

  /** What it wrote over all its lives, on both outputs; the newest of it. */
  get output(): string {
    return this.#output;
  }

  /** Starts its process, with the data that it has. Does not wait for it to be ready. */
  start(changed: Partial<NodeOptions> = {}): void {
    if (this.#life.kind === "up") throw new Error(`node ${this.id} is up`);
    this.#options = { ...this.#options, ...changed };
    const { host, args = [] } = this.#options;
    const [command = "", ...rest] = [...host.wrapper, ...cliCommand, "serve", ...this.#flags(), ...args];
    const child = spawn(command, rest, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, UV_THREADPOOL_SIZE: "16", TAILRACE_STREAM_CREATIONS_MAX_PER_S: "none" },
    });
    running.add(child);
    for (const output of [child.stdout, child.stderr]) output.on("data", (chunk: Buffer) => this.#note(String(chunk)));
    const ended = new Promise<number | string>((resolve) => {
      child.once("exit", (code, signal) => {
        running.delete(child);
        this.#note(`[ended: ${code ?? signal}]\n`);
        this.#life = { kind: "down" };
        resolve(code ?? signal ?? "unknown");
      });
    });
    this.#life = { kind: "up", child, ended };
  }

  /** Resolves when it says that it is ready to serve. */
  async ready(): Promise<void> {
    const begin = performance.now();
    while (performance.now() - begin < startMaxMs) {
      if (!this.isUp) throw new Error(`node ${this.id} ended at its start`);
      const answer = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
      await answer?.arrayBuffer().catch(() => undefined);
      if (answer?.status === 200) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`node ${this.id} was not ready within ${startMaxMs} ms`);
  }

  /** Sends a signal and resolves with the exit code, or the signal's name, when the process has ended. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<number | string> {
    const life = this.#life;
    if (life.kind === "down") return "down";
    life.child.kill(signal);
    // One that is held still takes no other signal.
    if (signal !== "SIGKILL") life.child.kill("SIGCONT");
    return await life.ended;
  }

  /** Holds it still, as a machine does that is out of memory: its connections stay. */
  pause(): void {
    this.#signal("SIGSTOP");
  }

  resume(): void {
    this.#signal("SIGCONT");
  }

  #signal(signal: "SIGSTOP" | "SIGCONT"): void {
    if (this.#life.kind === "down") throw new Error(`node ${this.id} is down`);
    this.#life.child.kill(signal);
  }

  #flags(): string[] {
    const { id, data, seeds, bootstrapExpect, region = "test", role = "voter" } = this.#options;
    const flags = ["--data", data, "--listen", `${addressOf(this.#options)}:${apiPort}`];
    if (seeds === undefined) return flags;
    flags.push("--peer-listen", this.peerAddress, "--node-id", id, "--region", region, "--role", role);
    if (seeds.length > 0) flags.push("--seeds", seeds.join(","));
    if (bootstrapExpect !== undefined) flags.push("--bootstrap-expect", `${bootstrapExpect}`);
    return flags;
  }

  #note(text: string): void {
    this.#output = (this.#output + text).slice(-outputMax);
  }
}

/** Where a node on that host is found by others. */
export function peerAddressOf(host: Host, family: 4 | 6 = 4): string {
  return `${addressOf({ host, family })}:${peerPort}`;
}

function addressOf({ host, family = 4 }: { readonly host: Host; readonly family?: 4 | 6 }): string {
  if (family === 4) return host.ipv4;
  if (host.ipv6 === undefined) throw new Error(`host ${host.name} has no IPv6 address`);
  return `[${host.ipv6}]`;
}
