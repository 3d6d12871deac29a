/**
 * One node of `tailrace dev`: a process that runs `serve`, and is started again when it ends by itself.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import * as readline from "node:readline";
import { fileURLToPath } from "node:url";

export interface DevNodeOptions {
  readonly name: string;
  /** Where it serves clients. */
  readonly url: string;
  /** Words after `tailrace serve`. */
  readonly serveArgs: readonly string[];
  /** Has the number of its process while there is one. */
  readonly pidFile: string;
  /** Takes a line of its log, or of what is to be said of it. */
  readonly say: (line: string) => void;
  /** Called when it serves for the first time. */
  readonly onReady: () => void;
  /** Ends it. */
  readonly stop: AbortSignal;
}

/** A node that ends is started again after so long, and after twice as long when it ended soon again. */
const restartMinMs = 1_000;
const restartMaxMs = 30_000;
/** A process that lived so long did not end soon. */
const longLifeMs = 10_000;
const readyPollMs = 50;

/** How a process ended: its exit code, or the signal that ended it. */
type Ending = number | string;

/** See the module's description. */
export class DevNode {
  readonly #options: DevNodeOptions;
  #wasReady = false;
  #child: ChildProcess | undefined;

  constructor(options: DevNodeOptions) {
    this.#options = options;
  }

  /** Keeps it running until it is stopped; resolves with whether it ended cleanly then. One that can't start did not. */
  async run(): Promise<boolean> {
    const { stop, say, pidFile } = this.#options;
    // Nodes must not be left behind when this process ends in haste.
    process.once("exit", () => this.#child?.kill("SIGKILL"));
    stop.addEventListener("abort", () => this.#child?.kill("SIGTERM"));
    let delayMs = restartMinMs;
    while (!stop.aborted) {
      const sinceMs = performance.now();
      const ending = await this.#runOnce();
      fs.rmSync(pidFile, { force: true });
      // One that is about to start does not hear the signal yet, and is ended by it.
      if (stop.aborted) return ending === 0 || ending === "SIGTERM";
      if (!this.#wasReady) return false;
      if (performance.now() - sinceMs > longLifeMs) delayMs = restartMinMs;
      const how = typeof ending === "number" ? `with exit code ${ending}` : `by ${ending}`;
      say(`The process ended ${how}; it is started again in ${delayMs / 1000} s`);
      await pause(delayMs, stop);
      delayMs = Math.min(2 * delayMs, restartMaxMs);
    }
    return true;
  }

  async #runOnce(): Promise<Ending> {
    const { serveArgs, say, pidFile } = this.#options;
    const [command, ...args] = tailraceCommand();
    // In a group of its own: Ctrl-C on a terminal would reach it too, and our signal would be its second one.
    const child = spawn(command, [...args, "serve", ...serveArgs], {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      // Syncs and reads share the threads of the runtime, and it must be told before it starts.
      env: { UV_THREADPOOL_SIZE: "16", ...process.env },
    });
    this.#child = child;
    const ended = new Promise<Ending>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
    });
    for (const output of [child.stdout, child.stderr]) readline.createInterface({ input: output }).on("line", say);
    if (child.pid !== undefined) fs.writeFileSync(pidFile, `${child.pid}\n`);
    void this.#tellWhenReady(child);
    return ended;
  }

  async #tellWhenReady(child: ChildProcess): Promise<void> {
    const { say, stop, url, onReady } = this.#options;
    while (this.#child === child && child.exitCode === null && child.signalCode === null && !stop.aborted) {
      if (await isServing(url)) {
        if (this.#wasReady) say(`Ready again at ${url}`);
        else onReady();
        this.#wasReady = true;
        return;
      }
      await pause(readyPollMs, stop);
    }
  }
}

async function isServing(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

/** What runs this very command line: the same runtime, from the sources or from what was built of them. */
function tailraceCommand(): [string, ...string[]] {
  const here = fileURLToPath(import.meta.url);
  const main = path.join(path.dirname(here), `main${path.extname(here)}`);
  return "Deno" in globalThis ? [process.execPath, "run", "-A", main] : [process.execPath, main];
}

/** Waits for a time, or until the signal. */
function pause(delayMs: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      stop.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    stop.addEventListener("abort", done);
    if (stop.aborted) done();
  });
}
