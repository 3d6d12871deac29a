import { defaultLimits, type Limits } from "../../src/base/limits.ts";
import { RecordsWriter } from "../../src/base/records-writer.ts";
import type { DataFolder } from "../../src/log/types.ts";
import { loneLogs } from "../../src/replica/lone.ts";
import { builtInSettings } from "../../src/stream/settings.ts";
import { type LocalStreams, openStreams } from "../../src/stream/streams.ts";

/** Opens the streams of a folder as a node does. */
export function streamsOf(
  folder: DataFolder,
  options: { createOnAppend?: boolean; limits?: Partial<Limits> } = {},
): Promise<LocalStreams> {
  const limits = { ...defaultLimits, ...options.limits };
  return openStreams({
    logs: loneLogs(folder, limits),
    limits,
    defaults: builtInSettings,
    createOnAppend: options.createOnAppend ?? true,
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
