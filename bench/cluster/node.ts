/**
 * A node as a process of its own, and what it costs.
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "../../src/cli/free-ports.ts";

export const host = "127.0.0.1";
const readyMaxMs = 60_000;
const ticksPerS = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export class BenchNode {
  readonly name: string;
  readonly url: string;
  readonly peerPort: number;
  readonly data: string;
  readonly #words: readonly string[];
  #child: ChildProcess;
  #ended: Promise<void> = Promise.resolve();

  constructor(name: string, place: { port: number; peerPort: number; folder: string }, args: readonly string[]) {
    this.name = name;
    this.url = `http://${host}:${place.port}`;
    this.peerPort = place.peerPort;
    this.data = path.join(place.folder, name);
    this.#words = ["serve", "--data", this.data, "--listen", `${host}:${place.port}`, "--node-id", name, ...args];
    this.#child = this.#spawn();
    process.once("exit", () => this.#child.kill("SIGKILL"));
  }

  /** Starts it again, when it has ended. */
  start(): void {
    this.#child = this.#spawn();
  }

  #spawn(): ChildProcess {
    const log = fs.openSync(`${this.data}.log`, "a");
    const child = spawn(process.execPath, [main, ...this.#words], {
      stdio: ["ignore", log, log],
      env: { ...process.env, UV_THREADPOOL_SIZE: "16", TAILRACE_STREAM_CREATIONS_MAX_PER_S: "none" },
    });
    fs.closeSync(log);
    this.#ended = new Promise((resolve) => child.once("exit", () => resolve()));
    return child;
  }

  /** Resolves when it serves. */
  async ready(): Promise<void> {
    const beginMs = performance.now();
    while (performance.now() - beginMs < readyMaxMs) {
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
      await answer?.arrayBuffer();
      if (answer?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(
      `${this.name} was not ready within ${readyMaxMs} ms: ${fs.readFileSync(`${this.data}.log`, "utf8")}`,
    );
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#child.kill(signal);
    await this.#ended;
  }

  /** CPU that it took so far, seconds. */
  cpuS(): number {
    const fields = fs.readFileSync(`/proc/${this.#child.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / ticksPerS;
  }

  /** Memory that is its own, bytes. */
  residentBytes(): number {
    const [, kibibytes = "0"] = /^RssAnon:\s+(\d+) kB/m.exec(this.#status()) ?? [];
    return 1024 * Number(kibibytes);
  }

  /** What its streams have in segments, bytes. */
  segmentBytes(): number {
    const groups = path.join(this.data, "groups");
    if (!fs.existsSync(groups)) return 0;
    const files = fs.readdirSync(groups, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".log"));
    return files.reduce(
      (sum, name) => sum + (fs.statSync(path.join(groups, name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
  }

  #status(): string {
    return fs.readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
  }
}

/** A node that is alone, with no port for others. */
export async function startAlone(folder: string): Promise<BenchNode> {
  const [port = 0] = await freePorts(host, 1);
  const node = new BenchNode("alone", { port, peerPort: 0, folder }, []);
  await node.ready();
  return node;
}

/** Three nodes of one cluster, ready. */
export async function startThree(folder: string): Promise<BenchNode[]> {
  const names = ["n1", "n2", "n3"];
  const ports = await freePorts(host, 2 * names.length);
  const places = names.map((name, i) => ({ name, folder, port: ports[2 * i] ?? 0, peerPort: ports[2 * i + 1] ?? 0 }));
  const seeds = places.map(({ peerPort }) => `${host}:${peerPort}`).join(",");
  const nodes = places.map(
    (place) =>
      new BenchNode(place.name, place, [
        ...["--peer-listen", `${host}:${place.peerPort}`, "--seeds", seeds, "--bootstrap-expect", `${names.length}`],
      ]),
  );
  await Promise.all(nodes.map((node) => node.ready()));
  return nodes;
}

/** One more, which keeps a copy of everything and counts for nothing. */
export async function startObserver(folder: string, others: readonly BenchNode[]): Promise<BenchNode> {
  const [port = 0, peerPort = 0] = await freePorts(host, 2);
  const seeds = others.map((other) => `${host}:${other.peerPort}`).join(",");
  return new BenchNode("observer", { port, peerPort, folder }, [
    ...["--peer-listen", `${host}:${peerPort}`, "--seeds", seeds, "--role", "observer"],
  ]);
}
