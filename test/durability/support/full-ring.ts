/**
 * A process with many streams and a full ring: `full-ring.ts fill|start DATA STREAMS`. The first makes them, says so and
 * waits to be killed; the second starts with what that left, and says what it took.
 * @module
 */
import * as fs from "node:fs";
import { BatchKind } from "../../../src/base/batch.ts";
import { systemClock } from "../../../src/host/clock.ts";
import type { Disk } from "../../../src/host/disk.ts";
import { systemHash } from "../../../src/host/hash.ts";
import { nodeDisk } from "../../../src/host/node-disk.ts";
import { systemRandom } from "../../../src/host/random.ts";
import { openDataFolder } from "../../../src/log/data-folder.ts";
import type { DataFolder, GroupLog, RecoveryReport } from "../../../src/log/types.ts";

/** What a start took. */
export interface StartReport {
  readonly report: RecoveryReport;
  /** From the start of the process on, milliseconds. */
  readonly readyMs: number;
  /** Most memory that the process had at once, bytes. */
  readonly peakBytes: number;
  readonly ringBytesUsed: number;
  /** Groups whose end, with its digest, is another than when they were written, and groups whose last batch can't be read. */
  readonly wrongEnds: number;
}

const payloadBytes = { from: 40, to: 400 };
const inFlight = 2000;
/** The ring is as full as it gets where a file was just freed. */
const fullPart = 0.8;
/** It has gone round so often, and all streams have files. */
const laps = 1.2;

const [mode = "", data = "", streams = ""] = process.argv.slice(2);
const endsFile = `${data}.ends`;
const said = mode === "fill" ? await fill(Number(streams)) : await start();
console.log(JSON.stringify(said));
if (mode === "fill") setInterval(() => {}, 1 << 30);

async function fill(count: number): Promise<{ batches: number; ringBytesUsed: number }> {
  // What a kill leaves is what was written, synced or not: so it is made without waiting for the disk.
  const folder = await openDataFolder({
    ...{ path: data, disk: withoutSyncs(), clock: systemClock, hash: systemHash, random: systemRandom },
  });
  const logs = await Promise.all(Array.from({ length: count }, (_, at) => make(folder, at + 1)));
  let next = 0;
  const isFull = () => {
    const { ringBytesUsed, ringBytesMax, frameBytes } = folder.metrics;
    return frameBytes >= laps * ringBytesMax && ringBytesUsed >= fullPart * ringBytesMax;
  };
  let isOver = false;
  const appendOn = async () => {
    while (!isOver) {
      const serial = next++;
      const { from, to } = payloadBytes;
      const payload = new Uint8Array(from + ((serial * 7919) % (to - from))).fill(serial);
      await logs[(serial * 104729) % count]?.append({ kind: BatchKind.records, payload, recordCount: 1 });
      if (serial % 10_000 === 0) isOver ||= isFull();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, appendOn));
  fs.writeFileSync(endsFile, JSON.stringify(logs.map((log) => [log.group, endOf(log)])));
  return { batches: next, ringBytesUsed: folder.metrics.ringBytesUsed };
}

async function make(folder: DataFolder, group: number): Promise<GroupLog> {
  const { log, made } = folder.create({
    ...{ group, checkpointState: new Uint8Array(80), startOffset: 0, appendTimeMicros: systemClock.nowMicros() },
    note: new Uint8Array(20),
  });
  log.rollBy({ maxBytes: 64 << 20, maxAgeMicros: 1e16 }, () => new Uint8Array(80));
  await made;
  return log;
}

async function start(): Promise<StartReport> {
  const folder = await openDataFolder({
    ...{ path: data, disk: nodeDisk(), clock: systemClock, hash: systemHash, random: systemRandom },
  });
  const readyMs = performance.now();
  // Kilobytes on all runtimes.
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  const { ringBytesUsed } = folder.metrics;
  const ends: [number, string][] = JSON.parse(fs.readFileSync(endsFile, "utf8"));
  let wrongEnds = 0;
  for (const [group, end] of ends) {
    const log = folder.log(group);
    if (!log || endOf(log) !== end || !(await isLastRead(log))) wrongEnds++;
  }
  const { report } = folder;
  await folder.close();
  return { report, readyMs, peakBytes, ringBytesUsed, wrongEnds };
}

function endOf({ durableEnd: { index, offset, digest } }: GroupLog): string {
  return `${index} ${offset} ${Buffer.from(digest).toString("hex")}`;
}

async function isLastRead(log: GroupLog): Promise<boolean> {
  const belowIndex = log.durableEnd.index;
  const [last] = await log.read({ from: { index: belowIndex - 1 }, belowIndex, maxBytes: 1 });
  return last !== undefined && Buffer.from(last.digest).equals(log.durableEnd.digest);
}

function withoutSyncs(): Disk {
  const disk = nodeDisk();
  return {
    ...disk,
    async open(path, options) {
      const file = await disk.open(path, options);
      if (file) file.sync = () => Promise.resolve();
      return file;
    },
    syncFolder: () => Promise.resolve(),
  };
}
