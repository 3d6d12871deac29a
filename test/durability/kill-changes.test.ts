/**
 * A process is killed while logs are changed, 20 times for each kind of change. After each start a change was made or
 * was not, as a whole: nothing that was cut off, deleted or replaced returns, and all that was acknowledged is there.
 */
import { describe, test } from "node:test";
import { temporaryFolder } from "../support/data-folder.ts";
import { killCycles } from "./support/kill-cycles.ts";
import type { LoadOrders } from "./support/said.ts";

const timeout = 180_000;

/** Segments and tails are short, so that changes go into both, and the ring goes round beside them. */
const busy: Omit<LoadOrders, "changes"> = {
  ...{ groups: 20, busyGroups: 20, inFlight: 30, payloadBytes: { from: 20, to: 2_000 }, largeOneIn: 100 },
  ...{ segmentMaxBytes: 60_000, tailMaxBytes: 20_000 },
};

describe("kill -9, 20 times", () => {
  test("while files are cut", { timeout }, async () => {
    const kill = { phase: "cut files", times: 20, withinMicros: 2_000, atLeast: 5 };
    await killCycles("cutting files", temporaryFolder(), { ...busy, changes: ["cut", "cut", "cut"] }, kill);
  });

  test("while tails are cut", { timeout }, async () => {
    const kill = { phase: "cutting", times: 60, withinMicros: 800, atLeast: 5 };
    const load: LoadOrders = { ...busy, tailMaxBytes: 1 << 20, changes: ["cut", "cut", "cut"] };
    await killCycles("cutting tails", temporaryFolder(), load, kill);
  });

  test("while logs are deleted", { timeout }, async () => {
    const kill = { phase: "removing", times: 20, withinMicros: 2_000, atLeast: 5 };
    await killCycles("deleting", temporaryFolder(), { ...busy, changes: ["remove", "remove"] }, kill);
  });

  test("while logs are begun anew", { timeout }, async () => {
    const kill = { phase: "installing", times: 20, withinMicros: 4_000, atLeast: 5 };
    await killCycles("beginning anew", temporaryFolder(), { ...busy, changes: ["install", "install"] }, kill);
  });

  test("while logs are trimmed", { timeout }, async () => {
    const kill = { phase: "trimming", times: 20, withinMicros: 2_000, atLeast: 5 };
    await killCycles("trimming", temporaryFolder(), { ...busy, changes: ["trim", "trim"] }, kill);
  });
});
