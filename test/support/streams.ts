import { defaultLimits, type Limits } from "../../src/base/limits.ts";
import { RecordsWriter } from "../../src/base/records-writer.ts";
import { type Clock, systemClock } from "../../src/host/clock.ts";
import type { DataFolder } from "../../src/log/types.ts";
import { loneLogs } from "../../src/replica/lone.ts";
import { builtInSettings } from "../../src/stream/settings.ts";
import { type LocalStreams, openStreams } from "../../src/stream/streams.ts";

/** What is left out is by default; retention never looks by itself unless an interval is given. */
export interface StreamsTestOptions {
  readonly createOnAppend?: boolean;
  readonly limits?: Partial<Limits>;
  readonly clock?: Clock;
  readonly retentionIntervalMs?: number;
  readonly nearLimit?: (usedBytes: number, maxBytes: number) => void;
}

/** Opens the streams of a folder as a node does. */
export function streamsOf(folder: DataFolder, options: StreamsTestOptions = {}): Promise<LocalStreams> {
  const limits = { ...defaultLimits, ...options.limits };
  return openStreams({
    logs: loneLogs(folder, limits),
    limits,
    defaults: builtInSettings,
    createOnAppend: options.createOnAppend ?? true,
    clock: options.clock ?? systemClock,
    retentionIntervalMs: options.retentionIntervalMs ?? 2 ** 31 - 1,
    nearLimit: options.nearLimit ?? (() => {}),
    broken: (error) => {
      throw error;
    },
    clusterId: () => new Uint8Array(16).fill(9),
    nowMicros: () => 5_000_000,
  });
}

/** A payload with a record for each value. */
export function payloadOf(...values: string[]): Uint8Array {
  const writer = new RecordsWriter();
  for (const value of values) writer.add(new TextEncoder().encode(value));
  return writer.take();
}
