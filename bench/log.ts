/**
 * The log alone, no network. Prints each case as a ratio to the disk's own speed, measured in the same run.
 * @module
 */
import fs from "node:fs";
import path from "node:path";
import { BatchKind } from "../src/base/batch.ts";
import { systemClock } from "../src/host/clock.ts";
import { systemHash } from "../src/host/hash.ts";
import { nodeDisk } from "../src/host/node-disk.ts";
import { systemRandom } from "../src/host/random.ts";
import { openDataFolder } from "../src/log/data-folder.ts";
import type { DataFolder, GroupLog } from "../src/log/types.ts";
import { measureDisk } from "./limits.ts";

interface Case {
  readonly name: string;
  readonly streams: number;
  readonly inFlight: number;
  readonly appends: number;
  readonly payloadBytes: number;
}

interface Bench {
  readonly data: DataFolder;
  readonly logs: readonly GroupLog[];
  readonly folder: string;
}

const cases: readonly Case[] = [
  { name: "1 stream, 100 B, 1 in flight", streams: 1, inFlight: 1, appends: 3_000, payloadBytes: 100 },
  { name: "1 stream, 100 B, 64 in flight", streams: 1, inFlight: 64, appends: 150_000, payloadBytes: 100 },
  { name: "500 streams, 100 B, 64 in flight", streams: 500, inFlight: 64, appends: 150_000, payloadBytes: 100 },
  { name: "1 stream, 100 KB, 16 in flight", streams: 1, inFlight: 16, appends: 4_000, payloadBytes: 100_000 },
  { name: "1 stream, 256 KiB, 16 in flight", streams: 1, inFlight: 16, appends: 2_000, payloadBytes: 1 << 18 },
];

/** Prints a line for each case. */
export async function benchLog(parent: string): Promise<void> {
  const folder = fs.mkdtempSync(path.join(parent, "tailrace-bench-"));
  const data = await openDataFolder({
    path: `${folder}/data`,
    disk: nodeDisk(),
    clock: systemClock,
    hash: systemHash,
    random: systemRandom,
  });
  const logs: GroupLog[] = [];
  for (let group = 1; group <= 500; group++) logs.push(await makeLog(data, group));
  for (const one of cases) await run(one, { data, logs, folder });
  await data.close();
  fs.rmSync(folder, { recursive: true });
}

async function makeLog(to: DataFolder, group: number): Promise<GroupLog> {
  const nothing = new Uint8Array(0);
  const appendTimeMicros = systemClock.nowMicros();
  const { log, made } = to.create({ group, checkpointState: nothing, startOffset: 0, appendTimeMicros, note: nothing });
  log.rollBy({ maxBytes: 64 << 20, maxAgeMicros: 7 * 86_400e6 }, () => nothing);
  await made;
  return log;
}

async function run({ name, streams, inFlight, appends, payloadBytes }: Case, on: Bench): Promise<void> {
  const { data, logs, folder } = on;
  const limits = await measureDisk(folder);
  const payload = new Uint8Array(payloadBytes).fill(7);
  const before = { ...data.metrics.syncs };
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (next < appends) {
        const log = logs[(next * 7919) % streams];
        next += 1;
        await log?.append({ kind: BatchKind.records, payload, recordCount: 1 });
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const after = data.metrics.syncs;
  const journalSyncs = after.journal - before.journal;
  const megabytes = (appends * payloadBytes) / 1e6 / seconds;
  console.log(
    [
      name.padEnd(34),
      `${Math.round(appends / seconds)} appends/s`.padEnd(18),
      `${((cpu.user + cpu.system) / appends).toFixed(1)} us CPU each`.padEnd(20),
      `${journalSyncs} journal and ${after.flush - before.flush} flush syncs`.padEnd(38),
      `syncs/s to the disk's: ${(journalSyncs / seconds / limits.syncsPerSecond).toFixed(2)}`.padEnd(32),
      `MB/s to the disk's: ${(megabytes / limits.megabytesPerSecond).toFixed(2)}`,
    ].join(""),
  );
}
