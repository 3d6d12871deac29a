/** Where a log's control batches are is known without looking at its records, and is what a scan finds. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { openFolder, temporaryFolder } from "../../test/support/data-folder.ts";
import { chooseSeed, seeded } from "../../test/support/seeded.ts";
import { BatchKind } from "../base/batch.ts";
import { TailraceError } from "../base/errors.ts";
import type { DataFolder, GroupLog } from "./types.ts";

const group = 3;
const state = () => new Uint8Array(20);

function logIn(folder: DataFolder): GroupLog {
  const log = folder.log(group);
  assert.ok(log);
  log.rollBy({ maxBytes: 2 << 20, maxAgeMicros: 1e16 }, state);
  return log;
}

async function controls(log: GroupLog, from: number): Promise<number[]> {
  const found: number[] = [];
  for await (const { index, kind } of log.controlBatches(from)) {
    assert.notEqual(kind, BatchKind.records);
    found.push(index);
  }
  return found;
}

async function check(log: GroupLog): Promise<void> {
  const scanned: number[] = [];
  for await (const { index, kind } of log.headers(log.base.index)) if (kind !== BatchKind.records) scanned.push(index);
  assert.deepEqual(await controls(log, 0), scanned);
  const middle = scanned[Math.floor(scanned.length / 2)] ?? 0;
  for (const from of [middle, middle + 1, log.durableEnd.index]) {
    assert.deepEqual(
      await controls(log, from),
      scanned.filter((index) => index >= from),
    );
  }
}

describe("control batches", () => {
  test("are those that a scan finds, over flushes, cuts, drops, stops and kills", { timeout: 60_000 }, async () => {
    const random = seeded(chooseSeed("control batches"), 64);
    let data = temporaryFolder();
    let folder = await openFolder(data);
    const made = folder.create({
      ...{ group, checkpointState: state(), startOffset: 0, appendTimeMicros: 1, note: new Uint8Array(0) },
    });
    await made.made;
    let log = logIn(folder);
    for (let round = 0; round < 40; round++) {
      for (let batch = 0; batch < 30; batch++) {
        const isControl = random.between(0, 5) === 0;
        const payload = new Uint8Array(isControl ? 10 : random.between(1, 60_000));
        const kind = isControl ? BatchKind.trim : BatchKind.records;
        await log.append({ kind, payload, recordCount: isControl ? 0 : 1 });
      }
      switch (random.between(0, 4)) {
        case 0:
          await folder.close();
          folder = await openFolder(data);
          log = logIn(folder);
          break;
        case 1: {
          // What a kill leaves: nothing is on its way, and the clean stop is not in the copy.
          const copy = path.join(temporaryFolder(), "killed");
          fs.cpSync(data, copy, { recursive: true });
          await folder.close();
          data = copy;
          folder = await openFolder(data);
          log = logIn(folder);
          break;
        }
        case 2:
          await log.cut(Math.max(log.durableEnd.index - random.between(1, 40), log.base.index + 1, log.commit.index));
          break;
        case 3: {
          log.setCommit(log.durableEnd.index);
          const starts = log.segmentSizes().map(({ firstIndex }) => firstIndex);
          await log.dropBefore(starts[random.between(0, starts.length - 1)] ?? log.base.index);
          break;
        }
      }
      await check(log);
    }
    await folder.close();
  });

  test("are not told of where there may be others: a bad batch is damage", async () => {
    const data = temporaryFolder();
    let folder = await openFolder(data);
    const { log } = folder.create({
      ...{ group, checkpointState: state(), startOffset: 0, appendTimeMicros: 1, note: new Uint8Array(0) },
    });
    log.rollBy({ maxBytes: 1 << 30, maxAgeMicros: 1e16 }, state);
    for (let batch = 0; batch < 4; batch++) {
      await log.append({ kind: BatchKind.records, payload: new Uint8Array(600_000), recordCount: 1 });
    }
    await folder.close();
    const segments = path.join(data, "groups", `${group}`, "1");
    for (const name of fs.readdirSync(segments)) {
      const file = path.join(segments, name);
      if (name.endsWith(".index")) fs.rmSync(file);
      else {
        const bytes = fs.readFileSync(file);
        bytes.fill(0xff, 1_000_000, 1_300_000);
        fs.writeFileSync(file, bytes);
      }
    }
    folder = await openFolder(data);
    const again = folder.log(group);
    assert.ok(again);
    await assert.rejects(controls(again, 0), (error) => error instanceof TailraceError && error.reason === "damaged");
    await folder.close();
  });
});
