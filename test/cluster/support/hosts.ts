/**
 * Separate hosts for the nodes of a test: network namespaces on a switch where the machine allows it (Linux, root,
 * iproute2), and else addresses of the loopback, between which nothing can be cut.
 * - All hosts, and the test itself as the host `client`, have an IPv4 and an IPv6 address in one network of their own.
 * - What is cut is silent, as with a pulled cable: packets vanish, and nobody is told.
 * Elsewhere: what may be done with them (`host.ts`), how namespaces are made (`namespaces.ts`), and links with delay and loss (`tap-switch.ts`).
 * @module
 */
import * as fs from "node:fs";
import type { Host, Hosts, Link } from "./host.ts";
import { Namespaces, whyNoNamespaces } from "./namespaces.ts";

const isLoopbackWanted = process.env["TAILRACE_TEST_HOSTS"] === "loopback";
const reason = isLoopbackWanted ? "TAILRACE_TEST_HOSTS=loopback" : whyNoNamespaces();

/** Why links can't be cut on this machine; undefined: they can. */
export const whyNoCuts: string | undefined =
  reason === undefined ? undefined : `links can't be cut here, nodes are on loopback addresses: ${reason}`;

const noTap = "there is no /dev/net/tun";

/** Why links can't be made slow or lossy on this machine; undefined: they can. */
export const whyNoWeather: string | undefined = whyNoCuts ?? (fs.existsSync("/dev/net/tun") ? undefined : noTap);

console.log(`# hosts: ${whyNoCuts ?? "network namespaces"}`);

/** Which addresses tests take that do not care, so that both kinds are met: IPv6 where hosts have it. */
export const otherFamily = whyNoCuts === undefined ? 6 : 4;

/** Makes a network for hosts; `switched`: links can have delay and loss. */
export async function makeHosts(options: { readonly switched?: boolean } = {}): Promise<Hosts> {
  return whyNoCuts === undefined ? await Namespaces.make(options.switched ?? false) : new LoopbackHosts();
}

/** Both directions between each of the one side and each of the other. */
export function between(one: readonly string[], other: readonly string[]): Link[] {
  return one.flatMap((a) =>
    other
      .filter((b) => b !== a)
      .flatMap((b) => [
        { from: a, to: b },
        { from: b, to: a },
      ]),
  );
}

class LoopbackHosts implements Hosts {
  readonly kind = "loopback addresses";
  #count = 0;

  async add(name: string): Promise<Host> {
    this.#count++;
    // A block for each process, so that two runs do not meet on the ports.
    const block = `${1 + ((process.pid >> 8) % 254)}.${process.pid & 255}`;
    return { name, ipv4: `127.${block}.${this.#count}`, wrapper: [] };
  }

  cut(): Promise<void> {
    throw new Error("links between loopback addresses can't be cut: the test should have skipped");
  }

  mend(): Promise<void> {
    return this.cut();
  }

  weather(): Promise<void> {
    throw new Error("links between loopback addresses have no delay: the test should have skipped");
  }

  async close(): Promise<void> {}
}
