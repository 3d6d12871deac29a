/**
 * A machine of Fly.io as fly.toml describes it, on a host of a test: its command, environment, port, checks and signals.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { FlyFile } from "../../support/fly-file.ts";
import { cliCommand } from "../../support/node-process.ts";
import type { Host } from "./host.ts";

export interface FlyMachineOptions {
  readonly fly: FlyFile;
  readonly app: string;
  readonly region: string;
  /** Its name is the machine's id. */
  readonly host: Host;
  /** Stands for the volume. */
  readonly volume: string;
  /** Has the image's command `tailrace`. */
  readonly bin: string;
}

/** Puts a `tailrace` that runs the sources into a folder, as the image has one. */
export function writeCommand(bin: string): void {
  const words = cliCommand.map((word) => `'${word}'`).join(" ");
  fs.mkdirSync(bin, { recursive: true });
  fs.writeFileSync(path.join(bin, "tailrace"), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
}

export class FlyMachine {
  readonly id: string;
  readonly ipv6: string;
  /** Where the platform's proxy comes: by IPv4. */
  readonly url: string;
  /** Where machines of the same organization come. */
  readonly privateUrl: string;
  readonly #options: FlyMachineOptions;
  #life: { readonly child: ChildProcess; readonly ended: Promise<number | string> } | undefined;
  #output = "";

  constructor(options: FlyMachineOptions) {
    const { fly, host } = options;
    if (host.ipv6 === undefined) throw new Error("a machine's host has an IPv6 address");
    const port = fly.number("http_service.internal_port");
    this.#options = options;
    this.id = host.name;
    this.ipv6 = host.ipv6;
    this.url = `http://${host.ipv4}:${port}`;
    this.privateUrl = `http://[${host.ipv6}]:${port}`;
  }

  /** What it wrote so far. */
  get output(): string {
    return this.#output;
  }

  start(): void {
    const { fly, app, region, host, volume, bin } = this.#options;
    // The command is split as a shell would: it has no more than quotes.
    const [command = "", ...rest] = [...host.wrapper, "sh", "-c", `exec ${fly.text("processes.app")}`];
    const child = spawn(command, rest, {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: `${bin}:${process.env["PATH"]}`,
        HOME: "/",
        ...fly.texts("env"),
        TAILRACE_DATA: volume,
        FLY_APP_NAME: app,
        FLY_MACHINE_ID: this.id,
        FLY_REGION: region,
        FLY_PRIVATE_IP: this.ipv6,
      },
    });
    process.once("exit", () => child.kill("SIGKILL"));
    for (const output of [child.stdout, child.stderr]) {
      output.on("data", (chunk: Buffer) => {
        this.#output += chunk;
      });
    }
    const ended = new Promise<number | string>((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? signal ?? "unknown"));
    });
    this.#life = { child, ended };
  }

  /** Whether it answers all checks now, as the platform would see it. */
  async passesChecks(): Promise<boolean> {
    const checks = this.#options.fly.tables("http_service.checks");
    const answers = checks.map(async (check) => {
      try {
        const response = await fetch(`${this.url}${check.text("path")}`, {
          method: check.text("method"),
          signal: AbortSignal.timeout(1000 * check.seconds("timeout")),
        });
        await response.arrayBuffer();
        return response.ok;
      } catch {
        return false;
      }
    });
    return checks.length > 0 && (await Promise.all(answers)).every((passes) => passes);
  }

  /** Stops it as the platform does; resolves with the exit code, or with the signal that had to end it. */
  async stop(): Promise<number | string> {
    const { fly } = this.#options;
    if (this.#life === undefined) throw new Error(`machine ${this.id} was not started`);
    const { child, ended } = this.#life;
    // The names of signals are the same there and here.
    child.kill(signalNamed(fly.text("kill_signal")));
    const timer = setTimeout(() => child.kill("SIGKILL"), 1000 * fly.seconds("kill_timeout"));
    const ending = await ended;
    clearTimeout(timer);
    return ending;
  }

  /** Ends it at once, as a host that fails does. */
  kill(): void {
    this.#life?.child.kill("SIGKILL");
  }
}

function signalNamed(name: string): "SIGINT" | "SIGTERM" {
  if (name === "SIGINT" || name === "SIGTERM") return name;
  throw new Error(`a node does not stop by ${name}`);
}
