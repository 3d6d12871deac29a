/**
 * What nodes hold in memory while followers do not keep up, and the load for it.
 * @module
 */
import assert from "node:assert/strict";
import { present } from "../../../src/base/assert.ts";
import { connectTo } from "../../../src/cli/connection.ts";
import { lanSettings } from "../../../src/raft/types.ts";
import { unless } from "../../support/skip.ts";
import type { ClusterNode } from "./node-process.ts";

/** Of tests that look at what nodes hold. */
export const memoryOptions = {
  ...unless(process.platform === "linux", "what a process holds is read in /proc"),
  timeout: 120_000,
};

const mib = 1 << 20;
/** Nearly the largest record there may be. */
const valueBytes = 1_000_000;
const inFlight = 4;

/**
 * What a node may hold more for one that does not keep up: what the core lets be on the way to it, as it is read, as a message,
 * and as it is in the buffers of its connection; beside that what the runtime has not collected yet.
 */
const boundBytes = 4 * lanSettings.sessionCreditBytes + 128 * mib;

/** The most memory that nodes held before something, and after it. */
export class Peaks {
  readonly #before: ReadonlyMap<ClusterNode, number>;

  constructor(nodes: readonly ClusterNode[]) {
    this.#before = new Map(nodes.map((node) => [node, node.peakBytes]));
  }

  /** Asserts that it did not grow by more than there is a reason for. */
  check(): void {
    const more = [...this.#before].map(([{ id, peakBytes }, before]) => ({ id, before, bytes: peakBytes - before }));
    const told = more.map(({ id, before, bytes }) => `${id} ${inMiB(before)} and ${inMiB(bytes)} more`).join(", ");
    console.log(`memory, MiB: ${told}; at most ${inMiB(boundBytes)} more`);
    for (const { id, bytes } of more)
      assert.ok(bytes <= boundBytes, `node ${id} came to hold ${inMiB(bytes)} MiB more`);
  }
}

function inMiB(bytes: number): string {
  return (bytes / mib).toFixed(0);
}

/** Appends so many records of nearly 1 MiB, a few at a time, to streams in turn; resolves with the longest time that one took. */
export async function appendLarge(node: ClusterNode, streams: readonly string[], count: number): Promise<number> {
  const { client, close } = connectTo(node.url);
  let [begun, longestMs] = [0, 0];
  const work = async () => {
    while (begun < count) {
      const number = begun++;
      const beginMs = performance.now();
      const value = new Uint8Array(valueBytes).fill(number);
      await client.log.append({
        stream: present(streams[number % streams.length], "there are streams"),
        records: [{ value }],
      });
      longestMs = Math.max(longestMs, performance.now() - beginMs);
    }
  };
  try {
    await Promise.all(Array.from({ length: inFlight }, work));
  } finally {
    close();
  }
  return longestMs;
}
