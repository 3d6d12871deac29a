/**
 * A name server on a host of a test, whose answers change while it runs: dnsmasq, with the names of one file.
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Host } from "./host.ts";

/** Why there can't be one here; undefined: there can. */
export function whyNoNameServer(): string | undefined {
  const found = spawnSync("dnsmasq", ["--version"], { stdio: "ignore" }).status === 0;
  return found ? undefined : "there is no dnsmasq";
}

export class NameServer {
  readonly #child: ChildProcess;
  readonly #file: string;
  /** Folders of those namespaces that ask it. */
  readonly #askers: string[] = [];
  readonly #address: string;

  private constructor(child: ChildProcess, file: string, address: string) {
    this.#child = child;
    this.#file = file;
    this.#address = address;
  }

  /** Starts it; resolves when it answers. @param folder Where its file may be. */
  static async start(host: Host, folder: string): Promise<NameServer> {
    const address = host.ipv6;
    if (address === undefined) throw new Error("a name server's host has an IPv6 address");
    const file = path.join(folder, "names");
    fs.writeFileSync(file, "");
    const [command = "", ...rest] = [
      ...[...host.wrapper, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root"],
      ...["--no-resolv", "--no-hosts", `--addn-hosts=${file}`, "--local=/internal/", "--log-facility=-"],
      ...["--bind-interfaces", `--listen-address=${address}`],
    ];
    const child = spawn(command, rest, { stdio: ["ignore", "ignore", "pipe"] });
    process.once("exit", () => child.kill("SIGKILL"));
    let said = "";
    await new Promise<void>((resolve, reject) => {
      child.stderr.on("data", (chunk: Buffer) => {
        said += chunk;
        if (said.includes("started, version")) resolve();
      });
      child.once("exit", () => reject(new Error(`the name server ended: ${said}`)));
    });
    return new NameServer(child, file, address);
  }

  /** From now on a name has these addresses, and no other name has any. */
  answer(name: string, addresses: readonly string[]): void {
    fs.writeFileSync(this.#file, addresses.map((address) => `${address} ${name}\n`).join(""));
    // It reads its file again.
    this.#child.kill("SIGHUP");
  }

  /** Has a host ask it; before anything runs there. */
  serve({ wrapper }: Host): void {
    // Whoever enters a namespace finds the files of its folder in /etc.
    const folder = `/etc/netns/${wrapper.at(-1)}`;
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, "resolv.conf"), `nameserver ${this.#address}\n`);
    this.#askers.push(folder);
  }

  close(): void {
    this.#child.kill("SIGKILL");
    for (const folder of this.#askers) fs.rmSync(folder, { recursive: true, force: true });
  }
}
