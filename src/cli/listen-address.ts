import { type HostPort, readHostPort } from "../base/host-port.ts";

/** Where a node listens. Port 0: any that is free. */
export type ListenAddress = HostPort;

/** The parts of `HOST:PORT`, an IPv6 host in brackets; undefined when it is nothing of the kind. */
export function parseAddress(text: string): ListenAddress | undefined {
  return readHostPort(text, 0);
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}
