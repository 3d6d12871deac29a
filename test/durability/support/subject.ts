/**
 * A data folder in a process of its own, which is there to be killed: opens it, writes down all that it holds, then
 * appends to its logs and changes them without end. `subject.ts ORDERS`, in JSON.
 * @module
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { systemClock } from "../../../src/host/clock.ts";
import { systemHash } from "../../../src/host/hash.ts";
import { systemRandom } from "../../../src/host/random.ts";
import { openDataFolder } from "../../../src/log/data-folder.ts";
import type { DataFolder, GroupLog } from "../../../src/log/types.ts";
import { runLoad } from "./load.ts";
import type { Found, FoundGroup, Orders, Said } from "./said.ts";
import { watchedDisk } from "./watched-disk.ts";

const stdout = 1;
const readMaxBytes = 1 << 20;

const orders: Orders = JSON.parse(process.argv[2] ?? "");
await run().catch((error: unknown) => {
  say(["failed", error instanceof Error ? `${error.stack}` : String(error)]);
  process.exitCode = 1;
});

async function run(): Promise<void> {
  const watcher = {
    begins: (what: string) => say(["begins", what]),
    over: (what: string) => say(["over", what]),
  };
  say(["opening"]);
  const folder = await openDataFolder({
    ...{ path: orders.data, disk: watchedDisk(watcher), clock: systemClock, hash: systemHash, random: systemRandom },
    settings: {
      ...{ journalFileBytes: 1 << 20, journalFiles: 4, arenaBytes: 1 << 20, segmentHandles: 64 },
      tailMaxBytes: orders.load?.tailMaxBytes ?? 2 << 20,
      ...(orders.freeSpaceReserve === undefined ? {} : { freeSpaceReserve: orders.freeSpaceReserve }),
    },
  });
  const { kind, keptBytes, cutBytes } = folder.report;
  say(["open", { kind, keptBytes, cutBytes }]);
  say(["found", await dump(folder)]);
  const { load } = orders;
  if (load) {
    await Promise.race([
      runLoad(folder, orders, load, say),
      folder.failed.then((error) => {
        throw error;
      }),
    ]);
  }
  await folder.close();
}

async function dump(folder: DataFolder): Promise<Found> {
  const file = fs.openSync(orders.dump, "w");
  const groups: FoundGroup[] = [];
  for (const group of folder.groups()) {
    const log = folder.log(group);
    if (log) groups.push(await dumpLog(log, file));
  }
  fs.closeSync(file);
  const below = path.join(orders.data, "groups");
  const entries = fs.readdirSync(below, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = entries.map((entry) => path.relative(below, path.join(entry.parentPath, entry.name)));
  return { groups, files };
}

async function dumpLog(log: GroupLog, file: number): Promise<FoundGroup> {
  let bytes = 0;
  let next = log.base.index;
  const belowIndex = log.durableEnd.index;
  while (next < belowIndex) {
    const batches = await log.read({ from: { index: next }, belowIndex, maxBytes: readMaxBytes });
    if (batches.length === 0) throw new Error(`batch ${next} of group ${log.group} can't be read`);
    const parts = batches.flatMap(({ header, payload }) => [header, payload]);
    bytes += fs.writeSync(file, Buffer.concat(parts));
    next += batches.length;
  }
  const damage = log.damage === undefined ? {} : { damage: log.damage };
  return { group: log.group, baseIndex: log.base.index, bytes, term: log.vote.term, ...damage };
}

/** The pipe may be full for a moment: its reader works too. */
function say(said: Said): void {
  const line = Buffer.from(`${JSON.stringify(said)}\n`);
  for (let written = 0; written < line.length; ) {
    try {
      written += fs.writeSync(stdout, line, written);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    }
  }
}
