/**
 * How long a start takes with 10,000 streams and a full ring (4 files of 64 MiB) after kill -9.
 * @module
 */
import fs from "node:fs";
import path from "node:path";
import { copyOf, fillAndKill, startLog, startWholeNode } from "../test/durability/support/full-ring-process.ts";

const streams = 10_000;
const times = 3;

/** Prints a line for each start: each is of the same folder as the kill left it. */
export async function benchStart(parent: string): Promise<void> {
  const folder = fs.mkdtempSync(path.join(parent, "tailrace-bench-"));
  const data = path.join(folder, "data");
  const { batches, ringBytesUsed } = await fillAndKill(data, streams);
  console.log(`start: ${streams} streams, ${batches} batches, ${ringBytesUsed >> 20} MiB in the ring`);
  for (let time = 0; time < times; time++) {
    const copy = copyOf(data, "copy");
    const node = await startWholeNode(copy);
    fs.rmSync(copy, { recursive: true });
    const log = await startLog(copyOf(data, "copy"));
    fs.rmSync(copy, { recursive: true });
    console.log(
      [
        `start, a node: ready after ${Math.round(node.readyMs)} ms`.padEnd(42),
        `${(node.peakBytes ?? 0) >> 20} MiB at most`.padEnd(20),
        `the log alone: ${Math.round(log.readyMs)} ms, ${Math.round(log.cpuMs)} ms of CPU, ${log.peakBytes >> 20} MiB at most`,
      ].join(""),
    );
  }
  fs.rmSync(folder, { recursive: true });
}
