/** What the log keeps in memory for each idle stream. (A batch of a tail: test/sim, "journal-why 15".) */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, describe, test } from "node:test";
import { unless } from "../../test/support/skip.ts";
import { systemClock } from "../host/clock.ts";
import { systemHash } from "../host/hash.ts";
import { nodeDisk } from "../host/node-disk.ts";
import { systemRandom } from "../host/random.ts";
import { openDataFolder } from "./data-folder.ts";
import type { DataFolder } from "./types.ts";

const root = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-memory-"));
after(() => fs.rmSync(root, { recursive: true, force: true }));

const mebibyte = 1 << 20;

function open(name: string): Promise<DataFolder> {
  return openDataFolder({
    ...{ path: path.join(root, name), disk: nodeDisk(), clock: systemClock, hash: systemHash, random: systemRandom },
    settings: { journalFileBytes: 16 * mebibyte, journalFiles: 2, arenaBytes: mebibyte, tailMaxBytes: 64 * mebibyte },
  });
}

/** Bytes that are in use, when all that nobody holds is gone: what waits in a queue is no one's only after a turn. */
async function usedBytes(): Promise<number> {
  for (let round = 0; round < 4; round++) {
    Bun.gc(true);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}
declare const Bun: { gc(force: boolean): void };

async function makeGroups(folder: DataFolder, from: number, count: number): Promise<void> {
  const made = Array.from({ length: count }, (_, i) => {
    const batch0 = {
      checkpointState: new Uint8Array(60),
      startOffset: 0,
      appendTimeMicros: 1,
      note: new Uint8Array(40),
    };
    return folder.create({ group: from + i, ...batch0 }).made;
  });
  await Promise.all(made);
}

/** All stay in memory, so that none is collected while another is measured. */
const kept: DataFolder[] = [];

/** What each group more takes, of folders with few and with many. The first one is for what is only made once. */
async function bytesAGroup(use: (count: number) => Promise<DataFolder>): Promise<number> {
  const [few, many] = [1000, 6000];
  const taken: number[] = [];
  for (const count of [10, few, many]) {
    const before = await usedBytes();
    const folder = await use(count);
    kept.push(folder);
    taken.push((await usedBytes()) - before);
    await folder.close();
  }
  const [, ofFew = 0, ofMany = 0] = taken;
  return (ofMany - ofFew) / (many - few);
}

describe("memory of the log", () => {
  const isBun = "Bun" in globalThis;

  const options = { timeout: 60_000, ...unless(isBun, "how much is in use is asked of Bun") };

  test("is under 4 KiB for an idle stream", options, async () => {
    const made = await bytesAGroup(async (count) => {
      const folder = await open(`${count}`);
      await makeGroups(folder, 0, count);
      return folder;
    });
    const found = await bytesAGroup((count) => open(`${count}`));
    console.log(`an idle stream takes ${made.toFixed(0)} bytes when it was made, ${found.toFixed(0)} after a start`);
    // The garbage collector may keep a little of what is gone, never less than what is there.
    assert.ok(made > 500 && made < 4096, `${made} bytes`);
    assert.ok(found > 500 && found < 4096, `${found} bytes`);
  });
});
