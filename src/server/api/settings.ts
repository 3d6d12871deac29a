/**
 * What an api port can be told, beside the limits of the node.
 * @module
 */
import type { PortSettings } from "../listen.ts";

/** Settings of an api port. Bytes, milliseconds or counts, as the name ends. */
export interface ApiSettings extends PortSettings {
  /** Origins whose pages may call; `*`: all. */
  readonly corsOrigins: readonly string[];
  /** The body of a request of one message must have come within this. */
  readonly bodyTimeoutMs: number;
  /** Most bytes of requests that are on their way in, all calls together. */
  readonly requestBodiesMaxBytes: number;
  /** How long calls may go on when the node stops; then they are cut off. */
  readonly drainGraceMs: number;
}

export const defaultApiSettings: ApiSettings = {
  corsOrigins: ["*"],
  connectionsMax: 10_000,
  callsPerConnectionMax: 1_000,
  headersMaxBytes: 64 << 10,
  idleTimeoutMs: 75_000,
  bodyTimeoutMs: 60_000,
  requestBodiesMaxBytes: 256 << 20,
  pingIntervalMs: 20_000,
  windowBytes: 8 << 20,
  drainGraceMs: 20_000,
};
