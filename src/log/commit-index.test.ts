/** The commit index of a log lags behind its end where a majority is still waited for. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, describe, test } from "node:test";
import { BatchKind } from "../base/batch.ts";
import { systemClock } from "../host/clock.ts";
import { systemHash } from "../host/hash.ts";
import { nodeDisk } from "../host/node-disk.ts";
import { systemRandom } from "../host/random.ts";
import { openDataFolder } from "./data-folder.ts";
import type { DataFolder, GroupLog } from "./types.ts";

const root = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-commit-"));
after(() => fs.rmSync(root, { recursive: true, force: true }));
let folders = 0;

/** A folder whose one log has 30 batches of two records from offset 100 on, most of them in segments of some batches. */
async function logOf30(work: (log: GroupLog, folder: DataFolder) => Promise<void>): Promise<void> {
  folders += 1;
  const folder = await openDataFolder({
    ...{ path: path.join(root, `${folders}`), disk: nodeDisk(), clock: systemClock },
    ...{ hash: systemHash, random: systemRandom },
    settings: { journalFileBytes: 1 << 20, journalFiles: 2, tailMaxBytes: 1500 },
  });
  const batch0 = { checkpointState: new Uint8Array(5), startOffset: 100, appendTimeMicros: 1, note: new Uint8Array(0) };
  const { log } = folder.create({ group: 7, ...batch0 });
  log.rollBy({ maxBytes: 1000, maxAgeMicros: 1e16 }, () => new Uint8Array(20));
  while (log.durableEnd.index < 30) {
    await log.append({ kind: BatchKind.records, payload: new Uint8Array(40), recordCount: 2 });
  }
  await work(log, folder);
  await folder.close();
}

function moved(log: GroupLog): Promise<void> {
  return new Promise((resolve) => {
    const stop = log.onCommit(() => {
      stop();
      resolve();
    });
  });
}

describe("the commit index", () => {
  test("is followed by the offset there, at each index, whether that is in a segment or in the tail", async () => {
    await logOf30(async (log) => {
      const end = log.durableEnd.index;
      const batches = await log.read({ from: { index: 0 }, belowIndex: end, maxBytes: 1 << 20 });
      for (let index = 1; index <= end; index++) {
        const commits = moved(log);
        log.setCommit(index);
        await commits;
        const offset = batches[index]?.baseOffset ?? log.durableEnd.offset;
        assert.deepEqual(log.commit, { index, offset });
      }
    });
  });

  test("never goes back, and ends at the largest one set while an offset was looked up", async () => {
    await logOf30(async (log) => {
      const seen: number[] = [];
      log.onCommit(() => seen.push(log.commit.index));
      const last = log.durableEnd.index - 1;
      for (const index of [3, 9, 4, last, 5]) log.setCommit(index);
      while (log.commit.index < last) await new Promise((resolve) => setImmediate(resolve));
      log.setCommit(2);
      assert.equal(log.commit.index, last);
      assert.deepEqual(
        seen,
        [...seen].sort((a, b) => a - b),
      );
    });
  });

  test("keeps a cut off what is committed, from the moment on that it is set", async () => {
    await logOf30(async (log) => {
      const commits = moved(log);
      log.setCommit(12);
      await assert.rejects(log.cut(11), /below its commit index/);
      await commits;
      await log.cut(12);
      assert.deepEqual(log.commit, { index: 12, offset: log.durableEnd.offset });
    });
  });
});
