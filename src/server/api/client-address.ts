/**
 * Where a call comes from, which until there is authentication is all that is known of a client.
 * @module
 */
import type { Incoming } from "../listen.ts";

/**
 * The address of a client: IPv4 as it is, of IPv6 the first 64 bits, since whoever has one has all of its network.
 * Empty where the runtime does not tell: all such clients are one.
 */
export function clientAddress({ socket }: Incoming): string {
  return networkOf(socket?.remoteAddress ?? "");
}

/** The part of an address that is one client's. */
export function networkOf(address: string): string {
  const [, v4] = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (v4 !== undefined) return v4;
  const [plain = ""] = address.split("%", 1);
  if (!plain.includes(":")) return address;
  const [head = "", tail] = plain.toLowerCase().split("::", 2);
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => "0");
  const groups = [...before, ...zeros, ...after].slice(0, 4);
  return `${groups.map((group) => group.replace(/^0+(?=.)/, "")).join(":")}::/64`;
}
