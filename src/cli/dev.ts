/**
 * `tailrace dev`: several nodes of one cluster as processes on this machine.
 * @module
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { DevNode } from "./dev-node.ts";
import { exitCodes } from "./exit.ts";
import { freePorts } from "./free-ports.ts";
import { tailraceCommandLine } from "./greeting.ts";
import { createLinePrinter } from "./logger.ts";
import { stopSignal } from "./stop-signal.ts";

/** The flags. */
export interface DevOptions {
  readonly nodes: number;
  /** Of the first node; 0: any that are free. */
  readonly port: number;
  readonly data?: string;
  /** For each node. */
  readonly serveFlags: readonly string[];
}

/** Where a node is. */
interface Place {
  readonly name: string;
  readonly port: number;
  readonly peerPort: number;
  readonly url: string;
}

const host = "127.0.0.1";
/** From a node's port to the next one's. */
const portStep = 10;

/** Runs the command; resolves with the exit code. */
export async function dev(options: DevOptions): Promise<number> {
  const stop = stopSignal();
  const folder = path.resolve(options.data ?? fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-dev-")));
  fs.mkdirSync(folder, { recursive: true });
  try {
    return await runNodes(options, folder, stop.signal);
  } finally {
    if (options.data === undefined) fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function runNodes(options: DevOptions, folder: string, asked: AbortSignal): Promise<number> {
  const given = new AbortController();
  // The nodes are in groups of their own, so a terminal that is closed does not end them.
  process.once("SIGHUP", () => given.abort());
  const places = await placesOf(options);
  const print = await createLinePrinter();
  let ready = 0;
  const runs = places.map(async (place) => {
    const node = new DevNode({
      name: place.name,
      url: place.url,
      serveArgs: [...options.serveFlags, ...serveArgs(place, places, folder)],
      pidFile: path.join(folder, `${place.name}.pid`),
      say: (line) => process.stdout.write(`${place.name} | ${print(line)}\n`),
      onReady: () => {
        ready++;
        if (ready === places.length) process.stdout.write(greeting(places, folder));
      },
      stop: AbortSignal.any([asked, given.signal]),
    });
    const endedCleanly = await node.run();
    // One that can't start ends the others: what is wrong with it is the last that is said.
    given.abort();
    return endedCleanly;
  });
  const endings = await Promise.all(runs);
  return endings.every((wasClean) => wasClean) ? exitCodes.ok : exitCodes.failed;
}

function serveArgs({ name, port, peerPort }: Place, all: readonly Place[], folder: string): string[] {
  const seeds = all.map((place) => `${host}:${place.peerPort}`).join(",");
  return [
    ...["--data", path.join(folder, name), "--listen", `${host}:${port}`, "--peer-listen", `${host}:${peerPort}`],
    ...["--seeds", seeds, "--bootstrap-expect", String(all.length), "--voters-wanted", String(all.length)],
    ...["--node-id", name],
  ];
}

async function placesOf({ nodes, port }: DevOptions): Promise<Place[]> {
  const free = port === 0 ? await freePorts(host, 2 * nodes) : [];
  return Array.from({ length: nodes }, (_, i) => {
    const apiPort = free[2 * i] ?? port + portStep * i;
    const peerPort = free[2 * i + 1] ?? apiPort + 1;
    return { name: `n${i + 1}`, port: apiPort, peerPort, url: `http://${host}:${apiPort}` };
  });
}

function greeting(places: readonly Place[], folder: string): string {
  const tailrace = tailraceCommandLine();
  const [first, second = first, third = second] = places.map(({ url }) => url);
  const lines = [
    "",
    `A cluster of ${places.length} is ready, with its data in ${folder}`,
    ...places.map(({ name, url }) => `  ${name}  ${url}`),
    "",
    "Try, in another terminal:",
    `  ${tailrace} cluster status --server ${first}`,
    `  echo hello | ${tailrace} append greetings --server ${second}`,
    `  ${tailrace} read greetings --follow --server ${third}`,
    `  kill -9 $(cat ${path.join(folder, "n1.pid")})    # it is started again after a second`,
    "",
  ];
  return lines.map((line) => `${line}\n`).join("");
}
