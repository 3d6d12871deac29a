/**
 * Names and addresses, as the machine and its resolver have them.
 * @module
 */
import * as dns from "node:dns/promises";
import * as os from "node:os";

/** An address of this machine. */
export interface MachineAddress {
  readonly address: string;
  readonly family: "IPv4" | "IPv6";
  /** Only for this machine (loopback), or only for its link. */
  readonly isInternal: boolean;
}

/** The addresses of this machine. */
export function machineAddresses(): readonly MachineAddress[] {
  return Object.values(os.networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address, family, internal }) => ({
      address,
      family: family === "IPv6" ? "IPv6" : "IPv4",
      isInternal: internal || address.startsWith("fe80:"),
    }));
}

/** All addresses of a name, of both families; of an address itself. @throws {Error} It is not found. */
export async function resolveHost(host: string): Promise<readonly string[]> {
  const found = await dns.lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))];
}
