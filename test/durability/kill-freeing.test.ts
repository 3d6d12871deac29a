/**
 * A process is killed while it frees its ring, 20 times each: while tails are flushed, while they are carried, while a
 * file is used again. After each start all that was acknowledged is there: once, in order, byte for byte.
 */
import { describe, test } from "node:test";
import { temporaryFolder } from "../support/data-folder.ts";
import { killCycles } from "./support/kill-cycles.ts";
import type { LoadOrders } from "./support/said.ts";

const timeout = 180_000;

/** Streams whose tails are worth a flush of their own; none but freeing flushes them. */
const flushed: LoadOrders = {
  ...{ groups: 60, busyGroups: 60, inFlight: 60, payloadBytes: { from: 100, to: 3_000 }, largeOneIn: 0 },
  ...{ segmentMaxBytes: 1 << 20, tailMaxBytes: 16 << 20, changes: [] },
};

/** Most streams have a tail of some hundred bytes only. */
const carried: LoadOrders = { ...flushed, groups: 400, busyGroups: 8, inFlight: 30 };

describe("kill -9, 20 times", () => {
  test("while tails are flushed to free a file of the ring", { timeout }, async () => {
    const kill = { phase: "flush", times: 60, withinMicros: 1_000, atLeast: 5 };
    await killCycles("freeing", temporaryFolder(), flushed, kill);
  });

  test("while small tails are carried", { timeout }, async () => {
    const kill = { phase: "carry", times: 3, withinMicros: 1_000, atLeast: 5 };
    await killCycles("carrying", temporaryFolder(), carried, kill);
  });

  test("while a file of the ring is begun anew", { timeout }, async () => {
    const kill = { phase: "reuse", times: 3, withinMicros: 1_000, atLeast: 5 };
    await killCycles("reuse", temporaryFolder(), flushed, kill);
  });
});
