/**
 * A start with 10,000 streams and a full ring after a kill: it is ready in bounded time and memory, and every stream ends
 * where it ended. How long it takes is a figure of `npm run bench -- start`; the bounds here are generous.
 */
import assert from "node:assert/strict";
import * as path from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../support/data-folder.ts";
import { fillAndKill, startLog, startWholeNode } from "./support/full-ring-process.ts";

const streams = 10_000;
/** Six times what is wanted of a machine with nothing else to do. */
const readyMaxMs = 30_000;
/** Less than two times the ring, which a start must not hold. */
const peakMaxBytes = 480 << 20;

test(`${streams} streams and a full ring after kill -9`, { timeout: 480_000 }, async () => {
  const data = path.join(temporaryFolder(), "data");
  const { batches, ringBytesUsed } = await fillAndKill(data, streams);
  assert.ok(ringBytesUsed > 200 << 20);
  const node = await startWholeNode(data);
  const { report, readyMs, cpuMs, peakBytes, wrongEnds } = await startLog(data);
  console.log(
    `start: ${streams} streams, ${batches} batches, ${ringBytesUsed >> 20} MiB of ring, ${report.tailBatches} batches only there; ` +
      `a node was ready after ${Math.round(node.readyMs)} ms with ${(node.peakBytes ?? 0) >> 20} MiB at most; ` +
      `the log alone after ${Math.round(readyMs)} ms, ${Math.round(cpuMs)} ms of CPU, ${peakBytes >> 20} MiB at most`,
  );
  assert.equal(report.kind, "recovered");
  assert.equal(report.droppedBatches, 0);
  assert.equal(wrongEnds, 0);
  assert.ok(node.readyMs < readyMaxMs, `ready after ${node.readyMs} ms`);
  assert.ok(Math.max(node.peakBytes ?? 0, peakBytes) < peakMaxBytes, "too much memory");
});
