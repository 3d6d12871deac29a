/**
 * A process with many streams and a full ring: `full-ring.ts fill|start DATA STREAMS`. The first makes them, says so and
 * waits to be killed; the second starts with what that left, and says what it took.
 * @module
 */
import * as fs from "node:fs";
import { RecordsWriter } from "../../../src/base/records-writer.ts";
import { systemClock } from "../../../src/host/clock.ts";
import type { Disk } from "../../../src/host/disk.ts";
import { systemHash } from "../../../src/host/hash.ts";
import { nodeDisk } from "../../../src/host/node-disk.ts";
import { systemRandom } from "../../../src/host/random.ts";
import { openDataFolder } from "../../../src/log/data-folder.ts";
import type { GroupLog, RecoveryReport } from "../../../src/log/types.ts";
import { streamsOf } from "../../support/streams.ts";

/** What a start took. */
export interface StartReport {
  readonly report: RecoveryReport;
  /** From the start of the process on, milliseconds. */
  readonly readyMs: number;
  /** CPU until then, all threads, milliseconds: what the start takes on an idle machine, about. */
  readonly cpuMs: number;
  /** Most memory that the process had at once, bytes. */
  readonly peakBytes: number;
  readonly ringBytesUsed: number;
  /** Groups whose end, with its digest, is another than when they were written, and groups whose last batch can't be read. */
  readonly wrongEnds: number;
}

const valueBytes = { from: 40, to: 400 };
const inFlight = 2000;
/** The ring is as full as it gets where a file was just freed. */
const fullPart = 0.8;
/** It has gone round so often, and all streams have files. */
const laps = 1.2;

const [mode = "", data = "", streamCount = ""] = process.argv.slice(2);
const endsFile = `${data}.ends`;
const said = mode === "fill" ? await fill(Number(streamCount)) : await start();
console.log(JSON.stringify(said));
if (mode === "fill") setInterval(() => {}, 1 << 30);

async function fill(count: number): Promise<{ batches: number; ringBytesUsed: number }> {
  // What a kill leaves is what was written, synced or not: so it is made without waiting for the disk.
  const folder = await openDataFolder({
    ...{ path: data, disk: withoutSyncs(), clock: systemClock, hash: systemHash, random: systemRandom },
  });
  const streams = await streamsOf(folder);
  const all = await Promise.all(Array.from({ length: count }, (_, at) => streams.getForAppend(`full/${at}`)));
  let next = 0;
  let isOver = false;
  const isFull = () => {
    const { ringBytesUsed, ringBytesMax, frameBytes } = folder.metrics;
    return frameBytes >= laps * ringBytesMax && ringBytesUsed >= fullPart * ringBytesMax;
  };
  const appendOn = async () => {
    while (!isOver) {
      const serial = next++;
      const { from, to } = valueBytes;
      const writer = new RecordsWriter();
      writer.add(new Uint8Array(from + ((serial * 7919) % (to - from))).fill(serial));
      await all[(serial * 104729) % count]?.append(writer.take());
      if (serial % 10_000 === 0) isOver ||= isFull();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, appendOn));
  const ends = [...folder.groups()].map((group) => [group, endOf(folder.log(group))]);
  fs.writeFileSync(endsFile, JSON.stringify(ends));
  return { batches: next, ringBytesUsed: folder.metrics.ringBytesUsed };
}

async function start(): Promise<StartReport> {
  const folder = await openDataFolder({
    ...{ path: data, disk: nodeDisk(), clock: systemClock, hash: systemHash, random: systemRandom },
  });
  const readyMs = performance.now();
  const { user, system } = process.cpuUsage();
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
  return { report, readyMs, cpuMs: (user + system) / 1000, peakBytes, ringBytesUsed, wrongEnds };
}

function endOf(log: GroupLog | undefined): string {
  if (!log) return "";
  const { index, offset, digest } = log.durableEnd;
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
