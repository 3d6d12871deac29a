/**
 * What a test may do with the hosts that its nodes are on.
 * Elsewhere: which there are (`hosts.ts`).
 * @module
 */

/** One machine, as its processes see it. */
export interface Host {
  readonly name: string;
  readonly ipv4: string;
  /** Absent on the loopback, which has only one. */
  readonly ipv6?: string;
  /** Command and arguments that run a process there. */
  readonly wrapper: readonly string[];
}

/** One direction between two hosts, by their names. */
export interface Link {
  readonly from: string;
  readonly to: string;
}

/** How packets fare on all links, where the switch can do that. */
export interface Weather {
  /** One way, milliseconds. */
  readonly delayMs: number;
  /** Up to so much more, by chance. */
  readonly jitterMs: number;
  /** Part of the packets that vanish, 0 to 1. */
  readonly loss: number;
}

/** The hosts of one test. */
export interface Hosts {
  /** What they are, in words. */
  readonly kind: string;
  add(name: string): Promise<Host>;
  /** Packets vanish on these links from now on. */
  cut(links: readonly Link[]): Promise<void>;
  mend(links: readonly Link[]): Promise<void>;
  weather(weather: Weather): Promise<void>;
  close(): Promise<void>;
}

/** The name of the host that the test itself is. */
export const client = "client";
