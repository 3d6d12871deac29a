/**
 * How long appends take while the ring is freed, beside how long they take at rest: the same load, some streams with a ring
 * of 64 KiB for each. An append is *during freeing* when tails were flushed while it was on its way.
 * @module
 */
import fs from "node:fs";
import path from "node:path";
import { BatchKind } from "../src/base/batch.ts";
import { systemClock } from "../src/host/clock.ts";
import type { Disk } from "../src/host/disk.ts";
import { systemHash } from "../src/host/hash.ts";
import { nodeDisk } from "../src/host/node-disk.ts";
import { systemRandom } from "../src/host/random.ts";
import { openDataFolder } from "../src/log/data-folder.ts";
import type { DataFolder, GroupLog } from "../src/log/types.ts";

const streams = 500;
const ring = { journalFiles: 4, journalFileBytes: 8 << 20 };
const payloadBytes = 500;
/** The first lap makes the streams' folders and files, which happens once in a stream's life: it is told of apart. */
const laps = 4;

interface Case {
  readonly name: string;
  readonly inFlight: number;
  /** Appends a second, all in flight together; none: as many as there can be. */
  readonly perSecond?: number;
}

const cases: readonly Case[] = [
  { name: "4,000 appends/s", inFlight: 64, perSecond: 4_000 },
  { name: "16 in flight", inFlight: 16 },
  { name: "64 in flight", inFlight: 64 },
];

/** Whether tails are being flushed, and how often one began or ended. */
class Flushes {
  underWay = 0;
  changes = 0;

  /** The machine's disk, which tells of them. */
  disk(): Disk {
    const disk = nodeDisk();
    return {
      ...disk,
      open: async (file, options) => {
        const opened = await disk.open(file, options);
        if (!opened || !file.endsWith(".log")) return opened;
        const { write, sync } = { write: opened.write.bind(opened), sync: opened.sync.bind(opened) };
        opened.write = async (parts, at) => {
          this.#count(1);
          await write(parts, at);
        };
        opened.sync = async () => {
          await sync();
          this.#count(-1);
        };
        return opened;
      },
    };
  }

  #count(by: number): void {
    this.underWay += by;
    this.changes += 1;
  }
}

/** Prints a line for each case, and for its first lap. */
export async function benchFreeing(parent: string): Promise<void> {
  for (const one of cases) await run(one, parent);
}

async function run({ name, inFlight, perSecond }: Case, parent: string): Promise<void> {
  const folder = fs.mkdtempSync(path.join(parent, "tailrace-bench-"));
  const flushes = new Flushes();
  const data = await openDataFolder({
    ...{ path: `${folder}/data`, disk: flushes.disk(), clock: systemClock, hash: systemHash, random: systemRandom },
    settings: ring,
  });
  const logs = await Promise.all(Array.from({ length: streams }, (_, at) => make(data, at + 1)));
  const lapBytes = ring.journalFiles * ring.journalFileBytes;
  for (let lap = 1; lap <= laps; lap++) {
    // The laps after the first are one measurement.
    const until = (lap === 1 ? 1 : laps) * lapBytes;
    const waitsBefore = data.metrics.ringWaits;
    const { rest, freeing } = await measure({ logs, inFlight, perSecond, flushes, isOver: () => isOver(data, until) });
    const waits = data.metrics.ringWaits - waitsBefore;
    const ratio = percentile(freeing, 0.99) / percentile(rest, 0.99);
    const part = lap === 1 ? "first lap" : `${laps - 1} more laps`;
    console.log(
      [
        `freeing, ${name}, ${part}`.padEnd(42),
        `p50 and p99 at rest ${shown(rest)}`.padEnd(38),
        `during freeing ${shown(freeing)}`.padEnd(34),
        `p99 to p99 ${ratio.toFixed(2)}`.padEnd(18),
        `longest ${Math.max(rest.at(-1) ?? 0, freeing.at(-1) ?? 0).toFixed(0)} ms`.padEnd(18),
        `${waits} times no room`,
      ].join(""),
    );
    if (lap > 1) break;
  }
  await data.close();
  fs.rmSync(folder, { recursive: true });
}

function isOver(data: DataFolder, frameBytes: number): boolean {
  return data.metrics.frameBytes >= frameBytes;
}

interface Load {
  readonly logs: readonly GroupLog[];
  readonly inFlight: number;
  readonly perSecond: number | undefined;
  readonly flushes: Flushes;
  readonly isOver: () => boolean;
}

/** Milliseconds that appends took, in ascending order. */
async function measure({ logs, inFlight, perSecond, flushes, isOver }: Load) {
  const [rest, freeing]: [number[], number[]] = [[], []];
  const payload = new Uint8Array(payloadBytes).fill(7);
  const start = performance.now();
  let next = 0;
  let over = false;
  const appendOn = async () => {
    while (!over) {
      const number = next++;
      if (number % 200 === 0) over ||= isOver();
      const dueMs = perSecond === undefined ? 0 : start + (number * 1000) / perSecond - performance.now();
      if (dueMs > 0) await new Promise((resolve) => setTimeout(resolve, dueMs));
      const begin = performance.now();
      const [underWay, changes] = [flushes.underWay, flushes.changes];
      await logs[(number * 7919) % logs.length]?.append({ kind: BatchKind.records, payload, recordCount: 1 });
      const met = underWay > 0 || flushes.changes !== changes;
      (met ? freeing : rest).push(performance.now() - begin);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, appendOn));
  for (const times of [rest, freeing]) times.sort((a, b) => a - b);
  return { rest, freeing };
}

function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
}

function shown(sorted: readonly number[]): string {
  return `${percentile(sorted, 0.5).toFixed(2)} and ${percentile(sorted, 0.99).toFixed(2)} ms`;
}

async function make(data: DataFolder, group: number): Promise<GroupLog> {
  const nothing = new Uint8Array(0);
  const appendTimeMicros = systemClock.nowMicros();
  const { log, made } = data.create({
    ...{ group, checkpointState: nothing, startOffset: 0, appendTimeMicros, note: nothing },
  });
  log.rollBy({ maxBytes: 64 << 20, maxAgeMicros: 7 * 86_400e6 }, () => nothing);
  await made;
  return log;
}
