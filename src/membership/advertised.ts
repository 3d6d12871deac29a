/**
 * The addresses that a node tells others, where no setting says them: where it listens, or if that is every address of the
 * machine, the first that others may reach.
 * @module
 */
import { writeHostPort } from "../base/host-port.ts";
import type { MachineAddress } from "../host/addresses.ts";

/** The host of an address to advertise for a port that listens on `host`. */
export function advertisedHost(host: string, machine: readonly MachineAddress[]): string {
  const family = wildcards[host];
  if (family === undefined) return host;
  const open = machine.filter(({ isInternal }) => !isInternal);
  // The wildcard of IPv6 takes IPv4 too.
  const [first] = [...open.filter((one) => one.family === family), ...(family === "IPv6" ? open : [])];
  return first?.address ?? (family === "IPv6" ? "::1" : "127.0.0.1");
}

/** The same as `HOST:PORT`. */
export function advertisedAddress(host: string, port: number, machine: readonly MachineAddress[]): string {
  return writeHostPort({ host: advertisedHost(host, machine), port });
}

const wildcards: Readonly<Record<string, MachineAddress["family"]>> = { "0.0.0.0": "IPv4", "::": "IPv6" };
