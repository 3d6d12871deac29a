/**
 * What is said of a data folder that is kept, beside it.
 * @module
 */
import type { Streams } from "../../../src/stream/types.ts";
import type { BatchLine } from "../folder.ts";

/** A stream as the newest code must find it. */
export interface KeptStream {
  readonly name: string;
  readonly id: number;
  readonly settings: object;
  readonly logStart: number;
  readonly highWatermark: number;
  /** Hexadecimal; empty: none. */
  readonly fence: string;
  readonly digest: string;
}

/** All of it. */
export interface Kept {
  readonly streams: readonly KeptStream[];
  readonly batches: readonly BatchLine[];
}

/** The streams of an open folder, the system's not. */
export async function describeStreams(streams: Streams): Promise<KeptStream[]> {
  const page = streams.list({ prefix: "", limit: 1000 });
  return await Promise.all(
    page.streams.map(async (stream) => {
      const { name, id, settings, logStart, highWatermark, fence, digest } = await stream.describe();
      return { name, id, settings, logStart, highWatermark, fence: hex(fence), digest: hex(digest) };
    }),
  );
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
